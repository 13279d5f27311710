package control

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

const (
	// checkPatience is how long a person waits for a check: as long as one takes (DNS_CHECK_TIMEOUT, five seconds), and ten more.
	checkPatience = 15 * time.Second
	// lookTimeout bounds a check for all who share it: longer than a workflow that is started again, two answers and checkPatience take.
	lookTimeout = 90 * time.Second
	// checkPoll is how often it is looked whether the check is there.
	checkPoll = 100 * time.Millisecond
)

// Check looks at the domain's DNS records now, and answers with what was seen. A check that was under way when it was asked for does
// not count: it may have looked before the tenant changed anything. Those who ask meanwhile share the next one.
//
// The answer has no Diagnosis when the check is not made at once, because the domain is paused or a certificate is being ordered, or
// when it takes longer than people wait. It will be made all the same.
func (c *Control) Check(ctx context.Context, r Request) (cert.Answer, error) {
	r, err := r.checked()
	if err != nil {
		return cert.Answer{}, err
	}
	view, err := c.live(ctx, r.Name)
	if err != nil {
		return cert.Answer{}, err
	}
	r.Name = view.Hostname
	shared := c.checks.join(view.Hostname, func() (cert.Answer, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout) // others may wait when the first one leaves
		defer cancel()
		return c.look(ctx, r)
	})
	late := time.NewTimer(answerTimeout + checkPatience)
	defer late.Stop()
	select {
	case <-shared.done:
		return shared.answer, shared.err
	case <-ctx.Done():
		return cert.Answer{}, fmt.Errorf("wait for the check of %s: %w", view.Hostname,
			translate(context.Cause(ctx), "the check is made all the same; look at the records in a minute"))
	case <-late.C:
		return cert.Answer{
			Hostname: view.Hostname, Headline: view.Headline, Message: underWay,
			NextAction: cert.Line(view.NextAction, cert.MaxText), NextActionAt: view.NextActionAt, Checking: true,
		}, nil
	}
}

const underWay = "the check is under way; ask again in a few seconds"

// look asks the domain's workflow for a check, and waits for it.
func (c *Control) look(ctx context.Context, r Request) (cert.Answer, error) {
	view, err := c.live(ctx, r.Name)
	if err != nil {
		return cert.Answer{}, err
	}
	answer, err := c.put(ctx, view, workflows.CheckNow, workflows.Request{By: r.By, Reason: r.Reason})
	if err != nil || !answer.Checking {
		return answer, err
	}
	view, fresh, err := c.awaitCheck(ctx, view.Hostname, answer.LastCheck)
	if err != nil {
		return cert.Answer{}, err
	}
	if !fresh {
		answer.Message = underWay
		return answer, nil
	}
	d, err := c.diagnosis(ctx, view)
	if err != nil {
		return cert.Answer{}, err
	}
	answer = cert.Answer{
		Hostname: view.Hostname, Headline: view.Headline, Message: d.Verdict.Conclusion(),
		NextAction: cert.Line(view.NextAction, cert.MaxText), NextActionAt: view.NextActionAt, Diagnosis: &d,
	}
	if view.Failures > 0 {
		answer.Failures, answer.Problems, answer.Held = view.Failures, listed(view.Problems, view.Status, view.Paused), view.Status.Escalated
	}
	if answer.Held {
		answer.Message += "; nothing is ordered until support hands the domain back"
	}
	return answer, nil
}

// awaitCheck returns the domain once its workflow has recorded a check that is newer than the last. The check itself is kept before
// that (activities.DNS); what the workflow concludes from it comes with the record. It is not fresh when that takes too long.
func (c *Control) awaitCheck(ctx context.Context, hostname string, last time.Time) (view store.View, fresh bool, err error) {
	late := time.NewTimer(checkPatience)
	defer late.Stop()
	tick := time.NewTicker(checkPoll)
	defer tick.Stop()
	for {
		view, err = c.store.Domain(ctx, hostname)
		if err != nil {
			return store.View{}, false, fmt.Errorf("read the check of %s: %w", hostname, err)
		}
		if d := view.Diagnosis; d != nil && d.CheckedAt.After(last) {
			return view, true, nil
		}
		select {
		case <-ctx.Done():
			return store.View{}, false, fmt.Errorf("wait for the check of %s: %w", hostname, context.Cause(ctx))
		case <-late.C:
			return view, false, nil
		case <-tick.C:
		}
	}
}

// checks lets people who ask for a check of one domain at the same time share one. Two hundred questions to one workflow at once are more than it
// answers in time, and each would cost a look at the DNS.
type checks struct {
	mu      sync.Mutex
	domains map[string]*domainChecks // by hostname, while somebody waits
}

// domainChecks are the check of a domain that is under way, and the next one, if somebody has asked for it.
type domainChecks struct{ now, next *sharedCheck }

// sharedCheck is a check for everybody who asked before it began. The answer and the error are there when done is closed.
type sharedCheck struct {
	look   func() (cert.Answer, error)
	done   chan struct{}
	answer cert.Answer
	err    error
}

// join returns the check that begins next, which looks as the first one who asks for it says.
func (c *checks) join(hostname string, look func() (cert.Answer, error)) *sharedCheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.domains[hostname]
	if d != nil && d.next != nil {
		return d.next
	}
	shared := &sharedCheck{look: look, done: make(chan struct{})}
	if d != nil {
		d.next = shared
		return shared
	}
	if c.domains == nil {
		c.domains = map[string]*domainChecks{}
	}
	c.domains[hostname] = &domainChecks{now: shared}
	go c.makeAll(hostname, shared)
	return shared
}

// makeAll makes the check, and the next ones, until nobody has asked for another.
func (c *checks) makeAll(hostname string, shared *sharedCheck) {
	for shared != nil {
		shared.make()
		c.mu.Lock()
		d := c.domains[hostname]
		d.now, d.next = d.next, nil
		if shared = d.now; shared == nil {
			delete(c.domains, hostname)
		}
		c.mu.Unlock()
	}
}

func (s *sharedCheck) make() {
	defer close(s.done)
	defer func() { // no request is around it whose end would be the only damage
		if fault := recover(); fault != nil {
			s.err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	s.answer, s.err = s.look()
}
