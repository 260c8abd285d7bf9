package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"sync/atomic"
)

var clientChecks = []check{
	{"redirects_pass", "Redirects belong to http.Client: a 3xx is returned as it came, whatever its Location.", everywhere, redirectsPass},
	{"redirects_by_client", "Redirects belong to http.Client, which follows them over the layer.", everywhere, redirectsByClient},
	{"cookies_by_client", "Cookies belong to http.Client: the layer sets, keeps and drops none.", everywhere, cookiesByClient},
	{"client_timeout", "A timeout of http.Client stays a timeout.", everywhere, clientTimeout},
	{"idle_connections", "CloseIdleConnections is forwarded, and never called by the layer on its own.", everywhere, idleConnections},
	{"connections_reused", "A response that was read to its end gives its connection back.", http1, connectionsReused},
}

// client uses the layer as everybody does. Its Timeout is only there to end a
// check that would hang.
func (e *env) client() *http.Client {
	return &http.Client{Transport: e.layer, Timeout: e.patience}
}

// through sends a request through client, which may have a Timeout that the
// layer does not heed.
func (e *env) through(client *http.Client, req *http.Request) (resp *http.Response, err error) {
	err = e.within("the call of http.Client", func() (err error) {
		resp, err = client.Do(req)
		return err
	})
	return resp, err
}

func redirectsPass(e *env) error {
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		if to := r.URL.Query()["to"]; len(to) > 0 {
			w.Header().Set("Location", to[0])
		}
		w.WriteHeader(code)
		io.WriteString(w, answerOf(code))
	}))
	for _, code := range []int{300, 301, 302, 303, 305, 306, 307, 308} {
		for _, to := range []string{"", "/elsewhere", "http://[::1", "https://elsewhere.test/%zz", "\x80"} {
			for _, k := range kinds {
				req, _ := e.request(k, "/")
				q := req.URL.Query()
				q.Set("code", strconv.Itoa(code))
				if to != "" {
					q.Set("to", to)
				}
				req.URL.RawQuery = q.Encode()
				sent := len(e.base.requests())
				resp, err := e.send(req)
				var body string
				if err == nil {
					body, err = e.text(resp)
				}
				switch {
				case err != nil:
				case resp.StatusCode != code || resp.Header.Get("Location") != to || body != answerOf(code):
					err = fmt.Errorf("got %d %q with Location %q", resp.StatusCode, body, resp.Header.Get("Location"))
				default:
					for _, attempt := range e.base.requests()[sent:] {
						if attempt.URL.String() != req.URL.String() {
							err = fmt.Errorf("the layer went to %s", attempt.URL)
						}
					}
				}
				if err != nil {
					return fmt.Errorf("%s answered %d with Location %q: %w", k.name, code, to, err)
				}
			}
		}
	}
	return nil
}

func redirectsByClient(e *env) error {
	mux := http.NewServeMux()
	mux.Handle("/", e.peer())
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		http.Redirect(w, r, "/echo", http.StatusPermanentRedirect)
	})
	e.serve(mux)
	asked := 0
	client := e.client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { asked++; return nil }
	req, err := http.NewRequestWithContext(e.ctx, "POST", e.url+"/moved", strings.NewReader(content))
	if err != nil {
		return err
	}
	resp, err := e.through(client, req)
	if err != nil {
		return err
	}
	got, err := e.text(resp)
	switch {
	case err != nil:
		return err
	case got != content || resp.Request.URL.Path != "/echo" || asked != 1:
		return fmt.Errorf("a POST that is redirected by 308 ended at %s with %q after asking CheckRedirect %d times; want /echo, the body, and once", resp.Request.URL.Path, got, asked)
	}
	return nil
}

func cookiesByClient(e *env) error {
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
		io.WriteString(w, strings.Join(r.Header["Cookie"], "; "))
	}))
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	with, without := e.client(), e.client()
	with.Jar = jar
	for _, tt := range []struct {
		what   string
		client *http.Client
		want   [3]string
	}{{"with a Jar", with, [3]string{"", "session=secret", "session=secret"}}, {"without a Jar", without, [3]string{}}} {
		for i, want := range tt.want {
			req, _ := e.request(kinds[0], "/")
			resp, err := e.through(tt.client, req)
			if err != nil {
				return err
			}
			got, err := e.text(resp)
			if err != nil {
				return err
			}
			if got != want || len(resp.Cookies()) != 1 {
				return fmt.Errorf("call %d of a client %s sent the cookies %q and got %d; want %q and 1", i+1, tt.what, got, len(resp.Cookies()), want)
			}
		}
	}
	return nil
}

func clientTimeout(e *env) error {
	e.serve(e.peer())
	client := e.client()
	client.Timeout = e.moment()
	req, _ := e.request(kinds[0], "/hang")
	_, err := e.through(client, req)
	var t interface{ Timeout() bool }
	if err == nil || !errors.As(err, &t) || !t.Timeout() {
		return fmt.Errorf("a Get past the Timeout of its client ended with %v, want a timeout", err)
	}
	return nil
}

func idleConnections(e *env) error {
	err := e.each(func(p *play) error {
		if n := e.base.closedIdle(); n > 0 {
			return fmt.Errorf("CloseIdleConnections of the base was called %d times", n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, ok := e.layer.(interface{ CloseIdleConnections() }); !ok {
		return fmt.Errorf("%w: %T has no CloseIdleConnections, so that of http.Client does nothing", errLacks, e.layer)
	}
	e.client().CloseIdleConnections()
	if n := e.base.closedIdle(); n != 1 {
		return fmt.Errorf("when http.Client closes idle connections, that reaches the base %d times, want once", n)
	}
	return nil
}

func connectionsReused(e *env) error {
	const calls = 20
	var remotes = make(map[string]bool)
	peer := e.peer()
	var last atomic.Value
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last.Store(r.RemoteAddr)
		peer.ServeHTTP(w, r)
	}))
	for i := range calls {
		path := "/echo"
		if i%2 == 1 {
			path = "/status/404"
		}
		req, _ := e.request(kinds[1], path)
		resp, err := e.send(req)
		if err != nil {
			return err
		}
		if _, err := e.text(resp); err != nil {
			return err
		}
		remotes[last.Load().(string)] = true
	}
	// A copy of a request that is given up may take its connection with it.
	if spare := len(e.base.requests()) - calls; len(remotes) > 1+spare {
		return fmt.Errorf("%d calls one after the other used %d connections, want 1", calls, len(remotes)-spare)
	}
	return nil
}
