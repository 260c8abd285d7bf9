package redisbreaker

import (
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for name, want := range map[string]string{
		"api.test:8080":   "api.test:8080",
		"a b":             "a%20b",
		"{x}":             "%7Bx%7D",
		"100%":            "100%25",
		"é":               "%C3%A9",
		"~overflow":       "%7Eoverflow",
		"new\nline\x00\\": "new%0Aline%00%5C",
	} {
		if got := escape(name); got != want {
			t.Errorf("escape(%q) = %q, want %q", name, got, want)
		}
	}
	key, shard := keyOf("p", 4, "api")
	if want := "p:v1:{p:" + string(rune('0'+shard)) + "}:api"; key != want {
		t.Errorf("key %q, want %q", key, want)
	}
}

// Two names never have one key, and no name breaks out of the braces that
// decide its slot.
func FuzzEscape(f *testing.F) {
	f.Add("a", "b")
	f.Add("%41", "A")
	f.Add("a}{b", "a\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := escape(a), escape(b)
		if a != b && x == y {
			t.Errorf("%q and %q are both %q", a, b, x)
		}
		if strings.ContainsAny(x, "{} \r\n") {
			t.Errorf("%q became %q", a, x)
		}
		if len(x) > 3*len(a) {
			t.Errorf("%d bytes became %d", len(a), len(x))
		}
	})
}
