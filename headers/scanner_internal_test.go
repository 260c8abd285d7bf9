package headers

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
)

// oracle compares the scanner's reading of a list and of a dictionary with
// httpsfv's.
func oracle(t *testing.T, value string) {
	t.Helper()
	list, err := httpsfv.UnmarshalList([]string{value})
	if err != nil && strings.Contains(err.Error(), "base64") {
		return // it wants the padding that RFC 9651 lets a parser do without
	}
	members, ok := readList(t, value, list)
	if want := err == nil; ok != want || ok && members != len(list) {
		t.Fatalf("list %q: %d members, %v; httpsfv: %d, %v", value, members, ok, len(list), err)
	}
	dict, err := httpsfv.UnmarshalDictionary([]string{value})
	if err != nil && strings.Contains(err.Error(), "base64") {
		return
	}
	got, ok := readDictionary(value)
	switch {
	case !ok && err != nil:
		return
	case ok != (err == nil) || len(got) != len(dict.Names()):
		t.Fatalf("dictionary %q: %v, %v; httpsfv: %v", value, got, ok, err)
	}
	for key, v := range got {
		want, _ := dict.Get(key)
		if item, single := want.(httpsfv.Item); single {
			same(t, value, v, item.Value)
		} else if v.kind != kindNone {
			t.Fatalf("dictionary %q: %s is %+v, httpsfv: %v", value, key, v, want)
		}
	}
}

// readList compares each member with want as it comes.
func readList(t *testing.T, value string, want httpsfv.List) (n int, ok bool) {
	t.Helper()
	s := scanner{text: value}
	for ; ; n++ {
		more, ok := s.member(n == 0)
		if !ok || !more {
			return n, ok
		}
		if s.peek() == '(' {
			if !s.inner() {
				return n, false
			}
			continue
		}
		item, ok := s.item()
		params := map[string]bareItem{}
		for again := ok; ok && again; {
			var key string
			var v bareItem
			key, v, again, ok = s.param()
			if ok && again {
				params[key] = v // the last of two wins
			}
		}
		if !ok {
			return n, false
		}
		if n >= len(want) {
			continue // the mistake is to come
		}
		w := want[n].(httpsfv.Item)
		same(t, value, item, w.Value)
		if len(params) != len(w.Params.Names()) {
			t.Fatalf("%q: member %d has parameters %v, httpsfv: %v", value, n, params, w.Params.Names())
		}
		for key, v := range params {
			p, _ := w.Params.Get(key)
			same(t, value, v, p)
		}
	}
}

func readDictionary(value string) (map[string]bareItem, bool) {
	s, got := scanner{text: value}, map[string]bareItem{}
	for first := true; ; first = false {
		more, ok := s.member(first)
		if !ok || !more {
			return got, ok
		}
		key, v, ok := s.pair()
		if !ok || !s.params() {
			return got, false
		}
		got[key] = v
	}
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
	case time.Time:
		equal = got.kind == kindDate && got.number == want.Unix()
	case httpsfv.DisplayString:
		text, err := url.PathUnescape(got.text)
		equal = got.kind == kindDisplayString && err == nil && text == string(want)
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
	`@1659578233`, `@-1`, `@`, `@1.5`, `a;b=@0`, `%"f%c3%bc"`, `%"f%c3"`, `%"f%C3%BC"`, `%"%00"`, `%"%e2%82%ac %f0%9f%8e%89"`, `%"%ed%a0%80"`, `%"%ff"`,
	`%"a`, `%a`, `%"%"`, `%"%4"`, `a;b=%"x"`, `("a" b;c=1 2.5);d, e`, `()`, `( )`, `(a`, `(a b`, `(a,b)`, `(a(b))`, `a=(1 2);x, b`, `a=1, a=2`, `a, b=?0;c`, `a=`, `A=1`,
	`limit=10, remaining=0, reset=60`, `:=:`, `:a=b:`, `a;*k.-_9=?0`, `"burst";r=50;t=30, "daily";r=999;t=40000`, `1;a=1.5;b=:aGk=:`, `é`, "1\n", `a;`, `a; `, ` a`, `a `, "\ta",
}

func TestScannerAgreesWithTheOracle(t *testing.T) {
	for _, value := range lists {
		oracle(t, value)
	}
}

// The seeds are what the parsers were once found to disagree about, and their kin.
func FuzzScanner(f *testing.F) {
	for _, value := range lists {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) { oracle(t, value) })
}
