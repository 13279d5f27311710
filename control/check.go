package control

import (
	"context"
	"fmt"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

const (
	// checkPatience is how long a person waits for a check: as long as one takes (DNS_CHECK_TIMEOUT, five seconds), and ten more.
	checkPatience = 15 * time.Second
	// checkPoll is how often it is looked whether the check is there.
	checkPoll = 100 * time.Millisecond
)

// Check looks at the domain's DNS records now, and answers with what was seen. A check that was under way when it was asked for does
// not count: it may have looked before the tenant changed anything.
//
// The answer has no Diagnosis when the check is not made at once, because the domain is paused or a certificate is being ordered, or
// when it takes longer than people wait. It will be made all the same.
func (c *Control) Check(ctx context.Context, r Request) (Answer, error) {
	r, err := r.checked()
	if err != nil {
		return Answer{}, err
	}
	view, err := c.live(ctx, r.Name)
	if err != nil {
		return Answer{}, err
	}
	answer, err := c.put(ctx, view, workflows.CheckNow, workflows.Request{By: r.By, Reason: r.Reason})
	if err != nil || !answer.Checking {
		return answer, err
	}
	view, fresh, err := c.awaitCheck(ctx, view.Hostname, answer.LastCheck)
	if err != nil {
		return Answer{}, err
	}
	if !fresh {
		answer.Message = "the check is under way; ask again in a few seconds"
		return answer, nil
	}
	d, err := c.newestCheck(ctx, view)
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Hostname: view.Hostname, Headline: view.Headline, Message: conclusion(d.Verdict),
		NextAction: view.NextAction, NextActionAt: view.NextActionAt, Diagnosis: &d,
	}, nil
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

// conclusion is a verdict in words.
func conclusion(v cert.Verdict) string {
	switch v {
	case cert.OK:
		return "the records were checked: all that is needed is there"
	case cert.Wrong:
		return "the records were checked: something is missing or wrong"
	default:
		return "the records were checked: not all servers answered, so it is not known whether they are right"
	}
}
