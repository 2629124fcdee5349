package sink

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"askara-sync/askara"

	"golang.org/x/sys/unix"
)

// Known tells what a folder still has, for a ledger that was lost: one Delivery for each PDF, Delivered, with its name, size and
// checksum. UUID, Account and the document's dates are known where a sidecar lies beside it that fits its bytes, and are zero
// elsewhere: the name holds ShortID(uuid) at most. Revision is that of the sidecar or of the name. What an importer has taken
// cannot be told. PDFs of other programs are told too; nothing of ours has their checksum.
//
// An error ends the sequence, unless it comes with a Receipt.Name: then that one file could not be read.
func (f *Folder) Known(ctx context.Context) iter.Seq2[askara.Delivery, error] {
	return func(yield func(askara.Delivery, error) bool) {
		folder, err := f.openWatched()
		if err != nil {
			yield(askara.Delivery{}, err)
			return
		}
		defer folder.Close()
		stopped := errors.New("stopped")
		err = folder.regulars(ctx, func(name string, _ *unix.Stat_t) error {
			if !strings.HasSuffix(name, ".pdf") {
				return nil
			}
			d, err := known(folder, name)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // taken meanwhile
			}
			if !yield(d, failure("read a document in the folder", f.path, err)) {
				return stopped
			}
			return nil
		})
		if err != nil && err != stopped {
			yield(askara.Delivery{}, failure("list the folder", f.path, err))
		}
	}
}

var revisionInName = regexp.MustCompile(`_r([1-9][0-9]{0,5})(?: \([0-9]+\))?\.pdf$`)

func known(folder *dir, name string) (askara.Delivery, error) {
	d := askara.Delivery{Revision: 1, State: askara.Delivered, Receipt: askara.Receipt{Name: name}}
	var err error
	if d.Receipt.SHA256, d.Receipt.Size, err = checksumOf(folder, name); err != nil {
		return d, err
	}
	if m := revisionInName.FindStringSubmatch(name); m != nil {
		d.Revision, _ = strconv.Atoi(m[1])
	}
	s, err := readSidecar(folder, sidecarOf(name))
	if err != nil || s.SHA256 != hex.EncodeToString(d.Receipt.SHA256[:]) {
		return d, nil
	}
	d.UUID, d.Revision, d.Account = s.UUID, s.Revision, s.Account
	d.Document = s.document()
	return d, nil
}

// memory remembers checksums of the folder's files, and for which document each was taken, while a lost ledger is being refilled.
type memory struct {
	mu    sync.Mutex
	sums  map[fileID]remembered
	taken map[string]string // file name to uuid
}

type remembered struct {
	name  string
	ctime unix.Timespec
	size  int64
	sum   askara.Checksum
}

// Has says whether the folder already has a document, for a ledger that was lost: a PDF with the same checksum whose name
// holds ShortID(uuid) or whose sidecar says uuid. Where names do not show an identifier, and there is no sidecar that says
// otherwise, the checksum alone decides, and each file stands for one document only. A folder that cannot be read has nothing. The
// first call reads the whole folder where names do not tell.
func (f *Folder) Has(ctx context.Context, uuid string, sum askara.Checksum) (name string, ok bool) {
	folder, err := f.openWatched()
	if err != nil {
		return "", false
	}
	defer folder.Close()
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	found := errors.New("found")
	for _, byName := range []bool{true, false} {
		err := folder.regulars(ctx, func(candidate string, st *unix.Stat_t) error {
			if !strings.HasSuffix(candidate, ".pdf") || identifies(candidate, uuid) != byName {
				return nil
			}
			if owner, taken := f.memory.taken[candidate]; taken && owner != uuid {
				return nil
			}
			if !byName {
				s, err := readSidecar(folder, sidecarOf(candidate))
				if err == nil && s.UUID != uuid || err != nil && f.name.identity {
					return nil
				}
			}
			if f.memory.sum(folder, candidate, st) != sum {
				return nil
			}
			name = candidate
			return found
		})
		if err == found {
			if f.memory.taken == nil {
				f.memory.taken = map[string]string{}
			}
			f.memory.taken[name] = uuid
			return name, true
		}
	}
	return "", false
}

// sum returns a file's checksum, zero where it cannot be read. r.mu is held.
func (r *memory) sum(folder *dir, name string, st *unix.Stat_t) askara.Checksum {
	if known, ok := r.sums[idOf(st)]; ok && known.name == name && known.ctime == st.Ctim && known.size == st.Size {
		return known.sum
	}
	sum, size, err := checksumOf(folder, name)
	if err != nil {
		return askara.Checksum{}
	}
	if r.sums == nil {
		r.sums = map[fileID]remembered{}
	}
	r.sums[idOf(st)] = remembered{name, st.Ctim, size, sum}
	return sum
}

// Recall tells, for a ledger that was lost, whether the folder already has a staged delivery (see Has). If so the document is durable in
// the folder, Receipt.Name says under which name, and the staged file is gone.
func (f *Folder) Recall(ctx context.Context, d *askara.Delivery) (bool, error) {
	name, ok := f.Has(ctx, d.UUID, d.Receipt.SHA256)
	if !ok {
		return false, nil
	}
	folder, err := f.openWatched()
	if err != nil {
		return false, err
	}
	defer folder.Close()
	file, _, err := folder.regular(name)
	if err == nil {
		err = errors.Join(f.sync(file), file.Close())
	}
	if err == nil {
		err = f.syncDir(folder)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // gone meanwhile: the importer has it
		return false, failure("sync a document in the folder", f.path, err)
	}
	t, err := f.openTray(d.Account)
	if err != nil {
		return false, err
	}
	defer t.Close()
	f.discard(t, d.Receipt.Staged)
	d.Receipt.Name = name
	return true, nil
}
