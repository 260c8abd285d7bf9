package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

var keyHeads = []string{"request with a key", "outcome", "log"}

// A keyed server has metrics, spans and log of its Idempotency-Keys.
type keyed struct {
	*watch
	handler http.Handler
}

func newKeyed(t *testing.T, store idempotency.Store, serve http.HandlerFunc, opts ...idempotency.Option) *keyed {
	t.Helper()
	k := &keyed{watch: newWatch(t)}
	scope := func(r *http.Request) (string, bool) { return secret, r.Header.Get("X-Nobody") == "" }
	wrap, err := idempotency.New(store, scope, append(opts,
		idempotency.WithObserver(k.metrics.Idempotency()),
		idempotency.WithObserver(k.tracing.KeyObserver()),
		idempotency.WithObserver(idempotency.Log(k.logger)),
	)...)
	if err != nil {
		t.Fatal(err)
	}
	k.handler = k.tracing.Server(wrap(serve))
	return k
}

// send sends a request with a key.
func (k *keyed) send(body string, header ...string) {
	k.sendWith(k.t.Context(), body, header...)
}

func (k *keyed) sendWith(ctx context.Context, body string, header ...string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/?token="+secret, strings.NewReader(body))
	r.Header.Set("Idempotency-Key", secret)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(name, value); value == "-" {
			r.Header.Del(name)
		}
	}
	if body == "broken" {
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("x"), failing{})), -1
	}
	defer func() { recover() }()
	k.handler.ServeHTTP(httptest.NewRecorder(), r)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// row returns what was seen of the latest request.
func (k *keyed) row() []string {
	k.t.Helper()
	counted, logged := k.counted("evenkeel_server_idempotency_total", "outcome"), k.logged("evenkeel: idempotency key", "outcome")
	spans := ""
	for _, s := range k.seen() {
		spans = field(s, "evenkeel.idempotency")
	}
	k.agree("outcome", counted, logged, spans)
	k.hides()
	return []string{counted, k.levels(func(l line) bool { return true })}
}

// hides checks that neither the key nor the caller is seen anywhere. Both are the
// secret, and a record is told by the beginning of its hash.
func (k *keyed) hides() {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	record := idempotency.RecordKey(secret, secret)
	for _, l := range k.lines {
		for name, value := range l.fields {
			if strings.Contains(value, secret) || len(value) > 8 && strings.Contains(value, record[:9]) {
				k.t.Errorf("the log says %s=%s", name, value)
			}
		}
		if got := l.fields["record"]; got != "" && got != record[:8] {
			k.t.Errorf("the log has the record %q, want %q", got, record[:8])
		}
	}
	for _, s := range k.spans {
		if got := keyAttributes(s); strings.Contains(got, secret) {
			k.t.Errorf("the span has %s", got)
		}
	}
}

func keyAttributes(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	for _, kv := range s.Attributes() {
		if strings.HasPrefix(string(kv.Key), "evenkeel.") {
			b.WriteString(string(kv.Key) + "=" + kv.Value.String() + " ")
		}
	}
	return b.String()
}

// A spoiled store fails where a hook is set.
type spoiled struct {
	*idempotency.Memory
	begin  error
	finish func(idempotency.Hold) error
	commit error
}

func (s *spoiled) Begin(ctx context.Context, c idempotency.Claim) (idempotency.Found, error) {
	if s.begin != nil {
		return idempotency.Found{}, s.begin
	}
	return s.Memory.Begin(ctx, c)
}

func (s *spoiled) Finish(ctx context.Context, h idempotency.Hold, a idempotency.Answer) error {
	if s.finish != nil {
		if err := s.finish(h); err != nil {
			return err
		}
	}
	return s.Memory.Finish(ctx, h, a)
}

func (s *spoiled) InTx(ctx context.Context, h idempotency.Hold, run func(context.Context) (idempotency.Answer, bool)) error {
	run(ctx)
	return s.commit
}

// once is a request that is sent with a new key.
func once(serve http.HandlerFunc, change func(*spoiled), opts ...idempotency.Option) func(*testing.T) []string {
	return func(t *testing.T) []string {
		store := &spoiled{Memory: idempotency.NewMemory(0)}
		if change != nil {
			change(store)
		}
		k := newKeyed(t, store, serve, opts...)
		k.mark()
		k.send("{}")
		return k.row()
	}
}

// again is a request that is sent once more.
func again(serve http.HandlerFunc, body string, opts ...idempotency.Option) func(*testing.T) []string {
	return func(t *testing.T) []string {
		k := newKeyed(t, idempotency.NewMemory(0), serve, opts...)
		k.send("{}")
		k.mark()
		k.send(body)
		return k.row()
	}
}

func with(header string, opts ...idempotency.Option) func(*testing.T) []string {
	return func(t *testing.T) []string {
		k := newKeyed(t, idempotency.NewMemory(0), answer(200), opts...)
		k.mark()
		k.send("{}", header)
		return k.row()
	}
}

func TestWhatKeyedRequestsComeTo(t *testing.T) {
	all := func(*http.Request) bool { return true }
	away := errors.New("the store is away")
	stream := func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }
	dies := func(w http.ResponseWriter, r *http.Request) {
		if info, _ := idempotency.FromContext(r.Context()); info.Runs == 1 {
			panic(http.ErrAbortHandler)
		}
	}
	walk(t, outcomes(t, keyHeads...), map[string]func(*testing.T) []string{
		"answered":                          once(answer(200), nil),
		"answered, an earlier run had died": again(dies, "{}", idempotency.Resume(all)),
		"answered 429":                      once(answer(429), nil),
		"streamed":                          once(stream, nil),
		"panicked":                          once(dies, nil),
		"answered, and the store took no answer": once(answer(200), func(s *spoiled) {
			s.finish = func(idempotency.Hold) error { return away }
		}),
		"answered, and another run has the key": once(answer(200), func(s *spoiled) {
			s.finish = func(h idempotency.Hold) error {
				s.begin = away
				return idempotency.ErrLost
			}
		}),
		"answered without a record, by FailOpen": once(answer(200), func(s *spoiled) { s.begin = away }, idempotency.FailOpen()),
		"sent again":                             again(answer(200), "{}"),
		"sent again while it runs": func(t *testing.T) []string {
			began, end := make(chan struct{}), make(chan struct{})
			k := newKeyed(t, idempotency.NewMemory(0), func(http.ResponseWriter, *http.Request) { close(began); <-end })
			done := make(chan struct{})
			go func() { defer close(done); k.send("{}") }()
			<-began
			k.mark()
			k.send("{}")
			row := k.row()
			close(end)
			<-done
			return row
		},
		"sent again with another body":       again(answer(200), "{1}"),
		"sent again, the first run had died": again(dies, "{}"),
		"sent again, it was streamed":        again(stream, "{}"),
		"has no key, and needs one":          with("Idempotency-Key: -", idempotency.Required(all)),
		"has an empty key":                   with("Idempotency-Key: \"\""),
		"from nobody who is known":           with("X-Nobody: true"),
		"has too large a body":               again(answer(200), "{123456}", idempotency.MaxBody(5, 5)),
		"has a body that ends early":         again(answer(200), "broken"),
		"the store is away":                  once(answer(200), func(s *spoiled) { s.begin = away }),
		"the store rolled the transaction back": once(answer(200), func(s *spoiled) {
			s.commit = errors.New("serialization failure")
		}, idempotency.InTransaction(all)),
		"client left before the handler": func(t *testing.T) []string {
			k := newKeyed(t, idempotency.NewMemory(0), answer(200), idempotency.Wait(time.Second))
			ctx, leave := context.WithCancel(t.Context())
			leave()
			k.mark()
			k.sendWith(ctx, "{}")
			return k.row()
		},
	})
}
