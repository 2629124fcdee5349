package sync

import (
	"io"
	"sync/atomic"
)

// body is a document on its way: each piece of it is progress, and once all of it is here the next download may begin.
type body struct {
	io.Reader
	pulse *Pulse
	slot  *slot
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n > 0 {
		b.pulse.Beat()
	}
	if err != nil {
		b.slot.release()
	}
	return n, err
}

// slot is the right to have a download under way.
type slot struct {
	slots    chan struct{}
	released atomic.Bool
}

// release gives it back, once.
func (s *slot) release() {
	if s.released.CompareAndSwap(false, true) {
		<-s.slots
	}
}
