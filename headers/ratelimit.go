package headers

import (
	"encoding/base64"
	"strconv"
	"time"
)

// maxInteger is the largest Integer of RFC 9651.
const maxInteger = 999_999_999_999_999

// A ServiceLimit is one item of the RateLimit header of
// draft-ietf-httpapi-ratelimit-headers: what is left of a quota.
type ServiceLimit struct {
	Policy       string        // the name of its [QuotaPolicy]
	Remaining    int64         // quota units left
	Reset        time.Duration // until the quota is restored, in whole seconds
	HasReset     bool          // the server said when
	PartitionKey []byte        // whose quota it is; nil if not said
}

// A QuotaPolicy is one item of the RateLimit-Policy header of the same draft.
type QuotaPolicy struct {
	Name         string
	Quota        int64         // units per window
	Unit         string        // "" means requests
	Window       time.Duration // in whole seconds; 0 if not said
	PartitionKey []byte        // nil if not said
}

// ParseRateLimit appends the items of a RateLimit header to dst. A value with a
// malformed part is ignored as a whole, as the draft requires. It reads draft 7 and
// later: 7 has a dictionary of limit, remaining and reset, 8 has tokens as names,
// and 11 calls the parameters r and t of earlier drafts a and w.
func ParseRateLimit(dst []ServiceLimit, value string) ([]ServiceLimit, bool) {
	n := len(dst)
	ok := eachLimit(value, func(l ServiceLimit, pk bareItem) bool {
		var ok bool
		l.PartitionKey, ok = pk.decoded()
		dst = append(dst, l)
		return ok
	})
	if !ok {
		return dst[:n], false
	}
	return dst, true
}

// eachLimit calls yield for the items and reports whether all is well formed.
// It is apart from ParseRateLimit so that a client which only looks for a
// reset allocates nothing.
func eachLimit(value string, yield func(l ServiceLimit, pk bareItem) bool) bool {
	s, ok := scan(value)
	if !ok {
		return false
	}
	for first := true; ; first = false {
		more, ok := s.member(first)
		if !ok || !more {
			return ok
		}
		if first {
			if l, ok := oneLimit(s); ok {
				return yield(l, bareItem{})
			}
		}
		name, ok := s.item()
		if !ok || name.kind != kindString && name.kind != kindToken {
			return false
		}
		var r, t, a, w, pk bareItem
		for {
			key, v, more, ok := s.param()
			if !ok {
				return false
			}
			if !more {
				break
			}
			switch key {
			case "r":
				r = v
			case "t":
				t = v
			case "a":
				a = v
			case "w":
				w = v
			case "pk":
				pk = v
			}
		}
		if r.kind == kindNone { // w means something else beside r
			r, t = a, w
		}
		l := ServiceLimit{Policy: name.unescaped(), Remaining: r.count(), Reset: t.seconds(), HasReset: t.kind != kindNone}
		if l.Remaining < 0 || l.HasReset && t.count() < 0 || pk.kind != kindNone && pk.kind != kindBytes || !yield(l, pk) {
			return false
		}
	}
}

// oneLimit reads the dictionary of draft 7, which has no name for its limit.
func oneLimit(s scanner) (l ServiceLimit, ok bool) {
	var remaining, reset bareItem
	for first := true; ; first = false {
		more, ok := s.member(first)
		if !ok || !more {
			l.Remaining, l.Reset, l.HasReset = remaining.count(), reset.seconds(), reset.kind != kindNone
			return l, ok && l.Remaining >= 0 && (!l.HasReset || reset.count() >= 0)
		}
		key, v, ok := s.pair()
		switch {
		case !ok || !s.params():
			return l, false
		case key == "remaining":
			remaining = v
		case key == "reset":
			reset = v
		}
	}
}

// ParseRateLimitPolicy appends the items of a RateLimit-Policy header to dst. A
// value with a malformed part is ignored as a whole. In drafts up to 7 a policy has
// a quota instead of a name.
func ParseRateLimitPolicy(dst []QuotaPolicy, value string) ([]QuotaPolicy, bool) {
	n := len(dst)
	s, ok := scan(value)
	if !ok {
		return dst, false
	}
	for first := true; ; first = false {
		more, ok := s.member(first)
		if ok && !more {
			return dst, true
		}
		var p QuotaPolicy
		if ok {
			p, ok = s.quotaPolicy()
		}
		if !ok {
			return dst[:n], false
		}
		dst = append(dst, p)
	}
}

func (s *scanner) quotaPolicy() (p QuotaPolicy, ok bool) {
	var name, q, qu, w, pk bareItem
	name, ok = s.item()
	switch {
	case !ok:
		return p, false
	case name.kind == kindInteger:
		q = name
	case name.kind == kindString || name.kind == kindToken:
		p.Name = name.unescaped()
	default:
		return p, false
	}
	for {
		key, v, more, ok := s.param()
		if !ok {
			return p, false
		}
		if !more {
			break
		}
		switch key {
		case "q":
			q = v
		case "qu":
			qu = v
		case "w":
			w = v
		case "pk":
			pk = v
		}
	}
	p.Quota, p.Unit, p.Window = q.count(), qu.unescaped(), w.seconds()
	ok = p.Quota >= 0 && (qu.kind == kindNone || qu.kind == kindString) && (w.kind == kindNone || w.count() > 0)
	if pk.kind == kindBytes && ok {
		p.PartitionKey, ok = pk.decoded()
	}
	return p, ok && (pk.kind == kindNone || pk.kind == kindBytes)
}

// count is the value of an Integer that is not negative, else -1.
func (b bareItem) count() int64 {
	if b.kind != kindInteger {
		return -1
	}
	return max(b.number, -1)
}

// seconds is that as a duration.
func (b bareItem) seconds() time.Duration {
	return time.Duration(min(max(b.count(), 0), int64(MaxDelay/time.Second))) * time.Second
}

// String formats an item of a RateLimit header. A name that is not printable
// ASCII is left empty. Numbers are clamped to what the grammar allows, and Reset is
// rounded up to seconds. Join items with commas.
func (l ServiceLimit) String() string {
	b := appendName(make([]byte, 0, 64), l.Policy)
	b = appendCount(b, ";r=", l.Remaining)
	if l.HasReset {
		b = appendCount(b, ";t=", ceilSeconds(l.Reset))
	}
	return string(appendKey(b, l.PartitionKey))
}

// String formats an item of a RateLimit-Policy header. It clamps and rounds as
// that of [ServiceLimit] does.
func (p QuotaPolicy) String() string {
	b := appendName(make([]byte, 0, 64), p.Name)
	b = appendCount(b, ";q=", p.Quota)
	if p.Unit != "" && printable(p.Unit) {
		b = appendString(append(b, ";qu="...), p.Unit)
	}
	if p.Window > 0 {
		b = appendCount(b, ";w=", ceilSeconds(p.Window))
	}
	return string(appendKey(b, p.PartitionKey))
}

func appendName(b []byte, name string) []byte {
	if !printable(name) {
		name = ""
	}
	return appendString(b, name)
}

func appendCount(b []byte, param string, n int64) []byte {
	return strconv.AppendInt(append(b, param...), min(max(n, 0), maxInteger), 10)
}

func appendKey(b, key []byte) []byte {
	if key == nil {
		return b
	}
	b = append(b, ";pk=:"...)
	b = base64.StdEncoding.AppendEncode(b, key)
	return append(b, ':')
}

func ceilSeconds(d time.Duration) int64 {
	return int64((clamp(d) + time.Second - 1) / time.Second)
}
