// Package sync brings an account's validated documents from Askara to the clinic, one pass at a time.
//
// A pass promises that every document that was listed is delivered once and whole or is still in the ledger with the reason why
// not, whatever interrupts it; that one bad document holds up no other; and that Askara is told of a delivery only after it is
// durable. It does not promise that a destination's importer reads what it is given.
//
// The order of events, and what is durable when:
//
//  1. Settle. What an interrupted pass left staged is looked up at the destination and moved on or back.
//  2. Discover. The list is walked by key, page by page. Each page is one transaction: rows for what is new, and the cursor.
//  3. Deliver. Workers download to staging, each file checked and synced. A batch is then flushed (staging directory), saved
//     as Staged, moved into place, synced (target directory), and saved as Delivered.
//  4. Confirm. What is Delivered is confirmed; the answers are saved with the next batch.
//
// Steps 3 and 4 run side by side, and a long pass returns to step 2 now and then, so that a backfill does not keep a fresh
// document waiting. A kill between any two steps leaves a state that step 1 of the next pass understands.
package sync
