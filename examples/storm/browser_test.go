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

const (
	loaded = `document.readyState === "complete" && storm.samples.length > 4`
	last   = `storm.samples.at(-1)`
)

// The page works in a real browser.
func TestPageInChromium(t *testing.T) {
	b := startBrowser(t)
	url, stop := startPage(t, "-clients", "4", "-capacity", "80", "-stall", "1m")
	b.resize(1120, 900, 1)
	b.open(url)
	b.await(loaded)

	t.Run("plots move", func(t *testing.T) {
		b := b.in(t)
		for _, plot := range []string{"goodput", "amplification", "budget", "guard"} {
			line := fmt.Sprintf(`document.querySelector("#%s .plot path.line").getAttribute("d")`, plot)
			before := eval[string](b, line)
			if !strings.Contains(before, "L") {
				t.Errorf("%s: path %q, want a line", plot, before)
			}
			b.await(fmt.Sprintf("%s !== %q", line, before))
		}
	})
	t.Run("faults", func(t *testing.T) {
		b := b.in(t)
		b.click("[data-policy=client-breaker]")
		b.await(last + `.policy === "client-breaker" && ` + last + `.answers > 0`)
		// In this order: while a breaker is open no attempt reaches the guard.
		for _, fault := range []string{"stall", "slow", "deploy", "break"} {
			health := map[string]string{"stall": "stalled", "slow": "slow", "break": "broken", "deploy": "slower since a deploy"}[fault]
			button := fmt.Sprintf("[data-fault=%s]", fault)
			b.click(button)
			b.await(fmt.Sprintf(`%s.fault === %q && document.querySelector(%q).ariaPressed === "true" && document.querySelector("#health").textContent === %q`,
				last, fault, button, health))
			if n := eval[int](b, `document.querySelectorAll(".plot rect.hatch").length`); n < 6 {
				t.Errorf("%s: %d marks of the fault, want one on each of 6 plots", fault, n)
			}
			switch fault {
			case "stall":
				b.await(last + `.guard?.engaged > 0 && ` + last + `.failures.timeout > 0`)
				b.await(`document.querySelector("#guard .value").textContent.includes("engaged")`)
			case "break":
				b.await(last + `.breaker?.open > 0 && ` + last + `.budget?.balance < ` + last + `.budget?.ceiling`)
				b.await(`document.querySelector("#breaker .value").textContent.includes("open")`)
			}
			b.click("[data-fault=none]")
			b.await(last + `.fault === "" && document.querySelector("#health").textContent === "well"`)
		}
	})
	t.Run("policies", func(t *testing.T) {
		b := b.in(t)
		for _, p := range pagePolicies() {
			button := fmt.Sprintf("[data-policy=%s]", p.name)
			b.click(button)
			b.await(fmt.Sprintf(`%s.policy === %q && document.querySelector(%q).ariaPressed === "true"`, last, p.name, button))
			b.await(fmt.Sprintf(`document.querySelector("#attempts").disabled === !%s.max_attempts`, last))
			if n := eval[int](b, `document.querySelectorAll("[data-policy][aria-pressed=true]").length`); n != 1 {
				t.Errorf("%s: %d policies are shown as in use, want 1", p.name, n)
			}
		}
		b.await(`document.querySelectorAll("#goodput .switch").length > 1`)
	})
	t.Run("server", func(t *testing.T) {
		b := b.in(t)
		b.click("[data-policy=both]")
		b.await(last + `.server?.limit > 0 && document.querySelector("#server .value").textContent.includes("limit")`)
		b.click("[data-policy=client]")
		b.await(`document.querySelector("#server .value").textContent.includes("alone")`)
	})
	t.Run("fleet", func(t *testing.T) {
		b := b.in(t)
		b.click("#half")
		b.await(last + `.naive_half && ` + last + `.guard && document.querySelector("#half").ariaPressed === "true"`)
		b.click("#half")
		b.await(`!` + last + `.naive_half && document.querySelector("#half").ariaPressed === "false"`)
	})
	t.Run("attempts", func(t *testing.T) {
		b := b.in(t)
		b.click("[data-policy=client]")
		b.await(last + `.max_attempts === 5`)
		b.click("#attempts option[value='2']")
		b.await(last + `.max_attempts === 2`)
	})
	t.Run("keyboard", func(t *testing.T) {
		b := b.in(t)
		b.press("[data-fault=slow]", "\uE007") // Enter
		b.await(last + `.fault === "slow"`)
	})
	t.Run("names", func(t *testing.T) {
		b := b.in(t)
		for _, bad := range eval[[]string](b, `[...document.querySelectorAll("button, select, .plot")].filter((e) =>
			!(e.ariaLabel || e.textContent.trim() && e.tagName === "BUTTON" || e.labels?.length)).map((e) => e.outerHTML)`) {
			t.Errorf("without a name: %.80s", bad)
		}
	})
	t.Run("small and dark", func(t *testing.T) {
		b := b.in(t)
		const paper = `getComputedStyle(document.body).backgroundColor`
		light := eval[string](b, paper)
		b.dark()
		if dark := eval[string](b, paper); dark == light {
			t.Errorf("%s in the dark scheme too", dark)
		}
		for _, width := range []int{360, 1120} {
			b.resize(width, 800, 1)
			b.await(fmt.Sprintf("innerWidth === %d", width))
			if got := eval[int](b, "document.documentElement.scrollWidth"); got > width {
				t.Errorf("%d px wide on a screen of %d px", got, width)
			}
		}
	})
	t.Run("nothing leaves the machine", func(t *testing.T) {
		b := b.in(t)
		asked := 0
		for _, to := range b.requests() {
			asked++
			if !strings.HasPrefix(to, url) && !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "chrome:") {
				t.Errorf("a request to %s", to)
			}
		}
		if asked < 10 {
			t.Errorf("%d requests were seen, want those of all samples", asked)
		}
	})
	t.Run("no complaints", func(t *testing.T) {
		for _, entry := range b.in(t).log("browser") {
			t.Errorf("console: %s: %s", entry.Level, entry.Message)
		}
	})
	t.Run("what is refused is said", func(t *testing.T) {
		b := b.in(t)
		eval[any](b, `press("/attempts/99")`)
		b.await(`!document.querySelector("#note").hidden && document.querySelector("#note").textContent.includes("want 1 to 10")`)
		b.click("[data-fault=none]")
		b.await(`document.querySelector("#note").hidden`)
		blocked := eval[string](b, `new Promise((done) => {
			addEventListener("securitypolicyviolation", (event) => done(event.blockedURI));
			fetch("http://elsewhere.test/").catch(() => {});
		})`)
		if !strings.HasPrefix(blocked, "http://elsewhere.test") {
			t.Errorf("the browser blocked %q, want what leads elsewhere", blocked)
		}
	})
	t.Run("the end, and another storm", func(t *testing.T) {
		b := b.in(t)
		stop()
		b.await(`!document.querySelector("#note").hidden && document.querySelector("#note").textContent.includes("has ended")`)
		address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")
		startPage(t, "-http", address, "-clients", "3", "-capacity", "80", "-policies", "none,client")
		b.await(`document.querySelector("#note").hidden && storm.setting?.clients === 3 && storm.samples.length > 2 && ` + last + `.policy === "none"`)
		b.open("about:blank")
	})
}

// in is the browser for a subtest.
func (b *browser) in(t *testing.T) *browser {
	own := *b
	own.t = t
	return &own
}

// requests returns where the page sent requests.
func (b *browser) requests() (urls []string) {
	b.t.Helper()
	for _, entry := range b.log("performance") {
		var event struct {
			Message struct {
				Method string
				Params struct {
					Request struct{ URL string }
				}
			}
		}
		if err := json.Unmarshal([]byte(entry.Message), &event); err != nil {
			b.t.Fatal(err)
		}
		if event.Message.Method == "Network.requestWillBeSent" {
			urls = append(urls, event.Message.Params.Request.URL)
		}
	}
	return urls
}

func (b *browser) dark() {
	b.t.Helper()
	b.devtools("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": "dark"}},
	})
}

var screenshot = flag.String("screenshot", "", "`file` for a picture of the page, of a run that takes a minute and a half")

// TestScreenshot makes the picture of the README:
//
//	go test ./examples/storm -run Screenshot -screenshot page.png
func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		t.Skip("makes a picture with -screenshot only")
	}
	b := startBrowser(t)
	args := strings.Fields("-policies retryablehttp,none,budget,client,client-breaker,both -clients 5 -capacity 150")
	url, _ := startPage(t, args...)
	b.resize(1120, 900, 1)
	b.open(url)
	await := func(at int) { b.await(fmt.Sprintf("storm.samples.length && %s.at > %d", last, at)) }
	await(12)
	b.click("[data-fault=stall]")
	await(40)
	b.click("[data-policy=client-breaker]")
	await(64)
	b.click("[data-fault=stall]")
	await(89)
	if busy := eval[string](b, `document.querySelector("#busy").textContent`); busy != "" {
		t.Errorf("this picture is of no use: %s", busy)
	}
	b.point(0, 0)
	eval[any](b, "document.activeElement.blur()")
	b.picture(*screenshot, 1120)
	b.dark()
	b.picture(strings.TrimSuffix(*screenshot, ".png")+"-dark.png", 1120)
	b.picture(strings.TrimSuffix(*screenshot, ".png")+"-small.png", 360)
}

// picture writes the whole page as it is on a screen of that width.
func (b *browser) picture(file string, width int) {
	b.t.Helper()
	b.resize(width, 900, 1)
	b.resize(width, eval[int](b, "Math.ceil(document.documentElement.getBoundingClientRect().height)"), 1)
	b.await("(draw(), true)")
	if err := os.WriteFile(file, b.screenshot(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
