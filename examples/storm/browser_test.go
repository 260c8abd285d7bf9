//go:build unix

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var screenshot = flag.String("screenshot", "", "`file` for a picture of the page, of a run that takes a minute and a half")

// TestScreenshot makes the picture of the README:
//
//	go test ./examples/storm -run Screenshot -screenshot page.png
func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		t.Skip("makes a picture with -screenshot only")
	}
	url := startPage(t, "-policies", "retryablehttp,none,client,both,budget,client-breaker")
	b := startBrowser(t)
	b.resize(1120, 900, 1)
	b.open(url)
	await := func(at int) { b.await(fmt.Sprintf("storm.samples.length && storm.samples.at(-1).at > %d", at)) }
	await(8)
	b.click("[data-fault=stall]")
	await(34)
	b.click("[data-policy=client]")
	await(60)
	b.click("[data-fault=stall]")
	await(79)
	b.resize(1120, eval[int](b, "Math.ceil(document.documentElement.getBoundingClientRect().height)"), 1)
	eval[any](b, "document.activeElement.blur()")
	b.await("(draw(), true)")
	if err := os.WriteFile(*screenshot, b.screenshot(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{1120, 360} {
		b.devtools("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}}})
		b.resize(width, 1000, 1)
		b.resize(width, eval[int](b, "Math.ceil(document.documentElement.getBoundingClientRect().height)"), 1)
		b.await("(draw(), true)")
		name := fmt.Sprintf("%s-dark-%d.png", strings.TrimSuffix(*screenshot, ".png"), width)
		if err := os.WriteFile(name, b.screenshot(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var _ = json.Marshal
