package idempotency_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

func same(a, b idempotency.Answer) bool {
	return a.Status == b.Status && a.Tombstone == b.Tombstone && bytes.Equal(a.Body, b.Body) &&
		maps.EqualFunc(a.Header, b.Header, slices.Equal)
}

// An answer comes back from a store as it was, whatever bytes it has.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "Set-Thing", "a, b", "c", []byte("body"), false)
	f.Add(999, "", "", "\xff\x00", []byte{0}, true)
	f.Fuzz(func(t *testing.T, status int, name, one, two string, body []byte, tombstone bool) {
		if status < 200 || status > 999 {
			return
		}
		want := idempotency.Answer{Status: status, Header: http.Header{name: {one, two}, "B": {""}}, Body: body, Tombstone: tombstone}
		data, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if name == "B" {
			return
		}
		var got idempotency.Answer
		if err := got.UnmarshalBinary(data); err != nil || !same(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// Anything else in a store is an error, and never an answer. What is read is written
// again as it was.
func FuzzForeignAnswer(f *testing.F) {
	good, _ := idempotency.Answer{Status: 201, Header: http.Header{"A": {"b"}}, Body: []byte("c")}.MarshalBinary()
	f.Add(good)
	f.Add([]byte(`{"status":200}`))
	f.Add([]byte{1, 0, 0xc8, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var got idempotency.Answer
		if got.UnmarshalBinary(data) != nil {
			return
		}
		if got.Status < 200 || got.Status > 999 {
			t.Errorf("status %d", got.Status)
		}
		again, _ := got.MarshalBinary()
		var twice idempotency.Answer
		if err := twice.UnmarshalBinary(again); err != nil || !same(got, twice) {
			t.Errorf("got %+v, then %+v, %v", got, twice, err)
		}
	})
}

func TestForeignAnswer(t *testing.T) {
	good, err := idempotency.Answer{Status: 201, Header: http.Header{"Name": {"value"}}}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"JSON", []byte(`{"status":200,"body":"x"}`)},
		{"another version", append([]byte{2}, good[1:]...)},
		{"a flag of another version", append([]byte{1, 2}, good[2:]...)},
		{"cut", good[:len(good)-1]},
		{"status 100", []byte{1, 0, 100, 0}},
		{"status 1000", []byte{1, 0, 0xe8, 0x07, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := idempotency.Answer{Status: 1}
			if err := a.UnmarshalBinary(tt.data); err == nil || a.Status != 1 {
				t.Errorf("got %+v, %v; want an error, and the answer as before", a, err)
			}
		})
	}
	var a idempotency.Answer
	if err := a.UnmarshalBinary(good); err != nil || a.Status != 201 {
		t.Errorf("got %+v, %v; want the answer", a, err)
	}
}

// No two pairs of a caller and a key have one record.
func FuzzRecordKey(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "ab", "ab", "")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Fuzz(func(t *testing.T, caller1, key1, caller2, key2 string) {
		one, two := idempotency.RecordKey(caller1, key1), idempotency.RecordKey(caller2, key2)
		if same := caller1 == caller2 && key1 == key2; (one == two) != same {
			t.Errorf("(%q, %q) and (%q, %q) have the records %s and %s", caller1, key1, caller2, key2, one, two)
		}
		if len(one) != 43 {
			t.Errorf("record key of %d characters, want 43", len(one))
		}
	})
}
