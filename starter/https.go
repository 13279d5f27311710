package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/config"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/resolver"
)

// visit asks for the names as a browser on this machine would; tests put another in its place.
func visit(ctx context.Context, settings doctorSettings, q cert.Question) ([]resolver.Visit, error) {
	roots, err := config.TrustedRoots(settings.RootPEM)
	if err != nil {
		return nil, err
	}
	r, err := resolver.New(settings.Config, slog.Default())
	if err != nil {
		return nil, err
	}
	return r.HTTPS(ctx, q, roots), nil
}

// visitLive visits a connected domain that has a live certificate. Before that there is nothing to visit.
func (a *app) visitLive(ctx context.Context, c *control.Control, name string) ([]resolver.Visit, error) {
	d, err := c.Status(ctx, name)
	if err != nil || d.Certificate == nil {
		return nil, err
	}
	records, err := c.Records(ctx, name)
	if err != nil {
		return nil, err
	}
	q := cert.Question{Names: d.Names}
	for _, r := range records { // by which the platform's own addresses are known
		q.Expected = append(q.Expected, r.Record)
	}
	settings, err := loadVisitSettings(a.environ, a.stackFile)
	if err != nil {
		return nil, err
	}
	return a.visit(ctx, settings, q)
}

// showVisits says of each address in a line whether HTTPS works there.
func (a *app) showVisits(visits []resolver.Visit) {
	if len(visits) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\nHTTPS from here: %s\n", visitsInAWord(visits))
	for _, v := range visits {
		where := "https://" + cert.Unicode(v.Name)
		if v.Address.IsValid() {
			where += " at " + v.Address.String()
		}
		fmt.Fprintf(a.out, "  %s: %s\n", where, printable(outcome(v)))
	}
}

func visitsInAWord(visits []resolver.Visit) string {
	works, untold := 0, 0
	for _, v := range visits {
		switch v.Verdict {
		case cert.OK:
			works++
		case cert.Unknown:
			untold++
		case cert.Wrong:
		}
	}
	switch {
	case works == len(visits):
		return "works. If somebody can't open the site all the same, look at their browser, network and DNS."
	case untold == len(visits):
		return "not known."
	case works == 0:
		return "does not work."
	default:
		return fmt.Sprintf("works at %d of %d addresses.", works, len(visits))
	}
}

// outcome is a visit in words.
func outcome(v resolver.Visit) string {
	switch {
	case v.Verdict == cert.OK:
		return fmt.Sprintf("works (certificate valid until %s, status %d)", v.NotAfter.UTC().Format(time.DateOnly), v.Status)
	case v.Problem == nil:
		return "not known"
	case v.Verdict == cert.Unknown:
		return "not known: " + v.Problem.OneLine() + "."
	default:
		return "does not work: " + v.Problem.OneLine() + "."
	}
}
