package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evercert/evercert/control"
)

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestE4_AFileOfThousandsIsConnectedAndItsWrongRowsListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var file strings.Builder
	file.WriteString("hostname,tenant\n")
	for i := range 3000 {
		fmt.Fprintf(&file, "s%d.example.com,acme\n", i)
	}
	file.WriteString("10.0.0.1,acme\nco.uk,acme\nedge.example.net,acme\n\"open,acme\n")
	path := write(t, "domains.csv", file.String())
	out, errOut := b.run(exitRefused, "connect", "--file", path)
	equal(t, out, "3004 rows: 3000 connected, 0 connected before, 4 refused\n")
	for _, want := range []string{
		`line 3002: name_invalid: "10.0.0.1" can't be connected`, "line 3003: domain_not_allowed: co.uk is a public suffix",
		"line 3004: name_reserved: edge.example.net belongs to the platform", "line 3005: request_malformed: the line is not CSV",
		"evercert: 4 of 3004 rows were refused\nCorrect the lines named above",
	} {
		if !strings.Contains(errOut, want) {
			t.Errorf("%s\ndoes not say %s", errOut, want)
		}
	}
	if got := b.store.Len(); got != 3000 {
		t.Errorf("%d domains", got)
	}
	out, _ = b.run(exitRefused, "connect", "--file", path)
	equal(t, out, "3004 rows: 0 connected, 3000 connected before, 4 refused\n")
}

func TestAGoodFileFromTheStandardInputInJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app.in = strings.NewReader("shop.example.com\n")
	out, errOut := b.run(exitOK, "connect", "--file", "-", "--tenant", "acme", "--json")
	equal(t, out, `{"line":1,"hostname":"shop.example.com","tenant":"acme","created":true}
{"rows":1,"connected":1,"connected_before":0,"refused":0}
`)
	equal(t, errOut, "")
}

func TestAFileThatStopsSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.app.in = strings.NewReader("a.example.com\n")
		b.store.Fail(errors.New("connection refused"))
		_, errOut := b.run(exitFault, "connect", "--file", "-", "--tenant", "acme")
		if !strings.Contains(errOut, "stopped after 0 of 1 rows, and running the same file again carries on: line 1: ") {
			t.Errorf("said %s", errOut)
		}
	})
}

func TestAFileIsConnectedWhileTemporalIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.workflows.SetDown(true)
	out, _ := b.run(exitOK, "connect", "--file", write(t, "domains.csv", "a.example.com,acme\nb.example.com,acme\n"))
	equal(t, out, "2 rows: 2 connected, 0 connected before, 0 refused\n")
}

func TestLogsGetALineNowAndThenAndTerminalsABar(t *testing.T) {
	t.Parallel()
	b := setup(t)
	clock := noon
	b.app.now = func() time.Time { return clock }
	p := newProgress(b.app, 3)
	for range 3 {
		clock = clock.Add(3 * time.Second)
		p.report(control.RowResult{Created: true})
	}
	equal(t, b.err.String(), "2 of 3 rows, 0 refused, about 3 s left\n")

	b = setup(t)
	b.app.terminal = true
	b.app.in = strings.NewReader("a.example.com\n10.0.0.1\n")
	_, errOut := b.run(exitRefused, "connect", "--file", "-", "--tenant", "acme")
	if !strings.Contains(errOut, "connecting") || !strings.Contains(errOut, "line 2: name_invalid") {
		t.Errorf("said %q", errOut)
	}
}

func TestE4_AFileOfNoUseIsToldOnceAndConnectsNothing(t *testing.T) {
	t.Parallel()
	for file, says := range map[string]string{
		"": "there is no domain in the file", "a.example.com;acme\nb.example.com;acme\n": "separated by semicolons",
		"a.example.com\tacme\n":              "separated by tabs",
		"url,customer\na.example.com,acme\n": "nor the name of a column",
	} {
		b := setup(t)
		out, errOut := b.run(exitRefused, "connect", "--file", write(t, "domains.csv", file), "--tenant", "acme")
		if out != "" || !strings.Contains(errOut, says) || strings.Count(errOut, "\n") > 2 || b.store.Len() != 0 {
			t.Errorf("%q: %q %q, %d domains", file, out, errOut, b.store.Len())
		}
	}
}
