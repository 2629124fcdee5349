package store

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The ballast is a file of no content that keeps room on the disk for one login. Refreshing a login spends the old token, and the only
// copy of its successor must not be lost to a full disk: before a token is spent the ballast is there, and when the disk is full it goes.

// ballastSize is far more than a commit of one row needs, for the log and for the database, even where pages are large.
const ballastSize = 1 << 20

func (s *Store) ballast() string { return filepath.Join(s.cfg.Dir, "ballast") }

// ensureBallast makes the ballast where it is missing. On return it takes up its room on the disk.
func (s *Store) ensureBallast() error {
	info, err := os.Stat(s.ballast())
	if err == nil && info.Size() == ballastSize {
		// A file system may keep less than a file's size; ours is made so that none can, unless the file was copied.
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Blocks*512 >= ballastSize {
			return nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content := make([]byte, ballastSize)
	rand.Read(content) // what cannot be compressed
	return writeDurable(s.ballast(), content, true)
}

// withBallast runs save, and once more without the ballast where the disk is full.
func (s *Store) withBallast(save func() error) error {
	err := save()
	if err == nil || !isFull(err) {
		return err
	}
	if removed := os.Remove(s.ballast()); removed != nil {
		return err
	}
	s.log.Warn("disk full: reserve given up to save a login", "dir", s.cfg.Dir)
	return save()
}
