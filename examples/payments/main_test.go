package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The test binary is also the program of the services.
func TestMain(m *testing.M) {
	if os.Getenv(serviceEnv) != "" {
		fmt.Fprintln(os.Stderr, "payments:", serve())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// With the middleware every purchase is charged once and has one answer. Without it,
// purchases are charged twice.
func TestPayments(t *testing.T) {
	var out bytes.Buffer
	counts, err := run(t.Context(), settings{customers: 20, kills: 300 * time.Millisecond, length: 6 * time.Second}, &out)
	t.Log("\n" + out.String())
	if err != nil {
		t.Fatal(err)
	}
	without, with := counts[0], counts[1]
	if with.Keys != true || with.Kills == 0 || with.Paid < 20 {
		t.Fatalf("%+v, want kills and purchases", with)
	}
	if with.Twice != 0 || with.Never != 0 || with.Differing != 0 || with.Charges != with.Paid || !with.Balance {
		t.Errorf("with the middleware: %+v, want every purchase charged once", with)
	}
	if without.Twice == 0 || !without.Balance {
		t.Errorf("without the middleware: %+v, want purchases that were charged twice", without)
	}
	if lines := strings.Count(out.String(), "\n"); lines < 5 {
		t.Errorf("%d lines", lines)
	}
}

func TestSettings(t *testing.T) {
	good := settings{customers: 1, kills: time.Second, length: time.Second}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	_, err := run(t.Context(), settings{kills: 1}, &bytes.Buffer{})
	for _, flag := range []string{"-customers", "-kills", "-for"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("error %v, want %s in it", err, flag)
		}
	}
}
