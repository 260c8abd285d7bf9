package headers

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var dates = []string{
	"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun Nov 16 08:49:37 1994",
	"Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 31 Apr 1994 08:49:37 GMT", "Thu, 29 Feb 2024 00:00:00 GMT",
	"Thu, 29 Feb 2023 00:00:00 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 23:60:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
	"Sun, 06 Nov 1994 08:49:37 PST", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37", "Sun,06 Nov 1994 08:49:37 GMT",
	"Sun, 06 Nov 94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "06 Nov 1994 08:49:37 GMT", "", "Sun", "Sun, ", "Sun, 06 Nov 1994 08:49:37 GMT ",
	"Wed, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 0000 00:00:00 GMT", "Sun, 01 Nov 0000 0:00:00 GMT",
}

// agrees compares date with net/http, where that reads only what RFC 9110 has.
func agrees(t *testing.T, text string) {
	t.Helper()
	got, ok := date(text, today)
	want, err := http.ParseTime(text)
	day, _, comma := strings.Cut(text, ", ")
	switch {
	case !ok && err == nil && canonical(text, want):
		t.Errorf("date(%q) is no date, net/http: %v", text, want)
	case ok && err == nil && comma && strings.Count(text, "-") == 2: // two digits of a year
		if got.Year()%100 != want.Year()%100 || got.YearDay() != want.YearDay() && got.Year()%4 == want.Year()%4 || got.Year() > 2076 || got.Year() <= 1976 {
			t.Errorf("date(%q) = %v, net/http: %v", text, got, want)
		}
	case ok && err == nil && !got.Equal(want):
		t.Errorf("date(%q) = %v, net/http: %v", text, got, want)
	case ok && err != nil && weekday(day) && strings.HasSuffix(text, "GMT") && !strings.Contains(text, ":60 "):
		t.Errorf("date(%q) = %v, net/http: %v", text, got, err)
	}
}

// canonical reports whether text is how at is written, as net/http reads more.
func canonical(text string, at time.Time) bool {
	for _, layout := range []string{http.TimeFormat, time.RFC850, time.ANSIC} {
		if strings.EqualFold(text, strings.Replace(at.UTC().Format(layout), "UTC", "GMT", 1)) {
			return true
		}
	}
	return false
}

func weekday(s string) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if s == d.String() || s == d.String()[:3] {
			return true
		}
	}
	return false
}

func TestDateAgreesWithNetHTTP(t *testing.T) {
	for _, text := range dates {
		agrees(t, text)
	}
}

func FuzzDate(f *testing.F) {
	for _, text := range dates {
		f.Add(text)
	}
	f.Fuzz(agrees)
}

// A date of two digits lies at most 50 years ahead, whatever the century.
func TestYearOfTwoDigits(t *testing.T) {
	for _, tt := range []struct{ digits, now, want int }{
		{26, 2026, 2026}, {76, 2026, 2076}, {77, 2026, 1977}, {99, 2026, 1999}, {0, 2026, 2000}, {69, 2026, 2069},
		{49, 1999, 2049}, {50, 1999, 1950}, {0, 1999, 2000}, {99, 1999, 1999}, {10, 2060, 2110}, {11, 2060, 2011},
	} {
		if got := nearest(tt.digits, tt.now); got != tt.want {
			t.Errorf("nearest(%02d, %d) = %d, want %d", tt.digits, tt.now, got, tt.want)
		}
	}
	for _, text := range []string{
		"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Apr 1994 08:49:37 GMT", "Sun, 06 Now 1994 08:49:37 GMT", "Su, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMTX",
		"Wednesdays, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08.49:37 GMT", "Sun, 06 Nov 1994 08:49.37 GMT",
	} {
		if got, ok := date(text, today); ok {
			t.Errorf("date(%q) = %v, want none", text, got)
		}
	}
	for text, want := range map[string]time.Time{
		"Wed, 30 Nov 1994 23:59:59 GMT":     time.Date(1994, 11, 30, 23, 59, 59, 0, time.UTC),
		"Sat, 31 Dec 1994 00:00:00 GMT":     time.Date(1994, 12, 31, 0, 0, 0, 0, time.UTC),
		"Sat, 01 Jan 1994 0:01:01 GMT":      time.Date(1994, 1, 1, 0, 1, 1, 0, time.UTC),
		"Wednesday, 01-Jun-94 08:49:37 GMT": time.Date(1994, 6, 1, 8, 49, 37, 0, time.UTC),
		"Fri, 31 Dec 1999 23:59:60 GMT":     time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		"Sun, 06 Nov 1994 08:49:37 UTC":     time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC),
	} {
		if got, ok := date(text, today); !ok || !got.Equal(want) {
			t.Errorf("date(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
}
