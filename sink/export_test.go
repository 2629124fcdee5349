package sink

import (
	"context"
	"os"
)

// ForcePlacing makes a folder deliver as if its file system could do no better.
func ForcePlacing(f *Folder, way string) {
	for _, p := range []placing{placeExclusive, placeLink, placeChecked} {
		if p.String() == way {
			f.forced = p
			if now := f.now.Load(); now != nil {
				changed := *now
				changed.able.placing = p
				f.now.Store(&changed)
			}
			return
		}
	}
	panic("unknown way " + way)
}

// Ways are the names of all ways of placing.
func Ways() []string {
	return []string{placeExclusive.String(), placeLink.String(), placeChecked.String()}
}

// SetSync replaces fsync of a folder's files and directories.
func SetSync(f *Folder, sync func(*os.File) error) { f.sync = sync }

// StagingOf is where a folder stages.
func StagingOf(f *Folder) string { return f.staging }

// TrayOf is the name of an account's directory in staging.
func TrayOf(account string) string { return trayName(account) }

// ArmedSuffix is what a staged file's name ends with while it may have two names.
const ArmedSuffix = armed

// Arm does to a staged file what comes before it is linked.
func Arm(ctx context.Context, tray, name string) error {
	d, err := openDir(tray)
	if err != nil {
		return err
	}
	defer d.Close()
	return placeLink.arm(ctx, d, []string{name})
}
