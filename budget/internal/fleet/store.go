// Package fleet shares retry budgets among the processes of a fleet, whatever
// keeps what they have in common: that is a [Store]. Package redisbudget has one
// in Redis, and documents what a fleet promises.
//
// To add a store, write a package with a Store and the options that it needs,
// around a [Fleet]. What an exchange comes to is [State.Settle], in Go; a store
// that computes it elsewhere must come to the same.
package fleet

import "context"

// A Store keeps what the processes of a fleet have in common. It is safe for
// concurrent use.
type Store interface {
	// Place returns under which key the budget of a name is kept, and in which
	// of the shards, counted from 0. Different names have different keys. See
	// [CutKind] for what a name is made of.
	Place(name string, shards int) (key string, shard int)
	// Settle carries an exchange to the fleet and returns an answer for each of
	// its keys, or an error. It stops waiting when ctx is done. Unless the
	// exchange is Safe it is executed at most once, whatever happens to the
	// answer: its credit would be there twice.
	Settle(ctx context.Context, x *Exchange) ([]Answer, error)
}

// An Exchange is what a process says to the fleet about budgets of one shard.
type Exchange struct {
	Shard int
	Keys  []string // of the budgets
	Asks  []Ask    // about each of them
	Safe  bool     // it may be executed more than once: it carries no credit

	// Resent is set by a Store that had to send the exchange twice because the
	// server lacked what it needs to execute it.
	Resent bool
}

// An Ask is what a process says about one budget. Amounts are in tokens, except for
// Give, and times in seconds.
type Ask struct {
	Ratio, Floor, Stock     float64 // the policy; Stock is Pool, and 0 in a message about the switch alone
	Give                    float64 // micro-tokens to put in the pool
	Want                    float64 // to take out
	Requests, Spent, Denied float64 // since it last said
	Present                 float64 // time since it last said
	Draw                    float64 // random, 0 up to below 1
	Known                   float64 // the newest turn of the switch that it knows
	Turn                    float64 // 1 pauses, -1 resumes, 0 does neither
}

// An Answer is what the fleet says about one budget, in tokens. Rates are per
// second.
type Answer struct {
	Grant                     float64 // to the process; whole, and at most what it wants
	Pool, Cap                 float64 // what the fleet keeps in common, and the most that it may keep
	Instances                 float64 // how many processes share the budget
	Requests, Retries, Denied float64 // of the fleet
	Switch                    float64 // when it was paused, or minus when it was resumed
	Foreign                   bool    // the value under the key is no budget
	Missing                   bool    // the ask was about the switch alone, and there is no budget
}
