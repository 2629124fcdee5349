package sink

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// Verdict is what became of a delivered document since.
type Verdict int

const (
	// Fine: it is there with the checksum it was delivered with.
	Fine Verdict = iota + 1
	// Missing: it is not there any more. Importers take files away, so that is no fault in itself.
	Missing
	// Changed: something else is in its place.
	Changed
)

// String returns "fine", "missing" or "changed".
func (v Verdict) String() string {
	switch v {
	case Fine:
		return "fine"
	case Missing:
		return "missing"
	case Changed:
		return "changed"
	}
	return "unknown"
}

// Verify compares a delivered document's file with the ledger. The name that the ledger knows may be an earlier choice, if the
// machine stopped right after another was taken; so a file of the same size and checksum counts, whatever its name.
func (f *Folder) Verify(ctx context.Context, d askara.Delivery) (Verdict, error) {
	folder, err := f.openWatched()
	if err != nil {
		return 0, err
	}
	defer folder.Close()
	verdict := Missing
	if validName(d.Receipt.Name) {
		sum, _, err := checksumOf(folder, d.Receipt.Name)
		switch {
		case err == nil && sum == d.Receipt.SHA256:
			return Fine, nil
		case err == nil || errors.Is(err, errIrregular):
			verdict = Changed
		case !errors.Is(err, fs.ErrNotExist):
			return 0, failure("read a document in the folder", f.path, err)
		}
	}
	if _, found, err := f.find(ctx, folder, d.UUID, d.Receipt, false); err != nil {
		return 0, failure("search the folder", f.path, err)
	} else if found {
		return Fine, nil
	}
	return verdict, nil
}

// index knows a folder's files by size, so that verifying many documents does not list it for each.
type index struct {
	mu     sync.Mutex
	of     fileID
	mtime  unix.Timespec // of the folder, when it was listed
	bySize map[int64][]string
}

// sized returns the names of the folder's regular files of a size. With fresh, the folder is listed anew whatever its time of
// change says, which is too coarse to tell what happens within milliseconds.
func (x *index) sized(ctx context.Context, folder *dir, size int64, fresh bool) ([]string, error) {
	st, err := folder.stat(".")
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !fresh && x.bySize != nil && x.of == folder.id && x.mtime == st.Mtim {
		return x.bySize[size], nil
	}
	bySize := map[int64][]string{}
	err = folder.regulars(ctx, func(name string, st *unix.Stat_t) error {
		bySize[st.Size] = append(bySize[st.Size], name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	x.of, x.mtime, x.bySize = folder.id, st.Mtim, bySize
	return bySize[size], nil
}

// find looks for a document by its bytes, first under the receipt's name and names that hold its short identifier. With strict,
// only those count and names made from the receipt's: what is found there is taken for delivered.
func (f *Folder) find(ctx context.Context, folder *dir, uuid string, r askara.Receipt, strict bool) (string, bool, error) {
	if r.SHA256 == (askara.Checksum{}) {
		return "", false, nil
	}
	names, err := f.index.sized(ctx, folder, r.Size, strict)
	if err != nil {
		return "", false, err
	}
	counted := strings.TrimSuffix(r.Name, ".pdf") + " ("
	mine := func(name string) bool {
		return name == r.Name || identifies(name, uuid) || r.Name != "" && strings.HasPrefix(name, counted)
	}
	for _, first := range []bool{true, false} {
		if !first && strict {
			break
		}
		for _, candidate := range names {
			if mine(candidate) != first {
				continue
			}
			sum, _, err := checksumOf(folder, candidate)
			switch {
			case err == nil && sum == r.SHA256:
				return candidate, true, nil
			case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errIrregular):
				return "", false, err
			}
		}
	}
	return "", false, nil
}

// checksumOf reads a regular file to its end.
func checksumOf(d *dir, name string) (sum askara.Checksum, size int64, err error) {
	file, _, err := d.regular(name)
	if err != nil {
		return sum, 0, err
	}
	defer file.Close()
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	hash := sha256.New()
	size, err = io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{file}, buf[:])
	return askara.Checksum(hash.Sum(nil)), size, err
}
