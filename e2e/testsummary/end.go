package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// endTest counts a test that has ended and forgets its output.
func (s *summary) endTest(p *packageRun, e event) {
	t := p.test(e.Test)
	delete(p.tests, e.Test)
	if e.Action == "skip" {
		s.skips = append(s.skips, p.path+" "+e.Test+": "+skipReason(t.output.String()))
	}
	if strings.Contains(e.Test, "/") {
		return
	}
	c := classify(p.path, e.Test, t.realParts)
	for _, n := range []*count{s.counts[c], &p.done} {
		switch e.Action {
		case "pass":
			n.passed++
		case "fail":
			n.failed++
		case "skip":
			n.skipped++
		}
	}
	if e.Action == "fail" {
		s.failures = append(s.failures, p.path+" "+e.Test)
		s.printf("\nFAIL  %s %s\n%s\n", p.path, e.Test, readable(t.output.String()))
	}
	if isEndToEnd(p.path) { // these take minutes, and people watch
		s.printf("      %-4s %s  %.1fs\n", e.Action, e.Test, e.Elapsed)
	}
}

// endPackage counts a package's unfinished tests, says how the package went and forgets it.
func (s *summary) endPackage(p *packageRun, e event) {
	delete(s.running, p.path)
	for _, name := range slices.Sorted(maps.Keys(p.tests)) {
		if !strings.Contains(name, "/") { // a time-out, a fatal error or os.Exit in the middle of it
			p.write(name, "--- did not finish: "+name+"\n")
			s.endTest(p, event{Action: "fail", Test: name})
		}
	}
	ran := p.done.passed + p.done.failed + p.done.skipped
	if e.Action == "fail" {
		if p.done.failed == 0 {
			s.failWhole(p.path + " as a whole")
		}
		if output := readable(s.buildOutput(e.FailedBuild) + p.output.String() + e.Output); output != "" {
			s.printf("\nFAIL  %s\n%s\n\n", p.path, output)
		}
	}
	switch {
	case e.Action == "fail" || p.done.failed > 0:
		s.printf("FAIL  %s  %d of %d tests failed  %.1fs\n", p.path, p.done.failed, ran, e.Elapsed)
	case ran > 0:
		s.printf("ok    %s  %d tests  %.1fs\n", p.path, ran, e.Elapsed)
	}
}

// buildOutput gives a build's output once, though several packages may fail by it.
func (s *summary) buildOutput(importPath string) string {
	output := s.build(importPath).String()
	s.build(importPath).Reset()
	return output
}

// noise are the lines that say only that a test was started or had to wait, and those that the summary says itself.
var noise = regexp.MustCompile(`^(=== (RUN|PAUSE|CONT)|PASS$|FAIL\b)`)

func readable(output string) string {
	var kept []string
	for line := range strings.Lines(output) {
		if !noise.MatchString(strings.TrimSuffix(line, "\n")) {
			kept = append(kept, line)
		}
	}
	return strings.TrimRight(strings.Join(kept, ""), "\n")
}

// logPosition is how the testing package begins what t.Skip and t.Log say.
var logPosition = regexp.MustCompile(`^\s+\S+\.go:\d+: `)

// skipReason is the last thing that a skipped test said, on one line.
func skipReason(output string) string {
	var reason []string
	for line := range strings.Lines(output) {
		text := strings.TrimSpace(line)
		switch {
		case logPosition.MatchString(line):
			reason = []string{strings.TrimSpace(logPosition.ReplaceAllString(line, ""))}
		case len(reason) > 0 && text != "" && !strings.HasPrefix(text, "--- SKIP") && !strings.HasPrefix(text, "==="):
			reason = append(reason, text)
		}
	}
	if len(reason) == 0 {
		return "no reason given"
	}
	return strings.Join(reason, " ")
}
