// Package sqlstore keeps the records of package idempotency in the database that the
// handlers write to: Postgres, SQLite, MySQL or MariaDB, with any driver for
// database/sql. There a write happens exactly once, because its effect, the proof that
// the run still has the key, and the answer are committed in one transaction.
//
//	store, err := sqlstore.New(db, sqlstore.Postgres)
//	keys, err := idempotency.New(store, account, idempotency.InTransaction(payments))
//
//	func pay(w http.ResponseWriter, r *http.Request) {
//		tx, _ := sqlstore.Tx(r.Context())
//		_, err := tx.ExecContext(r.Context(), "INSERT INTO payments ...")
//		...
//	}
//
// Make the table with [Store.Schema], in your migrations.
//
// # What is promised
//
// Of all runs of a key exactly one commits, whatever dies, pauses or is cut off, and all
// requests get its answer. A process that lost its key while it paused rolls back. If
// the reply to a commit is lost, the store finds out whether it was committed before it
// answers. The tests let processes die and pause after the claim, the effect, the
// answer, the commit and its reply: of 150 keys, each sent by four clients, all happen
// once. Where the answer is stored after the commit instead, about a quarter of them
// happen twice.
//
// That covers what the handler writes through [Tx]. The handler must not commit, roll
// back or write through another connection. What it does outside of the database, such
// as a call to another service, is done again if the transaction is: give that a key of
// its own ([idempotency.Derive]).
//
// Handlers that use pgx, ent, gorm or another library make a transaction of their own and
// let it [Store.Join] the run.
//
// Without a transaction the store keeps the promise of every other one: at most once.
//
// # What it costs
//
// On Postgres a claim is one insert. A duplicate or a replay is one read, which writes
// nothing and waits for no lock, or an insert and a read where the key is new to the
// process. A request in a transaction has one statement more than that transaction
// alone, and the claim. A duplicate is told at once that the first one is running. The
// other databases read first. The pool needs a connection for each handler in a
// transaction and a few for claims and renewals.
//
// # Postgres
//
// Any isolation level is right, and that of the pool is used. Under REPEATABLE READ and
// SERIALIZABLE the run locks its record from the start, since a renewal in between would
// make its commit fail. Then a duplicate whose lease is over waits up to 2 s before it is
// told that the first one is running, and a process that hangs keeps its key until its
// connection ends: set idle_in_transaction_session_timeout. PgBouncer works in transaction
// mode.
//
// # SQLite
//
// Open it with transactions that are immediate from the start, and a busy timeout:
//
//	sql.Open("sqlite", "file:app.db?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)")
//
// One that begins by reading fails at its first write if another has written since. All
// writers queue, so it is right for one process and short handlers.
//
// # MySQL and MariaDB
//
// The table must be InnoDB. With interpolateParams=true each statement is one round trip
// instead of three. A deadlock with another claim is repeated.
//
// # Operating it
//
// Call [Store.Sweep] from a job. These are the keys whose process died and that no
// request has resumed, with the time in microseconds:
//
//	SELECT k, owner, runs, lease_until FROM idempotency_keys
//	WHERE answer IS NULL AND lease_until < extract(epoch from now()) * 1000000
//
// [Store.Find] shows one by its caller and key, and [Store.Resolve] ends it with an
// answer, or frees it. A row that holds something else than a record is an error, and is
// never sent as an answer.
//
// # Outbox
//
// What must happen after the commit, such as a message, goes into a table of its own in
// the same transaction; a worker sends it, at least once, with a key made by
// [idempotency.Derive]. Then effect, answer and message are one commit.
package sqlstore
