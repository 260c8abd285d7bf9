package main

import (
	"fmt"
	"io"
	"strings"
)

// writeTables writes a table of each second, and one of the whole run.
func writeTables(w io.Writer, r Report) error {
	var b strings.Builder
	b.WriteString("\nGoodput (the share of the calls of each second that succeeded within their deadline),\n" +
		"and load (attempts sent per call):\n\n")
	secondsTable(&b, r)
	b.WriteString("\n")
	summaryTable(&b, r)
	notes(&b, r)
	_, err := io.WriteString(w, b.String())
	return err
}

func secondsTable(b *strings.Builder, r Report) {
	fmt.Fprintf(b, "%-9s", "second")
	for _, p := range r.Policies {
		fmt.Fprintf(b, " %16s", p.Title)
	}
	b.WriteString("\n")
	if len(r.Policies) == 0 {
		return
	}
	for i := range r.Policies[0].Seconds {
		first := r.Policies[0].Seconds[i]
		mark := ""
		if first.Stalled {
			mark = "STALL"
		}
		fmt.Fprintf(b, "%3d %-5s", first.Second, mark)
		for _, p := range r.Policies {
			s := p.Seconds[i]
			if s.Calls == 0 {
				fmt.Fprintf(b, " %16s", "-")
				continue
			}
			fmt.Fprintf(b, " %7.0f %% %6.2fx", s.GoodputPercent, s.Amplification)
		}
		b.WriteString("\n")
	}
}

func summaryTable(b *strings.Builder, r Report) {
	fmt.Fprintf(b, "%-18s %16s %21s %22s\n", "in the whole run", "calls answered", "back after the stall", "load during the stall")
	for _, p := range r.Policies {
		fmt.Fprintf(b, "%-18s %14.1f %% %21s %21.2fx\n", p.Title, p.SuccessPercent, back(r, p), p.StallAmplification)
	}
	b.WriteString("Back is the first of three seconds that together have a goodput of 99 %.\n")
}

func back(r Report, p PolicyReport) string {
	switch {
	case r.StallSeconds == 0:
		return "no stall"
	case p.RecoveredAfter == nil:
		return fmt.Sprintf("not in %.0f s", r.DurationSeconds-r.CalmSeconds-r.StallSeconds)
	}
	return fmt.Sprintf("%d s", *p.RecoveredAfter)
}

// notes warns of what makes the figures less reliable.
func notes(b *strings.Builder, r Report) {
	calls, late := 0, 0
	for _, p := range r.Policies {
		calls += p.Calls
		late += p.LateCalls
	}
	if late*100 > calls {
		fmt.Fprintf(b, "\nThis machine was busy: %d of %d calls started late, so the figures are less reliable.\nClose other programs or lower -capacity.\n", late, calls)
	}
	for _, p := range r.Policies {
		if n := p.Failures[kindOther]; n > 0 {
			fmt.Fprintf(b, "\n%s: calls that failed for another reason than the stall: %d, for example: %s\n", p.Title, n, p.Unexpected)
		}
	}
}
