package transport_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A second copy is sent only with a reader of its own. Whether GetBody gives
// one cannot be seen, except where the bytes are in memory: then GetBody is not
// asked at all.
func TestHedgeOfBodies(t *testing.T) {
	const text = "what the caller sends"
	asked := 0
	rewind := func(r io.ReadSeeker, as func(io.Reader) io.ReadCloser) (io.ReadCloser, func() (io.ReadCloser, error)) {
		return as(r), func() (io.ReadCloser, error) {
			asked++
			_, err := r.Seek(0, io.SeekStart)
			return as(r), err
		}
	}
	for _, tt := range []struct {
		name string
		set  func(*http.Request)
		sent int
	}{
		{"a strings.Reader", func(r *http.Request) {}, 2},
		{"a bytes.Reader", func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader([]byte(text))) }, 2},
		{"a bytes.Buffer", func(r *http.Request) { r.Body = io.NopCloser(bytes.NewBufferString(text)) }, 2},
		{"twice in plain clothes", func(r *http.Request) { r.Body = io.NopCloser(io.NopCloser(strings.NewReader(text))) }, 2},
		{"rewound, in plain clothes", func(r *http.Request) { r.Body, r.GetBody = rewind(strings.NewReader(text), io.NopCloser) }, 2},
		{"rewound", func(r *http.Request) {
			r.Body, r.GetBody = rewind(strings.NewReader(text), func(in io.Reader) io.ReadCloser { return &tracked{in, func() {}} })
		}, 1},
		{"a section of a file", func(r *http.Request) {
			r.Body, r.GetBody = rewind(io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))), io.NopCloser)
		}, 1},
		{"without GetBody", func(r *http.Request) { r.GetBody = nil }, 1},
		{"none", func(r *http.Request) { r.Body, r.GetBody, r.ContentLength = nil, nil, 0 }, 2},
		{"http.NoBody", func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked = 0
				base := &replicas{copies: []copyOf{{after: time.Second, status: 200}, {after: time.Second, status: 200}}}
				rt := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
				req := put(t, strings.NewReader(text))
				tt.set(req)
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if len(base.seen) != tt.sent || asked != 0 {
					t.Errorf("%d copies were sent and GetBody was asked %d times, want %d and 0", len(base.seen), asked, tt.sent)
				}
				for i, b := range base.bodies {
					if req.ContentLength > 0 && b != text {
						t.Errorf("copy %d had the body %q", i+1, b)
					}
				}
				if tt.sent < 2 || req.ContentLength == 0 {
					return
				}
				// What net/http would send again by itself, too.
				for i, r := range base.seen {
					again, err := r.GetBody()
					if err != nil {
						t.Fatal(err)
					}
					if b, err := io.ReadAll(again); err != nil || string(b) != text || asked != 0 {
						t.Errorf("the GetBody of copy %d gives %q, %v, and asked the caller's %d times", i+1, b, err, asked)
					}
				}
			})
		})
	}
}
