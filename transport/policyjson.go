package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

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
	{"MaxRetryAfter", "", func(p *Policy) any { return (*duration)(&p.MaxRetryAfter) }},
	{"MaxReplayBytes", "a whole number of bytes", func(p *Policy) any { return &p.MaxReplayBytes }},
	{"Statuses", "a list of numbers", func(p *Policy) any { return &p.Statuses }},
}

// UnmarshalJSON decodes an object whose members are named like the fields, in
// any case and with or without underscores: maxAttempts and max_attempts both
// mean MaxAttempts. Durations are text as [time.ParseDuration] reads it. The
// error names every unknown member, every field given twice and every wrong
// value, and is also given for values that [New] would refuse. What is not given takes the default,
// whatever p was before; a null changes nothing.
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

// MarshalJSON writes the form that UnmarshalJSON reads, without the fields
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
