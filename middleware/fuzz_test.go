package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
)

// Whatever clients write into the headers that are read: the answer is the
// handler's or a clear refusal, never longer a deadline than the server's, and
// a header that says nothing sensible changes nothing.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"", "1", "0", "-1", "2;max=3;id=\"a\"", "99999999999999999999", "1.5", "true", "wait=1", "1S", "attempt=2; max=3; ttl=20991123T120010Z", "\x00", "499", "é"} {
		f.Add(s, s)
	}
	const most = time.Minute
	var info middleware.Info
	var left time.Duration
	wrap, err := middleware.New(
		middleware.WithShedding(middleware.Shedding{}), middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{Max: most}),
		middleware.WithPriority(middleware.HeaderPriority), middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1e6, Per: time.Second}}),
	)
	if err != nil {
		f.Fatal(err)
	}
	h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, _ = middleware.FromContext(r.Context())
		d, _ := r.Context().Deadline()
		left = time.Until(d)
	}))
	names := []string{"Retry-Attempt", "Amz-Sdk-Request", "X-Stainless-Retry-Count", "Grpc-Previous-Rpc-Attempts", "X-Goog-Api-Client", "X-Envoy-Attempt-Count",
		"Request-Timeout-Ms", "Grpc-Timeout", "Connect-Timeout-Ms", "Request-Attempt-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms", "X-Stainless-Timeout", "Prefer", "X-Failsafe-Priority", "X-Failsafe-Level", "Accept"}
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, name := range names {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header[http.CanonicalHeaderKey(name)] = []string{one}
			if two != "" {
				r.Header[http.CanonicalHeaderKey(name)] = []string{one, two}
			}
			info, left = middleware.Info{}, 0
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			switch w.Code {
			case 200:
				if left > most || left < -time.Minute || info.Attempt < 0 || info.Attempt > 1<<20 {
					t.Errorf("%s %q %q: %v left, %+v", name, one, two, left, info)
				}
			case 504:
				if d, ok := headers.TimeoutOf(r.Header, time.Now()); !ok || d > time.Second { // or it passed on the way
					t.Errorf("%s %q %q: expired, though %v is left", name, one, two, d)
				}
			default:
				t.Errorf("%s %q %q: %d", name, one, two, w.Code)
			}
			if p := middleware.HeaderPriority(r); p < 0 || p > headers.MaxPriority {
				t.Errorf("%s %q %q: priority %d", name, one, two, p)
			} else if _, err := strconv.Atoi(strings.Trim(one, " \t")); err != nil && two == "" && p != headers.MediumPriority && name[0] == 'X' {
				t.Errorf("%s %q: priority %d of nonsense", name, one, p)
			}
			if echo := w.Header().Get("Retry-Attempt"); echo != "" {
				if a, ok := headers.AttemptOf(http.Header{"Retry-Attempt": {echo}}); !ok || a.N != info.Attempt {
					t.Errorf("%s %q %q: echo %q of %+v", name, one, two, echo, info)
				}
			}
		}
	})
}
