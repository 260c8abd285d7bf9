package idempotency_test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// A replay is the first answer, byte by byte, with the header fields that are kept.
func TestReplay(t *testing.T) {
	handler := new(pay)
	k := newKit(t, idempotency.NewMemory(0), handler.ServeHTTP, idempotency.KeepHeaders("x-request-ID"))
	first := k.do(request("k", "{}"))
	k.expect("first", first, 201, idempotency.OutcomeFirst)
	want := bodyOf(t, first)
	if first.Header.Get("Set-Cookie") == "" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("first header %v, want all that the handler set", first.Header)
	}
	for range 2 {
		again := k.do(request("k", "{}"))
		k.expect("again", again, 201, idempotency.OutcomeReplayed)
		if got := bodyOf(t, again); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		kept := http.Header{
			"Content-Type": {"application/json"}, "Location": {"/payments/1"}, "X-Request-Id": {"1"}, "Idempotent-Replayed": {"true"},
		}
		if !maps.EqualFunc(again.Header, kept, slices.Equal) {
			t.Errorf("header %v, want %v", again.Header, kept)
		}
	}
	if handler.runs != 1 {
		t.Errorf("the handler ran %d times, want once", handler.runs)
	}
}

// Two callers with one key are two requests; so are two keys of one caller.
func TestCallersDoNotShareKeys(t *testing.T) {
	handler := new(pay)
	k := newKit(t, idempotency.NewMemory(0), handler.ServeHTTP)
	k.do(request("k", "{}"))
	bob := request("k", "{}")
	bob.Header.Set("X-Caller", "bob")
	k.expect("bob", k.do(bob), 201, idempotency.OutcomeFirst)
	k.expect("another key", k.do(request("l", "{}")), 201, idempotency.OutcomeFirst)
	if handler.runs != 3 {
		t.Errorf("the handler ran %d times, want 3", handler.runs)
	}
}

// The key belongs to one request: what it is made of is compared.
func TestFingerprint(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *http.Request)
		status int
	}{
		{"nothing", func(*http.Request) {}, 201},
		{"another method", func(r *http.Request) { r.Method = http.MethodPatch }, 422},
		{"another path", func(r *http.Request) { r.RequestURI = "/refunds?currency=EUR" }, 422},
		{"another query", func(r *http.Request) { r.RequestURI = "/payments?currency=USD" }, 422},
		{"the same path, escaped otherwise", func(r *http.Request) { r.RequestURI = "/pa%79ments?currency=EUR" }, 422},
		{"a path that a router has changed", func(r *http.Request) { r.URL.Path = "/"; r.URL.RawQuery = "" }, 201},
		{"an absolute URL", func(r *http.Request) { r.RequestURI = "http://host/payments?currency=EUR" }, 201},
		{"another type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 422},
		{"the same type in capitals", func(r *http.Request) { r.Header.Set("Content-Type", "Application/JSON ") }, 201},
		{"another header", func(r *http.Request) { r.Header.Set("User-Agent", "x") }, 201},
		{"the key in quotes", func(r *http.Request) { r.Header.Set("Idempotency-Key", `"k"`) }, 201},
		{"the key in the older header", func(r *http.Request) {
			r.Header.Set("X-Idempotency-Key", "k")
			r.Header.Del("Idempotency-Key")
		}, 201},
		{"unknown length", func(r *http.Request) { r.ContentLength = -1 }, 201},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKit(t, idempotency.NewMemory(0), new(pay).ServeHTTP)
			k.do(request("k", "{}"))
			r := request("k", "{}")
			tt.change(r)
			want := idempotency.OutcomeReplayed
			if tt.status == 422 {
				want = idempotency.OutcomeKeyReused
			}
			k.expect("again", k.do(r), tt.status, want)
		})
	}
}

// A Fingerprint of one's own sees the body, and so does the handler after it.
func TestFingerprintOfOnesOwn(t *testing.T) {
	var saw []string
	k := newKit(t, idempotency.NewMemory(0), new(pay).ServeHTTP, idempotency.Fingerprint(func(r *http.Request, body []byte) []byte {
		saw = append(saw, r.Method+string(body))
		return bytes.ToLower(body)
	}))
	if got := bodyOf(t, k.do(request("k", "A"))); !strings.Contains(got, `"body":"A"`) {
		t.Errorf("the handler answered %s, want its body to be A", got)
	}
	k.expect("the same in lower case", k.do(request("k", "a")), 201, idempotency.OutcomeReplayed)
	k.expect("another", k.do(request("k", "b")), 422, idempotency.OutcomeKeyReused)
	if want := []string{"POSTA", "POSTa", "POSTb"}; !slices.Equal(saw, want) {
		t.Errorf("it saw %q, want %q", saw, want)
	}
}

// Methods whose effect is the same once or twice pass.
func TestOtherMethodsPass(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "QUERY"} {
		handler := new(pay)
		k := newKit(t, idempotency.NewMemory(0), handler.ServeHTTP, idempotency.Required(everything))
		for range 2 {
			r := request("k", "{}")
			r.Method = method
			k.do(r)
		}
		if handler.runs != 2 || k.seen() != 0 {
			t.Errorf("%s: the handler ran %d times with %d events, want 2 and none", method, handler.runs, k.seen())
		}
	}
}

// Some statuses say that nothing has happened.
func TestStatusesThatFreeTheKey(t *testing.T) {
	shed := func(w http.ResponseWriter, status int) {
		headers.SetVerdict(w.Header(), headers.Retry)
		w.WriteHeader(status)
	}
	plain := func(w http.ResponseWriter, status int) { w.WriteHeader(status) }
	later := func(w http.ResponseWriter, status int) { w.Header().Set("Retry-After", "1"); w.WriteHeader(status) }
	never := func(w http.ResponseWriter, status int) {
		headers.SetVerdict(w.Header(), headers.DoNotRetry)
		later(w, status)
	}
	for _, tt := range []struct {
		status int
		answer func(http.ResponseWriter, int)
		opts   []idempotency.Option
		runs   int
	}{
		{200, plain, nil, 1}, {400, plain, nil, 1}, {404, plain, nil, 1}, {409, plain, nil, 1}, {422, plain, nil, 1},
		{500, plain, nil, 1}, {503, plain, nil, 1}, {504, plain, nil, 1},
		{401, plain, nil, 2}, {403, plain, nil, 2}, {408, plain, nil, 2}, {425, plain, nil, 2}, {429, plain, nil, 2},
		{503, shed, nil, 2}, {409, shed, nil, 2}, {200, shed, nil, 1},
		{503, later, nil, 2}, {503, never, nil, 1}, {500, later, nil, 1}, {202, later, nil, 1},
		{404, plain, []idempotency.Option{idempotency.ReleaseOn(func(status int) bool { return status == 404 })}, 2},
		{429, plain, []idempotency.Option{idempotency.ReleaseOn(func(status int) bool { return status == 404 })}, 1},
		{429, plain, []idempotency.Option{idempotency.ReleaseOn(nil)}, 2},
	} {
		runs := 0
		k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) { runs++; tt.answer(w, tt.status) }, tt.opts...)
		for i := range 2 {
			resp := k.do(request("k", "{}"))
			if resp.StatusCode != tt.status {
				t.Errorf("%d: answer %d has the status %d", tt.status, i+1, resp.StatusCode)
			}
		}
		if runs != tt.runs {
			t.Errorf("%d: the handler ran %d times, want %d", tt.status, runs, tt.runs)
		}
		want := idempotency.OutcomeReplayed
		if tt.runs == 2 {
			want = idempotency.OutcomeReleased
		}
		if got := k.event().Outcome; got != want {
			t.Errorf("%d: outcome %q, want %q", tt.status, got, want)
		}
	}
}

// A failure that is kept says that asking again does no good, from the first time on,
// unless the handler says something else.
func TestKeptFailuresAreFinal(t *testing.T) {
	for _, tt := range []struct {
		own, want headers.Verdict
	}{{headers.NoVerdict, headers.DoNotRetry}, {headers.DoNotRetry, headers.DoNotRetry}} {
		k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
			headers.SetVerdict(w.Header(), tt.own)
			http.Error(w, "broken", http.StatusInternalServerError)
		})
		for _, outcome := range []idempotency.Outcome{idempotency.OutcomeFirst, idempotency.OutcomeReplayed} {
			resp := k.do(request("k", "{}"))
			k.expect("failure", resp, 500, outcome)
			if got := headers.VerdictOf(resp.Header); got != tt.want {
				t.Errorf("%s: verdict %v, want %v", outcome, got, tt.want)
			}
		}
	}
}

// The law of headers and bodies: a replay is the first answer without the fields that
// are not kept, whatever bytes it has, up to the largest that is kept.
func FuzzReplay(f *testing.F) {
	f.Add(200, "a, b", "c", []byte("body"))
	f.Add(404, "\xff\x01", "", []byte{0})
	f.Add(204, "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, one, two string, body []byte) {
		if status < 200 || status > 999 || status == 401 || status == 403 || status == 408 || status == 425 || status == 429 {
			return
		}
		k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Link"] = []string{one, two}
			w.Header().Set("X-Secret", one)
			w.WriteHeader(status)
			w.Write(body)
		})
		first, again := k.do(request("k", "{}")), k.do(request("k", "{}"))
		k.expect("again", again, status, idempotency.OutcomeReplayed)
		if got, want := bodyOf(t, again), bodyOf(t, first); got != want {
			t.Errorf("body %q, want %q", got, want)
		}
		if got, want := again.Header["Link"], first.Header["Link"]; !slices.Equal(got, want) || len(got) != 2 {
			t.Errorf("Link %q, want %q", got, want)
		}
		if again.Header["X-Secret"] != nil {
			t.Errorf("header %q, want no X-Secret", again.Header)
		}
	})
}

// At the limit an answer is kept. One byte more, and it is sent whole and not kept.
func TestAnswersAtTheLimit(t *testing.T) {
	const limit = 256 << 10
	for _, size := range []int{limit - 1, limit, limit + 1} {
		for _, chunk := range []int{size, 1000} {
			runs := 0
			k := newKit(t, idempotency.NewMemory(0), func(w http.ResponseWriter, _ *http.Request) {
				runs++
				for left := size; left > 0; left -= chunk {
					w.Write(bytes.Repeat([]byte("x"), min(chunk, left)))
				}
			})
			first := k.do(request("k", "{}"))
			if got := len(bodyOf(t, first)); got != size {
				t.Errorf("%d bytes in chunks of %d: the client got %d", size, chunk, got)
			}
			again := k.do(request("k", "{}"))
			if size > limit {
				k.expect(strconv.Itoa(size), again, 409, idempotency.OutcomeNotKept)
			} else if k.expect(strconv.Itoa(size), again, 200, idempotency.OutcomeReplayed); len(bodyOf(t, again)) != size {
				t.Errorf("%d bytes in chunks of %d: the replay has others", size, chunk)
			}
			if runs != 1 {
				t.Errorf("%d bytes: the handler ran %d times, want once", size, runs)
			}
		}
	}
}
