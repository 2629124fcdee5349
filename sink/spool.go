package sink

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"askara-sync/askara"
)

// spool keeps downloaded documents in files until they are in the database, so that no more than one is in memory. Nothing in
// it is synced: the row is the proof of a delivery, and a file that a crash took or damaged is downloaded again. It belongs to
// one destination, one directory for each account.
type spool struct {
	dir string
	max int64 // bytes of one document; 0: no limit
}

const spoolPrefix = "doc-"

// account is the account's directory. Its name tells nothing of the account and holds nothing that a file system could mind.
func (s *spool) account(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:8]))
}

func (s *spool) stage(ctx context.Context, d askara.Delivery, body io.Reader, size int64) (_ askara.Receipt, err error) {
	dir := s.account(d.Account)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return askara.Receipt{}, failure("make spool", s.dir, err)
	}
	name := spoolPrefix + rand.Text()
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return askara.Receipt{}, failure("make spool file", s.dir, err)
	}
	defer func() {
		err = errors.Join(err, failure("close spool file", s.dir, f.Close()))
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	n, sum, err := receive(ctx, hinting{f, s.dir}, body, size, s.max)
	if err != nil {
		return askara.Receipt{}, err
	}
	return askara.Receipt{Staged: name, Size: n, SHA256: sum}, nil
}

// hinting writes to a file; its errors know the directory.
type hinting struct {
	f   *os.File
	dir string
}

func (h hinting) Write(b []byte) (int, error) {
	n, err := h.f.Write(b)
	return n, failure("write spool file", h.dir, err)
}

// errDamaged says that a spooled file is not what was downloaded.
var errDamaged = errors.New("the downloaded file is gone or damaged")

func damaged() error {
	return &Error{Op: "read spool file", Kind: askara.FaultDocument, Err: errDamaged, hint: "nothing; the document is downloaded again"}
}

func (s *spool) path(d *askara.Delivery) (string, error) {
	name := d.Receipt.Staged
	if !strings.HasPrefix(name, spoolPrefix) || name != filepath.Base(name) {
		return "", damaged()
	}
	return filepath.Join(s.account(d.Account), name), nil
}

// open returns the spooled file as a reader that fails at the end where it is not what was downloaded.
func (s *spool) open(d *askara.Delivery) (io.ReadCloser, error) {
	path, err := s.path(d)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged()
	}
	if err != nil {
		return nil, failure("open spool file", s.dir, err)
	}
	return &proven{f: f, in: bufio.NewReaderSize(f, bufferSize), left: d.Receipt.Size, want: d.Receipt.SHA256,
		sum: sha256.New(), dir: s.dir}, nil
}

// read returns the spooled file's bytes, checked.
func (s *spool) read(d *askara.Delivery) ([]byte, error) {
	r, err := s.open(d)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, d.Receipt.Size)
	if _, err := io.ReadFull(r, b); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, damaged()
		}
		return nil, err
	}
	if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		return nil, errors.Join(damaged(), err)
	}
	return b, nil
}

// whole says whether the spooled file is there and undamaged.
func (s *spool) whole(d *askara.Delivery) (bool, error) {
	r, err := s.open(d)
	if err == nil {
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
	}
	if errors.Is(err, errDamaged) {
		return false, nil
	}
	return err == nil, err
}

// drop removes what has been delivered. What cannot be removed is swept later.
func (s *spool) drop(d *askara.Delivery) {
	if path, err := s.path(d); err == nil {
		os.Remove(path)
	}
}

func (s *spool) sweep(account string, keep []askara.Receipt) error {
	dir := s.account(account)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failure("read spool", s.dir, err)
	}
	for _, e := range entries {
		kept := slices.ContainsFunc(keep, func(r askara.Receipt) bool { return r.Staged == e.Name() })
		if kept || !strings.HasPrefix(e.Name(), spoolPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failure("sweep spool", s.dir, err)
		}
	}
	return nil
}

// proven reads a file of known length and checksum; instead of the end it returns errDamaged where they do not match.
type proven struct {
	f    *os.File
	in   *bufio.Reader
	sum  hash.Hash
	left int64
	want askara.Checksum
	dir  string
}

func (p *proven) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.sum.Write(b[:n])
	p.left -= int64(n)
	switch {
	case p.left < 0, err == io.EOF && (p.left != 0 || askara.Checksum(p.sum.Sum(nil)) != p.want):
		return n, damaged()
	case err != nil && err != io.EOF:
		return n, failure("read spool file", p.dir, err)
	}
	return n, err
}

func (p *proven) Close() error { return p.f.Close() }
