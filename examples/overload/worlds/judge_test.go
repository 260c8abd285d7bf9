package worlds_test

import (
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/examples/overload/worlds"
)

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name          string
		check         worlds.Check
		with, without []float64
		met           bool
	}{
		{"the median is what counts", worlds.Check{Bound: .95}, []float64{.94, .95, .99}, nil, true},
		{"and is too low", worlds.Check{Bound: .95}, []float64{.94, .949, .99}, nil, false},
		{"one run is far too low", worlds.Check{Bound: .95}, []float64{.89, .97, .99}, nil, false},
		{"chance in one run", worlds.Check{Bound: .95}, []float64{.91}, nil, true},
		{"no more than the most", worlds.Check{Bound: .01, Most: true}, []float64{0, .01, 0}, nil, true},
		{"one run has more than the most", worlds.Check{Bound: .01, Most: true}, []float64{0, .011, 0}, nil, false},
		{"as without", worlds.Check{Bound: .01, Without: true}, []float64{.5, .9, .7}, []float64{.51, .91, .71}, true},
		{"one run is worse than without", worlds.Check{Bound: .01, Without: true}, []float64{.5, .9, .7}, []float64{.51, .92, .71}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			figures := map[*worlds.Outcome]float64{}
			outcomes := func(of []float64) (all []*worlds.Outcome) {
				for _, f := range of {
					o := new(worlds.Outcome)
					figures[o] = f
					all = append(all, o)
				}
				return all
			}
			tt.check.Figure = func(o *worlds.Outcome) float64 { return figures[o] }
			w := worlds.World{Name: "a world", Checks: []worlds.Check{tt.check}}
			v := w.Judge(outcomes(tt.with), outcomes(tt.without))
			if len(v) != 1 || v[0].Met != tt.met {
				t.Errorf("got %+v, want met %v", v, tt.met)
			}
			if got := strings.Contains(worlds.Table(v), "FAILS"); got == tt.met {
				t.Errorf("the table says:\n%s", worlds.Table(v))
			}
		})
	}
}
