package transport

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// A file with a policy is read by every later version, and the defaults change only
// with a line in CHANGELOG.md: see TestFormats in package examples.
func TestPolicyFile(t *testing.T) {
	data, err := os.ReadFile("testdata/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]json.RawMessage
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	policies := map[string]Policy{}
	for name, text := range texts {
		var p Policy
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		policies[name] = p
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, text); err != nil {
			t.Fatal(err)
		}
		if string(again) != want.String() {
			t.Errorf("%s: written as %s, want %s", name, again, &want)
		}
	}
	every := reflect.ValueOf(policies["every field"])
	for i := range every.NumField() {
		if every.Field(i).IsZero() {
			t.Errorf("every field: no %s", every.Type().Field(i).Name)
		}
	}
	if got, want := *(Policy{}).filled(), policies["the defaults"]; !reflect.DeepEqual(got, want) {
		t.Errorf("the defaults are %+v, want %+v", got, want)
	}
}
