package fleettest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker/fleettest"
	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The fleet in memory keeps the promises, with delays and with losses.
func TestMemory(t *testing.T) {
	for name, link := range map[string]func(int) (time.Duration, error){
		"at once": nil,
		"100 ms":  func(int) (time.Duration, error) { return 100 * time.Millisecond, nil },
		"400 ms":  func(int) (time.Duration, error) { return 400 * time.Millisecond, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fleet := fleettest.New(link)
				fleettest.Test(t, func(*testing.T) fleettest.Member { return fleet.Join() })
			})
		})
	}
}

// A member whose reports are lost hears nothing, and the others go on.
func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet := fleettest.New(func(member int) (time.Duration, error) {
			if member == 4 {
				return 0, errors.New("lost")
			}
			return 10 * time.Millisecond, nil
		})
		var members []fleettest.Member
		var guards []transport.FleetService
		for range 5 {
			m := fleet.Join()
			defer m.Close(context.Background())
			members, guards = append(members, m), append(guards, m.Guard().Service("api.test"))
		}
		for range 80 {
			for _, g := range guards[:3] {
				g.Admit(1)
				g.Saw(transport.SightLate, time.Now().Add(-time.Second))
			}
			time.Sleep(100 * time.Millisecond)
		}
		for i, want := range map[int]bool{3: false, 4: true} {
			if _, ok := guards[i].Admit(2); ok != want {
				t.Errorf("member %d admits a retry: %v, want %v", i, ok, want)
			}
		}
		if err := members[4].Isolate(t.Context(), "api.test", time.Minute); err == nil {
			t.Error("no error of Isolate without a way to the store")
		}
	})
}

// A program with a fleet: what three processes see, a fourth knows.
func ExampleNew() {
	fleet := fleettest.New(nil)
	var members []fleettest.Member
	for range 4 {
		m := fleet.Join()
		defer m.Close(context.Background())
		members = append(members, m)
	}
	if err := members[0].Isolate(context.Background(), "users.test", time.Minute); err != nil {
		fmt.Println(err)
		return
	}
	rt, err := transport.New(nil, transport.WithFleet(members[0].Guard()))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = rt.RoundTrip(newGet("http://users.test/"))
	held, _ := errors.AsType[*transport.GuardError](err)
	fmt.Println("refused by the fleet:", held.Fleet)
	// Output:
	// refused by the fleet: true
}

func newGet(url string) *http.Request {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	return req
}
