package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A version is what tells one state of a resource from another, and how long it is (RFC
// 9110 sections 8.8 and 14).
type version struct {
	validator string // for If-Range: a strong ETag, or else a date that serves as one
	etag      bool   // it is an ETag
	modified  string
	encoding  string
	length    int64
}

// versionOf returns the version of a response, if the rest of its body can be asked for.
func versionOf(req *http.Request, resp *http.Response) (v version, ok bool) {
	switch {
	case methodOf(req) != http.MethodGet, hasBody(req), len(req.Header["Range"]) > 0, len(req.Header["If-Range"]) > 0:
		return v, false // a part, or something else
	case resp.StatusCode != http.StatusOK, resp.ContentLength <= 0, resp.Uncompressed, len(resp.Trailer) > 0:
		return v, false
	case !accepts(resp.Header["Accept-Ranges"], "bytes"):
		return v, false
	}
	v = version{modified: resp.Header.Get("Last-Modified"), encoding: resp.Header.Get("Content-Encoding"), length: resp.ContentLength}
	switch tags := resp.Header["Etag"]; {
	case len(tags) == 1 && isStrong(tags[0]):
		v.validator, v.etag = tags[0], true
	case len(tags) > 0 || !isOld(resp.Header):
		return v, false
	default:
		v.validator = v.modified
	}
	return v, true
}

// isPart reports whether a response is the rest of the body from the given byte on. With a
// date, If-Range has made sure that it is of this version (RFC 9110 section 15.3.7).
func (v version) isPart(resp *http.Response, from int64) bool {
	ranges, tags, dates := resp.Header["Content-Range"], resp.Header["Etag"], resp.Header["Last-Modified"]
	switch {
	case resp.StatusCode != http.StatusPartialContent, resp.Uncompressed:
		return false
	case len(ranges) != 1 || !isRange(ranges[0], from, v.length):
		return false
	case resp.ContentLength >= 0 && resp.ContentLength != v.length-from:
		return false
	case resp.Header.Get("Content-Encoding") != "" && resp.Header.Get("Content-Encoding") != v.encoding:
		return false
	case v.etag:
		return len(tags) == 1 && tags[0] == v.validator
	}
	return len(tags) == 0 && (len(dates) == 0 || len(dates) == 1 && dates[0] == v.modified)
}

func accepts(values []string, unit string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), unit) {
				return true
			}
		}
	}
	return false
}

// isStrong reports whether an ETag is well formed and not weak.
func isStrong(tag string) bool {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return false
	}
	for _, c := range []byte(tag[1 : len(tag)-1]) {
		if c < '!' || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// isOld reports whether Last-Modified is a minute older than the response, so that no two
// states share it (RFC 9110 section 8.8.2.2).
func isOld(h http.Header) bool {
	if len(h["Last-Modified"]) != 1 || len(h["Date"]) != 1 {
		return false
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return false
	}
	sent, err := http.ParseTime(h.Get("Date"))
	return err == nil && sent.Sub(modified) >= time.Minute
}

// isRange reports whether a Content-Range is that of all bytes from one on.
func isRange(value string, from, length int64) bool {
	unit, span, ok := strings.Cut(value, " ")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return false
	}
	return span == strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(length-1, 10)+"/"+strconv.FormatInt(length, 10)
}
