package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

func adopt(t *testing.T, c *retryablehttp.Client, more ...transport.Option) *transport.Transport {
	t.Helper()
	opts, err := transport.FromClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return build(t, nil, append(opts, more...)...)
}

func TestFromClientNumbers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		set      func(*retryablehttp.Client)
		attempts int
		waits    []time.Duration
	}{
		{"the defaults of go-retryablehttp", func(*retryablehttp.Client) {}, 5, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
		{"other numbers", func(c *retryablehttp.Client) {
			c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 3, 3*time.Second, 5*time.Second
		}, 4, []time.Duration{3 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"no retries", func(c *retryablehttp.Client) { c.RetryMax = 0 }, 1, nil},
		{"fewer than none", func(c *retryablehttp.Client) { c.RetryMax = -1 }, 1, nil},
		{"no waits", func(c *retryablehttp.Client) { c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, 0, 0 }, 3, []time.Duration{0, 0}},
		{"no least wait", func(c *retryablehttp.Client) { c.RetryMax, c.RetryWaitMin = 2, 0 }, 3, []time.Duration{0, 0}},
		{"the same least and longest", func(c *retryablehttp.Client) {
			c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 2, time.Second, time.Second
		}, 3, []time.Duration{time.Second, time.Second}},
		{"a Backoff of its own", func(c *retryablehttp.Client) {
			c.Backoff = func(lo, hi time.Duration, n int, _ *http.Response) time.Duration {
				return lo + time.Duration(n)*time.Millisecond
			}
		}, 5, []time.Duration{time.Second, 1001 * time.Millisecond, 1002 * time.Millisecond, 1003 * time.Millisecond}},
		{"a CheckRetry of its own", func(c *retryablehttp.Client) {
			n := 0
			c.CheckRetry = func(context.Context, *http.Response, error) (bool, error) { n++; return n < 2, nil }
		}, 2, []time.Duration{time.Second}},
		{"neither", func(c *retryablehttp.Client) {
			c.CheckRetry, c.Backoff, c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = nil, nil, 1, 1, 1
		}, 2, []time.Duration{0}},
		{"no HTTPClient", func(c *retryablehttp.Client) { c.HTTPClient = nil }, 5, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var waits []time.Duration
				var last time.Time
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if !last.IsZero() {
						waits = append(waits, time.Since(last).Truncate(time.Microsecond))
					}
					last = time.Now()
					return answering(503)(req)
				})
				c := retryablehttp.NewClient()
				c.Logger = nil
				tt.set(c)
				opts, err := transport.FromClient(c)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := build(t, base, append(opts, unlimited())...).RoundTrip(get(t, t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				call, _ := transport.CallOf(resp)
				if call.Attempts != tt.attempts || !slices.Equal(waits, tt.waits) || text(t, resp) != "a body" {
					t.Errorf("%d attempts with waits %v, want %d with %v", call.Attempts, waits, tt.attempts, tt.waits)
				}
			})
		})
	}
}

func TestFromClientBaseAndTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		hangs := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			n++
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		c := retryablehttp.NewClient()
		c.HTTPClient = &http.Client{Transport: hangs, Timeout: 3 * time.Second}
		c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 1, time.Second, time.Second
		start := time.Now()
		_, err := adopt(t, c, unlimited()).RoundTrip(get(t, t.Context()))
		if took := time.Since(start); n != 2 || took != 7*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d attempts in %v, %v; want 2 of 3s each with 1s between", n, took, err)
		}
		// A base given to New comes first.
		opts, _ := transport.FromClient(c)
		if resp, err := build(t, answering(204), opts...).RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 204 {
			t.Errorf("with a base of its own: %v, %v", resp, err)
		}
	})
}

type leveledLog struct{ lines *[]string }

func (l leveledLog) Error(msg string, _ ...any) { *l.lines = append(*l.lines, "E "+msg) }
func (l leveledLog) Info(msg string, _ ...any)  { *l.lines = append(*l.lines, "I "+msg) }
func (l leveledLog) Debug(msg string, _ ...any) { *l.lines = append(*l.lines, "D "+msg) }
func (l leveledLog) Warn(msg string, _ ...any)  { *l.lines = append(*l.lines, "W "+msg) }

type plainLog struct{ lines *[]string }

func (l plainLog) Printf(format string, args ...any) {
	*l.lines = append(*l.lines, fmt.Sprintf(format, args...))
}

func TestFromClientHooks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		logger func(*[]string) any
		prefix string
	}{
		{"Logger", func(l *[]string) any { return plainLog{l} }, ""},
		{"LeveledLogger", func(l *[]string) any { return leveledLog{l} }, "I "},
		{"none", func(*[]string) any { return nil }, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var lines, log []string
			note := func(l retryablehttp.Logger, format string, args ...any) {
				log = append(log, fmt.Sprintf(format, args...))
				if l != nil {
					l.Printf(format, args...)
				}
			}
			var sent []string
			c := retryablehttp.NewClient()
			c.Logger = tt.logger(&lines)
			c.HTTPClient.Transport = transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				sent = append(sent, req.Header.Get("X-Try")+req.Header.Get("X-Prepared"))
				return answering(503)(req)
			})
			c.RetryMax = 2
			c.RequestLogHook = func(l retryablehttp.Logger, req *http.Request, n int) {
				req.Header.Set("X-Try", fmt.Sprint(n))
				note(l, "request %d", n)
			}
			c.ResponseLogHook = func(l retryablehttp.Logger, resp *http.Response) { note(l, "response %d", resp.StatusCode) }
			c.PrepareRetry = func(req *http.Request) error { req.Header.Set("X-Prepared", "+"); return nil }
			req := get(t, t.Context())
			if _, err := adopt(t, c, unlimited()).RoundTrip(req); err != nil {
				t.Fatal(err)
			}
			want := []string{"request 0", "response 503", "request 1", "response 503", "request 2", "response 503"}
			if !slices.Equal(log, want) {
				t.Errorf("%s: hooks saw %q, want %q", tt.name, log, want)
			}
			for i := range want {
				want[i] = tt.prefix + want[i]
			}
			if tt.name == "none" {
				want = nil
			}
			if !slices.Equal(lines, want) {
				t.Errorf("%s: logged %q, want %q", tt.name, lines, want)
			}
			if !slices.Equal(sent, []string{"0", "1+", "2+"}) || len(req.Header) != 0 {
				t.Errorf("%s: sent %q, and the caller's header is %v", tt.name, sent, req.Header)
			}
		})
	}
}

func TestFromClientPrepareRetryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("no credentials")
		c := retryablehttp.NewClient()
		base := &script{answers: statuses(503)}
		c.HTTPClient.Transport = base
		c.PrepareRetry = func(*http.Request) error { return gone }
		body := &source{Reader: strings.NewReader("hello")}
		_, err := adopt(t, c).RoundTrip(put(t, body))
		var e *transport.Error
		if !errors.As(err, &e) || !errors.Is(err, gone) || e.Stop != transport.StopNotRetryable || len(base.seen) != 1 || body.closes.Load() != 1 {
			t.Errorf("%v after %d requests and %d closes; want the error of PrepareRetry at once, and one close", err, len(base.seen), body.closes.Load())
		}
	})
}

func TestFromClientNamesWhatItRefuses(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	c := &retryablehttp.Client{
		RetryMax: 100, RetryWaitMin: -time.Second, RetryWaitMax: -2 * time.Second,
		ErrorHandler: func(resp *http.Response, err error, n int) (*http.Response, error) {
			return retryablehttp.PassthroughErrorHandler(resp, err, n)
		},
		HTTPClient: &http.Client{
			Jar:           jar,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	opts, err := transport.FromClient(c)
	if err == nil || opts != nil {
		t.Fatal("FromClient took settings that a transport cannot honour")
	}
	for _, want := range []string{
		"FromClient: RetryMax 100: want at most 99", "FromClient: RetryWaitMin -1s: want", "FromClient: RetryWaitMax -2s: want at least RetryWaitMin",
		"FromClient: ErrorHandler: ", "FromClient: HTTPClient.Jar: ", "FromClient: HTTPClient.CheckRedirect: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if _, err := transport.FromClient(nil); err == nil {
		t.Error("FromClient(nil): no error")
	}
}

// The ErrorHandler that passes the last response on is what the chain does, also
// through a variable, and where the client came from RetryableClient.
func TestFromClientWithPassthrough(t *testing.T) {
	passing := retryablehttp.PassthroughErrorHandler
	for name, handler := range map[string]retryablehttp.ErrorHandler{
		"none": nil, "passthrough": retryablehttp.PassthroughErrorHandler, "a variable": passing,
		"RetryableClient's": transport.RetryableClient(build(t, answering(200))).ErrorHandler,
	} {
		c := retryablehttp.NewClient()
		c.RetryWaitMin, c.RetryWaitMax = 1, 1
		c.HTTPClient = &http.Client{Transport: answeringAlways(503)}
		c.ErrorHandler = handler
		resp, err := (&http.Client{Transport: adopt(t, c, unlimited())}).Get("http://api.test/")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp.Body.Close()
		if call, _ := transport.CallOf(resp); resp.StatusCode != 503 || call.Attempts != 5 {
			t.Errorf("%s: status %d after %d attempts, want the last 503 after 5", name, resp.StatusCode, call.Attempts)
		}
	}
}

// What an adopted client may no longer do, since it is not safe.
func TestFromClientIsSafer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := retryablehttp.NewClient()
		base := &script{answers: statuses(503)}
		c.HTTPClient.Transport = base
		req := get(t, t.Context())
		req.Method = "POST"
		resp, err := adopt(t, c).RoundTrip(req)
		if err != nil || len(base.seen) != 1 {
			t.Fatalf("%v, %v after %d attempts, want one POST", resp, err, len(base.seen))
		}
	})
}

// idler counts how often its idle connections are to be closed.
type idler struct {
	http.RoundTripper
	closed int
}

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestCloseIdleConnectionsIsForwarded(t *testing.T) {
	idle := &idler{RoundTripper: answering(503)}
	client := &http.Client{Transport: build(t, idle, transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))}
	for range 3 {
		if _, err := client.Get("http://api.test/"); err != nil {
			t.Fatal(err)
		}
	}
	if idle.closed != 0 {
		t.Errorf("closed %d times by itself", idle.closed)
	}
	client.CloseIdleConnections()
	if idle.closed != 1 {
		t.Errorf("closed %d times, want once", idle.closed)
	}
	build(t, answering(200)).CloseIdleConnections() // a base without the method
}
