package main

import "testing"

func TestChain(t *testing.T) {
	got, err := measure(onItsOwn)
	if err != nil {
		t.Fatal(err)
	}
	if got != 27*calls {
		t.Errorf("%d requests without evenkeel, want %d", got, 27*calls)
	}
	got, err = measure(together)
	if err != nil {
		t.Fatal(err)
	}
	if got < calls || got > calls*3/2 {
		t.Errorf("%d requests with evenkeel, want between %d and %d", got, calls, calls*3/2)
	}
}
