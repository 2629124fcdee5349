// Package sink is where documents go: a folder that the clinic's practice software watches, or a table in a database.
//
// # What a folder promises
//
// A document arrives whole, under its final name, once, and nothing that was there is ever overwritten:
//
//  1. Stage writes it to a staging directory that no importer looks into, checks it while it streams, sets owner and mode, and
//     fsyncs the file.
//  2. Flush fsyncs the staging directory, once for a whole batch. After that the ledger may record the batch as staged.
//  3. Deliver moves each file into the watched folder with a single renameat2(RENAME_NOREPLACE), sidecars before PDFs, and
//     fsyncs the folder once for the batch. After that the ledger may record it as delivered.
//
// After a crash the staged file tells what happened: while it is there the document was not delivered; once it is gone it was,
// whatever an importer has done with it since. That holds only in the very directory in which the file was staged, so each
// account's directory has an identity that every staged name begins with. Where the identity does not match (the directory was
// emptied, replaced, restored or configured elsewhere) the folder is searched for the document's checksum instead, and a
// document that is not found is delivered again: a double is harm, a loss is worse.
//
// A failed fsync is never repeated and then trusted. The file is thrown away and downloaded again; where it was a directory's,
// that account's staging gets a new identity, so that nothing is taken for delivered because it is gone.
//
// # What it does not promise
//
// An importer may read a file in the instant between the move and the fsync of the folder. If the power fails just then, the
// file system may forget the move, and the document is delivered a second time; no program can prevent that for a folder that
// others read at once. A disk that lies about its flushes can lose anything.
//
// On file systems that cannot rename without replacing, the file is linked into place and then unlinked from staging (NFS). Where
// there are no hard links either, it is renamed after looking whether the name is free, and the name always holds the
// document's short identifier: a foreign program that creates the very same name in the microseconds between would have its
// file replaced. Which way is in use is logged when it is chosen, and told by Probe.
//
// Permissions that the watched folder would give to files created in it (default ACLs) do not reach files that are moved into
// it. The group of a setgid folder is applied by hand.
//
// # What a table promises
//
// A document is one row of our own table, or whatever an integrator's own insert statement makes of it; either way it is there
// exactly once. The row is the proof. Stage downloads to a private spool, of which nothing is synced; Deliver inserts a batch in
// one transaction, and document by document where that fails; Settle looks for the row. Our own table is unique over uuid and
// revision. An own statement runs in one transaction with a row of a receipt table that is, so that it takes effect once in any
// table whatever, or, where sink.exists is set, only where that query finds nothing. After a commit whose answer was lost the row
// is looked for before anything else is done.
//
// With content = "file" the row holds a path. It is inserted before the file is moved and committed after, so that no reader finds
// a row without its file, and a row that is refused leaves no file.
//
// A commit is as durable as the database makes it. Where its settings are known to lose commits, Prepare logs it and Probe says
// so. Drivers' errors quote values of the row; ours are made of codes and of names of tables, columns and constraints alone.
//
// Nothing here logs or returns a title, a patient's name or a file's name.
package sink
