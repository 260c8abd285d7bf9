package transport

import (
	"hash/maphash"
	"net/http"
	"testing"
)

func TestAccount(t *testing.T) {
	d := digester{maphash.MakeSeed()}
	request := func(query string, header ...string) *http.Request {
		req, err := http.NewRequest("GET", "http://api.test/?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Add(header[i], header[i+1])
		}
		return req
	}
	for _, tt := range []struct {
		name   string
		a, b   *http.Request
		unlike bool
	}{
		{"nothing", request(""), request("page=2"), false},
		{"one token", request("", "Authorization", "Bearer a"), request("", "Authorization", "Bearer a", "Accept", "*/*"), false},
		{"two tokens", request("", "Authorization", "Bearer a"), request("", "Authorization", "Bearer b"), true},
		{"with and without", request("", "Authorization", "Bearer a"), request(""), true},
		{"two users", request("", "Authorization", "Basic YTpi"), request("", "Authorization", "Basic YTpj"), true},
		{"two API keys", request("", "X-Api-Key", "a"), request("", "X-Api-Key", "b"), true},
		{"two tokens of GitLab", request("", "PRIVATE-TOKEN", "a"), request("", "PRIVATE-TOKEN", "b"), true},
		{"two tenants", request("", "X-Tenant-Id", "a"), request("", "X-Tenant-Id", "b"), true},
		{"two sessions", request("", "Cookie", "id=a"), request("", "Cookie", "id=b"), true},
		{"the order of headers", request("", "X-Api-Key", "a", "X-Org", "b"), request("", "X-Org", "b", "X-Api-Key", "a"), false},
		{"not the names alone", request("", "X-Api-Key", "a", "X-Org", "b"), request("", "X-Api-Key", "b", "X-Org", "a"), true},
		{"two idempotency keys", request("", "Idempotency-Key", "a"), request("", "Idempotency-Key", "b"), false},
		{"and with an X", request("", "X-Idempotency-Key", "a"), request("", "X-Idempotency-Key", "b"), false},
		{"two request IDs", request("", "X-Request-Id", "a"), request("", "X-Request-Id", "b"), false},
		{"two traces", request("", "Traceparent", "a"), request("", "Traceparent", "b"), false},
		{"two keys in the query", request("key=a"), request("key=b"), true},
		{"two pages", request("page_token=a"), request("page_token=b"), false},
		{"two signatures of AWS", request("", "Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=a"),
			request("", "Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=b"), false},
		{"two keys of AWS", request("", "Authorization", "AWS4-HMAC-SHA256 Credential=AK/20260101, Signature=a"),
			request("", "Authorization", "AWS4-HMAC-SHA256 Credential=AB/20260101, Signature=a"), true},
		{"two signatures of Azure", request("", "Authorization", "SharedKey name:a"), request("", "Authorization", "SharedKey name:b"), false},
		{"two digests", request("", "Authorization", `Digest username="a", nc=1, response="b"`),
			request("", "Authorization", `Digest username="a", nc=2, response="c"`), false},
	} {
		if got := d.account(tt.a) != d.account(tt.b); got != tt.unlike {
			t.Errorf("%s: two accounts %v, want %v", tt.name, got, tt.unlike)
		}
	}
}

func TestKind(t *testing.T) {
	d := digester{maphash.MakeSeed()}
	for _, tt := range []struct {
		a, b   string
		unlike bool
	}{
		{"GET /users/1", "GET /users/2", false},
		{"GET /users/1", "GET /users/1?page=2", false},
		{"GET /users/6f1c2d", "GET /users/9", false},
		{"GET /users/1/orders", "GET /users/2/orders", false},
		{"GET /users/1", "GET /users/1/orders", true},
		{"GET /users", "GET /search", true},
		{"GET /users", "POST /users", true},
		{"GET /blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "GET /blobs/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", false},
	} {
		kind := func(line string) uint64 {
			var method, path string
			for i := range line {
				if line[i] == ' ' {
					method, path = line[:i], line[i+1:]
				}
			}
			req, err := http.NewRequest(method, "http://api.test"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			return d.kind(req)
		}
		if got := kind(tt.a) != kind(tt.b); got != tt.unlike {
			t.Errorf("%s and %s: two kinds %v, want %v", tt.a, tt.b, got, tt.unlike)
		}
	}
}
