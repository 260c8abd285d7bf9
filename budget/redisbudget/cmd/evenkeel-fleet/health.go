package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/datapunk/evenkeel/breaker/redisbreaker"
)

// healthTag begins the values that package redisbreaker keeps: 19 doubles follow, and
// two lists. The script report.lua of the package writes them.
const (
	healthTag     = "evkhlth1"
	healthDoubles = 19
)

// health is what the value of a service says at a time.
type health struct {
	Instances float64
	Share     float64       // of first attempts that guards send; 1: no overload is proved
	Circuit   float64       // of requests that circuits let pass; 1: closed
	Isolated  time.Duration // for how long it is isolated by hand; 0: it is not
	Last      time.Duration // since a process last spoke
}

func parseHealth(value string, now time.Time) (h health, ok bool) {
	text, ours := strings.CutPrefix(value, healthTag)
	if !ours || len(text) < 8*healthDoubles {
		return health{}, false
	}
	double := func(i int) float64 {
		return math.Float64frombits(binary.LittleEndian.Uint64([]byte(text[8*i:])))
	}
	at, present, share, circuit, isolated := double(0), double(1), double(6), double(13), double(17)
	if !(at >= 0 && at < 1<<53 && share > 0 && share <= 1 && circuit > 0 && circuit <= 1 && math.Abs(isolated) < 1<<53) {
		return health{}, false
	}
	micros := float64(now.UnixMicro())
	elapsed := max(micros-at, 0) / 1e6
	return health{
		Instances: present / (1 + elapsed/10) / (10 + elapsed), Share: share, Circuit: circuit,
		Isolated: time.Duration(max(isolated-micros, 0)) * time.Microsecond,
		Last:     time.Duration(elapsed * float64(time.Second)),
	}, true
}

// A healthLine is a service as -json prints it.
type healthLine struct {
	Service   string  `json:"service"`
	Prefix    string  `json:"prefix"`
	Key       string  `json:"key"`
	State     string  `json:"state"`     // isolated, overload, failing or ok
	Processes float64 `json:"processes"` // about; too few within half a minute of their start
	Share     float64 `json:"share"`     // of first attempts that are sent in an overload
	Circuit   float64 `json:"circuit"`   // of requests that pass the circuits
	Isolated  float64 `json:"isolated_seconds"`
	SpokeAgo  float64 `json:"spoke_seconds_ago"`
}

func (f *found) healthLine() healthLine {
	h, state := f.health, "ok"
	switch {
	case h.Isolated > 0:
		state = "isolated"
	case h.Share < 1:
		state = "overload"
	case h.Circuit < 1:
		state = "failing"
	}
	round := func(x float64) float64 { return math.Round(1000*x) / 1000 }
	return healthLine{f.service(), f.prefix, f.key, state, round(h.Instances), round(h.Share), round(h.Circuit), round(h.Isolated.Seconds()), round(h.Last.Seconds())}
}

// service is the name of a service of which there is health.
func (f *found) service() string {
	return strings.TrimPrefix(f.name, "~") // with which the name of a service begins that has a ~ itself
}

// printHealth prints the table of services, if there are any.
func printHealth(out io.Writer, all []found) error {
	services := slices.DeleteFunc(slices.Clone(all), func(f found) bool { return f.health == nil })
	if len(services) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSERVICE\tSTATE\tPROCESSES\tSENT\tCIRCUIT\tISOLATED\tSPOKE\tPREFIX")
	for i := range services {
		l := services[i].healthLine()
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f%%\t%.0f%%\t%v\t%v ago\t%s\n", shown(l.Service), l.State, l.Processes, 100*l.Share, 100*l.Circuit,
			services[i].health.Isolated.Round(time.Second), services[i].health.Last.Round(100*time.Millisecond), shown(l.Prefix))
	}
	return w.Flush()
}

// isolate isolates a service for d, or releases it if d is 0, under all prefixes and
// shards that have it.
func (o *operator) isolate(ctx context.Context, name string, d time.Duration) error {
	all, err := o.survey(ctx)
	if err != nil {
		return err
	}
	var others []string
	done := 0
	for i := range all {
		f := &all[i]
		if f.health == nil {
			continue
		}
		if f.service() != name {
			others = append(others, shown(f.service()))
			continue
		}
		if err := o.isolateOne(ctx, f, d); err != nil {
			return err
		}
		done++
		if err := o.isolated(f, d); err != nil {
			return err
		}
	}
	if done == 0 {
		slices.Sort(others)
		return fmt.Errorf("no process reports the health of a service %q; there are: %s", name, strings.Join(slices.Compact(others), ", "))
	}
	return nil
}

func (o *operator) isolateOne(ctx context.Context, f *found, d time.Duration) error {
	shards, err := shardsOf(f)
	if err != nil {
		return err
	}
	member, err := redisbreaker.New(o.client, redisbreaker.WithPrefix(f.prefix), redisbreaker.WithShards(shards))
	if err != nil {
		return err
	}
	defer member.Close(ctx)
	if d == 0 {
		return member.Release(ctx, f.service())
	}
	return member.Isolate(ctx, f.service(), d)
}

func (o *operator) isolated(f *found, d time.Duration) error {
	word := "released"
	if d > 0 {
		word = "isolated"
	}
	if o.json {
		return json.NewEncoder(o.out).Encode(struct {
			Service string  `json:"service"`
			Prefix  string  `json:"prefix"`
			State   string  `json:"state"`
			Seconds float64 `json:"isolated_seconds"`
		}{f.service(), f.prefix, word, d.Seconds()})
	}
	if d > 0 {
		word += " for " + d.String()
	}
	_, err := fmt.Fprintf(o.out, "%s is %s: about %.0f processes follow within seconds (prefix %s)\n", shown(f.service()), word, f.health.Instances, shown(f.prefix))
	return err
}
