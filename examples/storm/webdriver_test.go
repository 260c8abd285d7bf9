//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A browser is a headless Chromium, driven over the W3C WebDriver protocol.
type browser struct {
	t       *testing.T
	session string // its URL
	client  *http.Client
}

// startBrowser skips the test if Chromium is not installed, unless
// EVENKEEL_CHROMIUM=required.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("EVENKEEL_CHROMIUM") == "required" {
		skip = t.Fatalf
	}
	driver, binary := onPath("chromedriver"), onPath("chromium", "chromium-browser", "google-chrome")
	if driver == "" || binary == "" {
		skip("no chromium and chromedriver on PATH, in which to test the page: Debian has them as chromium and chromium-driver")
	}
	profile := t.TempDir()
	b := &browser{t: t, client: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		Timeout:   2 * time.Minute,
	}}
	base := startDriver(t, driver)
	var made struct{ SessionID string }
	b.command("POST", base+"/session", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":       "chrome",
		"timeouts":          map[string]int{"script": 90_000},
		"goog:loggingPrefs": map[string]string{"browser": "ALL", "performance": "ALL"},
		"goog:chromeOptions": map[string]any{"binary": binary, "args": []string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync",
			"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir=" + profile,
		}},
	}}}, &made)
	b.session = base + "/session/" + made.SessionID
	t.Cleanup(func() { b.command("DELETE", b.session, nil, nil) })
	b.open("about:blank") // away from the browser's own page, whose requests are not ours
	b.log("performance")
	return b
}

// onPath returns the path of the first program that is installed.
func onPath(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// startDriver returns the URL of a chromedriver.
func startDriver(t *testing.T, path string) string {
	t.Helper()
	cmd := exec.Command(path, "--port=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with whatever it started
		reading.Wait()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, port, ok := strings.Cut(lines.Text(), "started successfully on port "); ok {
			reading.Go(func() { io.Copy(io.Discard, out) })
			return "http://127.0.0.1:" + strings.TrimSuffix(port, ".")
		}
	}
	t.Fatalf("chromedriver did not start: %v", lines.Err())
	return ""
}

// command sends a command and decodes its value into out.
func (b *browser) command(method, url string, body, out any) {
	b.t.Helper()
	var sent io.Reader
	if method == "POST" {
		if body == nil {
			body = struct{}{}
		}
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, url, sent)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		b.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct{ Error, Message string }
		json.Unmarshal(answer.Value, &failure)
		b.t.Fatalf("%s %s: %s: %.600s", method, url, failure.Error, failure.Message)
	}
	if out != nil {
		if err := json.Unmarshal(answer.Value, out); err != nil {
			b.t.Fatalf("%s: %v", answer.Value, err)
		}
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.command("POST", b.session+"/url", map[string]string{"url": url}, nil)
}

// eval returns the value of an expression in the page.
func eval[T any](b *browser, expression string) (value T) {
	b.t.Helper()
	b.command("POST", b.session+"/execute/sync", map[string]any{"script": "return " + expression, "args": []any{}}, &value)
	return value
}

// await returns once an expression is true in the page.
func (b *browser) await(expression string) {
	b.t.Helper()
	eval[any](b, fmt.Sprintf("new Promise((done) => { const look = () => (%s) ? done(true) : setTimeout(look, 20); look(); })", expression))
}

// find returns the URL of an element.
func (b *browser) find(selector string) string {
	b.t.Helper()
	var element map[string]string
	b.command("POST", b.session+"/element", map[string]string{"using": "css selector", "value": selector}, &element)
	for _, id := range element {
		return b.session + "/element/" + id
	}
	b.t.Fatalf("no element %s", selector)
	return ""
}

// click clicks like a user: an element that is hidden or covered is an error.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.command("POST", b.find(selector)+"/click", nil, nil)
}

// press presses keys at an element.
func (b *browser) press(selector, keys string) {
	b.t.Helper()
	b.command("POST", b.find(selector)+"/value", map[string]string{"text": keys}, nil)
}

// point moves the mouse.
func (b *browser) point(x, y int) {
	b.t.Helper()
	move := map[string]any{"type": "pointerMove", "duration": 0, "x": x, "y": y}
	b.command("POST", b.session+"/actions", map[string]any{"actions": []any{
		map[string]any{"type": "pointer", "id": "mouse", "actions": []any{move}},
	}}, nil)
}

// devtools sends a command of the Chrome DevTools protocol.
func (b *browser) devtools(command string, params any) {
	b.t.Helper()
	b.command("POST", b.session+"/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, nil)
}

// resize makes the window as large as a screen of that size shows it.
func (b *browser) resize(width, height int, scale float64) {
	b.t.Helper()
	b.devtools("Emulation.setDeviceMetricsOverride",
		map[string]any{"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600})
}

func (b *browser) screenshot() []byte {
	b.t.Helper()
	var text string
	b.command("GET", b.session+"/screenshot", nil, &text)
	picture, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return picture
}

// A logEntry is a line of the console, or an event of the network.
type logEntry struct{ Level, Message string }

// log returns the entries since its last call.
func (b *browser) log(kind string) (entries []logEntry) {
	b.t.Helper()
	b.command("POST", b.session+"/se/log", map[string]string{"type": kind}, &entries)
	return entries
}
