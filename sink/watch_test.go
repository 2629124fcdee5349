package sink_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// event is one thing that happened in a watched folder.
type event struct {
	mask uint32
	name string
}

// watch collects what happens in a folder until stop is called.
func watch(t *testing.T, dir string, each func(event)) (stop func()) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_DELETE | unix.IN_ATTRIB
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		t.Fatal(err)
	}
	const last = "end-of-watch"
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buf)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				t.Errorf("read events: %v", err)
				return
			}
			for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
				size := binary.NativeEndian.Uint32(b[12:])
				e := event{binary.NativeEndian.Uint32(b[4:]), string(bytes.TrimRight(b[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size], "\x00"))}
				b = b[unix.SizeofInotifyEvent+size:]
				if e.mask&unix.IN_Q_OVERFLOW != 0 {
					t.Error("events were lost")
				}
				if e.name == last {
					return
				}
				each(e)
			}
		}
	})
	return func() {
		t.Helper()
		write(t, filepath.Join(dir, last), nil)
		wg.Wait()
		unix.Close(fd)
	}
}

// TestWatcherSeesOnlyFinalNames is the importer's view: no file ever appears under a name that is not final, none is written to
// after it has appeared, and each is whole the moment it is seen.
func TestWatcherSeesOnlyFinalNames(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		c := config(t)
		c.Path = filepath.Join(t.TempDir(), "inbox") // on a disk
		c.Sidecar = "json"
		f := openWay(t, c, way)
		var mu sync.Mutex
		appeared := map[string]int{}
		order := []string{}
		stop := watch(t, c.Path, func(e event) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case e.mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
				appeared[e.name]++
				order = append(order, e.name)
				b, err := os.ReadFile(filepath.Join(c.Path, e.name))
				if err != nil {
					t.Errorf("%q cannot be read when it appears: %v", e.name, err)
				}
				if strings.HasSuffix(e.name, ".pdf") && (!bytes.HasPrefix(b, []byte("%PDF-")) || len(b) != len(pdf(10))) {
					t.Errorf("%q had %d bytes when it appeared", e.name, len(b))
				}
			case e.mask&(unix.IN_MODIFY|unix.IN_CLOSE_WRITE) != 0:
				t.Errorf("%q was written to in the folder", e.name)
			case e.mask&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0:
				t.Errorf("%q was taken out of the folder", e.name)
			}
		})
		const documents = 12
		final := map[string]bool{}
		for i := 10; i < 10+documents; i += 4 {
			batch := make([]askara.Delivery, 4)
			for j := range batch {
				batch[j] = deliveryOf(i + j)
				stage(t, f, &batch[j], pdf(i+j))
			}
			deliver(t, f, batch)
			for _, d := range batch {
				final[d.Receipt.Name], final[strings.TrimSuffix(d.Receipt.Name, ".pdf")+".json"] = true, true
			}
		}
		if err := f.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Probe(t.Context())
		stop()
		if len(appeared) != 2*documents {
			t.Errorf("%d files appeared, want %d", len(appeared), 2*documents)
		}
		seen := map[string]bool{}
		for _, name := range order {
			if !final[name] || appeared[name] != 1 {
				t.Errorf("%q appeared %d times", name, appeared[name])
			}
			if stem, ok := strings.CutSuffix(name, ".pdf"); ok && !seen[stem+".json"] {
				t.Errorf("%q appeared before its sidecar", name)
			}
			seen[name] = true
		}
	})
}

// TestImporterTakesFilesAtOnce: whatever it takes is whole, and it gets each document once.
func TestImporterTakesFilesAtOnce(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		c := config(t)
		f := openWay(t, c, way)
		const documents = 60
		got := map[askara.Checksum]int{}
		stop := watch(t, c.Path, func(e event) {
			if e.mask&(unix.IN_CREATE|unix.IN_MOVED_TO) == 0 {
				return
			}
			path := filepath.Join(c.Path, e.name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Errorf("read: %v", err)
			}
			if err := os.Remove(path); err != nil {
				t.Errorf("take: %v", err)
			}
			got[sha256.Sum256(b)]++
		})
		want := map[askara.Checksum]int{}
		for i := 0; i < documents; i += 20 {
			batch := make([]askara.Delivery, 20)
			for j := range batch {
				batch[j] = deliveryOf(i + j)
				stage(t, f, &batch[j], fmt.Appendf(nil, "%%PDF-1.7 %d", i+j))
				want[batch[j].Receipt.SHA256] = 1
			}
			deliver(t, f, batch)
			for j := range batch {
				if s, err := f.Settle(t.Context(), &batch[j]); err != nil || s != askara.SettledDelivered {
					t.Errorf("settled as %v, %v", s, err)
				}
			}
		}
		stop()
		for sum := range want {
			if got[sum] != 1 {
				t.Errorf("document %x was taken %d times", sum[:4], got[sum])
			}
		}
		if len(got) != documents {
			t.Errorf("%d documents were taken, want %d", len(got), documents)
		}
	})
}

// The watcher itself must see what it is there to see.
func TestWatcherSeesATemporaryName(t *testing.T) {
	dir := t.TempDir()
	var names []string
	stop := watch(t, dir, func(e event) { names = append(names, e.name) })
	write(t, filepath.Join(dir, ".tmp"), []byte("x"))
	if err := os.Rename(filepath.Join(dir, ".tmp"), filepath.Join(dir, "a.pdf")); err != nil {
		t.Fatal(err)
	}
	stop()
	if got := strings.Join(names, " "); !strings.Contains(got, ".tmp") || !strings.Contains(got, "a.pdf") {
		t.Errorf("it saw %q", got)
	}
}
