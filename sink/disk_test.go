package sink_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"

	"golang.org/x/sys/unix"
)

// failSync fails the sync of everything whose mode fits, after letting some pass.
func failSync(f *sink.Folder, dirs bool, after int) (calls *int) {
	calls = new(int)
	var mu sync.Mutex
	sink.SetSync(f, func(file *os.File) error {
		mu.Lock()
		defer mu.Unlock()
		info, err := file.Stat()
		if err != nil || info.IsDir() != dirs {
			return errors.Join(err, file.Sync())
		}
		if *calls++; *calls > after {
			return &fs.PathError{Op: "sync", Path: "Martin.pdf", Err: unix.EIO}
		}
		return file.Sync()
	})
	return calls
}

func TestFailedSyncOfAFileIsNeverTrusted(t *testing.T) {
	for _, sidecar := range []string{"none", "json"} {
		c := config(t)
		c.Sidecar = sidecar
		f := open(t, c)
		d := deliveryOf(0)
		stage(t, f, &d, pdf(0)) // the markers are written
		after := map[string]int{"none": 0, "json": 1}[sidecar]
		calls := failSync(f, false, after)
		_, err := f.Stage(t.Context(), deliveryOf(1), bytes.NewReader(pdf(1)), -1)
		wantFault(t, err, askara.FaultDestination, "dmesg")
		if *calls != after+1 {
			t.Errorf("got %d syncs of files, want %d: one failed and none was repeated", *calls, after+1)
		}
		for _, name := range staged(t, f, "default") {
			if strings.Contains(name, uuidOf(1)) {
				t.Errorf("staging holds %q", name)
			}
		}
	}
}

func TestFailedSyncOfStagingThrowsTheBatchAway(t *testing.T) {
	c := config(t)
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	failSync(f, true, 0)
	wantFault(t, f.Flush(t.Context(), []askara.Delivery{d}), askara.FaultDestination, "dmesg")
	if got := staged(t, f, "default"); len(got) != 0 {
		t.Errorf("staging holds %q", got)
	}
}

func TestFailedSyncOfTheFolderDeliversNothing(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		for _, taken := range []bool{true, false} {
			for _, restart := range []bool{true, false} {
				c := config(t)
				f := openWay(t, c, way)
				batch := []askara.Delivery{deliveryOf(1), deliveryOf(2)}
				stage(t, f, &batch[0], pdf(1))
				stage(t, f, &batch[1], pdf(2))
				if err := f.Flush(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
				failSync(f, true, 0)
				for _, err := range f.Deliver(t.Context(), batch) {
					wantFault(t, err, askara.FaultDestination, "dmesg")
				}
				if taken {
					if err := os.Remove(filepath.Join(c.Path, batch[0].Receipt.Name)); err != nil {
						t.Fatal(err)
					}
				}
				sink.SetSync(f, (*os.File).Sync)
				if restart {
					f = openWay(t, c, way)
				}
				want := askara.SettledDelivered
				if taken {
					want = askara.SettledLost
				}
				if got, err := f.Settle(t.Context(), &batch[0]); err != nil || got != want {
					t.Errorf("taken %v: settled as %v, %v, want %v", taken, got, err, want)
				}
			}
		}
	})
}

func TestFullDisk(t *testing.T) {
	for _, sidecar := range []string{"none", "json"} {
		t.Run(sidecar, func(t *testing.T) {
			c := config(t)
			share := filepath.Dir(c.Path)
			tmpfs(t, share, "size=1m")
			c.Sidecar = sidecar
			f := open(t, c)
			first := deliveryOf(0)
			stage(t, f, &first, []byte("%PDF-small"))

			big := append([]byte("%PDF-"), make([]byte, 2<<20)...)
			// Announced, it is refused before a byte is written; not announced, the disk says so.
			_, err := f.Stage(t.Context(), deliveryOf(1), bytes.NewReader(big), int64(len(big)))
			wantFault(t, err, askara.FaultDestination, "df -h")
			_, err = f.Stage(t.Context(), deliveryOf(1), bytes.NewReader(big), -1)
			wantFault(t, err, askara.FaultDestination, "df -h")
			if !errors.Is(err, unix.ENOSPC) {
				t.Errorf("got %v, want ENOSPC in it", err)
			}
			if got := staged(t, f, "default"); len(got) != 1 && sidecar == "none" || len(got) > 2 {
				t.Errorf("staging holds %q", got)
			}
			// Filled to the last byte, what is staged can still be delivered: a move takes no room.
			filler, err := os.Create(filepath.Join(share, "filler"))
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = filler.Write(make([]byte, 4096))
			}
			filler.Close()
			deliver(t, f, []askara.Delivery{first})
			_, err = f.Stage(t.Context(), deliveryOf(2), strings.NewReader("%PDF-more"), -1)
			wantFault(t, err, askara.FaultDestination, "df -h")
			if err := os.Remove(filler.Name()); err != nil {
				t.Fatal(err)
			}
			d := deliveryOf(2)
			stage(t, f, &d, []byte("%PDF-more"))
			deliver(t, f, []askara.Delivery{d})
		})
	}
}

func TestReserveIsLeftFree(t *testing.T) {
	c := config(t)
	tmpfs(t, filepath.Dir(c.Path), "size=4m")
	c.MinFree = 2 << 20
	f := open(t, c)
	_, err := f.Stage(t.Context(), deliveryOf(1), bytes.NewReader(pdf(1)), 3<<20)
	wantFault(t, err, askara.FaultDestination, "df -h")
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))

	// Documents that are arriving at the same time count too.
	body := readerFunc(func(p []byte) (int, error) {
		_, err := f.Stage(t.Context(), deliveryOf(3), strings.NewReader("%PDF-"), 1<<20)
		wantFault(t, err, askara.FaultDestination, "df -h")
		return 0, errors.New("enough")
	})
	if _, err := f.Stage(t.Context(), deliveryOf(2), body, 1<<20); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
}

func TestNoInodesLeft(t *testing.T) {
	c := config(t)
	tmpfs(t, filepath.Dir(c.Path), "size=4m,nr_inodes=40")
	f, err := sink.OpenFolder(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Stage(t.Context(), deliveryOf(1), bytes.NewReader(pdf(1)), -1)
	wantFault(t, err, askara.FaultDestination, "df -i")
}
