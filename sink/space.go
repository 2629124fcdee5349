package sink

import (
	"fmt"

	"askara-sync/askara"
)

const (
	// unannounced is how much a document of unknown length is expected to take, in bytes.
	unannounced = 1 << 20
	// reservedFiles is how many inodes are left to others.
	reservedFiles = 64
)

// reserve makes sure that a document of the announced size (-1: unknown) fits beside those that are arriving right now, and still
// leaves the configured reserve. The caller calls release when the document has arrived or failed.
func (f *Folder) reserve(t *tray, size int64) (release func(), err error) {
	if size < 0 {
		size = unannounced
	}
	fsys, err := fileSystemOf(t.dir)
	if err != nil {
		return nil, failure("look at the free space", f.staging, err)
	}
	arriving := f.arriving.Add(size)
	release = func() { f.arriving.Add(-size) }
	if f.minFree > 0 || size > unannounced {
		if fsys.free-arriving < f.minFree {
			release()
			return nil, f.full(fmt.Errorf("%d MiB are free, the reserve is %d MiB", fsys.free>>20, f.minFree>>20))
		}
	}
	if fsys.files >= 0 && fsys.files < reservedFiles {
		release()
		return nil, f.full(fmt.Errorf("only %d inodes are free", fsys.files))
	}
	return release, nil
}

func (f *Folder) full(err error) error {
	return &Error{
		Op: "make room for a document", Kind: askara.FaultDestination, Err: err,
		hint: "free space on the file system of " + f.path + " (see: df -h " + f.path + "; df -i " + f.path + ")",
	}
}
