package transport_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/transport"
)

// What must not be continued ends with the error that there was, after the bytes that
// came, and never with those of another version.
func TestNeverTwoVersions(t *testing.T) {
	data, other := []byte("the first version"), []byte("THE OTHER VERSION")
	header := func(name, value string) func(int64, http.Header, *[]byte) {
		return func(n int64, h http.Header, _ *[]byte) {
			if n > 1 {
				h.Set(name, value)
			}
		}
	}
	broke := errors.New("broken off")
	for _, tt := range []struct {
		name   string
		etag   string
		change func(n int64, h http.Header, data *[]byte)
		as     func(http.RoundTripper) http.RoundTripper // what the base answers
		req    func(*http.Request)
		opts   []transport.Option
		broke  error
		sent   int64
		got    string // default: the first five bytes
	}{
		{name: "another version", etag: `"v1"`, change: func(n int64, h http.Header, d *[]byte) {
			if n > 1 {
				h.Set("Etag", `"v2"`)
				*d = other
			}
		}, sent: 2},
		{name: "another version, and a server that ignores If-Range", etag: `"v1"`, change: func(n int64, h http.Header, d *[]byte) {
			if n > 1 {
				h.Set("Etag", `"v2"`)
				*d = other
			}
		}, as: func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				own := req.Clone(req.Context())
				own.Header.Del("If-Range")
				return next.RoundTrip(own)
			})
		}, sent: 2},
		{name: "a server that ignores Range", etag: `"v1"`, as: func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				own := req.Clone(req.Context())
				own.Header.Del("Range")
				return next.RoundTrip(own)
			})
		}, sent: 2},
		{name: "a part that begins earlier", etag: `"v1"`, as: func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				own := req.Clone(req.Context())
				if own.Header.Get("Range") != "" {
					own.Header.Set("Range", "bytes=3-")
				}
				return next.RoundTrip(own)
			})
		}, sent: 2},
		{name: "several parts", etag: `"v1"`, as: func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				own := req.Clone(req.Context())
				if own.Header.Get("Range") != "" {
					own.Header.Set("Range", "bytes=5-6,8-")
				}
				return next.RoundTrip(own)
			})
		}, sent: 2},
		{name: "another encoding", etag: `"v1"`, change: header("Content-Encoding", "br"), sent: 2},
		{name: "no validator", sent: 1},
		{name: "a weak ETag", etag: `W/"v1"`, sent: 1},
		{name: "a Range of the caller", etag: `"v1"`, req: func(req *http.Request) { req.Header.Set("Range", "bytes=0-") }, sent: 1},
		{name: "a single attempt", etag: `"v1"`, opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}, sent: 1},
		{name: "no budget", etag: `"v1"`, opts: []transport.Option{(&purse{refuse: true}).option()}, sent: 1},
		{name: "a dry run", etag: `"v1"`, opts: []transport.Option{transport.WithDryRun()}, sent: 1},
		{name: "a permanent error", etag: `"v1"`, broke: transport.Permanent(broke), sent: 1},
		{name: "of an SDK that retries", etag: `"v1"`, req: func(req *http.Request) { req.Header.Set("X-Stainless-Retry-Count", "1") }, sent: 1},
		{name: "a part that is longer than it says", etag: `"v1"`, as: func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(req)
				if err == nil && req.Header.Get("Range") != "" {
					resp.Body = io.NopCloser(io.MultiReader(resp.Body, strings.NewReader("and more")))
				}
				return resp, err
			})
		}, sent: 2, got: string(data)},
		{name: "the same version", etag: `"v1"`, sent: 2, got: string(data)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &files{data: data, etag: tt.etag, change: tt.change, broke: broke, cut: func(n int64) int {
				if n == 1 {
					return 5
				}
				return -1
			}}
			if tt.broke != nil {
				f.broke = tt.broke
			}
			if tt.etag == "" {
				f.change = func(_ int64, h http.Header, _ *[]byte) { h.Del("Etag") }
			}
			var base http.RoundTripper = f
			if tt.as != nil {
				base = tt.as(f)
			}
			req := get(t, t.Context())
			if tt.req != nil {
				tt.req(req)
			}
			resp, err := build(t, base, append(atOnce(5), tt.opts...)...).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if tt.got != "" {
				if err != nil || string(got) != tt.got {
					t.Errorf("got %q, %v, want all", got, err)
				}
			} else if string(got) != "the f" || !errors.Is(err, f.broke) {
				t.Errorf("got %q, %v, want five bytes and the error that there was", got, err)
			}
			if f.sent.Load() != tt.sent {
				t.Errorf("%d requests, want %d", f.sent.Load(), tt.sent)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); again == nil {
				t.Error("a Read after the end succeeds")
			}
			resp.Body.Close()
		})
	}
}

// Whatever a server cuts, and wherever: all bytes or an error, and nothing else.
func FuzzResume(f *testing.F) {
	f.Add(uint16(100), uint16(10), uint16(3), true)
	f.Add(uint16(1), uint16(0), uint16(0), true)
	f.Add(uint16(1000), uint16(999), uint16(1), false)
	f.Fuzz(func(t *testing.T, size, first, second uint16, same bool) {
		if size == 0 {
			return
		}
		data, other := random(int(size)), bytes.Repeat([]byte{0}, int(size))
		server := &files{data: data, etag: `"v1"`, cut: func(n int64) int { return []int{int(first), int(second), -1}[min(n-1, 2)] },
			change: func(n int64, h http.Header, d *[]byte) {
				if n > 2 && !same {
					h.Set("Etag", `"v2"`)
					*d = other
				}
			}}
		resp, err := build(t, server, atOnce(2)...).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if !bytes.Equal(got, data[:min(len(got), len(data))]) || len(got) > len(data) || err == nil && len(got) < len(data) {
			t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
		}
	})
}
