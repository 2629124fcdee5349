package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"askara-sync/askara"
	"askara-sync/store"
)

// TestStepsAreTheLongWay: a row that is moved on without being read first becomes what it becomes when it is read, from whatever state
// and with whatever the delivery knows of it.
func TestStepsAreTheLongWay(t *testing.T) {
	states := []askara.DeliveryState{askara.Pending, askara.Staged, askara.Delivered, askara.Confirmed, askara.Parked, askara.Reported, askara.Closed}
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		short, shortDir := fresh(t)
		long, longDir := fresh(t)
		at := epoch.Add(24 * time.Hour)
		listing := askara.Listing{Account: account, Documents: documents(0, 8), At: at}
		for _, s := range []*store.Store{short, long} {
			if _, err := s.Record(t.Context(), listing); err != nil {
				t.Fatal(err)
			}
		}
		rows := dueNow(t, short, askara.Pending)
		for range 60 {
			i := random.IntN(len(rows))
			d := rows[i]
			at = at.Add(time.Second)
			if d.State++; random.IntN(3) == 0 || d.State > askara.Confirmed { // mostly the usual way
				d.State = states[random.IntN(len(states))]
			}
			d.DiscoveredAt, d.DeliveredAt = at, at
			d.Receipt = askara.Receipt{Staged: fmt.Sprint(at.Unix()), Name: "name.pdf", Size: int64(random.IntN(9)), SHA256: askara.Checksum{byte(random.IntN(9))}}
			if random.IntN(3) == 0 {
				d.Confirmation = askara.Confirmation{Order: at, UpdatedAt: at}
			}
			if random.IntN(4) == 0 {
				d.Document = askara.Document{}
			}
			if random.IntN(4) == 0 {
				d.Reason, d.Attempts, d.NextAttemptAt = "it failed", 3, at
			}
			save(t, short, d)
			d.ID = 0 // which no row has
			save(t, long, d)
			rows[i].State = d.State
			if random.IntN(3) == 0 { // what a later pass would read
				for _, row := range dueNow(t, short, states...) {
					if row.UUID == d.UUID {
						rows[i] = row
					}
				}
			}
		}
		if diff := cmp.Diff(dump(t, longDir), dump(t, shortDir)); diff != "" {
			t.Fatalf("seed %d: rows (-long way +short way):\n%s", seed, diff)
		}
	}
}

// dump returns all that a ledger says of documents, without the numbers of rows in the archive.
func dump(t *testing.T, dir string) (lines []string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "askara-sync.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{
		`select uuid, revision, state, backfill, next_attempt_at, attempts, reason, order_us, updated_us, validated_us, confirmed_order_us,
			confirmed_updated_us, staged, name, size, sha256, discovered_at, delivered_at, m.raw
			from delivery d left join metadata m on m.id = d.id order by uuid, revision`,
		`select count(*) from metadata where id not in (select id from delivery)`,
		`select uuid, revision, state, order_us, updated_us, validated_us, confirmed_order_us, confirmed_updated_us, name, size, sha256,
			discovered_at, delivered_at from archive order by uuid, revision`,
		`select state, count from tally where count <> 0 order by state`, `select day, delivered from day order by day`,
		`select uuid, order_us from sighting order by uuid`,
	} {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			var line strings.Builder
			for i, v := range values {
				fmt.Fprintf(&line, "%s=%v ", columns[i], v)
			}
			lines = append(lines, line.String())
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}
