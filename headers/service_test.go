package headers_test

import (
	"testing"

	"github.com/datapunk/evenkeel/headers"
)

// However a host is spelt, it is one service, and its name names itself.
func TestHostService(t *testing.T) {
	for host, want := range map[string]string{
		"":                     "",
		"api.test":             "api.test",
		"API.Test":             "api.test",
		"api.test:80":          "api.test",
		"API.test:443":         "api.test",
		"api.test:8080":        "api.test:8080",
		"api.test:1443":        "api.test:1443",
		"api.test:":            "api.test:",
		":80":                  ":80",
		"127.0.0.1:443":        "127.0.0.1",
		"[2001:DB8::80]":       "[2001:db8::80]",
		"[2001:DB8::80]:80":    "[2001:db8::80]",
		"[2001:db8::80]:44300": "[2001:db8::80]:44300",
		"2001:db8::80":         "2001:db8::80", // without brackets, where the port begins is a guess
		"api:80:443":           "api:80:443",
		"ÄPI.test":             "äpi.test",
	} {
		if got := headers.HostService(host); got != want {
			t.Errorf("HostService(%q) = %q, want %q", host, got, want)
		}
		if got := headers.HostService(want); got != want {
			t.Errorf("HostService(%q) = %q, want it unchanged", want, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { headers.HostService("api.test:443") }); n > 0 {
		t.Errorf("%v allocations for a name in lower case, want none", n)
	}
}
