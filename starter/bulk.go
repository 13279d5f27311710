package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// connectFile connects the rows of a CSV file.
func (a *app) connectFile(ctx context.Context, c *control.Control, path, tenant string, workers int) error {
	rows, bad, err := a.readFile(path, tenant)
	if err != nil {
		return err
	}
	p := newProgress(a, len(rows)+len(bad))
	for _, b := range bad {
		p.report(b)
	}
	err = c.ConnectAll(ctx, slices.Values(rows), workers, p.report)
	p.finish()
	if err != nil {
		return fmt.Errorf("stopped after %d of %d rows, and running the same file again carries on: %w", p.done(), p.Rows, err)
	}
	if p.Refused > 0 {
		return cert.Problem{
			Code: cert.RequestRefused, WhoActs: cert.TenantActs, Message: fmt.Sprintf("%d of %d rows were refused", p.Refused, p.Rows),
			Remediation: "correct the lines named above and run the file again; the other rows need nothing",
		}
	}
	return nil
}

func (a *app) readFile(path, tenant string) ([]control.Row, []control.RowResult, error) {
	if path == "-" {
		return readCSV(a.in, tenant)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, control.Malformed(err.Error(), "name a CSV file that can be read")
	}
	rows, bad, err := readCSV(file, tenant)
	return rows, bad, errors.Join(err, file.Close())
}

// progress counts rows and shows how far they are: a bar on a terminal, else a line every few seconds.
type progress struct {
	Rows     int `json:"rows"`
	Created  int `json:"connected"`
	Existing int `json:"connected_before"`
	Refused  int `json:"refused"`

	app   *app
	bar   *progressbar.ProgressBar // nil without a terminal
	begun time.Time
	said  time.Time
}

// tellEvery is the pace of the lines that stand in for a bar in logs.
const reportEvery = 5 * time.Second

func newProgress(a *app, rows int) *progress {
	p := &progress{Rows: rows, app: a, begun: a.now(), said: a.now()}
	if a.terminal {
		p.bar = progressbar.NewOptions(rows, progressbar.OptionSetWriter(a.bar), progressbar.OptionSetDescription("connecting"),
			progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return p
}

func (p *progress) done() int { return p.Created + p.Existing + p.Refused }

// report takes the result of a row. ConnectAll calls it one at a time.
func (p *progress) report(r control.RowResult) {
	switch {
	case r.Problem != nil:
		p.Refused++
		p.above(fmt.Sprintf("line %d: %s: %s – %s", r.Line, r.Problem.Code, r.Problem.Message, r.Problem.Remediation))
	case r.Created:
		p.Created++
	default:
		p.Existing++
	}
	if p.app.json {
		p.writeLine(r)
	}
	switch {
	case p.bar != nil:
		p.note(p.bar.Add(1))
	case p.app.now().Sub(p.said) >= reportEvery:
		p.said = p.app.now()
		left := time.Duration(float64(p.said.Sub(p.begun)) / float64(p.done()) * float64(p.Rows-p.done()))
		fmt.Fprintf(p.app.err, "%d of %d rows, %d refused, about %s left\n", p.done(), p.Rows, p.Refused, span(left))
	}
}

// above writes a line over the bar.
func (p *progress) above(line string) {
	if p.bar != nil {
		p.note(p.bar.Clear())
	}
	fmt.Fprintln(p.app.err, line)
}

// finish writes the sum.
func (p *progress) finish() {
	if p.bar != nil {
		p.note(p.bar.Finish())
	}
	if p.app.json {
		p.app.encode(p.app.out, p, "")
		return
	}
	fmt.Fprintf(p.app.out, "%d rows: %d connected, %d connected before, %d refused\n", p.Rows, p.Created, p.Existing, p.Refused)
}

// writeLine writes the result of a row as one line of JSON.
func (p *progress) writeLine(r control.RowResult) {
	line := struct {
		Line     int           `json:"line"`
		Hostname string        `json:"hostname"`
		Tenant   string        `json:"tenant"`
		Created  bool          `json:"created"`
		Problem  *cert.Problem `json:"problem,omitempty"`
	}{r.Line, r.Hostname, r.Tenant, r.Created, r.Problem}
	if r.Problem == nil {
		line.Hostname = r.Domain.Hostname
	}
	p.app.encode(p.app.out, line, "")
}

// note reports an output that can't be written; the rows matter more.
func (p *progress) note(err error) {
	if err != nil {
		fmt.Fprintln(p.app.err, "evercert:", err)
	}
}
