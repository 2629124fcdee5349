package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// importer is the practice software: it watches the folder and reads each file the moment it appears. One that takes moves the file
// away at once, the other leaves it. What it is shown and must not be shown is kept as trouble.
type importer struct {
	dir, away string // away: where taken files go; "" leaves them
	sidecars  bool

	fd   int
	wake [2]int // a pipe that ends the watch
	done sync.WaitGroup

	mu      sync.Mutex
	got     map[[32]byte]int    // by checksum: how often a PDF appeared
	names   map[[32]byte]string // and its name, for those that are taken where it is now
	files   int
	trouble []string
}

// watched is everything that can happen to a file of ours but its being read or taken.
const watched = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MODIFY | unix.IN_CLOSE_WRITE

// watch makes an importer watch dir until close.
func watch(t testing.TB, dir, away string, sidecars bool) *importer {
	t.Helper()
	im := &importer{dir: dir, away: away, sidecars: sidecars, got: map[[32]byte]int{}, names: map[[32]byte]string{}, fd: -1}
	im.open(t)
	t.Cleanup(im.close)
	return im
}

// open begins to watch; what an importer got before stays known.
func (im *importer) open(t testing.TB) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.InotifyAddWatch(fd, im.dir, watched); err != nil {
		t.Fatalf("watch the folder: %v", err)
	}
	if err := unix.Pipe2(im.wake[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	im.mu.Lock()
	im.fd = fd
	im.mu.Unlock()
	stop := im.wake[0]
	im.done.Go(func() {
		for {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
			if _, err := unix.Poll(p, -1); err != nil && !errors.Is(err, unix.EINTR) {
				im.complain("poll: %v", err)
				return
			}
			im.drain()
			if p[1].Revents != 0 {
				return
			}
		}
	})
}

// close ends the watch, when all that has happened has been seen.
func (im *importer) close() {
	im.mu.Lock()
	fd := im.fd
	im.mu.Unlock()
	if fd < 0 {
		return
	}
	unix.Close(im.wake[1])
	im.done.Wait()
	im.mu.Lock()
	defer im.mu.Unlock()
	unix.Close(im.fd)
	unix.Close(im.wake[0])
	im.fd = -1
}

// drain deals with everything that has happened in the folder by now.
func (im *importer) drain() {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.fd < 0 {
		return
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(im.fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
			mask, size := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
			name := string(bytes.TrimRight(b[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+size], "\x00"))
			b = b[unix.SizeofInotifyEvent+size:]
			im.see(mask, name)
		}
	}
}

// complain keeps what must not have been.
func (im *importer) complain(format string, args ...any) {
	const most = 20
	if len(im.trouble) < most {
		im.trouble = append(im.trouble, fmt.Sprintf(format, args...))
	}
}

func (im *importer) see(mask uint32, name string) {
	switch {
	case mask&(unix.IN_IGNORED|unix.IN_UNMOUNT) != 0:
		return
	case mask&unix.IN_Q_OVERFLOW != 0:
		im.complain("events were lost: the watch is worth nothing")
		return
	case mask&(unix.IN_MODIFY|unix.IN_CLOSE_WRITE) != 0:
		im.complain("%q was written to inside of the folder", name)
		return
	}
	switch path := filepath.Join(im.dir, name); {
	case strings.HasPrefix(name, "."):
		im.complain("%q appeared, which is no final name", name)
	case strings.HasSuffix(name, ".json"):
		if b, err := os.ReadFile(path); !errors.Is(err, unix.EIO) && (err != nil || !json.Valid(b)) {
			im.complain("%q was no whole sidecar when it appeared (%d bytes, %v)", name, len(b), err)
		}
	case strings.HasSuffix(name, ".pdf"):
		im.take(path, name)
	default:
		im.complain("%q appeared, which is no final name", name)
	}
}

// take reads a PDF that has just appeared, and moves it away if it is this importer's way.
func (im *importer) take(path, name string) {
	b, err := os.ReadFile(path)
	if errors.Is(err, unix.EIO) {
		return // the power is cut, for the importer as well
	}
	if err != nil {
		im.complain("%q could not be read when it appeared: %v", name, err)
		return
	}
	if !whole(b) {
		im.complain("%q was not a whole PDF when it appeared (%d bytes)", name, len(b))
	}
	sum := sha256.Sum256(b)
	im.files++
	im.got[sum]++
	im.names[sum] = name
	beside := strings.TrimSuffix(path, ".pdf") + ".json"
	if im.sidecars {
		var s struct{ SHA256 string }
		b, err := os.ReadFile(beside)
		if errors.Is(err, unix.EIO) {
			return
		}
		if err != nil || json.Unmarshal(b, &s) != nil || s.SHA256 != hex.EncodeToString(sum[:]) {
			im.complain("%q had no sidecar of its own when it appeared: %v", name, err)
		}
	}
	if im.away == "" {
		return
	}
	if err := os.Rename(path, filepath.Join(im.away, fmt.Sprintf("%06d.pdf", im.files))); err != nil && !errors.Is(err, unix.EIO) {
		im.complain("%q could not be taken: %v", name, err)
	}
	if im.sidecars {
		if err := os.Remove(beside); err != nil && !errors.Is(err, unix.EIO) {
			im.complain("the sidecar of %q could not be taken: %v", name, err)
		}
	}
}

// whole says whether these are all bytes of one of the sandbox's or of our own PDFs, as far as its two ends tell; the
// checksums tell the rest.
func whole(b []byte) bool {
	return bytes.HasPrefix(b, []byte("%PDF-")) && bytes.HasSuffix(bytes.TrimRight(b, "\r\n"), []byte("%%EOF"))
}

// has says whether a file with the checksum has appeared by now.
func (im *importer) has(sum [32]byte) bool {
	im.drain()
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.got[sum] > 0
}

// TestTheImporterSeesWhatMustNotBe: the watch itself would notice.
func TestTheImporterSeesWhatMustNotBe(t *testing.T) {
	for _, c := range []struct{ what, name, content string }{
		{"a temporary name", ".x.pdf.tmp", "%PDF-1.7 x\n%%EOF\n"},
		{"another name", "x.part", "%PDF-1.7 x\n%%EOF\n"},
		{"a partial file", "x.pdf", "%PDF-1.7 x"},
		{"a partial sidecar", "x.json", `{"sha256":`},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			elsewhere := filepath.Join(t.TempDir(), "x")
			im := watch(t, dir, "", false)
			if err := os.WriteFile(elsewhere, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(elsewhere, filepath.Join(dir, c.name)); err != nil {
				t.Fatal(err)
			}
			im.close()
			if len(im.trouble) != 1 {
				t.Errorf("it saw %q, want one complaint", im.trouble)
			}
		})
	}
}
