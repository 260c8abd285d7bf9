package peers

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/examples/overload/worlds"
)

var (
	tables = flag.String("tables", "", "write the table of TestServersInWorlds to this file, in Markdown")
	readme = flag.Bool("readme", false, "compare servers in the worlds of the README only, which takes a few minutes")
)

// inREADME are the worlds of the table in the README of the project, by the figure
// that each is about.
func inREADME(w *worlds.World, c *worlds.Check) bool {
	return slices.Contains([]string{
		"starts into 400 a second of 200, patient clients: useful",
		"ten times slower for 20 s: useful",
		"twice the capacity for 10 s and next to nothing for 10 s: useful, third time",
		"from 5 to 100 ms after 2 s, 100 a second: harmed",
		"one in twenty takes 5 s, the others 5 ms, 100 a second: harmed",
		"60 long polls, and one call in eight given up: harmed, api",
		"one caller asks for 1000 a second of 200, another for 20: served, quiet",
		"one route hangs for a minute, patterns: served, fast",
		"64 uploads that dribble for a minute: served, api",
	}, w.Name+": "+c.Name)
}

// TestServersInWorlds plays the worlds of examples/overload with each library in
// evenkeel's place and tells which bounds each keeps. A table of all, and the one of
// the README:
//
//	go test -run ServersInWorlds -overload -v -timeout 90m -tables worlds.md .
//	go test -run ServersInWorlds -readme -v -tables readme.md .
//
// With -short the first is one of the short worlds.
func TestServersInWorlds(t *testing.T) {
	var list []worlds.World
	for _, w := range worlds.All() {
		if *readme && !slices.ContainsFunc(w.Checks, func(c worlds.Check) bool { return inREADME(&w, &c) }) {
			continue
		}
		if *readme || *overloads && (w.Short || !testing.Short()) || len(list) < 2 && w.Short && w.Room > 0 {
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
			if *readme && !inREADME(&list[i], &list[i].Checks[c]) {
				continue
			}
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
	if *tables != "" {
		text := fmt.Sprintf("%s\nIn bold what does not keep its bound. %s, %s/%s.\n", &table, time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH)
		if err := os.WriteFile(*tables, []byte(text), 0o666); err != nil {
			t.Error(err)
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
