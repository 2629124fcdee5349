package sink_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"askara-sync/askara"
	"askara-sync/sink"
)

// openIn lists what this process has open in a directory.
func openIn(t *testing.T, dir string) (open []string) {
	t.Helper()
	for _, name := range list(t, "/proc/self/fd") {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", name)); err == nil && strings.HasPrefix(to, dir) {
			open = append(open, to)
		}
	}
	return open
}

// TestNothingStaysOpen: whoever stages at the same time shares the directories, and nobody leaves them open, since a disk that is not
// used must be free to be unmounted.
func TestNothingStaysOpen(t *testing.T) {
	c := config(t)
	f := open(t, c)
	above := filepath.Dir(c.Path)
	var begun, done sync.WaitGroup
	ahead := make(chan struct{})
	const together = 8
	begun.Add(together)
	batch := make([]askara.Delivery, together)
	for i := range batch {
		batch[i] = deliveryOf(i)
		done.Go(func() {
			waits := readerFunc(func([]byte) (int, error) {
				begun.Done()
				<-ahead
				return 0, io.EOF
			})
			r, err := f.Stage(t.Context(), batch[i], io.MultiReader(bytes.NewReader(pdf(i)), waits), -1)
			if err != nil {
				t.Error(err)
			}
			batch[i].Receipt = r
		})
	}
	begun.Wait()
	directories := 0
	for _, name := range openIn(t, above) {
		if !strings.HasSuffix(name, ".pdf") {
			directories++
		}
	}
	if directories != 2 {
		t.Errorf("%d directories are open while %d documents are staged, want the tray and the folder", directories, together)
	}
	close(ahead)
	done.Wait()
	if got := openIn(t, above); len(got) != 0 {
		t.Errorf("still open: %q", got)
	}
	deliver(t, f, batch)
	if got := list(t, c.Path); len(got) != together {
		t.Errorf("delivered %d documents, want %d", len(got), together)
	}
}

// TestFolderReplacedWhileDocumentsAreStaged: a document that takes long keeps the directories open that others share. They are looked
// at again with each batch, and nothing is delivered into what is not the folder.
func TestFolderReplacedWhileDocumentsAreStaged(t *testing.T) {
	for _, which := range []string{"folder", "staging"} {
		c := config(t)
		f := open(t, c)
		path := c.Path
		if which == "staging" {
			path = sink.StagingOf(f)
		}
		slow, ahead, ended := deliveryOf(1), make(chan struct{}), make(chan struct{})
		began := make(chan struct{})
		go func() {
			defer close(ended)
			waits := readerFunc(func([]byte) (int, error) {
				close(began)
				<-ahead
				return 0, io.EOF
			})
			r, err := f.Stage(t.Context(), slow, io.MultiReader(bytes.NewReader(pdf(1)), waits), -1)
			if err != nil {
				t.Error(err)
			}
			slow.Receipt = r
		}()
		<-began
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		d := deliveryOf(2)
		stage(t, f, &d, pdf(2)) // shares the directories that are gone
		refused := f.Flush(t.Context(), []askara.Delivery{d})
		if which == "folder" {
			if refused != nil {
				t.Error(refused)
			}
			refused = f.Deliver(t.Context(), []askara.Delivery{d})[0]
		}
		wantFault(t, refused, askara.FaultDestination, "mounted")
		if _, err := f.Stage(t.Context(), deliveryOf(3), bytes.NewReader(pdf(3)), -1); askara.FaultOf(err) != askara.FaultDestination {
			t.Errorf("%s replaced, next batch staged: %v", which, err)
		}
		close(ahead)
		<-ended
		if got := list(t, path); len(got) != 0 {
			t.Errorf("%s replaced: the new directory holds %q", which, got)
		}
	}
}
