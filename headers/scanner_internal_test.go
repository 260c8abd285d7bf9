package headers

import (
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
)

// oracle compares the scanner's reading of a list with httpsfv's. It returns
// false for what the scanner does not know by design.
func oracle(t *testing.T, value string) bool {
	t.Helper()
	list, err := httpsfv.UnmarshalList([]string{value})
	if err != nil && strings.Contains(err.Error(), "base64") {
		return false // it wants the padding that RFC 9651 lets a parser do without
	}
	for _, m := range list {
		item, ok := m.(httpsfv.Item)
		if !ok || unknown(item.Value) {
			return false
		}
		for _, key := range item.Params.Names() {
			if v, _ := item.Params.Get(key); unknown(v) {
				return false
			}
		}
	}
	s := scanner{text: value}
	for i := 0; ; i++ {
		more, ok := s.member(i == 0)
		var item bareItem
		if ok && more {
			item, ok = s.item()
		}
		params := map[string]bareItem{}
		for again := ok && more; ok && again; {
			var key string
			var v bareItem
			key, v, again, ok = s.param()
			if ok && again {
				params[key] = v // the last of two wins
			}
		}
		switch {
		case !ok && err != nil:
			return true
		case !ok:
			t.Fatalf("%q: malformed to the scanner, not to httpsfv", value)
		case !more && err == nil && i == len(list):
			return true
		case !more:
			t.Fatalf("%q: %d members, httpsfv: %d, %v", value, i, len(list), err)
		case err != nil:
			continue // the mistake is to come, or Fatalf above
		}
		want := list[i].(httpsfv.Item)
		same(t, value, item, want.Value)
		if len(params) != len(want.Params.Names()) {
			t.Fatalf("%q: member %d has parameters %v, httpsfv: %v", value, i, params, want.Params.Names())
		}
		for key, v := range params {
			w, _ := want.Params.Get(key)
			same(t, value, v, w)
		}
	}
}

func unknown(v any) bool {
	switch v.(type) {
	case int64, float64, string, httpsfv.Token, []byte, bool:
		return false
	}
	return true
}

func same(t *testing.T, value string, got bareItem, want any) {
	t.Helper()
	equal := false
	switch want := want.(type) {
	case int64:
		equal = got.kind == kindInteger && got.number == want
	case float64:
		equal = got.kind == kindDecimal && float64(got.number)/1000 == want
	case string:
		equal = got.kind == kindString && got.unescaped() == want
	case httpsfv.Token:
		equal = got.kind == kindToken && got.text == string(want)
	case []byte:
		b, ok := got.decoded()
		equal = got.kind == kindBytes && ok && string(b) == string(want)
	case bool:
		equal = got.kind == kindBoolean && (got.number == 1) == want
	}
	if !equal {
		t.Fatalf("%q: got %+v, httpsfv: %#v", value, got, want)
	}
}

var lists = []string{
	``, ` `, `1`, `-1`, `--1`, `0`, `-0`, `1.5`, `1.`, `.5`, `1.1234`, `123456789012.123`, `1234567890123.1`,
	`999999999999999`, `9999999999999999`, `"a"`, `"a\"b\\c"`, `"a\b"`, `"a`, "\"\x7f\"", `tok`, `*a/b:c!#`, `?0`, `?1`, `?2`, `?`,
	`:aGk=:`, `:aGk:`, `::`, `:a b:`, `1, 2`, `1,2`, "1\t,\t2", `1,`, `1,,2`, `1 2`, `,1`, `a;b;c=1; d="x"`, `a ;b`, `a;B`, `a;b=`, `a;b=1;b=2`,
	`a;*k.-_9=?0`, `"burst";r=50;t=30, "daily";r=999;t=40000`, `1;a=1.5;b=:aGk=:`, `é`, "1\n", `a;`, `a; `, ` a`, `a `, "\ta",
}

func TestScannerAgreesWithTheOracle(t *testing.T) {
	for _, value := range lists {
		oracle(t, value)
	}
}

func FuzzScanner(f *testing.F) {
	for _, value := range lists {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) { oracle(t, value) })
}
