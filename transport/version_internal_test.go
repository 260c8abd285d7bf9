package transport

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// download is a request and its response, which can be continued as they are.
func download() (*http.Request, *http.Response) {
	req, _ := http.NewRequest("GET", "http://files.test/", nil)
	return req, &http.Response{StatusCode: 200, ContentLength: 10, Body: io.NopCloser(strings.NewReader("0123456789")), Header: http.Header{
		"Etag": {`"v1"`}, "Accept-Ranges": {"bytes"}, "Date": {"Thu, 26 Nov 2026 12:00:00 GMT"}, "Last-Modified": {"Thu, 26 Nov 2026 11:59:00 GMT"},
	}}
}

func TestVersionOf(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*http.Request, *http.Response)
		want   string // the validator; "": it cannot be continued
	}{
		{"a strong ETag", func(*http.Request, *http.Response) {}, `"v1"`},
		{"without a method", func(req *http.Request, _ *http.Response) { req.Method = "" }, `"v1"`},
		{"in several units", func(_ *http.Request, r *http.Response) { r.Header["Accept-Ranges"] = []string{"lines, Bytes"} }, `"v1"`},
		{"an encoding that the caller asked for", func(_ *http.Request, r *http.Response) { r.Header.Set("Content-Encoding", "gzip") }, `"v1"`},
		{"no ETag, and a date a minute old", func(_ *http.Request, r *http.Response) { r.Header.Del("Etag") }, "Thu, 26 Nov 2026 11:59:00 GMT"},
		{"no ETag, and a newer date", func(_ *http.Request, r *http.Response) {
			r.Header.Del("Etag")
			r.Header.Set("Last-Modified", "Thu, 26 Nov 2026 11:59:01 GMT")
		}, ""},
		{"no ETag, and no Date", func(_ *http.Request, r *http.Response) { r.Header.Del("Etag"); r.Header.Del("Date") }, ""},
		{"no ETag, and a malformed date", func(_ *http.Request, r *http.Response) {
			r.Header.Del("Etag")
			r.Header.Set("Last-Modified", "yesterday")
		}, ""},
		{"no validator", func(_ *http.Request, r *http.Response) { r.Header.Del("Etag"); r.Header.Del("Last-Modified") }, ""},
		{"a weak ETag", func(_ *http.Request, r *http.Response) { r.Header.Set("Etag", `W/"v1"`) }, ""},
		{"a malformed ETag", func(_ *http.Request, r *http.Response) { r.Header.Set("Etag", `v1`) }, ""},
		{"an ETag with a quote", func(_ *http.Request, r *http.Response) { r.Header.Set("Etag", `"v"1"`) }, ""},
		{"two ETags", func(_ *http.Request, r *http.Response) { r.Header.Add("Etag", `"v2"`) }, ""},
		{"POST", func(req *http.Request, _ *http.Response) { req.Method = "POST" }, ""},
		{"HEAD", func(req *http.Request, _ *http.Response) { req.Method = "HEAD" }, ""},
		{"a body in the request", func(req *http.Request, _ *http.Response) { req.Body = io.NopCloser(strings.NewReader("x")) }, ""},
		{"a Range of the caller", func(req *http.Request, _ *http.Response) { req.Header.Set("Range", "bytes=0-") }, ""},
		{"an If-Range of the caller", func(req *http.Request, _ *http.Response) { req.Header.Set("If-Range", `"v1"`) }, ""},
		{"a part", func(_ *http.Request, r *http.Response) { r.StatusCode = 206 }, ""},
		{"another success", func(_ *http.Request, r *http.Response) { r.StatusCode = 203 }, ""},
		{"an error", func(_ *http.Request, r *http.Response) { r.StatusCode = 500 }, ""},
		{"no length", func(_ *http.Request, r *http.Response) { r.ContentLength = -1 }, ""},
		{"no bytes", func(_ *http.Request, r *http.Response) { r.ContentLength = 0 }, ""},
		{"decompressed", func(_ *http.Request, r *http.Response) { r.Uncompressed = true }, ""},
		{"trailers", func(_ *http.Request, r *http.Response) { r.Trailer = http.Header{"Digest": nil} }, ""},
		{"no ranges", func(_ *http.Request, r *http.Response) { r.Header.Set("Accept-Ranges", "none") }, ""},
		{"no word of ranges", func(_ *http.Request, r *http.Response) { r.Header.Del("Accept-Ranges") }, ""},
	} {
		req, resp := download()
		tt.change(req, resp)
		got, ok := versionOf(req, resp)
		if got.validator != tt.want && ok || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got.validator, ok, tt.want)
		}
	}
}

func TestIsPart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		dated  bool // the whole has no ETag
		change func(*http.Response)
		want   bool
	}{
		{"the rest", false, func(*http.Response) {}, true},
		{"the rest, of unknown length", false, func(r *http.Response) { r.ContentLength = -1 }, true},
		{"the rest by date", true, func(r *http.Response) { r.Header.Del("Etag") }, true},
		{"the rest by date, which it repeats", true, func(r *http.Response) {
			r.Header.Del("Etag")
			r.Header.Set("Last-Modified", "Thu, 26 Nov 2026 11:59:00 GMT")
		}, true},
		{"another date", true, func(r *http.Response) {
			r.Header.Del("Etag")
			r.Header.Set("Last-Modified", "Thu, 26 Nov 2026 11:59:01 GMT")
		}, false},
		{"an ETag where there was none", true, func(*http.Response) {}, false},
		{"another ETag", false, func(r *http.Response) { r.Header.Set("Etag", `"v2"`) }, false},
		{"the ETag as a weak one", false, func(r *http.Response) { r.Header.Set("Etag", `W/"v1"`) }, false},
		{"no ETag", false, func(r *http.Response) { r.Header.Del("Etag") }, false},
		{"two ETags", false, func(r *http.Response) { r.Header.Add("Etag", `"v1"`) }, false},
		{"the whole", false, func(r *http.Response) { r.StatusCode = 200 }, false},
		{"not satisfiable", false, func(r *http.Response) { r.StatusCode = 416; r.Header.Set("Content-Range", "bytes */10") }, false},
		{"several parts", false, func(r *http.Response) {
			r.Header.Del("Content-Range")
			r.Header.Set("Content-Type", "multipart/byteranges; boundary=x")
		}, false},
		{"from an earlier byte", false, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 3-9/10") }, false},
		{"from a later byte", false, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 5-9/10") }, false},
		{"not to the end", false, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 4-8/10") }, false},
		{"of another length", false, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 4-9/11") }, false},
		{"of a length not said", false, func(r *http.Response) { r.Header.Set("Content-Range", "bytes 4-9/*") }, false},
		{"in another unit", false, func(r *http.Response) { r.Header.Set("Content-Range", "lines 4-9/10") }, false},
		{"twice", false, func(r *http.Response) { r.Header.Add("Content-Range", "bytes 4-9/10") }, false},
		{"shorter than it says", false, func(r *http.Response) { r.ContentLength = 5 }, false},
		{"decompressed", false, func(r *http.Response) { r.Uncompressed = true }, false},
		{"in an encoding", false, func(r *http.Response) { r.Header.Set("Content-Encoding", "gzip") }, false},
	} {
		req, whole := download()
		if tt.dated {
			whole.Header.Del("Etag")
		}
		v, ok := versionOf(req, whole)
		if !ok {
			t.Fatal("the whole cannot be continued")
		}
		resp := &http.Response{StatusCode: 206, ContentLength: 6, Header: http.Header{"Etag": {`"v1"`}, "Content-Range": {"bytes 4-9/10"}}}
		tt.change(resp)
		if got := v.isPart(resp, 4); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// No text but one is the range from a byte to the end.
func FuzzIsRange(f *testing.F) {
	for _, seed := range []string{"bytes 4-9/10", "bytes 04-9/10", "bytes +4-9/10", "bytes 4-9/10 ", " bytes 4-9/10", "bytes=4-9/10", "bytes  4-9/10", "BYTES 4-9/10", "bytes 4-9/*"} {
		f.Add(seed, int64(4), int64(10))
	}
	f.Fuzz(func(t *testing.T, value string, from, length int64) {
		if !isRange(value, from, length) {
			return
		}
		want := "bytes " + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(length-1, 10) + "/" + strconv.FormatInt(length, 10)
		if !strings.EqualFold(value, want) {
			t.Errorf("%q is taken for %q", value, want)
		}
	})
}
