package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	alone  = 30 // passes with one document
	queued = 5  // passes with a thousand waiting
	crowd  = 1000
)

// latencies measures from the first request of a pass for the list, when a document has appeared in it, to the document's being in
// the folder.
func (b *bench) latencies(ctx context.Context) error {
	var single, fresh, all []time.Duration
	for range alone {
		_, recent, err := b.arrivals(ctx, 0)
		if err != nil {
			return err
		}
		single = append(single, recent)
	}
	for range queued * b.runs {
		old, recent, err := b.arrivals(ctx, crowd)
		if err != nil {
			return err
		}
		fresh, all = append(fresh, recent), append(all, old...)
	}
	show := func(what string, list []time.Duration) {
		fmt.Printf("%s: median %s, 99th percentile %s (%d samples)\n", what, percentile(list, 50).Round(100*time.Microsecond),
			percentile(list, 99).Round(100*time.Microsecond), len(list))
	}
	fmt.Println("from the list to the folder, documents of 200 KiB:")
	show("one document, nothing else waiting", single)
	show(fmt.Sprintf("a fresh document with a backlog of %d", crowd), fresh)
	show("the backlog itself", all)
	return nil
}

// arrivals runs a pass over so many old documents and a fresh one.
func (b *bench) arrivals(ctx context.Context, old int) (each []time.Duration, recent time.Duration, err error) {
	stocked, err := b.server.restock(stock{Documents: old, Recent: 1, Size: 200 << 10})
	if err != nil {
		return nil, 0, err
	}
	dir, err := b.fresh()
	if err != nil {
		return nil, 0, err
	}
	defer retire(dir)
	inbox := filepath.Join(dir, "inbox")
	if err := os.Mkdir(inbox, 0o700); err != nil {
		return nil, 0, err
	}
	site, err := b.newSite(ctx, dir, b.server.url, sinkToFolder(dir))
	if err != nil {
		return nil, 0, err
	}
	watch, err := watchFor(inbox)
	if err != nil {
		return nil, 0, err
	}
	defer watch.Close()
	found := make(chan map[string]time.Time, 1)
	go func() { found <- arrived(watch, old+1) }()
	if _, err := site.once(ctx, old+1); err != nil {
		return nil, 0, err
	}
	seen, err := b.server.seen()
	if err != nil {
		return nil, 0, err
	}
	times := <-found
	last := shortID(stocked.UUIDs[old])
	for name, at := range times {
		took := at.Sub(seen.Listed)
		if strings.Contains(name, last) {
			recent = took
			continue
		}
		each = append(each, took)
	}
	if recent == 0 || len(each) != old {
		return nil, 0, fmt.Errorf("saw %d of %d documents arrive", len(times), old+1)
	}
	return each, recent, nil
}

// shortID is what the default name template shows of a uuid.
func shortID(uuid string) string { return uuid[:8] }

// watchFor begins to watch a directory for what is moved into it.
func watchFor(dir string) (*os.File, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "inotify")
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CREATE)
	return f, err
}

// arrived reads until so many names have come, and says when each did.
func arrived(watch *os.File, n int) map[string]time.Time {
	times := map[string]time.Time{}
	buf := make([]byte, 64<<10)
	for len(times) < n {
		got, err := watch.Read(buf)
		if err != nil {
			break
		}
		now := time.Now()
		for at := 0; at+unix.SizeofInotifyEvent <= got; {
			length := int(binary.NativeEndian.Uint32(buf[at+12:]))
			name := buf[at+unix.SizeofInotifyEvent : at+unix.SizeofInotifyEvent+length]
			times[strings.TrimRight(string(name), "\x00")] = now
			at += unix.SizeofInotifyEvent + length
		}
	}
	return times
}
