package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is one line of `go test -json`; `go doc test2json` describes the fields.
type event struct {
	Action      string
	Package     string
	Test        string
	Output      string
	Elapsed     float64 // seconds
	ImportPath  string  // in the place of Package when something is built
	FailedBuild string  // ImportPath of the build that failed a package
}

// summary is what is known so far.
type summary struct {
	out      io.Writer
	running  map[string]*packageRun
	builds   map[string]*strings.Builder // compiler output by ImportPath
	counts   map[class]*count
	failures []string // one line each
	skips    []string
	exited   int // how many failures were known at the last `exit N`
}

type count struct{ passed, failed, skipped int }

// packageRun is a package whose tests run.
type packageRun struct {
	path   string
	output strings.Builder     // what came from no test
	tests  map[string]*testRun // unfinished, by name; subtests too
	done   count               // of top-level tests
}

type testRun struct {
	output    strings.Builder // of a top-level test: its subtests' output too, as it came
	realParts bool
}

func newSummary(out io.Writer) *summary {
	s := &summary{out: out, running: map[string]*packageRun{}, builds: map[string]*strings.Builder{}, counts: map[class]*count{}}
	for _, c := range classes {
		s.counts[c] = &count{}
	}
	return s
}

// read takes in all of a stream, or of several. Its error is one of reading; failed tests are none.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			s.line(line)
		}
		if errors.Is(err, io.EOF) {
			s.abandonRunning()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func (s *summary) line(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err == nil {
		s.event(e)
		return
	}
	var status int
	if _, err := fmt.Sscanf(string(line), "exit %d", &status); err == nil {
		s.exit(status)
		return
	}
	s.printf("%s", line) // words between the streams, such as what runs next
}

// exit ends a stream.
func (s *summary) exit(status int) {
	s.abandonRunning()
	if status != 0 && len(s.failures) == s.exited {
		s.failWhole(fmt.Sprintf("go test ended with status %d and named nothing that failed; see its messages above", status))
	}
	s.exited = len(s.failures)
}

// abandonRunning counts the packages that have no result because `go test` itself ended.
func (s *summary) abandonRunning() {
	for _, path := range slices.Sorted(maps.Keys(s.running)) {
		s.endPackage(s.running[path], event{Action: "fail", Package: path, Output: "go test ended before this package did\n"})
	}
}

func (s *summary) event(e event) {
	if e.Package == "" {
		if e.Action == "build-output" {
			s.build(e.ImportPath).WriteString(e.Output)
		}
		return
	}
	p := s.running[e.Package]
	if p == nil {
		p = &packageRun{path: e.Package, tests: map[string]*testRun{}}
		s.running[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.test(e.Test)
	case "output":
		p.write(e.Test, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(p, e)
		} else {
			s.endTest(p, e)
		}
	}
}

func (s *summary) build(importPath string) *strings.Builder {
	if s.builds[importPath] == nil {
		s.builds[importPath] = &strings.Builder{}
	}
	return s.builds[importPath]
}

func (p *packageRun) test(name string) *testRun {
	if p.tests[name] == nil {
		p.tests[name] = &testRun{}
	}
	return p.tests[name]
}

func (p *packageRun) write(test, output string) {
	if test == "" {
		p.output.WriteString(output)
		return
	}
	p.test(test).output.WriteString(output)
	top, _, isSub := strings.Cut(test, "/")
	if isSub {
		p.test(top).output.WriteString(output)
	}
	if strings.Contains(output, realParts) {
		p.test(top).realParts = true
	}
}

// failWhole notes a failure that belongs to no test.
func (s *summary) failWhole(line string) {
	s.counts[wholePackage].failed++
	s.failures = append(s.failures, line)
}

func (s *summary) printf(format string, args ...any) {
	fmt.Fprintf(s.out, format, args...)
}
