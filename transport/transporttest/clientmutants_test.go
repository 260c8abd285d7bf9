package transporttest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
)

var clientMutants = []mutant{
	{"client_timeout", "detaches the base from its caller", 0, before(func(req *http.Request) *http.Request {
		req = req.WithContext(context.WithoutCancel(req.Context()))
		req.Cancel = nil //lint:ignore SA1019 the other way in which http.Client passes it
		return req
	})},
	{"redirects_pass", "follows redirects itself", 0, following},
	{"redirects_pass", "makes an error of an invalid Location", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.Header.Get("Location") != "" {
			if _, err := resp.Location(); err != nil {
				resp.Body.Close()
				return nil, err
			}
		}
		return resp, err
	})},
	{"redirects_by_client", "follows redirects itself", 0, following},
	{"cookies_by_client", "keeps cookies itself", 0, func(base http.RoundTripper) http.RoundTripper {
		jar, _ := cookiejar.New(nil)
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			for _, c := range jar.Cookies(req.URL) {
				req.AddCookie(c)
			}
			resp, err := base.RoundTrip(req)
			if err == nil {
				jar.SetCookies(req.URL, resp.Cookies())
			}
			return resp, err
		})
	}},
	{"cookies_by_client", "drops cookies", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Header.Del("Set-Cookie")
		}
		return resp, err
	})},
	{"idle_connections", "closes idle connections after an error", 0, func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err != nil {
				base.(interface{ CloseIdleConnections() }).CloseIdleConnections()
			}
			return resp, err
		})
	}},
	{"idle_connections", "forwards CloseIdleConnections twice", 0, func(base http.RoundTripper) http.RoundTripper {
		return idle{base, func(c func()) { c(); c() }}
	}},
	{"idle_connections", "does not forward CloseIdleConnections", 0, func(base http.RoundTripper) http.RoundTripper {
		return idle{base, func(func()) {}}
	}},
	{"connections_reused", "closes the connection of each request", 0, before(func(req *http.Request) *http.Request {
		req = req.WithContext(req.Context())
		req.Close = true
		return req
	})},
	{"connections_reused", "closes a 404 unread", 0, after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil && resp.StatusCode == http.StatusNotFound {
			resp.Body.Close()
			resp.Body = io.NopCloser(bytes.NewReader([]byte(answerOf(404))))
		}
		return resp, err
	})},
}

func following(base http.RoundTripper) http.RoundTripper {
	return roundTripper((&http.Client{Transport: base}).Do)
}
