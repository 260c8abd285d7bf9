package peers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/datapunk/evenkeel/examples/overload/worlds"
)

// TestServersInWorlds plays the worlds of examples/overload with each library in
// evenkeel's place and tells which bounds each keeps. A table of all:
//
//	go test -run ServersInWorlds -overload -v -timeout 60m .
//
// With -short it is one of the short worlds.
func TestServersInWorlds(t *testing.T) {
	var list []worlds.World
	for _, w := range worlds.All() {
		if *overloads && (w.Short || !testing.Short()) || len(list) < 2 && w.Short && w.Room > 0 {
			list = append(list, w)
		}
	}
	libraries := Limiters()
	verdicts := make([][][]worlds.Verdict, len(list)) // by world, library and check
	t.Run("play", func(t *testing.T) {
		for i := range list {
			w := &list[i]
			verdicts[i] = make([][]worlds.Verdict, len(libraries))
			t.Run(w.Name, func(t *testing.T) {
				t.Parallel()
				var none *worlds.Outcome
				for j, l := range libraries {
					if l.Tuned && w.Room == 0 {
						continue // who is told how much fits would not put a limit there
					}
					synctest.Test(t, func(t *testing.T) {
						wrap := func() func(http.Handler) http.Handler { return l.New(w.Room) }
						if l.Name == "evenkeel" {
							wrap = func() func(http.Handler) http.Handler { return must(w.Shedding()) }
						}
						o := w.Play(1, wrap())
						if l.Name == "none" {
							none = o
						}
						verdicts[i][j] = w.Judge([]*worlds.Outcome{o}, []*worlds.Outcome{none})
					})
				}
			})
		}
	})
	laws := []worlds.Law{worlds.NoHarm, worlds.Capacity, worlds.Isolation}
	kept, asked := map[worlds.Law][]int{}, map[worlds.Law][]int{}
	for _, law := range laws {
		kept[law], asked[law] = make([]int, len(libraries)), make([]int, len(libraries))
	}
	total := make([]int, len(libraries)) // kept, of those that evenkeel is known to keep
	var table strings.Builder
	table.WriteString("| world | figure | bound |")
	for _, l := range libraries {
		table.WriteString(" " + l.Name + " |")
	}
	table.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(libraries)) + "\n")
	for i := range list {
		for c := range list[i].Checks {
			v := verdicts[i][0][c]
			fmt.Fprintf(&table, "| %s | %s | %s |", v.World.Name, v.Check.Name, v.Wanted())
			for j := range libraries {
				if verdicts[i][j] == nil {
					table.WriteString(" |")
					continue
				}
				v := verdicts[i][j][c]
				asked[v.World.Law][j]++
				if !v.Met {
					fmt.Fprintf(&table, " **%.3f** |", v.Median())
					continue
				}
				fmt.Fprintf(&table, " %.3f |", v.Median())
				kept[v.World.Law][j]++
				if !v.Check.Open {
					total[j]++
				}
			}
			table.WriteByte('\n')
		}
	}
	t.Logf("in bold what does not keep its bound\n\n%s", &table)
	for _, law := range laws {
		line := string(law) + ":"
		for j, l := range libraries {
			line += fmt.Sprintf(" %s %d of %d;", l.Name, kept[law][j], asked[law][j])
		}
		t.Log(line)
	}
	for j, l := range libraries {
		if ours := slices.IndexFunc(libraries, func(l Limiter) bool { return l.Name == "evenkeel" }); !l.Tuned && total[j] > total[ours] {
			t.Errorf("%s keeps %d bounds, evenkeel %d", l.Name, total[j], total[ours])
		}
	}
}
