package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The defaults of [Policy].
const (
	defaultMaxAttempts    = 3
	defaultBaseDelay      = 100 * time.Millisecond
	defaultMaxDelay       = 2 * time.Second
	defaultMaxRetryAfter  = 30 * time.Second
	defaultMaxReplayBytes = 64 << 10
)

// maxMaxAttempts bounds MaxAttempts: more is a mistake, such as a number of
// milliseconds in the wrong field.
const maxMaxAttempts = 100

// A Policy says how often, when and for how long a request is retried. Zero fields take
// the default. It decodes from JSON with durations as text, such as {"MaxAttempts": 4,
// "BaseDelay": "250ms"}; see [Policy.UnmarshalJSON].
type Policy struct {
	// MaxAttempts is how often a request may be sent in total, 1 to 100. The default is
	// 3. 1 means no retries. A refusal with X-Should-Retry: true that says when to come
	// back does not count, for as long as the attempts could take.
	MaxAttempts int
	// BaseDelay sets the backoff: before attempt n+1 the loop waits a random time in
	// [0, BaseDelay·2^(n-1)], the full jitter of Brooker, "Exponential Backoff And
	// Jitter" (AWS Architecture Blog, 2015). The default is 100ms.
	BaseDelay time.Duration
	// MaxDelay limits the backoff. The default is 2s, or BaseDelay if that is longer.
	MaxDelay time.Duration
	// AttemptTimeout limits each attempt up to its response header. It does not limit
	// the body; see BodyIdleTimeout. The default 0 means no limit except the context. Without one, a
	// connection is not reused if net/http decompresses the response and another
	// attempt replaces it: there is no safe way to stop reading from a server that
	// stalls.
	AttemptTimeout time.Duration
	// BodyIdleTimeout limits the silence in a response body: how long a Read of it waits
	// for a byte. Then the Read returns an error that is a timeout and says how many bytes
	// came. The time that the caller takes between two Reads does not count, nor does that
	// of an upgraded connection. Event streams count: give a service that is silent for
	// long a policy of its own. The default 0 means no limit except the context.
	BodyIdleTimeout time.Duration
	// MaxRetryAfter is the longest wait that a server may ask for. If it asks for more,
	// the call ends rather than retry too early. The default is 30s.
	MaxRetryAfter time.Duration
	// MaxThrottle is how long a call may wait in total while the guard limits how many
	// attempts are in flight, in pauses, and for [WithInFlight]; see [WithPacing]. Then it ends with the last
	// response, or with an error such as a [*GuardError]. The default 0 means as long as its remaining attempts could take:
	// AttemptTimeout for each, or the observed latency that replaces it, and the longest
	// backoffs between them. Set less if a fast failure is better than a late response.
	MaxThrottle time.Duration
	// MaxReplayBytes is how much of a request body without GetBody is kept
	// while it streams. A call whose body is longer is not replayed. The
	// default is 65,536 bytes.
	MaxReplayBytes int64
	// Statuses are the status codes worth another attempt, from 400 to 599. The default,
	// for nil, is 408, 425, 429, 500, 502, 503 and 504. An empty list that is not nil,
	// [] in JSON, means that only errors are retried. A 403, 409, 413 or 423 that says
	// when to come back counts as a 429. So does a 403 whose quota is used up and that
	// says when it is restored.
	Statuses []int
}

var defaultStatuses = []int{408, 425, 429, 500, 502, 503, 504}

// filled returns a copy with the defaults in place of zero fields.
func (p Policy) filled() *Policy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = defaultMaxAttempts
	}
	if p.BaseDelay == 0 {
		p.BaseDelay = defaultBaseDelay
	}
	if p.MaxDelay == 0 {
		p.MaxDelay = max(defaultMaxDelay, p.BaseDelay)
	}
	if p.MaxRetryAfter == 0 {
		p.MaxRetryAfter = defaultMaxRetryAfter
	}
	if p.MaxReplayBytes == 0 {
		p.MaxReplayBytes = defaultMaxReplayBytes
	}
	if p.Statuses == nil {
		p.Statuses = defaultStatuses
	}
	p.Statuses = slices.Clone(p.Statuses) // the caller may go on to change theirs
	return &p
}

// isZero reports whether no field is set. An empty list of statuses is set.
func (p Policy) isZero() bool { return reflect.ValueOf(p).IsZero() }

// validate names every wrong field with its value.
func (p Policy) validate() error {
	var errs []error
	bad := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("%s %v: want %s", "Policy."+field, value, want))
	}
	if p.MaxAttempts < 0 || p.MaxAttempts > maxMaxAttempts {
		bad("MaxAttempts", p.MaxAttempts, fmt.Sprintf("1 to %d, or 0 for the default", maxMaxAttempts))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"BaseDelay", p.BaseDelay},
		{"MaxDelay", p.MaxDelay},
		{"AttemptTimeout", p.AttemptTimeout},
		{"BodyIdleTimeout", p.BodyIdleTimeout},
		{"MaxRetryAfter", p.MaxRetryAfter},
		{"MaxThrottle", p.MaxThrottle},
	} {
		if d.value < 0 {
			bad(d.name, d.value, "a positive duration, or 0 for the default")
		}
	}
	if base := p.filled().BaseDelay; p.MaxDelay > 0 && p.MaxDelay < base {
		bad("MaxDelay", p.MaxDelay, fmt.Sprintf("at least BaseDelay, which is %v", base))
	}
	if p.MaxReplayBytes < 0 {
		bad("MaxReplayBytes", p.MaxReplayBytes, "a positive number of bytes, or 0 for the default")
	}
	for _, code := range p.Statuses {
		if code < 400 || code > 599 {
			bad("Statuses", code, "codes from 400 to 599")
		}
	}
	return errors.Join(errs...)
}

// policyFields are the fields in JSON, in the order in which they are written
// and their mistakes are reported.
var policyFields = []struct {
	name string
	want string
	at   func(*Policy) any
}{
	{"MaxAttempts", "a whole number", func(p *Policy) any { return &p.MaxAttempts }},
	{"BaseDelay", "", func(p *Policy) any { return (*duration)(&p.BaseDelay) }},
	{"MaxDelay", "", func(p *Policy) any { return (*duration)(&p.MaxDelay) }},
	{"AttemptTimeout", "", func(p *Policy) any { return (*duration)(&p.AttemptTimeout) }},
	{"BodyIdleTimeout", "", func(p *Policy) any { return (*duration)(&p.BodyIdleTimeout) }},
	{"MaxRetryAfter", "", func(p *Policy) any { return (*duration)(&p.MaxRetryAfter) }},
	{"MaxThrottle", "", func(p *Policy) any { return (*duration)(&p.MaxThrottle) }},
	{"MaxReplayBytes", "a whole number of bytes", func(p *Policy) any { return &p.MaxReplayBytes }},
	{"Statuses", "a list of numbers", func(p *Policy) any { return &p.Statuses }},
}

// UnmarshalJSON decodes an object whose members are named like the fields, in any
// case and with or without underscores: maxAttempts and max_attempts both mean
// MaxAttempts. Durations are text that [time.ParseDuration] reads. A field that is not
// given takes the default, whatever p was before. A null changes nothing. The error
// names every unknown member, every field given twice and every wrong value, also one
// that [New] would refuse.
func (p *Policy) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	members, err := membersOf(data)
	if err != nil {
		return fmt.Errorf("transport: Policy: want a JSON object: %w", err)
	}
	var next Policy
	var errs []error
	for _, field := range policyFields {
		given := 0
		members = slices.DeleteFunc(members, func(m member) bool {
			if !strings.EqualFold(strings.ReplaceAll(m.name, "_", ""), field.name) {
				return false
			}
			given++
			if err := json.Unmarshal(m.value, field.at(&next)); err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", "Policy."+field.name, m.value, plain(err, field.want)))
			}
			return true
		})
		if given > 1 {
			errs = append(errs, fmt.Errorf("%s is given twice", "Policy."+field.name))
		}
	}
	for _, m := range members {
		errs = append(errs, fmt.Errorf("no field %q in a Policy", m.name))
	}
	if err := next.validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("transport: %w", errors.Join(errs...))
	}
	*p = next
	return nil
}

// A member is one of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf returns the members of an object in order. A map would hide that a
// name is given twice.
func membersOf(data []byte) ([]member, error) {
	// Decoding it as a whole finds what is wrong with it.
	if err := json.Unmarshal(data, new(map[string]json.RawMessage)); err != nil {
		return nil, err
	}
	var members []member
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil { // the opening brace
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)} // a key is always text
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

// MarshalJSON writes what UnmarshalJSON reads, without the fields
// that are zero.
func (p Policy) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	for _, field := range policyFields {
		value, err := json.Marshal(field.at(&p))
		if err != nil {
			return nil, err
		}
		if s := string(value); s == "0" || s == `"0s"` || s == "null" {
			continue
		}
		if buf.Len() > 1 {
			buf.WriteByte(',')
		}
		fmt.Fprintf(&buf, "%q:%s", field.name, value)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// duration is a time.Duration that is text in JSON.
type duration time.Duration

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if string(data) == "null" { // the default, as for the other fields
		return nil
	}
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New(`want a duration as text, such as "250ms"`)
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return errors.New(`want a duration such as "250ms"`)
	}
	*d = duration(v)
	return nil
}

func (d duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// plain drops the Go types from the error of a mistyped value: the reader of a
// configuration file knows fields, not types.
func plain(err error, want string) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		return fmt.Errorf("want %s", want)
	}
	return err
}
