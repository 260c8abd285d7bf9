package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// What a plot shows: few lines, so that each can be told.
var plotted = []struct{ policy, colour string }{
	{"none", "#9a9a9a"},
	{"retryablehttp", "#d1495b"},
	{"finagle", "#edae49"},
	{"failsafe-breaker", "#7b5ea7"},
	{"failsafe-limiter", "#2e8b77"},
	{"evenkeel", "#0b5fff"},
}

const (
	plotWidth, plotHeight   = 860, 456
	plotLeft, plotRight     = 56, 16
	panelHeight, panelSpace = 150, 46
	panelTop                = 88
)

// plot draws goodput and attempts per call, second by second.
func (rep *report) plot(s scenario) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="12">`, plotWidth, plotHeight)
	line(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	line(`<text x="%d" y="20" font-size="15" font-weight="600">%s, %s server</text>`, plotLeft, html.EscapeString(s.title), s.server)
	x, y := plotLeft, 42
	for _, p := range plotted {
		if _, ok := rep.of(s.id, p.policy); !ok {
			continue
		}
		name := rep.name(p.policy)
		width := 34 + 7*len(name)
		if x+width > plotWidth {
			x, y = plotLeft, y+18
		}
		line(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="3"/><text x="%d" y="%d">%s</text>`, x, y-4, x+16, y-4, p.colour, x+20, y, html.EscapeString(name))
		x += width
	}
	rep.panel(line, s, panelTop, "good calls, % of those begun", 100, func(s second) float64 { return 100 * ratio(s.Good, s.Calls) })
	rep.panel(line, s, panelTop+panelHeight+panelSpace, "attempts per call begun", 4, func(s second) float64 { return ratio(s.Attempts, s.Calls) })
	line(`</svg>`)
	return b.Bytes()
}

func (rep *report) name(policy string) string {
	for _, p := range rep.policies {
		if p.id == policy {
			return strings.ReplaceAll(p.name, "*", "")
		}
	}
	return policy
}

func (rep *report) panel(line func(string, ...any), s scenario, top int, title string, most float64, value func(second) float64) {
	seconds := int(s.length().Seconds())
	width := float64(plotWidth - plotLeft - plotRight)
	at := func(second float64) float64 { return plotLeft + width*second/float64(seconds) }
	height := func(v float64) float64 { return float64(top) + panelHeight*(1-min(v, most)/most) }
	line(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#f3efe6"/>`, at(s.calm.Seconds()), top, width*s.fault.Seconds()/float64(seconds), panelHeight)
	line(`<text x="%d" y="%d" fill="#444">%s</text>`, plotLeft, top-8, html.EscapeString(title))
	for i := range 5 {
		v := most * float64(i) / 4
		line(`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end" fill="#666">%g</text>`,
			plotLeft, height(v), plotWidth-plotRight, height(v), plotLeft-6, height(v)+4, v)
	}
	for t := 0; t <= seconds; t += 5 {
		line(`<text x="%.1f" y="%d" text-anchor="middle" fill="#666">%d s</text>`, at(float64(t)), top+panelHeight+15, t)
	}
	for _, p := range plotted {
		r, ok := rep.of(s.id, p.policy)
		if !ok {
			continue
		}
		var points strings.Builder
		for i, sec := range r.Seconds {
			fmt.Fprintf(&points, "%.1f,%.1f ", at(float64(i)+0.5), height(value(sec)))
		}
		line(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round"/>`, strings.TrimSpace(points.String()), p.colour)
	}
}
