package headers_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

func TestParseRateLimit(t *testing.T) {
	const year = headers.MaxDelay
	for _, tt := range []struct {
		value string
		want  []headers.ServiceLimit // nil: malformed
	}{
		{``, []headers.ServiceLimit{}},
		{`"a";r=0`, []headers.ServiceLimit{{Policy: "a"}}},
		{`"a";r=1;t=0`, []headers.ServiceLimit{{Policy: "a", Remaining: 1, HasReset: true}}},
		{`"a";r=1;t=2, b;r=3`, []headers.ServiceLimit{{Policy: "a", Remaining: 1, Reset: 2 * time.Second, HasReset: true}, {Policy: "b", Remaining: 3}}},
		{`"a";r=1;pk=::`, []headers.ServiceLimit{{Policy: "a", Remaining: 1, PartitionKey: []byte{}}}},
		{`"a\"";r=1;pk=:aGk=:`, []headers.ServiceLimit{{Policy: `a"`, Remaining: 1, PartitionKey: []byte("hi")}}},
		{`"a";r=1;t=999999999999999`, []headers.ServiceLimit{{Policy: "a", Remaining: 1, Reset: year, HasReset: true}}},
		{`"a";a=4;w=5`, []headers.ServiceLimit{{Policy: "a", Remaining: 4, Reset: 5 * time.Second, HasReset: true}}},
		{`remaining=6, reset=7`, []headers.ServiceLimit{{Remaining: 6, Reset: 7 * time.Second, HasReset: true}}},
		{`remaining=6`, []headers.ServiceLimit{{Remaining: 6}}},
		{`remaining=6, reset=-1`, nil},
		{`remaining=-6`, nil},
		{`"a"`, nil},
		{`"a";r=-1`, nil},
		{`"a";r=1;t=-1`, nil},
		{`"a";r=1;t=1.5`, nil},
		{`"a";r=1;pk="hi"`, nil},
		{`"a";r=1;pk=:aGk`, nil},
		{`"a";r=1,`, nil},
		{`"a";r=1 "b";r=2`, nil},
		{`1;r=1`, nil},
	} {
		got, ok := headers.ParseRateLimit([]headers.ServiceLimit{}, tt.value)
		if ok != (tt.want != nil) || ok && !reflect.DeepEqual(got, tt.want) || !ok && len(got) > 0 {
			t.Errorf("ParseRateLimit(%q) = %#v, %v; want %#v", tt.value, got, ok, tt.want)
		}
	}
}

func TestParseRateLimitPolicy(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  []headers.QuotaPolicy // nil: malformed
	}{
		{``, []headers.QuotaPolicy{}},
		{`"a";q=0`, []headers.QuotaPolicy{{Name: "a"}}},
		{`"a";q=10;w=1;pk=::`, []headers.QuotaPolicy{{Name: "a", Quota: 10, Window: time.Second, PartitionKey: []byte{}}}},
		{`"a";q=10;w=1;qu="content-bytes";pk=:aGk=:`, []headers.QuotaPolicy{{Name: "a", Quota: 10, Unit: "content-bytes", Window: time.Second, PartitionKey: []byte("hi")}}},
		{`a;q=10, b;q=20;w=60`, []headers.QuotaPolicy{{Name: "a", Quota: 10}, {Name: "b", Quota: 20, Window: time.Minute}}},
		{`10;w=1, 50;w=60`, []headers.QuotaPolicy{{Quota: 10, Window: time.Second}, {Quota: 50, Window: time.Minute}}},
		{`"a"`, nil},
		{`"a";q=-1`, nil},
		{`"a";q=1;w=0`, nil},
		{`"a";q=1;w=x`, nil},
		{`"a";q=1;qu=token`, nil},
		{`"a";q=1;pk="hi"`, nil},
		{`"a";q=1, "b"`, nil},
		{`-1`, nil},
		{`?1;q=1`, nil},
		{`"a`, nil},
	} {
		got, ok := headers.ParseRateLimitPolicy([]headers.QuotaPolicy{}, tt.value)
		if ok != (tt.want != nil) || ok && !reflect.DeepEqual(got, tt.want) || !ok && len(got) > 0 {
			t.Errorf("ParseRateLimitPolicy(%q) = %#v, %v; want %#v", tt.value, got, ok, tt.want)
		}
	}
}

func TestRateLimitItems(t *testing.T) {
	for _, tt := range []struct {
		item fmt.Stringer
		want string
	}{
		{headers.ServiceLimit{Policy: "a", Remaining: 1}, `"a";r=1`},
		{headers.ServiceLimit{Policy: "a", Remaining: -1, HasReset: true}, `"a";r=0;t=0`},
		{headers.ServiceLimit{Policy: "é", Remaining: 1 << 62, Reset: 1, HasReset: true}, `"";r=999999999999999;t=1`},
		{headers.ServiceLimit{Policy: `a"b`, Reset: time.Second, HasReset: true}, `"a\"b";r=0;t=1`},
		{headers.ServiceLimit{Policy: "a", Reset: time.Second}, `"a";r=0`},
		{headers.ServiceLimit{Policy: "a", Reset: time.Second + 1, HasReset: true, PartitionKey: []byte("hi")}, `"a";r=0;t=2;pk=:aGk=:`},
		{headers.ServiceLimit{Policy: "a", PartitionKey: []byte{}}, `"a";r=0;pk=::`},
		{headers.QuotaPolicy{Name: "a", Quota: 10}, `"a";q=10`},
		{headers.QuotaPolicy{Name: "a", Quota: 10, Unit: "bytes", Window: time.Minute, PartitionKey: []byte("hi")}, `"a";q=10;qu="bytes";w=60;pk=:aGk=:`},
		{headers.QuotaPolicy{Name: "a", Quota: 10, Unit: "é", Window: 1}, `"a";q=10;w=1`},
		{headers.QuotaPolicy{Name: "a", Quota: -10, Window: -1}, `"a";q=0`},
	} {
		if got := tt.item.String(); got != tt.want {
			t.Errorf("%#v is written %s, want %s", tt.item, got, tt.want)
		}
	}
}
