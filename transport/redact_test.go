package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// No line contains the URL of a request or a part of it, whichever layer made the
// error. The rest of the error's text stays.
func TestLogOfErrorsThatNameAURL(t *testing.T) {
	const target = "https://joe:hun%23ter2@api.test/services/T0000000000000000/hook?token=s3cret%2Bkey&key=q%22uote&page=a b#part-of-joe"
	secret := []string{"joe", "hun#ter2", "hun%23ter2", "s3cret", "T0000000000000000", "token=", "part-of", "uote"}
	for name, makes := range map[string]func(req *http.Request) error{
		"a URL error": func(r *http.Request) error { return &url.Error{Op: "Get", URL: r.URL.String(), Err: errBusy} },
		"redacted":    func(r *http.Request) error { return &url.Error{Op: "Get", URL: r.URL.Redacted(), Err: errBusy} },
		"wrapped": func(r *http.Request) error {
			return fmt.Errorf("gateway: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: errBusy})
		},
		"wrapped in text": func(r *http.Request) error { return fmt.Errorf("gateway: Get %q: busy", r.URL) },
		"bare":            func(r *http.Request) error { return fmt.Errorf("gateway: GET %s: busy", r.URL) },
		"joined": func(r *http.Request) error {
			return errors.Join(errBusy, &url.Error{Op: "Get", URL: r.URL.String(), Err: io.EOF}, &url.Error{Op: "Get", URL: "x:joe", Err: io.EOF})
		},
		"the request URI":          func(r *http.Request) error { return fmt.Errorf("busy at %s", r.URL.RequestURI()) },
		"the query":                func(r *http.Request) error { return fmt.Errorf("busy: bad query %s", r.URL.RawQuery) },
		"a value of the query":     func(r *http.Request) error { return fmt.Errorf("busy: bad token %q", r.URL.Query().Get("token")) },
		"a value that is quoted":   func(r *http.Request) error { return fmt.Errorf("busy: bad key %q", r.URL.Query().Get("key")) },
		"the value as it was sent": func(*http.Request) error { return errors.New("busy: bad token s3cret%2Bkey") },
		"the userinfo":             func(r *http.Request) error { return fmt.Errorf("busy: %s may not", r.URL.User) },
		"the password": func(r *http.Request) error {
			p, _ := r.URL.User.Password()
			return fmt.Errorf("busy: password %s is wrong", p)
		},
		"a token in the path": func(*http.Request) error { return errors.New("busy: no hook T0000000000000000") },
		"the fragment":        func(r *http.Request) error { return fmt.Errorf("busy: %s", r.URL.Fragment) },
		"another URL": func(*http.Request) error {
			return errors.New(`proxy "http://joe:s3cret@proxy.test:3128/?k=hun#ter2": busy`)
		},
		"another URL, in parentheses": func(*http.Request) error { return errors.New("busy (see https://idp.test/login?token=s3cret), later") },
		"another without a scheme":    func(*http.Request) error { return errors.New("busy: joe:s3cret@proxy.test:3128") },
		"a path of another":           func(*http.Request) error { return errors.New("busy: /oauth?token=s3cret") },
		"a very long one": func(*http.Request) error {
			return errors.New("busy: http://b.test/?" + strings.Repeat("a", 1<<20) + "token=s3cret")
		},
		"many": func(r *http.Request) error {
			return fmt.Errorf("busy: %s", strings.Repeat(r.URL.String()+" ", 10000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for layers, opt := range map[string]transport.Option{
				"no call layer": unlimited(),
				"a call layer":  transport.WithCallLayer(func(next http.RoundTripper) http.RoundTripper { return next }),
			} {
				var log bytes.Buffer
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) { return nil, makes(req) })
				rt := build(t, base, opt, transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}), transport.WithObserver(
					transport.Log(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))))
				req, err := http.NewRequestWithContext(t.Context(), "GET", target, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := rt.RoundTrip(req); err == nil {
					t.Fatal("no error")
				}
				lines := 0
				for d := json.NewDecoder(&log); d.More(); lines++ {
					var line struct{ Error string }
					if err := d.Decode(&line); err != nil {
						t.Fatal(err)
					}
					for _, s := range secret {
						if strings.Contains(line.Error, s) {
							t.Errorf("%s: the log gives away %q: %s", layers, s, line.Error)
						}
					}
					if !strings.Contains(line.Error, "busy") {
						t.Errorf("%s: the log says %q, want it to be busy", layers, line.Error)
					}
				}
				if lines != 4 {
					t.Errorf("%s: %d lines, want 3 attempts and a call", layers, lines)
				}
			}
		})
	}
}

// What is no URL stays.
func TestLogOfErrorsThatNameNone(t *testing.T) {
	for _, text := range []string{
		"dial tcp 10.0.0.1:443: connect: connection refused",
		"lookup api.test on [::1]:53: no such host",
		"read tcp 127.0.0.1:5->127.0.0.1:6: i/o timeout",
		"what now? nothing = nothing, n/a",
		"user@host is unknown",
		"über ÿ\xff",
	} {
		var log bytes.Buffer
		rt := build(t, &script{answers: []reply{{err: errors.New(text)}}}, unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}),
			transport.WithObserver(transport.Log(slog.New(slog.NewJSONHandler(&log, nil)))))
		rt.RoundTrip(get(t, t.Context()))
		var line struct{ Error string }
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(text, "\uFFFD"); !strings.HasPrefix(line.Error, strings.TrimSuffix(want, "\uFFFD")) {
			t.Errorf("the log says %q, want %q", line.Error, text)
		}
	}
}

// The operation of Do has no request, but may have made one.
func TestLogOfDoNamesNoURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		transport.Do(ctx, transport.Policy{BaseDelay: time.Minute, MaxDelay: time.Minute}, func(context.Context) (int, error) {
			return 0, transport.RetryAfter(&url.Error{Op: "Get", URL: "http://joe:s3cret@a.test/?token=hunter2", Err: errBusy}, time.Minute)
		}, transport.WithObserver(transport.Log(slog.New(slog.NewJSONHandler(&log, nil)))))
		text := log.String()
		if !strings.Contains(text, "busy") || strings.Contains(text, "joe") || strings.Contains(text, "s3cret") || strings.Contains(text, "hunter2") {
			t.Errorf("the log says %s, want busy and no URL", text)
		}
	})
}
