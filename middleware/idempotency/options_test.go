package idempotency_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// Every bad option is an error that names it, all in one.
func TestOptionErrors(t *testing.T) {
	memory := idempotency.NewMemory(0)
	for _, tt := range []struct {
		name string
		opts []idempotency.Option
		want []string // in the error, one for each line; none for no error
	}{
		{"none", nil, nil},
		{"nil", []idempotency.Option{nil}, nil},
		{"the longest wait", []idempotency.Option{idempotency.Wait(30 * time.Second)}, nil},
		{"the shortest lease", []idempotency.Option{idempotency.Lease(time.Second)}, nil},
		{"nil funcs", []idempotency.Option{
			idempotency.Required(nil), idempotency.Resume(nil), idempotency.InTransaction(nil), idempotency.ReleaseOn(nil), idempotency.Fingerprint(nil),
		}, nil},
		{"Lease", []idempotency.Option{idempotency.Lease(time.Second - 1)}, []string{"idempotency: Lease(999.999999ms): want at least 1s"}},
		{"Keep", []idempotency.Option{idempotency.Keep(30 * time.Second)}, []string{"idempotency: Keep(30s): want more than Lease(30s)"}},
		{"Wait too long", []idempotency.Option{idempotency.Wait(31 * time.Second)}, []string{"idempotency: Wait(31s): want 0 to Lease(30s)"}},
		{"negative Wait", []idempotency.Option{idempotency.Wait(-1)}, []string{"idempotency: Wait(-1ns): want 0 to Lease(30s)"}},
		{"MaxBody", []idempotency.Option{idempotency.MaxBody(0, 1)}, []string{"idempotency: MaxBody(0, 1): want two positive numbers of bytes"}},
		{"MaxBody of the answer", []idempotency.Option{idempotency.MaxBody(1, -1)}, []string{"idempotency: MaxBody(1, -1): want two positive numbers of bytes"}},
		{"InTransaction", []idempotency.Option{idempotency.InTransaction(everything)}, []string{"idempotency: InTransaction: want a store that is a Transactor, which *idempotency.Memory is not"}},
		{"KeepHeaders", []idempotency.Option{idempotency.KeepHeaders("X-Fine", "set-cookie", "b ad", ""), idempotency.KeepHeaders("Content-Length", "Request-Queued-Ms")}, []string{
			`idempotency: KeepHeaders("set-cookie"): want a header that any sender of the request may see`,
			`idempotency: KeepHeaders("b ad"): want the name of a header`,
			`idempotency: KeepHeaders(""): want the name of a header`,
			`idempotency: KeepHeaders("Content-Length"): want a header that any sender of the request may see`,
			`idempotency: KeepHeaders("Request-Queued-Ms"): want a header that any sender of the request may see`,
		}},
		{"DocsURL", []idempotency.Option{idempotency.DocsURL("/keys")}, []string{`idempotency: DocsURL("/keys"): want an absolute URL`}},
		{"DocsURL that breaks a header", []idempotency.Option{idempotency.DocsURL("https://a/>,<b")}, []string{`idempotency: DocsURL("https://a/>,<b"): want an absolute URL`}},
		{"all", []idempotency.Option{
			idempotency.Lease(0), idempotency.Keep(0), idempotency.Wait(1), idempotency.MaxBody(0, 0), idempotency.InTransaction(everything),
			idempotency.KeepHeaders("Set-Cookie"), idempotency.DocsURL("x"),
		}, []string{"Lease(0s)", "Keep(0s)", "Wait(1ns)", "MaxBody(0, 0)", "InTransaction", "KeepHeaders", "DocsURL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := idempotency.New(memory, caller, tt.opts...)
			var lines []string
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("got %q, want %q", lines, tt.want)
			}
			for i, line := range lines {
				if !strings.Contains(line, tt.want[i]) {
					t.Errorf("got %q, want %q", line, tt.want[i])
				}
			}
		})
	}
	if _, err := idempotency.New(nil, nil); err == nil || err.Error() != "idempotency: New: want a store, not nil\nidempotency: New: want a scope, not nil" {
		t.Errorf("without store and scope: %v", err)
	}
}

func TestNilHandler(t *testing.T) {
	wrap, err := idempotency.New(idempotency.NewMemory(0), caller)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("want a panic, as of http.Handle")
		}
	}()
	wrap(nil)
}

func TestByAuthorization(t *testing.T) {
	of := func(values ...string) (string, bool) {
		return idempotency.ByAuthorization(&http.Request{Header: http.Header{"Authorization": values}})
	}
	ann, ok := of("Bearer ann")
	again, _ := of("Bearer ann")
	bob, _ := of("Bearer bob")
	if !ok || ann != again || ann == bob || strings.Contains(ann, "ann") {
		t.Errorf("ann is %q, %t, then %q; bob is %q", ann, ok, again, bob)
	}
	for _, values := range [][]string{nil, {""}, {"Bearer ann", "Bearer bob"}} {
		if got, ok := of(values...); ok {
			t.Errorf("%q is the caller %q, want none", values, got)
		}
	}
}
