package headers_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/datapunk/evenkeel/headers"
)

func TestLabel(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"good", "users.test:8080", "users.test:8080"},
		{"not ASCII", "Bücher, 本", "Bücher, 本"},
		{"control characters", "new\nline\x00", "new\nline\x00"},
		{"invalid", "a\xff\xfeb", "a\uFFFDb"},
		{"a surrogate", "a\xed\xa0\x80b", "a\uFFFDb"},
		{"ends within a rune", "a\xe6\x9c", "a\uFFFD"},
		{"at the limit", strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{"over it", strings.Repeat("x", 5000), strings.Repeat("x", 1024)},
		{"a rune across it", strings.Repeat("x", 1023) + "é" + strings.Repeat("x", 5000), strings.Repeat("x", 1023)},
		{"a long rune across it", strings.Repeat("x", 1022) + "𝄞𝄞", strings.Repeat("x", 1022)},
		{"grows by what is mended", strings.Repeat("x\xff", 512), strings.Repeat("x\uFFFD", 256)},
		{"all invalid", strings.Repeat("\xff", 1<<20), "\uFFFD"},
	} {
		got := headers.Label(tt.text)
		if got != tt.want {
			t.Errorf("%s: %.40q of %d bytes, want %.40q of %d", tt.name, got, len(got), tt.want, len(tt.want))
		}
		if again := headers.Label(got); again != got {
			t.Errorf("%s: the label of a label is %.40q", tt.name, again)
		}
	}
	if n := testing.AllocsPerRun(100, func() { headers.Label("users.test") }); n > 0 {
		t.Errorf("%v allocations for what is good, want none", n)
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("users", "\xff", 1000)
	f.Fuzz(func(t *testing.T, a, b string, n int) {
		text := a + strings.Repeat(b, min(max(n, 0), 3000))
		got := headers.Label(text)
		if !utf8.ValidString(got) || len(got) > 1024 {
			t.Errorf("%q: %q of %d bytes", text, got, len(got))
		}
		if len(text) <= 1024 && utf8.ValidString(text) && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestMethodLabel(t *testing.T) {
	for method, want := range map[string]string{
		"": "", "GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "PATCH": "PATCH", "DELETE": "DELETE",
		"CONNECT": "CONNECT", "OPTIONS": "OPTIONS", "TRACE": "TRACE",
		"get": "GET", "Patch": "PATCH",
		"PROPFIND": "_OTHER", "GETS": "_OTHER", "X1Y": "_OTHER", "\xff": "_OTHER", "_OTHER": "_OTHER",
		strings.Repeat("GET", 100_000): "_OTHER",
	} {
		if got := headers.MethodLabel(method); got != want {
			t.Errorf("%.20q: %q, want %q", method, got, want)
		}
	}
}
