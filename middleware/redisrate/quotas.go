package redisrate

import (
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/internal/gcra"
)

const (
	// A key that is over its quota is refused without Redis, except for one
	// request in that time, since the key may have been deleted there.
	recheck = time.Second
	// silence is how long nothing is heard of a key that Redis does not count.
	silence = time.Second
	// recall is how long an instance goes by what it heard of the others.
	recall = 10 * time.Second
	// blend is what the share of an instance is averaged over, in calls.
	blend = 64
)

// quotas is what this instance knows of the quotas that the fleet shares:
// what Redis said last, and what was granted since.
type quotas struct {
	rate gcra.Rate
	over time.Duration // what a key may owe beyond its burst
	keys *gcra.Keys[quota]
}

// A quota is that of one key.
type quota struct {
	full   time.Duration // when the quota is whole again, as far as is known
	asking int           // calls under way
	// owed are the requests that were granted here and that Redis has not
	// counted, since some time.
	owed  int
	since time.Duration
	// heard is when Redis last answered, and shared when the quota was whole
	// again by that. What shared grows by is what all instances were granted,
	// in time; own is the part of this one.
	heard, shared time.Duration
	all, own      float64
}

// Full is what the keys are ordered by.
func (a quota) Full() time.Duration { return a.full }

// take takes a request from the quota as it is known here, and returns whether
// there is anything to ask Redis, and whether it is being asked about this key.
func (q quotas) take(name string, now time.Duration) (g middleware.Grant, ask, asking bool) {
	s := q.keys.Lock(name)
	defer s.Unlock()
	a, known := s.Get(name)
	full, ok := q.rate.Take(now, a.full)
	if !ok {
		g = middleware.Grant{Reset: full - now, RetryIn: q.rate.RetryIn(now, full)}
		return g, a.asking == 0 && now-a.heard >= recheck, a.asking > 0
	}
	a.full = full
	if known {
		s.Set(name, a)
	} else {
		s.Add(name, a)
	}
	return middleware.Grant{OK: true, Remaining: q.rate.Left(now, full), Reset: full - now}, true, a.asking > 0
}

// update changes the quota of a key, unless it has been forgotten.
func (q quotas) update(name string, change func(*quota)) {
	s := q.keys.Lock(name)
	defer s.Unlock()
	if a, known := s.Get(name); known {
		change(&a)
		s.Set(name, a)
	}
}

// owe says that n requests were granted of which Redis does not know.
func (q quotas) owe(name string, n int, now time.Duration) {
	q.update(name, func(a *quota) {
		if a.owed == 0 {
			a.since = now
		}
		a.owed += n
	})
}

// instances is how many there seem to be of this one, by what they were granted.
func (q quotas) instances(a *quota, now time.Duration) float64 {
	if a.heard == 0 || now-a.heard > recall {
		return 1
	}
	one := float64(q.rate.Interval)
	return (a.all + one) / (a.own + one)
}

// alone says that the request that was taken is granted without Redis. The
// other instances are taken to go on granting as many for each as before.
func (q quotas) alone(name string, now time.Duration) {
	q.update(name, func(a *quota) {
		others := time.Duration((q.instances(a, now) - 1) * float64(q.rate.Interval))
		a.full = max(a.full, min(a.full+others, now+q.rate.Burst+q.over))
	})
}

// earn takes from what is owed what has been earned again since: requests that
// keep to the quota come to nothing. As long as Redis answers, it counts down
// itself.
func (q quotas) earn(a *quota, now time.Duration) {
	from := max(a.since, a.shared, a.heard+silence)
	each := float64(q.rate.Interval) * q.instances(a, now)
	if n := int(float64(now-from) / each); n > 0 {
		a.owed = max(a.owed-n, 0)
		a.since = from + time.Duration(float64(n)*each)
	}
}

// ask says that Redis is about to be asked, and returns what is to be told.
// Where an answer is hardly to be hoped for, that is nothing: if none comes,
// nobody knows whether Redis has counted it.
func (q quotas) ask(name string, now time.Duration, tell bool) (owed int) {
	q.update(name, func(a *quota) {
		q.earn(a, now)
		if tell {
			owed, a.owed = a.owed, 0
		}
		a.asking++
	})
	return owed
}

// hear takes in when the quota is whole again, after Redis counted some
// requests of this instance. That time may or may not include calls under way;
// once no call is under way, it is used as it is.
func (q quotas) hear(name string, now, reset time.Duration, counted int) {
	q.update(name, func(a *quota) {
		q.earn(a, now)
		shared := now + reset
		if a.heard > 0 {
			own := float64(q.rate.Interval) * float64(counted)
			since := a.shared
			if reset+q.rate.Interval <= q.rate.Burst {
				since = max(since, now) // not all of the quota was asked for
			}
			all := max(own, float64(shared-since))
			a.own += own - a.own/blend
			a.all += all - a.all/blend
		}
		a.heard, a.shared = now, max(a.shared, shared)
		full := shared + q.rate.Interval*time.Duration(a.owed)
		a.asking = max(a.asking-1, 0)
		if a.asking == 0 {
			a.full, a.shared = full, shared
		} else {
			a.full = max(a.full, full)
		}
	})
}

// miss says that a call has ended without an answer.
func (q quotas) miss(name string) {
	q.update(name, func(a *quota) { a.asking = max(a.asking-1, 0) })
}
