package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"askara-sync/askara"
)

const (
	keySize = 32
	// ownKeyFile lies beside the ledger where no credential is configured; nextKeyFile is its successor while a rekey is under way.
	ownKeyFile  = "state.key"
	nextKeyFile = "state.key.new"
	// maxKeyFile bounds what is read of a key file.
	maxKeyFile = 4096
)

// sealKey is a key that seals tokens. Its id is stored beside what it sealed and tells nothing of the key.
type sealKey struct {
	id   string
	aead cipher.AEAD
}

func newSealKey(raw []byte) (sealKey, error) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		return sealKey{}, err
	}
	aead, err := cipher.NewGCM(block)
	sum := sha256.Sum256(append([]byte("askara-sync key id\x00"), raw...))
	return sealKey{id: hex.EncodeToString(sum[:8]), aead: aead}, err
}

// keyring finds keys. It holds none, so that a key that was replaced is noticed.
type keyring struct {
	dir        string
	credential string // path; "" where none is configured
}

func (k keyring) own() string  { return filepath.Join(k.dir, ownKeyFile) }
func (k keyring) next() string { return filepath.Join(k.dir, nextKeyFile) }

// byID returns the key that has the id, wherever it is. The successor is looked for first: it may get its final name at any moment.
func (k keyring) byID(id string, more ...string) (sealKey, error) {
	var reasons []error
	for _, path := range append(more, k.credential, k.next(), k.own()) {
		if path == "" {
			continue
		}
		key, err := readKey(path, path == k.own())
		if err == nil && key.id == id {
			return key, nil
		}
		if err == nil {
			err = fmt.Errorf("%s holds another key", path)
		}
		if !errors.Is(err, fs.ErrNotExist) || path == k.credential {
			reasons = append(reasons, err)
		}
	}
	err := &KeyError{ID: id, Path: k.own(), Err: errors.Join(reasons...)}
	if k.credential != "" {
		err.Path = k.credential
	}
	return sealKey{}, err
}

// active returns the key that seals what nothing was sealed for before: the credential, else the own key, which is made.
// The caller holds the ledger's write lock, so that two processes do not make two.
func (k keyring) active() (sealKey, error) {
	if k.credential != "" {
		return readKey(k.credential, false)
	}
	key, err := readKey(k.own(), true)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	raw := make([]byte, keySize)
	rand.Read(raw)
	if err := writeDurable(k.own(), encodeKey(raw), false); err != nil {
		return sealKey{}, wrap("create key file", err)
	}
	return newSealKey(raw)
}

func encodeKey(raw []byte) []byte { return append([]byte(hex.EncodeToString(raw)), '\n') }

// readKey reads a key file. Our own must be closed to others; a credential's mode is its keeper's affair.
func readKey(path string, private bool) (sealKey, error) {
	fail := func(err error, remedy string) (sealKey, error) {
		return sealKey{}, &Error{Op: "read key " + path, Kind: askara.FaultConfiguration, Err: err, Remedy: remedy}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hang us
	if err != nil {
		return fail(errors.Unwrap(err), "restore the key file, or check the credential state_key in the unit")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fail(errors.New("it is not a regular file"), "put the key into a regular file")
	}
	if perm := info.Mode().Perm(); private && perm&0o077 != 0 {
		return fail(fmt.Errorf("others may read it (mode %04o)", perm), "chmod 0600 "+path+", and consider `askara-sync rekey`")
	}
	content, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return fail(err, "check the disk")
	}
	raw := decodeKey(content)
	if raw == nil {
		return fail(fmt.Errorf("it does not hold a key of %d bytes", keySize), "make one with `openssl rand -hex 32`")
	}
	return newSealKey(raw)
}

// decodeKey takes a key as hexadecimal digits, as base64 or as the bare bytes; nil is none. 32 printable characters are somebody's
// password, not 32 random bytes, and are refused.
func decodeKey(content []byte) []byte {
	trimmed := bytes.TrimSpace(content)
	if raw, err := hex.DecodeString(string(trimmed)); err == nil && len(raw) == keySize {
		return raw
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(string(trimmed)); err == nil && len(raw) == keySize {
			return raw
		}
	}
	printable := !bytes.ContainsFunc(content, func(r rune) bool { return r < ' ' || r > '~' })
	if len(content) == keySize && !printable {
		return bytes.Clone(content)
	}
	return nil
}

// KeyError says that the key which sealed a login is not to be had. What it sealed is left as it is.
type KeyError struct {
	ID   string // of the key that is missing
	Path string // where it was expected
	Err  error  // why other keys did not do; may be nil
}

// Error implements error.
func (e *KeyError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("the key %s that seals the login is missing: expected in %s", e.ID, e.Path)
	}
	return fmt.Sprintf("the key %s that seals the login is missing: %v", e.ID, e.Err)
}

// Unwrap gives the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// Fault is FaultConfiguration: only a person can bring the key back.
func (e *KeyError) Fault() askara.Fault { return askara.FaultConfiguration }

// Hint says how to go on.
func (e *KeyError) Hint() string {
	return "restore the key to " + e.Path + "; if it is lost, run `askara-sync login --force` to give the sealed logins up and log in again"
}
