package service_test

import (
	"context"
	"testing"

	"github.com/datapunk/evenkeel/headers/service"
)

// However a host is spelt, it is one service, and its name names itself.
func TestOfHost(t *testing.T) {
	for host, want := range map[string]string{
		"":                     "",
		"api.test":             "api.test",
		"API.Test":             "api.test",
		"api.test:80":          "api.test",
		"API.test:443":         "api.test",
		"a:80":                 "a",
		"b:443":                "b",
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
		if got := service.OfHost(host); got != want {
			t.Errorf("OfHost(%q) = %q, want %q", host, got, want)
		}
		if got := service.OfHost(want); got != want {
			t.Errorf("OfHost(%q) = %q, want it unchanged", want, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { service.OfHost("api.test:443") }); n > 0 {
		t.Errorf("%v allocations for a name in lower case, want none", n)
	}
}

func TestNameOfContext(t *testing.T) {
	if got := service.Of(context.Background()); got != "" {
		t.Errorf("Of an empty context = %q, want none", got)
	}
	if got := service.Of(context.WithValue(context.Background(), service.Key{}, (*string)(nil))); got != "" {
		t.Errorf("Of a context with a nil name = %q, want none", got)
	}
	if got := service.Of(service.With(context.Background(), "users")); got != "users" {
		t.Errorf("Of a context with a service = %q, want users", got)
	}
}
