package sqlstore

import (
	"fmt"
	"testing"
)

// A key is known for as long as few others come, and memory is bounded.
func TestRecent(t *testing.T) {
	var r recent
	if r.add("k") {
		t.Error("a new key is known")
	}
	for i := range mostRecent {
		r.add(fmt.Sprint(i))
	}
	if !r.add("k") {
		t.Errorf("a key is not known after %d others", mostRecent)
	}
	for i := range 10 * mostRecent {
		r.add(fmt.Sprint("x", i))
		if n := len(r.young) + len(r.older); n > 2*mostRecent {
			t.Fatalf("%d keys, want %d at most", n, 2*mostRecent)
		}
	}
	if r.add("k") {
		t.Error("a key is known after ten times as many others as are kept")
	}
}
