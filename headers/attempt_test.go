package headers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/headers"
)

func TestAttempt(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  headers.Attempt
	}{
		{nil, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2;max=3;id="k3\"v9"`}, headers.Attempt{N: 2, Max: 3, ID: `k3"v9`}},
		{[]string{`Retry-Attempt: 2;max=none;id=token;x=1`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max=5;max=none`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max=none;max=5`}, headers.Attempt{N: 2, Max: 5}},
		{[]string{`Retry-Attempt: 2;id="a";max=3;id=b`}, headers.Attempt{N: 2, Max: 3}},
		{[]string{`Retry-Attempt: 2;at=@1659578233;max=3;who=%"f%c3%bc"`}, headers.Attempt{N: 2, Max: 3}},
		{[]string{`Retry-Attempt: 2;at=@1.5;max=3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2;max=(1 2)`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 0`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: -1`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2.0`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2, 3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2`, `Retry-Attempt: 3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 999999999999999`}, headers.Attempt{N: 1 << 20}},
		{[]string{`Retry-Attempt: 2;id="` + strings.Repeat("x", 129) + `"`}, headers.Attempt{N: 2}},
		{[]string{"Amz-Sdk-Request: attempt=2; max=3; ttl=20261123T120010Z", "Amz-Sdk-Invocation-Id: abc"}, headers.Attempt{N: 2, Max: 3, ID: "abc"}},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120010Z;attempt=1;max=2"}, headers.Attempt{N: 1, Max: 2}},
		{[]string{"X-Stainless-Retry-Count: 2"}, headers.Attempt{N: 3}},
		{[]string{"Grpc-Previous-Rpc-Attempts: 1"}, headers.Attempt{N: 2}},
		{[]string{"X-Goog-Api-Client: gl-go/1 gccl-invocation-id/u gccl-attempt-count/4 gccl/1"}, headers.Attempt{N: 4}},
		{[]string{"X-Envoy-Attempt-Count: 5"}, headers.Attempt{N: 5}},
		{[]string{"X-Envoy-Attempt-Count: 1", "Retry-Attempt: 3;max=4"}, headers.Attempt{N: 3, Max: 4}},
		{[]string{"X-Envoy-Attempt-Count: many"}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 1`}, headers.Attempt{N: 1}},
		{[]string{`Retry-Attempt: 2;max=0`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max=1`}, headers.Attempt{N: 2, Max: 1}},
		{[]string{`Retry-Attempt: 2;max=-3`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max=9999999`}, headers.Attempt{N: 2, Max: 1 << 20}},
		{[]string{`Retry-Attempt: 2 3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: "2"`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2;id="` + strings.Repeat("x", 128) + `"`}, headers.Attempt{N: 2, ID: strings.Repeat("x", 128)}},
		{[]string{`Retry-Attempt: 1;id="a"`, "Amz-Sdk-Request: attempt=2; max=3", "Amz-Sdk-Invocation-Id: b"}, headers.Attempt{N: 2, Max: 3, ID: "a"}},
		{[]string{`Retry-Attempt: 1;max=5`, "Amz-Sdk-Request: attempt=2; max=3", "Amz-Sdk-Invocation-Id: b"}, headers.Attempt{N: 2, Max: 5}},
		{[]string{"Amz-Sdk-Request: max=3", "Amz-Sdk-Invocation-Id: b"}, headers.Attempt{}},
		{[]string{"Amz-Sdk-Request: attempt=two; max=3"}, headers.Attempt{}},
		{[]string{"Amz-Sdk-Request: attempt=9999999; max=9999999"}, headers.Attempt{N: 1 << 20, Max: 1 << 20}},
		{[]string{"Amz-Sdk-Request: attempt=1; max=2", "Amz-Sdk-Invocation-Id: " + strings.Repeat("x", 128)}, headers.Attempt{N: 1, Max: 2, ID: strings.Repeat("x", 128)}},
		{[]string{"Amz-Sdk-Request: attempt=1; max=2", "Amz-Sdk-Invocation-Id: " + strings.Repeat("x", 129)}, headers.Attempt{N: 1, Max: 2}},
		{[]string{"Amz-Sdk-Request: attempt=1; max=2", "Amz-Sdk-Invocation-Id: é"}, headers.Attempt{N: 1, Max: 2}},
		{[]string{"X-Stainless-Retry-Count: -1"}, headers.Attempt{}},
		{[]string{"X-Stainless-Retry-Count: 1048574"}, headers.Attempt{N: 1<<20 - 1}},
		{[]string{"X-Stainless-Retry-Count: 9999999"}, headers.Attempt{N: 1 << 20}},
		{[]string{"X-Stainless-Retry-Count: 1", "Retry-Attempt: 3"}, headers.Attempt{N: 3}},
		{[]string{"X-Goog-Api-Client: gccl-attempt-count/9999999"}, headers.Attempt{N: 1 << 20}},
		{[]string{"X-Goog-Api-Client: gccl-attempt-count/"}, headers.Attempt{}},
		{[]string{"X-Goog-Api-Client: gccl-attempt-count/2", "X-Goog-Api-Client: gccl-attempt-count/3"}, headers.Attempt{}},
	} {
		got, ok := headers.AttemptOf(of(tt.lines...))
		if got != tt.want || ok != (tt.want.N > 0) {
			t.Errorf("AttemptOf(%.80q) = %+v, %v; want %+v", tt.lines, got, ok, tt.want)
		}
	}
	for a, want := range map[headers.Attempt]string{
		{N: 99}: "99", {N: 100}: "100", {N: 2, Max: 1}: "2;max=1", {N: 2, Max: -1}: "2", {N: 2, ID: "a"}: `2;id="a"`, {N: 2, ID: `\`}: `2;id="\\"`,
		{N: 2, ID: strings.Repeat("x", 128)}: `2;id="` + strings.Repeat("x", 128) + `"`, {N: 2, ID: strings.Repeat("x", 129)}: "2",
		{N: 1}: "1", {N: 2, Max: 3}: "2;max=3", {N: 2, ID: "é"}: "2", {N: 3, Max: 3, ID: `a"b`}: `3;max=3;id="a\"b"`,
	} {
		if got := a.String(); got != want {
			t.Errorf("%+v is written %q, want %q", a, got, want)
		}
	}
}

// Who repeats a request by himself says so on the first attempt, or on a retry.
func TestSenderRetries(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"Retry-Attempt", "2", true},
		{"Retry-Attempt", `3;max=3;id="k3v9"`, true},
		{"Retry-Attempt", "1;max=3", true},
		{"Retry-Attempt", "1;max=1", false},
		{"Retry-Attempt", "1;max=2", true},
		{"Amz-Sdk-Request", "attempt=0", false},
		{"Amz-Sdk-Request", "attempt=1; max=0", true},
		{"Retry-Attempt", "1", false},
		{"Retry-Attempt", "0", false},
		{"Retry-Attempt", "two", false},
		{"Amz-Sdk-Request", "attempt=2; max=3", true},
		{"Amz-Sdk-Request", "attempt=1; max=3", true},
		{"Amz-Sdk-Request", "attempt=3; max=3", true},
		{"Amz-Sdk-Request", "ttl=20261126T100000Z; attempt=1; max=4", true},
		{"Amz-Sdk-Request", "attempt=1", true}, // no limit
		{"Amz-Sdk-Request", "attempt=1; max=1", false},
		{"Amz-Sdk-Request", "max=3", false},
		{"Amz-Sdk-Request", "", false},
		{"X-Stainless-Retry-Count", "1", true},
		{"X-Stainless-Retry-Count", "0", false},
		{"Grpc-Previous-Rpc-Attempts", "1", true},
		{"Grpc-Previous-Rpc-Attempts", "0", false},
		{"X-Goog-Api-Client", "gl-go/1.26 gccl-invocation-id/ab gccl-attempt-count/2", true},
		{"X-Goog-Api-Client", "gl-go/1.26 gccl-invocation-id/ab gccl-attempt-count/1", false},
		{"X-Envoy-Attempt-Count", "2", true},
		{"X-Envoy-Attempt-Count", "1", false},
		{"Opc-Client-Retries", "true", true},
		{"Opc-Client-Retries", "True", true},
		{"Opc-Client-Retries", "false", false},
		{"User-Agent", "2", false},
	} {
		if got := headers.SenderRetries(http.Header{tt.name: {tt.value}}); got != tt.want {
			t.Errorf("%s: %s: %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
	for _, h := range []http.Header{nil, {}, {"Retry-Attempt": nil}, {"Retry-Attempt": {"1", "2"}}} {
		if headers.SenderRetries(h) {
			t.Errorf("%v: true, want false", h)
		}
	}
	if !headers.SenderRetries(http.Header{"Retry-Attempt": {"1"}, "X-Envoy-Attempt-Count": {"2"}}) {
		t.Error("one of two dialects says so: false, want true")
	}
}
