package sink

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"askara-sync/askara"
)

// maxTries bounds how many taken names are passed over before a name of random digits is taken.
const maxTries = 99

// begin and end bracket the writing of a staged file, which Sweep then leaves alone.
func (f *Folder) begin(t *tray, staged string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writing[slot{t.name, staged}] = true
}

func (f *Folder) end(t *tray, staged string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.writing, slot{t.name, staged})
}

// busy says that a file in a tray is being written.
func (f *Folder) busy(t *tray, name string) bool {
	pdf, ok := strings.CutSuffix(name, ".json")
	if ok {
		pdf += ".pdf"
	} else {
		pdf = name
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writing[slot{t.name, pdf}]
}

// claim keeps a final name for a staged file; false where another has it.
func (f *Folder) claim(t *tray, staged, name string) bool {
	key, mine := fold(name), slot{t.name, staged}
	f.mu.Lock()
	defer f.mu.Unlock()
	if owner, ok := f.names[key]; ok && owner != mine {
		return false
	}
	f.names[key] = mine
	return true
}

// release gives up all names that are kept for a staged file.
func (f *Folder) release(t *tray, staged string) {
	mine := slot{t.name, staged}
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, owner := range f.names {
		if owner == mine {
			delete(f.names, key)
		}
	}
}

// choose finds the final name for a staged file and keeps it. Whether it is still free is decided only when the file is moved.
func (f *Folder) choose(at *desk, d askara.Delivery, staged string) (string, error) {
	t := at.tray
	now, err := f.current()
	if err != nil {
		return "", err
	}
	name := f.name.of(d, f.location, now.system.nameLimit, now.able.placing == placeChecked)
	for try := 0; ; try++ {
		if f.claim(t, staged, name) {
			taken, err := at.folder.has(name)
			if err != nil && !unfit(err) {
				f.release(t, staged)
				return "", failure("look for a free name", f.path, err)
			}
			if !taken || try > maxTries {
				return name, nil
			}
			f.release(t, staged)
		}
		name = nextName(name, try)
	}
}

// openWatched opens the watched folder if it is still the one that was prepared.
func (f *Folder) openWatched() (*dir, error) {
	now, err := f.current()
	if err != nil {
		return nil, err
	}
	folder, err := openDir(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.moved(errors.New("it is missing"))
	}
	if err != nil {
		return nil, failure("open the folder", f.path, err)
	}
	if folder.id != now.folder {
		folder.Close()
		return nil, f.replaced(f.path)
	}
	return folder, nil
}

// current is what Prepare found, or why it did not.
func (f *Folder) current() (*prepared, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now.Load(); now != nil {
		return now, nil
	}
	return nil, f.unready
}

// nextName is what to try after a name that is taken: a counter, and in the end something random.
func nextName(name string, try int) string {
	stem := strings.TrimSuffix(name, ".pdf")
	n := 2
	if i := strings.LastIndex(stem, " ("); i >= 0 && strings.HasSuffix(stem, ")") {
		if m, err := strconv.Atoi(stem[i+2 : len(stem)-1]); err == nil && m >= 2 && m < maxTries {
			stem, n = stem[:i], m+1
		}
	}
	if try >= maxTries-2 {
		return cut(stem, maxName-spare-9) + "_" + randomHex(4) + ".pdf"
	}
	return stem + " (" + strconv.Itoa(n) + ").pdf"
}

// validName refuses a final name, as the ledger gave it back, that is not one file's name.
func validName(name string) bool {
	return len(name) > len(".pdf") && len(name) <= maxName && name[0] != '.' && strings.HasSuffix(name, ".pdf") &&
		!strings.ContainsAny(name, "/\\\x00")
}
