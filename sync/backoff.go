package sync

import (
	"math/rand/v2"
	"time"
)

// How long a document waits after a fault of its own: a minute, doubled each time, at most six hours; ten attempts span
// about a day, which outlasts the usual repair of a single document on the server's side.
const (
	backoffFirst = time.Minute
	backoffMost  = 6 * time.Hour
)

// backoff returns how long to wait after the attempts-th failure in a row, counting from 1. A quarter of it is random, so that
// documents that failed together do not come back together.
func backoff(attempts int) time.Duration {
	d := backoffMost
	if attempts < 10 { // a minute doubled nine times is past the most; this also keeps the shift small
		d = min(backoffMost, backoffFirst<<max(0, attempts-1))
	}
	return spread(d)
}

// patience returns how long to wait for a document that is not ready yet: a quarter of its age, so that a document of a minute
// ago is looked at soon and one of last week seldom, without counting anything.
func patience(age time.Duration) time.Duration {
	return spread(min(backoffMost, max(backoffFirst, age/4)))
}

// spread returns between three quarters of d and d.
func spread(d time.Duration) time.Duration { return d - rand.N(d/4+1) }
