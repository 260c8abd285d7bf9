package headers_test

import (
	"fmt"
	"testing"

	"github.com/datapunk/evenkeel/headers"
)

// Keys that are made or derived can be sent as they are.
func TestMadeKeysAreKeys(t *testing.T) {
	one, two := headers.NewIdempotencyKey(), headers.NewIdempotencyKey()
	if one == two {
		t.Errorf("two new keys are %q", one)
	}
	for _, key := range []string{one, headers.DeriveIdempotencyKey(one, "charge"), headers.DeriveIdempotencyKey("", "\x00\xff")} {
		if got, ok := headers.ParseIdempotencyKey(headers.FormatIdempotencyKey(key)); !ok || got != key {
			t.Errorf("%q is sent and read as %q, %t", key, got, ok)
		}
		if got, ok := headers.ParseIdempotencyKey(key); !ok || got != key {
			t.Errorf("%q is sent without quotes and read as %q, %t", key, got, ok)
		}
	}
	// Keys are stored for days: another version must derive the same.
	if got, want := headers.DeriveIdempotencyKey("order 17", "charge"), "F5ytL3RxkVVYsS7qF6P9V1rKHHdCrZscF8tUPMb5Zpw"; got != want {
		t.Errorf("the derived key is %q, want %q as in all versions", got, want)
	}
}

// No two pairs of parent and name give one key, and none gives its parent.
func FuzzDeriveIdempotencyKey(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "ab", "ab", "")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Fuzz(func(t *testing.T, parent1, name1, parent2, name2 string) {
		one, two := headers.DeriveIdempotencyKey(parent1, name1), headers.DeriveIdempotencyKey(parent2, name2)
		if same := parent1 == parent2 && name1 == name2; (one == two) != same {
			t.Errorf("(%q, %q) and (%q, %q) give %s and %s", parent1, name1, parent2, name2, one, two)
		}
		if one == parent1 || one == name1 {
			t.Errorf("(%q, %q) gives %s", parent1, name1, one)
		}
	})
}

// The requests of one intent have keys of their own, and the same ones when the intent
// is taken up again, by another process or on another day.
func ExampleDeriveIdempotencyKey() {
	const order = "2PZ0F7Q5" // by headers.NewIdempotencyKey, stored with the order
	charge, again := headers.DeriveIdempotencyKey(order, "charge"), headers.DeriveIdempotencyKey(order, "charge")
	mail := headers.DeriveIdempotencyKey(order, "mail")
	fmt.Println(charge == again, charge == mail)
	// Output: true false
}
