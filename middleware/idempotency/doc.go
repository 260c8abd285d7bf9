// Package idempotency makes a write that is sent again happen once, by the
// Idempotency-Key that clients send with it.
package idempotency
