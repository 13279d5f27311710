package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

// Request is a verb's object and its author.
type Request struct {
	Name   string // of a domain; any of its names will do
	By     string // who asks, for the timeline
	Reason string // why, in the author's words; may be empty
}

// RequestCertificate starts an attempt at a certificate now (rows A4 and B4). It is refused after the third failure (row A5).
func (c *Control) RequestCertificate(ctx context.Context, r Request) (cert.Answer, error) {
	return c.ask(ctx, r, workflows.RequestCertificate)
}

// Pause stops everything that evercert would do by itself for the domain, until Resume.
func (c *Control) Pause(ctx context.Context, r Request) (cert.Answer, error) {
	return c.ask(ctx, r, workflows.Pause)
}

// Resume ends a pause.
func (c *Control) Resume(ctx context.Context, r Request) (cert.Answer, error) {
	return c.ask(ctx, r, workflows.Resume)
}

// Remove ends evercert's care for the domain: its names are no longer served, and free after a quarantine. Removing twice is removing once.
func (c *Control) Remove(ctx context.Context, r Request) (cert.Answer, error) {
	answer, err := c.ask(ctx, r, workflows.Remove)
	if gone, ok := errors.AsType[removed](err); ok {
		return cert.Answer{Hostname: gone.hostname, Headline: cert.Removed, Message: cert.Unicode(gone.hostname) + " was removed before"}, nil
	}
	return answer, err
}

// SetRedirect switches the redirect from HTTP to HTTPS on or off. On is refused before the installation is complete (row A3).
func (c *Control) SetRedirect(ctx context.Context, r Request, on bool) (cert.Answer, error) {
	r, err := r.checked()
	if err != nil {
		return cert.Answer{}, err
	}
	view, err := c.live(ctx, r.Name)
	if err != nil {
		return cert.Answer{}, err
	}
	return c.put(ctx, view, workflows.SetRedirect, workflows.RedirectRequest{On: on, Request: workflows.Request{By: r.By, Reason: r.Reason}})
}

// HandBack is support's word that a domain's case is settled: automatic attempts begin again, and every wait begins anew.
func (c *Control) HandBack(ctx context.Context, r Request) (cert.Answer, error) {
	r, err := r.checkedAs("note")
	if err != nil {
		return cert.Answer{}, err
	}
	view, err := c.live(ctx, r.Name)
	if err != nil {
		return cert.Answer{}, err
	}
	shown := cert.Unicode(view.Hostname)
	if !view.Status.Escalated {
		return cert.Answer{}, refused(
			shown+" has no open case",
			"nothing has to be handed back; evercert is at work on it by itself",
			cert.PlatformActs,
		)
	}
	request := workflows.HandBackRequest{Request: workflows.Request{By: r.By, Reason: r.Reason}}
	cases, err := c.store.Cases(ctx, store.CaseFilter{OpenOnly: true, Hostname: view.Hostname, Limit: 1})
	if err != nil {
		return cert.Answer{}, fmt.Errorf("find the open case of %s: %w", view.Hostname, err)
	}
	if len(cases) > 0 {
		request.Case = cases[0].ID
	}
	answer, err := c.put(ctx, view, workflows.HandedBack, request)
	if err == nil {
		answer.Message = shown + " is handed back; automatic attempts begin again"
	}
	return answer, err
}

// ask finds the domain that a name belongs to and puts a verb to its workflow.
func (c *Control) ask(ctx context.Context, r Request, verb string) (cert.Answer, error) {
	r, err := r.checked()
	if err != nil {
		return cert.Answer{}, err
	}
	view, err := c.live(ctx, r.Name)
	if err != nil {
		return cert.Answer{}, err
	}
	return c.put(ctx, view, verb, workflows.Request{By: r.By, Reason: r.Reason})
}

// put asks a domain's workflow, which is started first where it is not running: it was not started yet, or somebody ended it.
func (c *Control) put(ctx context.Context, view store.View, verb string, argument any) (cert.Answer, error) {
	answer, err := c.workflows.Ask(ctx, view.Hostname, verb, argument)
	if errors.Is(err, ErrNotRunning) {
		if err := c.restart(ctx, view, "its workflow was not running when somebody asked for "+verb); err != nil {
			return cert.Answer{}, err
		}
		answer, err = c.workflows.Ask(ctx, view.Hostname, verb, argument)
	}
	if errors.Is(err, ErrNotRunning) {
		return cert.Answer{}, c.lost(ctx, view.Hostname)
	}
	if err != nil {
		return cert.Answer{}, fmt.Errorf("%s %s: %w", verb, view.Hostname, err)
	}
	answer.Hostname = view.Hostname
	answer.Message, answer.NextAction = cert.Line(answer.Message, cert.MaxText), cert.Line(answer.NextAction, cert.MaxText)
	return answer, nil
}

// lost returns why a workflow that should run does not: the domain was removed meanwhile, or its workflow ends at once.
func (c *Control) lost(ctx context.Context, name string) error {
	view, err := c.live(ctx, name)
	if err != nil {
		return err
	}
	return errors.Join(cert.Problem{
		Code: cert.InternalError, WhoActs: cert.PlatformActs,
		Message:     "the workflow " + workflows.DomainID(view.Hostname) + " was started again, and is not running",
		Remediation: "see in the Temporal Web UI why it ended; evercert starts it again by itself within the day",
	}, ErrNotRunning)
}

// live finds a domain that was not removed.
func (c *Control) live(ctx context.Context, name string) (store.View, error) {
	view, err := c.find(ctx, name)
	if err == nil && view.Status.Domain == cert.DomainRemoved {
		return store.View{}, removed{view.Hostname}
	}
	return view, err
}

// removed is the refusal of every verb to a removed domain.
type removed struct{ hostname string }

func (r removed) Error() string { return r.hostname + " was removed" }

func (r removed) Unwrap() error {
	return refused(cert.Unicode(r.hostname)+" was removed", "connect it again", cert.TenantActs)
}

// find finds the domain that a name belongs to. Rules about which names may be connected don't matter here: they may have changed since.
func (c *Control) find(ctx context.Context, input string) (store.View, error) {
	name, unusable := c.rules.Parse(input)
	if unusable != nil {
		name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(input), "."))
	}
	if unusable != nil && (len(name) > cert.MaxHostname || !cert.IsLine(strings.TrimSpace(input))) {
		// nobody could connect it, and PostgreSQL can't be asked for it
		return store.View{}, unusable
	}
	view, err := c.store.Domain(ctx, name)
	var p cert.Problem
	if errors.As(err, &p) && p.Code == cert.DomainUnknown && unusable != nil {
		return store.View{}, unusable // "has two dots in a row" helps more than "nobody connected it"
	}
	if err != nil {
		return store.View{}, fmt.Errorf("find %.100q: %w", name, err)
	}
	return view, nil
}
