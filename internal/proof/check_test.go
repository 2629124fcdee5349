package proof_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"askara-sync/askara/sandbox"
)

// The states of the ledger in which a document is delivered.
var deliveredStates = map[int]bool{3: true, 4: true, 7: true}

// premature says which bytes a confirmation is about, and why they must not be confirmed now, "" if they may: the newest revision that the ledger calls delivered
// must have appeared in the folder, and must still be there where nobody takes it.
func (w *world) premature(uuid string) (sum [32]byte, why string) {
	var rows []ledgerRow
	if err := inState(w.path("state"), func(db *sqlDB) (err error) {
		rows, err = rowsOf(db, uuid)
		return err
	}); err != nil {
		return sum, fmt.Sprintf("the ledger could not be looked at: %v", err)
	}
	var newest *ledgerRow
	for i := range rows {
		if deliveredStates[rows[i].state] {
			newest = &rows[i]
		}
	}
	switch {
	case newest == nil:
		return sum, fmt.Sprintf("not delivered in the ledger, which has %v", states(rows))
	case w.table != nil:
		return newest.sum, w.table.misses(uuid, *newest)
	case !w.watcher.has(newest.sum):
		return newest.sum, fmt.Sprintf("revision %d has never been in the folder", newest.revision)
	case w.watcher.away == "" && !w.emptied:
		if _, err := os.Stat(filepath.Join(w.watcher.dir, w.watcher.nameOf(newest.sum))); err != nil {
			return newest.sum, fmt.Sprintf("revision %d is not in the folder any more", newest.revision)
		}
	}
	return newest.sum, ""
}

func (im *importer) nameOf(sum [32]byte) string {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.names[sum]
}

func states(rows []ledgerRow) (s []int) {
	for _, r := range rows {
		s = append(s, r.state)
	}
	return s
}

// verdict is what the importer and Askara got, held against the promises.
type verdict struct {
	documents, revisions                         int // that Askara has, and that had to arrive or could
	lost, doubled, partial, early, drafts, names int
	unconfirmed, failed                          int
	trouble                                      []string
}

// judge holds what the importer got against what Askara has. excused are checksums that may have come once more.
func (w *world) judge(excused map[[32]byte]int) verdict {
	w.watcher.drain()
	w.watcher.mu.Lock()
	defer w.watcher.mu.Unlock()
	v := verdict{names: len(w.watcher.trouble), trouble: w.watcher.trouble}
	known := map[[32]byte]bool{}
	for _, d := range w.server.Documents() {
		v.documents++
		v.revisions += len(d.Checksums)
		if d.Status != "validated" {
			if w.watcher.got[d.SHA256] > 0 {
				v.drafts++
			}
			known[d.SHA256] = true
			continue
		}
		for i, sum := range d.Checksums {
			known[sum] = true
			n := w.watcher.got[sum]
			if n == 0 && i == len(d.Checksums)-1 {
				v.lost++
				v.say("document %s, revision %d of %d: lost", d.UUID, i+1, len(d.Checksums))
			}
			if n > 1+excused[sum] {
				v.doubled++
				v.say("document %s, revision %d of %d: %d times", d.UUID, i+1, len(d.Checksums), n)
			}
		}
		v.confirms(d)
	}
	for sum, n := range w.watcher.got {
		if !known[sum] {
			v.partial += n
			v.say("a file came that is no document of Askara's")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v.early = len(w.early)
	v.trouble = append(v.trouble, w.early...)
	return v
}

// confirms notes what is wrong with a document's confirmations.
func (v *verdict) confirms(d sandbox.Record) {
	if !d.Confirmed() {
		v.unconfirmed++
		v.say("document %s: not confirmed", d.UUID)
	}
	for _, c := range d.Confirms {
		if c.Failed {
			v.failed++
			v.say("document %s: reported as failed", d.UUID)
		}
	}
}

func (v *verdict) say(format string, args ...any) {
	const most = 40
	if len(v.trouble) < most {
		v.trouble = append(v.trouble, fmt.Sprintf(format, args...))
	}
}

// ok says whether all promises were kept.
func (v verdict) ok() bool {
	return v.lost+v.doubled+v.partial+v.early+v.drafts+v.names+v.unconfirmed+v.failed == 0
}

func (v verdict) String() string {
	return fmt.Sprintf("documents=%d revisions=%d lost=%d doubled=%d partial=%d early=%d drafts=%d wrong_names=%d unconfirmed=%d reported_failed=%d",
		v.documents, v.revisions, v.lost, v.doubled, v.partial, v.early, v.drafts, v.names, v.unconfirmed, v.failed)
}

// check ends a proof: everything is done, all promises were kept, and one more run finds nothing to do.
func (w *world) check(what string) {
	w.t.Helper()
	w.finish()
	// A revision that turns out to be unchanged while the one before it is being confirmed is looked at once more.
	w.finish()
	v := w.judge(w.again)
	if w.table != nil {
		v = w.table.judge(w, v)
	}
	s := w.server.Stats()
	w.t.Logf("figures: %s kills=%d of_refreshes=%d refreshes=%d answers_lost=%d logins_again=%d %s", what, w.kills, w.killsRefresh, s.Refreshes,
		s.AnswersLost, w.logins, v)
	if !v.ok() {
		w.t.Errorf("promises were broken:\n  %s", strings.Join(v.trouble, "\n  "))
	}
	w.checkLogins(s)
	if s.Early+s.ForeignBearer+s.Outside > 0 {
		w.t.Errorf("early confirmations %d, bearer tokens sent elsewhere %d, requests outside of the API %d", s.Early, s.ForeignBearer, s.Outside)
	}
	if w.watcher.away == "" && !w.emptied {
		w.checkFolder()
	}
	if code := w.run("--once"); code != exitDone {
		w.t.Errorf("one more run ended with %d:\n%s", code, tail(w.log.String()))
	}
	if after := w.server.Stats(); after.Downloads != s.Downloads || after.Confirmed != s.Confirmed {
		w.t.Errorf("one more run downloaded %d documents and confirmed %d:\n%s", after.Downloads-s.Downloads, after.Confirmed-s.Confirmed,
			tail(w.log.String()))
	}
}

// checkLogins: a person was only asked where the answer to a refresh was lost, on the wire or together with the process.
func (w *world) checkLogins(s sandbox.Stats) {
	w.t.Helper()
	if most := s.AnswersLost + w.killsRefresh + w.excused; w.logins > most {
		w.t.Errorf("%d logins were asked for, but only %d answers lost", w.logins, most)
	}
	// A killed refresh leaves a token that has to be tried, and tried again where the refusal was lost on the wire.
	if s.ReusesAnswered > w.killsRefresh+s.RefusalsLost {
		w.t.Errorf("refresh tokens whose answer had arrived were sent again %d times, with %d kills of refreshes and %d refusals lost",
			s.ReusesAnswered, w.killsRefresh, s.RefusalsLost)
	}
}

// checkFolder: where nobody takes files, the folder has each that ever appeared, once.
func (w *world) checkFolder() {
	w.t.Helper()
	entries, err := os.ReadDir(w.watcher.dir)
	w.must(err)
	there := map[[32]byte]int{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".pdf") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(w.watcher.dir, e.Name()))
		w.must(err)
		there[sha256.Sum256(b)]++
	}
	for sum, n := range w.watcher.got {
		if there[sum] != 1 || n > 1+w.again[sum] {
			w.t.Errorf("a document that appeared %d times is in the folder %d times", n, there[sum])
		}
	}
}
