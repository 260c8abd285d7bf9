package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"
)

var copyChecks = []check{
	{"copies_apart", "Copies of a request that are under way at a time share neither a reader nor a Header, which layers below may write.", stub, copiesApart},
}

// A slow is a base that takes its time over the first request, so that a layer
// which sends a second one does, and that looks at both.
type slow struct {
	mu    sync.Mutex // guards what follows
	under []*http.Request
	seen  int
	wrong error
}

func (b *slow) RoundTrip(req *http.Request) (*http.Response, error) {
	takes := b.begin(req)
	defer b.end(req)
	var got []byte
	if req.Body != nil {
		defer req.Body.Close()
		for buf := make([]byte, 4); ; {
			n, err := req.Body.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, err
			}
			<-time.After(takes / 10)
		}
	}
	select {
	case <-time.After(takes):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return answerWith(req, http.StatusOK, string(got)), nil
}

// begin compares a request with those that are under way.
func (b *slow) begin(req *http.Request) (takes time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.under {
		switch {
		case reflect.ValueOf(other.Header).Pointer() == reflect.ValueOf(req.Header).Pointer():
			b.wrong = errors.New("two copies share a Header")
		case req.Body != nil && req.Body != http.NoBody && reflect.TypeOf(req.Body).Comparable() && other.Body == req.Body:
			b.wrong = errors.New("two copies share a Body")
		}
	}
	b.under = append(b.under, req)
	if b.seen++; b.seen == 1 {
		return 20 * time.Second
	}
	return time.Second
}

func (b *slow) end(req *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, other := range b.under {
		if other == req {
			b.under = append(b.under[:i:i], b.under[i+1:]...)
			return
		}
	}
}

func copiesApart(e *env) error {
	none := supply{"no body", func(*env, []byte) (io.ReadCloser, func() (io.ReadCloser, error)) { return nil, nil }}
	for _, s := range append([]supply{none}, supplies...) {
		want := content
		if s.name == none.name {
			want = ""
		}
		base := new(slow)
		e.over(base)
		req, err := e.put("/", s, []byte(want))
		if err != nil {
			return err
		}
		before := portray(req)
		resp, err := e.send(req)
		if err == nil {
			var got string
			if got, err = e.text(resp); err == nil && got != want {
				err = fmt.Errorf("the body %q arrived, want %q", got, want)
			}
		}
		if err == nil {
			base.mu.Lock()
			err = base.wrong
			base.mu.Unlock()
		}
		if one, ok := req.Body.(*rewound); ok && err == nil {
			one.sent() // the base does not look at when
			err = one.end()
		}
		if err == nil {
			err = before.changed(req)
		}
		if err != nil {
			return fmt.Errorf("a PUT with %s whose answer takes long: %w", s.name, err)
		}
	}
	return nil
}
