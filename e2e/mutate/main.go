// Command mutate breaks the workflows on purpose, one rule at a time, and sees that a test notices each. No file is changed: Go compiles
// the broken copy in its place (go build -overlay). Run it from the root of the repository: `make mutate`.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "a regular expression: only the mutations whose name it matches")
	skip := flag.String("skip", "", "tests to leave out, as in go test -skip")
	walks := flag.Int("walks", 40, "how many random walks run for each mutation")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := runner{skip: *skip, walks: *walks}
	if err := r.all(ctx, regexp.MustCompile(*only)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

type runner struct {
	skip  string
	walks int
}

// all applies the mutations one after the other. Its error says which survived.
func (r runner) all(ctx context.Context, only *regexp.Regexp) error {
	if out, failed, err := r.test(ctx, mutation{}); err != nil || len(failed) > 0 {
		return fmt.Errorf("the tests fail without any mutation (%w): %v\n%s", cmp.Or(err, errors.New("red")), failed, out)
	}
	var survived []string
	for _, m := range mutations {
		if !only.MatchString(m.name) {
			continue
		}
		out, failed, err := r.test(ctx, m)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			survived = append(survived, m.name)
			fmt.Printf("UNTRIED   %s: %v\n%s", m.name, err, out)
		case len(failed) == 0:
			survived = append(survived, m.name)
			fmt.Printf("SURVIVED  %s\n", m.name)
		default:
			fmt.Printf("noticed   %-66s by %s\n", m.name, strings.Join(failed[:min(3, len(failed))], ", "))
		}
	}
	if len(survived) > 0 {
		return fmt.Errorf("no test notices: %s", strings.Join(survived, "; "))
	}
	return nil
}

var (
	failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	hanging    = regexp.MustCompile(`(?m)^panic: test timed out`)
	running    = regexp.MustCompile(`(?m)^\s+(Test\w+)\S* \(\d`)
)

// test runs the tests of the workflows and of their policy on the broken code, and returns those that fail.
func (r runner) test(ctx context.Context, m mutation) (out string, failed []string, err error) {
	folder, err := os.MkdirTemp("", "evercert-mutate-")
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	overlay, err := m.overlay(folder)
	if err != nil {
		return "", nil, err
	}
	args := []string{"test", "-vet=off", "-timeout", "4m", "-overlay", overlay, "-failfast"}
	if r.skip != "" {
		args = append(args, "-skip", r.skip)
	}
	for _, p := range []string{"./cert", "./workflows"} {
		run := append(slices.Clone(args), p)
		if p == "./workflows" {
			run = append(run, "-args", "-walk.seeds", fmt.Sprint(r.walks))
		}
		began := time.Now()
		text, testErr := exec.CommandContext(ctx, "go", run...).CombinedOutput() //nolint:gosec // our own arguments
		out = string(text)
		if ctx.Err() != nil {
			return out, nil, ctx.Err()
		}
		if testErr == nil {
			continue
		}
		for _, match := range failedTest.FindAllStringSubmatch(out, -1) {
			failed = append(failed, match[1])
		}
		if hanging.MatchString(out) {
			for _, match := range running.FindAllStringSubmatch(out, 2) {
				failed = append(failed, match[1]+" (hangs)")
			}
		}
		if len(failed) == 0 && strings.Contains(out, "panic: ") {
			failed = append(failed, "a panic")
		}
		if len(failed) == 0 {
			return out, nil, fmt.Errorf(
				"does not compile, or the tests end without a verdict after %s: %w", time.Since(began).Round(time.Second), testErr,
			)
		}
		return out, failed, nil
	}
	return out, failed, nil
}

// overlay writes the broken copies, and the file that names them to go.
func (m mutation) overlay(folder string) (string, error) {
	replace := map[string]string{}
	for i, c := range m.changes {
		path, err := filepath.Abs(c.file)
		if err != nil {
			return "", err
		}
		from := path
		if earlier, ok := replace[path]; ok {
			from = earlier
		}
		text, err := os.ReadFile(from) //nolint:gosec // a file of the repository
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), c.old); n != 1 {
			return "", fmt.Errorf("%s has %d places with %q: fix the list", c.file, n, c.old)
		}
		broken := filepath.Join(folder, fmt.Sprintf("%d-%s", i, filepath.Base(c.file)))
		if err := os.WriteFile(broken, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o600); err != nil {
			return "", err
		}
		replace[path] = broken
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}
