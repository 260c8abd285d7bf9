package gcra

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	shards     = 16
	candidates = 8 // of whom the one that owes least is forgotten
	longest    = 64
)

// Name is what a key is kept by: the key itself, or what SHA-256 makes of one
// that is longer than 64 bytes. That has 65, so that no other key has it.
func Name(key string) string {
	if len(key) <= longest {
		return key
	}
	h := sha256.New()
	var part [1024]byte // a string would be copied whole
	for n := 0; len(key) > 0; key = key[n:] {
		n = copy(part[:], key)
		h.Write(part[:n])
	}
	return "#" + hex.EncodeToString(h.Sum(part[:0]))
}

// An Account is what is kept of a key. Full orders accounts: the one with the
// earliest is forgotten first, since it owes least.
type Account interface{ Full() time.Duration }

// Keys is a bounded set of keys by their [Name], each with an account. It is
// safe for concurrent use.
type Keys[A Account] struct {
	seed   maphash.Seed
	shards [shards]Shard[A]
}

// A Shard is the part of Keys that has a key, locked.
type Shard[A Account] struct {
	mu       sync.Mutex // guards accounts
	most     int
	accounts map[string]A
}

// NewKeys returns a set of at most about most keys, which is at least 1.
func NewKeys[A Account](most int) *Keys[A] {
	k := &Keys[A]{seed: maphash.MakeSeed()}
	for i := range k.shards {
		k.shards[i].most = (most-1)/shards + 1
		k.shards[i].accounts = make(map[string]A)
	}
	return k
}

// Lock returns the part that has the name, for the caller alone until Unlock.
func (k *Keys[A]) Lock(name string) *Shard[A] {
	s := &k.shards[maphash.String(k.seed, name)%shards]
	s.mu.Lock()
	return s
}

// Unlock lets others at it.
func (s *Shard[A]) Unlock() { s.mu.Unlock() }

// Get returns the account of a name, and whether there is one.
func (s *Shard[A]) Get(name string) (A, bool) {
	a, ok := s.accounts[name]
	return a, ok
}

// Set replaces the account of a name that there is.
func (s *Shard[A]) Set(name string, a A) { s.accounts[name] = a }

// Add keeps the account of a new name. If there is no room, another is
// forgotten.
func (s *Shard[A]) Add(name string, a A) {
	if len(s.accounts) >= s.most {
		s.forget()
	}
	// A name may be a part of something larger.
	s.accounts[strings.Clone(name)] = a
}

// forget makes room for a key. The one of a few that owes least loses least,
// and nothing if its quota is whole by now.
func (s *Shard[A]) forget() {
	var least string
	var when time.Duration
	n := 0
	for name, a := range s.accounts { // in random order
		if at := a.Full(); n == 0 || at < when {
			least, when = name, at
		}
		if n++; n == candidates {
			break
		}
	}
	delete(s.accounts, least)
}
