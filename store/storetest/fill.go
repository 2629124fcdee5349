// Package storetest makes ledgers with a long history, for tests and benchmarks of growth. It is no part of the program.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"askara-sync/askara"
	"askara-sync/store"
)

// perCommit is how many documents are written in one transaction.
const perCommit = 20_000

// Fill gives the account n documents that were delivered and confirmed long ago, as a practice of years would have them: uuids without
// any order, names of some sixty bytes, dates one minute apart up to until. The same n gives the same documents.
func Fill(ctx context.Context, s *store.Store, account string, n int, until time.Time) error {
	batch := make([]askara.Delivery, 0, perCommit)
	for i := range n {
		batch = append(batch, Delivery(i, until.Add(time.Duration(i-n)*time.Minute)))
		if len(batch) < perCommit && i < n-1 {
			continue
		}
		if _, err := s.Adopt(ctx, account, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return nil
}

// Delivery is document i of a history, validated at the given time and confirmed a little later.
func Delivery(i int, at time.Time) askara.Delivery {
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i))
	sum := sha256.Sum256(seed[:])
	at = at.Truncate(time.Second)
	uuid := UUID(i)
	return askara.Delivery{
		UUID: uuid, Revision: 1, State: askara.Confirmed,
		Document: askara.Document{UUID: uuid, Order: at, UpdatedAt: at, ValidatedAt: at.Add(-3 * time.Second)},
		Receipt: askara.Receipt{
			Name: fmt.Sprintf("%s_Martin-Dubois_Compte rendu de consultation_%x.pdf", at.Format(time.DateOnly), sum[:4]),
			Size: 200_000 + int64(sum[16]), SHA256: sum},
		DiscoveredAt: at.Add(time.Minute), DeliveredAt: at.Add(61 * time.Second),
		Confirmation: askara.Confirmation{UpdatedAt: at.Add(62 * time.Second), Order: at.Add(62 * time.Second)},
	}
}

// UUID is the uuid of document i of a history.
func UUID(i int) string {
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i))
	b := sha256.Sum256(seed[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
