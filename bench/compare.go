package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// contestant is one way of fetching documents.
type contestant struct {
	name string
	most int // documents at most
	run  func(ctx context.Context, e errand) (outcome, error)
	// binary is an askara-sync to measure, where run is nil.
	binary string
}

const (
	ours    = "askara-sync --once"
	other   = "the other askara-sync"
	careful = "Go loop, 8 workers, syncs"
	quick   = "curl -Z, 8 at once"
	slow    = "curl loop"
)

// set is one set of documents.
type set struct{ documents, size int }

func (s set) String() string { return fmt.Sprintf("%d documents of %d KiB", s.documents, s.size>>10) }

func (b *bench) sets() (sets []set) {
	for _, s := range []set{{b.large, 200 << 10}, {b.small, 2 << 10}} {
		if s.documents > 0 {
			sets = append(sets, s)
		}
	}
	return sets
}

// compare is the default mode.
func (b *bench) compare(ctx context.Context) error {
	if _, err := exec.LookPath("curl"); err != nil {
		return fmt.Errorf("curl is not installed: %w", err)
	}
	peaks := map[int]int64{}
	for _, s := range b.sets() {
		results, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		peaks[s.size] = median(results[ours], func(o outcome) int64 { return o.peak })
		report(s, results, b.loop)
		if err := b.countSyncs(ctx, s); err != nil {
			return err
		}
	}
	if len(peaks) == 2 {
		fmt.Printf("\npeak memory of the two sets: %.1f and %.1f MiB, %+.0f %%\n", float64(peaks[200<<10])/1024, float64(peaks[2<<10])/1024,
			100*(float64(peaks[2<<10])/float64(peaks[200<<10])-1))
	}
	return nil
}

// measure runs all contestants in turn, each time in another order.
func (b *bench) measure(ctx context.Context, s set) (map[string][]outcome, error) {
	everybody := []contestant{
		{name: careful, most: s.documents, run: goLoop}, {name: ours, most: s.documents, binary: b.binary},
		{name: quick, most: s.documents, run: curlParallel}, {name: slow, most: min(b.loop, s.documents), run: curlLoop},
	}
	if b.other != "" {
		everybody = append(everybody, contestant{name: other, most: s.documents, binary: b.other})
	}
	results := map[string][]outcome{}
	for r := range b.runs {
		for i := range everybody {
			c := everybody[(i+r)%len(everybody)]
			o, err := b.contest(ctx, s, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			results[c.name] = append(results[c.name], o)
			fmt.Fprintf(os.Stderr, "%s, run %d: %s %.2f ms a document\n", s, r+1, c.name, perDocument(o.wall, min(c.most, s.documents)))
		}
	}
	return results, nil
}

// contest runs one contestant once and insists that it brought everything.
func (b *bench) contest(ctx context.Context, s set, c contestant) (o outcome, err error) {
	e := errand{url: b.server.url}
	stocked, err := b.server.restock(stock{Documents: s.documents, Size: s.size})
	if err != nil {
		return o, err
	}
	e.token, e.uuids = stocked.Token, stocked.UUIDs[:c.most]
	dir, err := b.fresh()
	if err != nil {
		return o, err
	}
	defer retire(dir)
	e.dir = filepath.Join(dir, "inbox")
	if c.run != nil {
		if err := os.Mkdir(e.dir, 0o700); err != nil {
			return o, err
		}
		if o, err = c.run(ctx, e); err != nil {
			return o, err
		}
		seen, err := b.server.seen()
		if err != nil {
			return o, err
		}
		o.requests = seen.Total
	} else {
		site, err := b.newSite(ctx, dir, b.server.url, sinkToFolder(dir))
		if err != nil {
			return o, err
		}
		site.binary = c.binary
		if o, err = site.once(ctx, c.most); err != nil {
			return o, err
		}
	}
	return o, complete(e.dir, c.most, s.size)
}

// countSyncs runs a pass once more under strace, where there is one.
func (b *bench) countSyncs(ctx context.Context, s set) error {
	if _, err := exec.LookPath("strace"); err != nil {
		fmt.Println("syncs were not counted: strace is not installed")
		return nil
	}
	if _, err := b.server.restock(stock{Documents: s.documents, Size: s.size}); err != nil {
		return err
	}
	dir, err := b.fresh()
	if err != nil {
		return err
	}
	defer retire(dir)
	site, err := b.newSite(ctx, dir, b.server.url, sinkToFolder(dir))
	if err != nil {
		return err
	}
	n, err := site.traced(ctx, s.documents)
	if err != nil {
		return fmt.Errorf("count syncs: %w", err)
	}
	per := func(n int) float64 { return float64(n) / float64(s.documents) }
	fmt.Printf("syncs a document: %.3f of files, %.3f of directories, %.3f of the ledger, %.3f others\n", per(n.file), per(n.dir), per(n.ledger), per(n.other))
	return nil
}

// report prints the table of one set.
func report(s set, results map[string][]outcome, loop int) {
	fmt.Printf("\n%s\n", s)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tms/document\tleast\tmost\tCPU ms\trequests\tpeak MiB\tours is\t")
	own := wallPer(results[ours], s.documents)
	for _, name := range []string{ours, other, careful, quick, slow} {
		if results[name] == nil {
			continue
		}
		n := s.documents
		if name == slow {
			n = min(loop, n)
		}
		list := results[name]
		each := wallPer(list, n)
		walls := make([]float64, len(list))
		for i, o := range list {
			walls[i] = perDocument(o.wall, n)
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.1f\t%.2f x\t\n", name, each, slices.Min(walls), slices.Max(walls),
			perDocument(median(list, func(o outcome) time.Duration { return o.cpu }), n),
			float64(median(list, func(o outcome) int { return o.requests }))/float64(n),
			float64(median(list, func(o outcome) int64 { return o.peak }))/1024, own/each)
	}
	w.Flush()
	last := results[ours][len(results[ours])-1].pass
	fmt.Printf("requests of askara-sync: %d = 2 x %d documents + %d for %d listed\n", last.Requests, last.Delivered,
		last.Requests-2*last.Delivered, last.Listed)
}

func wallPer(list []outcome, n int) float64 {
	return perDocument(median(list, func(o outcome) time.Duration { return o.wall }), n)
}

// perDocument is in milliseconds.
func perDocument(d time.Duration, n int) float64 {
	return float64(d) / float64(time.Millisecond) / float64(max(n, 1))
}

// median of what of takes from each.
func median[E any, T int | int64 | time.Duration](list []E, of func(E) T) T {
	values := make([]T, len(list))
	for i, e := range list {
		values[i] = of(e)
	}
	return percentile(values, 50)
}

// percentile by the nearest rank.
func percentile[T int | int64 | time.Duration](values []T, p int) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[min((len(values)*p+99)/100, len(values))-1]
}
