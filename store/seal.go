package store

import (
	"crypto/rand"
	"errors"

	"askara-sync/askara"
)

// sealVersion is the first byte of what is sealed; then come the nonce and AES-256-GCM's output.
const sealVersion = 1

// errUnsealed says that what was sealed is damaged, or belongs to another account or column.
var errUnsealed = errors.New("the sealed value is damaged")

// bound is the additional data: a sealed value is of use in its own account and column alone.
func bound(account, column string) []byte {
	return []byte("askara-sync\x00" + string(rune(sealVersion)) + "\x00" + column + "\x00" + account)
}

// seal returns nil for no secret.
func (k sealKey) seal(secret askara.Secret, account, column string) []byte {
	if secret == "" {
		return nil
	}
	nonce := make([]byte, k.aead.NonceSize())
	rand.Read(nonce)
	return k.aead.Seal(append([]byte{sealVersion}, nonce...), nonce, []byte(secret.Reveal()), bound(account, column))
}

// open is seal's inverse.
func (k sealKey) open(sealed []byte, account, column string) (askara.Secret, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	n := 1 + k.aead.NonceSize()
	if len(sealed) < n || sealed[0] != sealVersion {
		return "", errUnsealed
	}
	plain, err := k.aead.Open(nil, sealed[1:n], sealed[n:], bound(account, column))
	if err != nil {
		return "", errUnsealed
	}
	return askara.Secret(plain), nil
}
