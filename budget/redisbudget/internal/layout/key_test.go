package layout

import (
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
	"github.com/datapunk/evenkeel/headers/service"
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
	if got := escape(service.Others); got != othersKey {
		t.Errorf("escape(%q) = %q, want %q", service.Others, got, othersKey)
	}
	for name, want := range map[string]string{
		"api":                      "p:v1:{p:0}:api",
		"tenant~api":               "p:v1:{p:0}:tenant~api",
		"tenant~a~b":               "p:v1:{p:0}:tenant~a%7Eb",
		"~tenant~api":              "p:v1:{p:0}:tenant%7Eapi", // a service of that name
		service.Others:             "p:v1:{p:0}:~overflow",
		"tenant~" + service.Others: "p:v1:{p:0}:tenant~~overflow",
		"tenant~overflow":          "p:v1:{p:0}:tenant~overflow",
	} {
		if key, shard := Key("p", 1, name); key != want || shard != 0 {
			t.Errorf("Key(%q) = %q in shard %d, want %q in 0", name, key, shard, want)
		}
	}
	key, shard := Key("p", 4, "api")
	if want := "p:v1:{p:" + string(rune('0'+shard)) + "}:api"; key != want {
		t.Errorf("key %q, want %q", key, want)
	}
}

// Two names never have one key, and no name breaks out of the braces that
// decide its slot.
func FuzzEscape(f *testing.F) {
	f.Add("a", "b")
	f.Add("%41", "A")
	f.Add("~overflow", service.Others)
	f.Add("a}{b", "a\x00")
	f.Add("a~b", "~a~b")
	f.Add("a~~b", "a~b")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := escape(a), escape(b)
		if a != b && x == y {
			t.Errorf("%q and %q are both %q", a, b, x)
		}
		if strings.ContainsAny(x, "{} \r\n") || x == othersKey && a != service.Others {
			t.Errorf("%q became %q", a, x)
		}
		if len(x) > 3*len(a) {
			t.Errorf("%d bytes became %d", len(a), len(x))
		}
		k, shard := Key("p:"+escape(b), 7, a)
		if prefix, s, name, ok := ParseKey(k); !ok && a != "" && a[len(a)-1] != '~' || ok && (prefix != "p:"+escape(b) || s != shard || name != a && !strings.HasPrefix(a, "~")) {
			t.Errorf("ParseKey(%q) is %q, %d, %q, %v", k, prefix, s, name, ok)
		}
		k, _ = Key("p", 1, a)
		l, _ := Key("p", 1, b)
		ka, sa := fleet.CutKind(a)
		kb, sb := fleet.CutKind(b)
		if same := ka == kb && sa == sb; same != (k == l) {
			t.Errorf("the keys of %q and %q are %q and %q", a, b, k, l)
		}
	})
}
