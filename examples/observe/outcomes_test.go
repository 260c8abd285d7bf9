package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/middleware/prommetrics"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// outcomes are the rows of a table in the documentation of prommetrics, by their first
// cell. The table begins with the line that has the given cells.
func outcomes(t *testing.T, heads ...string) map[string][]string {
	t.Helper()
	const file = "../../middleware/prommetrics/doc.go"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, inside := make(map[string][]string), false
	for line := range strings.Lines(string(b)) {
		cells := regexp.MustCompile(`\s{2,}|\t`).Split(strings.TrimSpace(strings.TrimPrefix(line, "//")), -1)
		switch {
		case slices.Equal(cells, heads):
			inside = true
		case !inside:
		case strings.TrimSpace(line) == "//":
			inside = false
		case len(cells) != len(heads):
			t.Fatalf("%s: row %q has %d cells, want %d", file, cells, len(cells), len(heads))
		default:
			rows[cells[0]] = cells[1:]
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table that begins with %q", file, heads)
	}
	return rows
}

// walk makes each row of a table happen, and compares what is seen with the row.
func walk(t *testing.T, table map[string][]string, scenes map[string]func(t *testing.T) []string) {
	for row, want := range table {
		scene := scenes[row]
		if scene == nil {
			t.Errorf("nothing makes %q come about", row)
			continue
		}
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			if got := scene(t); !slices.Equal(got, want) {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		})
	}
	for scene := range scenes {
		if table[scene] == nil {
			t.Errorf("%q comes about, and has no row", scene)
		}
	}
}

// A watch has the metrics, spans and log of one end.
type watch struct {
	t        *testing.T
	registry *prometheus.Registry
	metrics  *prommetrics.Metrics
	tracing  *oteltrace.Tracing
	logger   *slog.Logger
	ended    chan struct{} // has one for each span that ends

	mu    sync.Mutex // guards what follows
	spans []sdktrace.ReadOnlySpan
	lines []line
	from  map[string]float64 // counters, before what is watched
}

// A line is one of the log.
type line struct {
	level, message string
	fields         map[string]string
}

func newWatch(t *testing.T) *watch {
	t.Helper()
	w := &watch{t: t, registry: prometheus.NewRegistry(), ended: make(chan struct{}, 1000)}
	var err error
	if w.metrics, err = prommetrics.New(w.registry); err != nil {
		t.Fatal(err)
	}
	w.tracing, err = oteltrace.New(oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w))))
	if err != nil {
		t.Fatal(err)
	}
	w.logger = slog.New(w)
	return w
}

// watch is a span processor.
func (*watch) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (*watch) Shutdown(context.Context) error                  { return nil }
func (*watch) ForceFlush(context.Context) error                { return nil }
func (w *watch) OnEnd(s sdktrace.ReadOnlySpan) {
	w.mu.Lock()
	w.spans = append(w.spans, s)
	w.mu.Unlock()
	w.ended <- struct{}{}
}

// And it is a slog.Handler.
func (*watch) Enabled(context.Context, slog.Level) bool { return true }
func (w *watch) WithAttrs([]slog.Attr) slog.Handler     { return w }
func (w *watch) WithGroup(string) slog.Handler          { return w }
func (w *watch) Handle(_ context.Context, r slog.Record) error {
	l := line{r.Level.String(), r.Message, make(map[string]string)}
	r.Attrs(func(a slog.Attr) bool { l.fields[a.Key] = a.Value.String(); return true })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, l)
	return nil
}

// counters returns the counters that are not 0, by name and label value.
func (w *watch) counters(names ...string) map[string]float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if key := f.GetName() + " " + l.GetName(); m.GetCounter().GetValue() > 0 && slices.Contains(names, key) {
					got[key+" "+l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return got
}

var words = []string{
	"evenkeel_client_attempts_total result", "evenkeel_client_calls_total stop",
	"evenkeel_server_requests_total result", "evenkeel_server_shed_total reason", "evenkeel_server_would_shed_total reason",
	"evenkeel_server_idempotency_total outcome",
}

// mark forgets what was seen so far.
func (w *watch) mark() {
	from := w.counters(words...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from, w.spans, w.lines = from, nil, nil
	for len(w.ended) > 0 {
		<-w.ended
	}
}

// counted returns the values of a label that were counted.
func (w *watch) counted(metric, label string) string {
	w.t.Helper()
	var values []string
	for key, n := range w.counters(metric + " " + label) {
		if n > w.from[key] {
			values = append(values, strings.TrimPrefix(key, metric+" "+label+" "))
		}
	}
	return cell(values)
}

// seen returns the spans that have ended so far.
func (w *watch) seen() []sdktrace.ReadOnlySpan {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.spans)
}

// statuses returns the statuses of the spans that pass.
func (w *watch) statuses(pass func(sdktrace.ReadOnlySpan) bool) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var values []string
	for _, s := range w.spans {
		if !pass(s) {
			continue
		}
		kind, status := field(s, "error.type"), s.Status()
		if strings.Contains(status.Description+kind, secret) {
			w.t.Errorf("the status of %s is %+v, of type %s", s.Name(), status, kind)
		}
		switch {
		case status.Code == codes.Error:
			values = append(values, strings.TrimSpace("error "+kind))
		case kind != "" || status.Description != "":
			w.t.Errorf("%s did not fail, and has %q and %q", s.Name(), kind, status.Description)
		default:
			values = append(values, "unset")
		}
	}
	return cell(values)
}

// levels returns the levels of the lines that pass.
func (w *watch) levels(pass func(line) bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var values []string
	for _, l := range w.lines {
		if pass(l) {
			values = append(values, strings.ToLower(l.level))
		}
	}
	return cell(values)
}

// logged returns the values of a field.
func (w *watch) logged(message, field string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var values []string
	for _, l := range w.lines {
		if v, ok := l.fields[field]; ok && strings.HasPrefix(l.message, message) {
			values = append(values, v)
		}
	}
	return cell(values)
}

// agree reports an error unless all values are the same.
func (w *watch) agree(what string, said ...string) {
	w.t.Helper()
	if len(slices.Compact(said)) != 1 {
		w.t.Errorf("%s: metrics, spans and log say %q, want one word", what, said)
	}
}

func field(s sdktrace.ReadOnlySpan, key string) string {
	for _, kv := range s.Attributes() {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

// cell formats values as a table has them.
func cell(values []string) string {
	if len(values) == 0 {
		return "-"
	}
	slices.Sort(values)
	return strings.Join(slices.Compact(values), ", ")
}

// secret is part of every URL.
const secret = "hunter2"

// Every result, and every reason of the server, has a row in which it happens. Each
// StopReason has its row in the table of package transport: metrics, spans and lines
// treat them all alike.
func TestEveryWordHasARow(t *testing.T) {
	client, server, keyed := outcomes(t, clientHeads...), outcomes(t, serverHeads...), outcomes(t, keyHeads...)
	for _, tt := range []struct {
		file, typ string
		table     map[string][]string
		column    int
	}{
		{"../../transport/result.go", "Result", client, 0},
		{"../../transport/errors.go", "StopReason", client, 1},
		{"../../middleware/result.go", "Result", server, 0},
		{"../../middleware/shedreason.go", "ShedReason", server, 1},
		{"../../middleware/idempotency/event.go", "Outcome", keyed, 0},
	} {
		var has []string
		for _, row := range tt.table {
			has = append(has, strings.Split(row[tt.column], ", ")...)
		}
		declared := regexp.MustCompile(fmt.Sprintf(`\s%s\s+= "(\w+)"`, tt.typ)).FindAllStringSubmatch(read(t, tt.file), -1)
		if len(declared) < 5 {
			t.Fatalf("%s: %d constants of %s, want more", tt.file, len(declared), tt.typ)
		}
		for _, d := range declared {
			if !slices.Contains(has, d[1]) {
				t.Errorf("no row for the %s %q", tt.typ, d[1])
			}
		}
	}
}
