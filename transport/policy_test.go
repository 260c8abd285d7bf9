package transport_test

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := transport.New(nil,
		transport.WithPolicy(transport.Policy{
			MaxAttempts: -1, BaseDelay: -time.Second, MaxDelay: -2 * time.Second, AttemptTimeout: -3 * time.Second,
			MaxRetryAfter: -4 * time.Second, MaxReplayBytes: -5, Statuses: []int{503, 200, 999},
		}),
		transport.WithServicePolicy("", transport.Policy{}),
		transport.WithServicePolicy("api", transport.Policy{BaseDelay: time.Second, MaxDelay: time.Millisecond}),
	)
	if err == nil {
		t.Fatal("New accepted a policy in which everything is wrong")
	}
	for _, want := range []string{
		"transport: WithPolicy: ", "Policy.MaxAttempts -1: want", "Policy.BaseDelay -1s: want", "Policy.MaxDelay -2s: want",
		"Policy.AttemptTimeout -3s: want", "Policy.MaxRetryAfter -4s: want", "Policy.MaxReplayBytes -5: want",
		"Policy.Statuses 200: want", "Policy.Statuses 999: want", `transport: WithServicePolicy(""): want`,
		`transport: WithServicePolicy("api"): Policy.MaxDelay 1ms: want at least BaseDelay, which is 1s`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestPolicyFromJSON(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want transport.Policy
	}{
		{`{}`, transport.Policy{}},
		{`{"MaxAttempts":5,"BaseDelay":"250ms","MaxDelay":"1m","AttemptTimeout":"1.5s","MaxRetryAfter":"1h","MaxReplayBytes":1024,"Statuses":[503]}`,
			transport.Policy{MaxAttempts: 5, BaseDelay: 250 * time.Millisecond, MaxDelay: time.Minute, AttemptTimeout: 1500 * time.Millisecond,
				MaxRetryAfter: time.Hour, MaxReplayBytes: 1024, Statuses: []int{503}}},
		{`{"maxAttempts":2,"base_delay":"1s"}`, transport.Policy{MaxAttempts: 2, BaseDelay: time.Second}},
		{`{"Statuses":[]}`, transport.Policy{Statuses: []int{}}},                      // none
		{`{"Statuses":null,"BaseDelay":null,"MaxAttempts":null}`, transport.Policy{}}, // the default
	} {
		var p transport.Policy
		if err := json.Unmarshal([]byte(tt.in), &p); err != nil || !reflect.DeepEqual(p, tt.want) {
			t.Errorf("%s: %+v, %v; want %+v", tt.in, p, err, tt.want)
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Errorf("marshalling %+v: %v", p, err)
		}
		var again transport.Policy
		if err := json.Unmarshal(out, &again); err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%s does not come back: %+v, %v", out, again, err)
		}
	}
}

func TestPolicyFromJSONNamesTheField(t *testing.T) {
	for in, want := range map[string][]string{
		`{"BaseDelay": 250}`:                    {"Policy.BaseDelay 250", `"250ms"`},
		`{"BaseDelay": "soon"}`:                 {`Policy.BaseDelay "soon"`},
		`{"MaxAttempts": "five"}`:               {`Policy.MaxAttempts "five"`, "want a whole number"},
		`{"Attempts": 3, "Zeal": 1}`:            {`no field "Attempts"`, `no field "Zeal"`},
		`{"MaxAttempts": -3, "Statuses":[1]}`:   {"Policy.MaxAttempts -3", "Policy.Statuses 1"},
		`{"max_attempts": 2, "MaxAttempts": 3}`: {"Policy.MaxAttempts", "twice"},
		`{"MaxAttempts": 3, "MaxAttempts": 9}`:  {"Policy.MaxAttempts", "twice"},
		`{"MaxAttempts": 3, "MaxAttempts": 3}`:  {"Policy.MaxAttempts", "twice"},
		`{"MaxAttempts": null, "MAXATTEMPTS": 9, "base_delay": "1s", "BaseDelay": "1s"}`: {"Policy.MaxAttempts is given twice", "Policy.BaseDelay is given twice"},
		`{"M\u0061xAttempts": 3, "MaxAttempts": 9}`:                                      {"Policy.MaxAttempts", "twice"},
		`{"statuses": [], "Statuses": "all"}`:                                            {"Policy.Statuses", "twice", "want a list of numbers"},
		`[1]`:                                                                            {"want a JSON object"},
		`{"Statuses": "all"}`:                                                            {`Policy.Statuses "all"`, "want a list of numbers"},
		`{"MaxReplayBytes": 1e99}`:                                                       {"Policy.MaxReplayBytes 1e99"},
	} {
		p := transport.Policy{MaxAttempts: 7}
		err := json.Unmarshal([]byte(in), &p)
		if err == nil {
			t.Errorf("%s: no error", in)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %q lacks %q", in, err, w)
			}
		}
		if p.MaxAttempts != 7 {
			t.Errorf("%s: a refused policy changed the value to %+v", in, p)
		}
	}
}

// A null is no policy, as everywhere in encoding/json; an object is a whole one.
func TestPolicyFromJSONOverAnother(t *testing.T) {
	for in, want := range map[string]transport.Policy{
		`{"Policy": null}`:                  {MaxAttempts: 7, MaxDelay: time.Second},
		`{}`:                                {MaxAttempts: 7, MaxDelay: time.Second},
		`{"Policy": {"BaseDelay": "20ms"}}`: {BaseDelay: 20 * time.Millisecond},
	} {
		var file struct{ Policy transport.Policy }
		file.Policy = transport.Policy{MaxAttempts: 7, MaxDelay: time.Second}
		if err := json.Unmarshal([]byte(in), &file); err != nil || !reflect.DeepEqual(file.Policy, want) {
			t.Errorf("%s: %+v, %v; want %+v", in, file.Policy, err, want)
		}
	}
}

func FuzzPolicyJSON(f *testing.F) {
	f.Add(`{"MaxAttempts":5,"BaseDelay":"250ms"}`)
	f.Add(`{"statuses":[500,599],"max_delay":"9999999h"}`)
	f.Fuzz(func(t *testing.T, in string) {
		var p transport.Policy
		if json.Unmarshal([]byte(in), &p) != nil {
			return
		}
		// What decodes is what New accepts, and survives a round trip.
		if _, err := transport.New(nil, transport.WithPolicy(p)); err != nil {
			t.Errorf("%q decodes to %+v, which New refuses: %v", in, p, err)
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again transport.Policy
		if err := json.Unmarshal(out, &again); err != nil {
			t.Errorf("%s from %q does not decode: %v", out, in, err)
		}
	})
}

func TestNoStatusesMeansErrorsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: []reply{{err: io.ErrUnexpectedEOF}, {status: 503}, {status: 200}}}
		resp, err := build(t, base, transport.WithPolicy(transport.Policy{Statuses: []int{}})).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); resp.StatusCode != 503 || call.Attempts != 2 || call.Stop != transport.StopNotRetryable {
			t.Errorf("%d after %+v, want the 503 of the second attempt", resp.StatusCode, call)
		}
	})
}
