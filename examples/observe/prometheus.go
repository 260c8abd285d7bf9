package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed rules.yml
var rules []byte

var errNotInstalled = errors.New("prometheus is not installed")

// A promProcess is a Prometheus with its data in a temporary folder.
type promProcess struct {
	addr string
	dir  string
	cmd  *exec.Cmd
}

// startPrometheus starts a Prometheus that scrapes target every second.
func startPrometheus(ctx context.Context, command, target string) (*promProcess, error) {
	path, err := exec.LookPath(command)
	if err != nil {
		return nil, errNotInstalled
	}
	dir, err := os.MkdirTemp("", "observe")
	if err != nil {
		return nil, err
	}
	p := &promProcess{dir: dir}
	if err := p.start(ctx, path, target); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return p, nil
}

func (p *promProcess) start(ctx context.Context, path, target string) error {
	config := fmt.Sprintf(`global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [rules.yml]
scrape_configs:
  - job_name: observe
    static_configs:
      - targets: [%q]
`, target)
	err := errors.Join(
		os.WriteFile(filepath.Join(p.dir, "prometheus.yml"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(p.dir, "rules.yml"), rules, 0o600),
	)
	if err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.addr = free.Addr().String()
	free.Close()
	p.cmd = exec.CommandContext(ctx, path,
		"--config.file="+filepath.Join(p.dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(p.dir, "data"),
		"--web.listen-address="+p.addr,
		"--enable-feature=exemplar-storage,native-histograms",
		"--log.level=error",
	)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = 5 * time.Second
	return p.cmd.Start()
}

// stop ends it and removes its data.
func (p *promProcess) stop() error {
	p.cmd.Cancel()
	err := p.cmd.Wait()
	return errors.Join(err, os.RemoveAll(p.dir))
}
