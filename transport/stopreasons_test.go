package transport_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

func TestStopReasonsHasThemAll(t *testing.T) {
	var want []transport.StopReason
	for _, word := range regexp.MustCompile(`(?m)^\tStop\w+ +StopReason = "(\w+)"`).FindAllStringSubmatch(textOf(t, "errors.go"), -1) {
		want = append(want, transport.StopReason(word[1]))
	}
	if got := transport.StopReasons(); len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("got %q, want the constants in their order, %q", got, want)
	}
	transport.StopReasons()[0] = ""
	if transport.StopReasons()[0] != transport.StopSucceeded {
		t.Error("a caller has changed the list for all")
	}
}
