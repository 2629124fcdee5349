package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	youth  = 1000 // rows of the ledger that is compared with
	batch  = 100  // new documents of a busy pass
	rounds = 20   // idle passes and looks at the status, each
)

// growth compares a ledger with a long history with one that has a thousand rows. Both have had the same real pass; the history of one
// was multiplied afterwards.
func (b *bench) growth(ctx context.Context) error {
	var sites [2]*site
	var servers [2]*server
	for i := range sites {
		var err error
		servers[i] = b.server
		if i > 0 {
			if servers[i], err = startServer(ctx); err != nil {
				return err
			}
			defer servers[i].close()
		}
		if _, err = servers[i].restock(stock{Documents: youth, Size: 2 << 10}); err != nil {
			return err
		}
		dir, err := b.fresh()
		if err != nil {
			return err
		}
		if sites[i], err = b.newSite(ctx, dir, servers[i].url, sinkToFolder(dir)); err != nil {
			return err
		}
		if _, err = sites[i].once(ctx, youth); err != nil {
			return err
		}
	}
	began := time.Now()
	sizes, err := multiply(ctx, sites[1], b.rows-youth)
	if err != nil {
		return fmt.Errorf("make a history: %w", err)
	}
	fmt.Printf("ledger of %d rows made in %s: %.1f MiB, %.0f bytes a row\n", b.rows, time.Since(began).Round(time.Second),
		float64(sizes[1])/(1<<20), float64(sizes[1]-sizes[0])/float64(b.rows-youth))
	if err := settle(b.root); err != nil {
		return err
	}

	fmt.Printf("%28s%14s%14s%8s\n", "", fmt.Sprint(youth, " rows"), fmt.Sprint(b.rows, " rows"), "ratio")
	line := func(what string, n int, run func(i int) (time.Duration, error)) error {
		var took [2][]time.Duration
		for r := range n {
			for k := range sites {
				i := (k + r) % 2
				d, err := run(i)
				if err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
				took[i] = append(took[i], d)
			}
		}
		few, many := percentile(took[0], 50), percentile(took[1], 50)
		fmt.Printf("%28s%14s%14s%8.2f\n", what, few.Round(10*time.Microsecond), many.Round(10*time.Microsecond), float64(many)/float64(few))
		return nil
	}
	wall := func(want int) func(i int) (time.Duration, error) {
		return func(i int) (time.Duration, error) {
			o, err := sites[i].once(ctx, want)
			return o.wall, err
		}
	}
	steps := []struct {
		what string
		n    int
		run  func(i int) (time.Duration, error)
	}{
		{"start-up (version)", rounds, func(i int) (time.Duration, error) { return plain(ctx, sites[i], "version") }},
		{"status", rounds, func(i int) (time.Duration, error) { return plain(ctx, sites[i], "status", "--json") }},
		{"idle pass, whole process", rounds, wall(0)},
		{"idle pass alone", rounds, func(i int) (time.Duration, error) {
			if _, err := sites[i].once(ctx, 0); err != nil {
				return 0, err
			}
			return lastPass(ctx, sites[i])
		}},
		{fmt.Sprint("pass of ", batch, " new"), max(b.runs, 5), func(i int) (time.Duration, error) {
			if _, err := servers[i].add(stock{Recent: batch, Size: 2 << 10}); err != nil {
				return 0, err
			}
			return wall(batch)(i)
		}},
	}
	for _, s := range steps {
		if err := line(s.what, s.n, s.run); err != nil {
			return err
		}
	}
	return nil
}

// plain runs a command line and returns how long it took.
func plain(ctx context.Context, s *site, args ...string) (time.Duration, error) {
	o, err := timed(s.command(ctx, args...))
	return o.wall, err
}

// lastPass is how long the last pass took by the ledger, which is more exact than what --json says.
func lastPass(ctx context.Context, s *site) (time.Duration, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.path("state"), "askara-sync.db")+"?mode=ro")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var micros int64
	err = db.QueryRowContext(ctx, `select duration_us from pass order by id desc limit 1`).Scan(&micros)
	return time.Duration(micros) * time.Microsecond, err
}

// multiply adds so many finished documents to the site's ledger, made after those that are there but each with its own uuid, checksum
// and name, and keeps the counts right. It returns the ledger's size before and after.
func multiply(ctx context.Context, s *site, n int) (sizes [2]int64, err error) {
	path := filepath.Join(s.path("state"), "askara-sync.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=cache_size(-200000)")
	if err != nil {
		return sizes, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	measure := func(i int) error {
		if _, err := db.ExecContext(ctx, `pragma wal_checkpoint(truncate)`); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err == nil {
			sizes[i] = info.Size()
		}
		return err
	}
	if err := measure(0); err != nil {
		return sizes, err
	}
	for _, statement := range []string{
		`begin immediate`,
		`create temporary table pattern as select row_number() over (order by id) - 1 as n, * from archive`,
		`create unique index temp.pattern_n on pattern (n)`,
		fmt.Sprintf(`with recursive i(n) as (select 0 union all select n + 1 from i where n < %d)
			insert into archive (account, uuid, revision, state, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us,
				name, size, sha256, discovered_at, delivered_at)
			select p.account, randomblob(16), 1, p.state, p.order_us - i.n * 1000000, p.updated_us, p.validated_us - i.n * 1000000,
				p.confirmed_order_us, p.confirmed_updated_us, substr(p.name, 1, length(p.name) - 12) || lower(hex(randomblob(4))) || '.pdf',
				p.size, randomblob(32), p.discovered_at, p.delivered_at
			from i join pattern p on p.n = i.n %% (select count(*) from pattern)`, n-1),
		fmt.Sprintf(`update tally set count = count + %d where state = (select state from archive limit 1)`, n),
		`commit`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return sizes, err
		}
	}
	return sizes, measure(1)
}
