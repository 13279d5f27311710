package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
)

const movedDomains = 100

// TestF12_ACAThatDiesInTheMiddleOfAHundredOrdersLosesNone: all hundred are issued by the second CA, which has other roots and demands an
// external account binding, with one order each. A tenant whose CAA records forbid the second CA waits for the first one, and sees that.
func TestF12_ACAThatDiesInTheMiddleOfAHundredOrdersLosesNone(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{
		Parts: []string{"postgres", "temporal", "dns", "ca", "ca2", "worker", "edge", "api"},
		Env: map[string]string{
			"CA_MOVE_AFTER":        "5s",
			"CA_RETURN_AFTER":      "30s",
			"RETRY_AFTER_FAILURES": "5s",
			"DNS_FIRST_CHECKS":     "5s",
			"DNS_CHECK_INTERVAL":   "10s",
		},
	})
	p.devstack("dns", "set", "bound.ready.test", "CAA", `0 issue "pebble.test"`)
	p.devstack("ca", "fault", "finalize", "delay:60s", "0") // every order is placed and validated, and none is finished
	hostnames := p.connectFile(names(movedDomains, "moves%03d.ready.test"))
	p.connect("bound.ready.test")
	p.eventually(
		"every domain has an order at the first CA", func() bool { return p.caStats().Orders == movedDomains+1 },
		func() any { return p.caStats() },
	)
	p.devstack("stop", "ca")

	p.eventually("all are complete", func() bool { return p.complete() == movedDomains }, func() any { return p.incomplete() })
	out, err := p.Devstack("ca2", "stats")
	require.NoError(t, err)
	var second struct{ Orders, Certificates int }
	require.NoError(t, json.Unmarshal([]byte(out), &second))
	require.Equal(t, movedDomains, second.Orders, "one order each at the second CA, and none for the domain that forbids it")
	for _, name := range hostnames[:3] {
		require.Contains(t, eventTypes(p, name), cert.IssuanceMoved)
	}

	bound := p.await("bound.ready.test", "waits with a reason", func(d control.Domain) bool {
		return slices.ContainsFunc(d.Problems, func(problem cert.Problem) bool { return problem.Code == cert.CAAForbids })
	})
	require.NotEqual(t, cert.ContactSupport, bound.Headline, "no failure is counted")
	list, _, code := p.cli("ca", "list")
	require.Zero(t, code)
	require.Regexp(t, `1\s+first\s+cannot issue; no orders until`, list)
	require.Regexp(t, `2\s+second\s+orders`, list)

	p.devstack("start", "ca")
	p.eventually(
		"the first CA is there again", func() bool { _, err := p.Devstack("ca", "reset"); return err == nil }, func() any { return p.Log("ca") },
	)
	p.awaitHeadline("bound.ready.test", cert.InstallationComplete)
	require.Equal(t, 1, p.caStats().Orders, "by the first CA, after it came back")
}

// eventTypes lists the types on a domain's timeline.
func eventTypes(p *platform, hostname string) (types []cert.EventType) {
	p.t.Helper()
	var timeline struct {
		Events []struct{ Type cert.EventType }
	}
	require.Equal(p.t, 200, p.call("GET", fmt.Sprintf("/v1/domains/%s/timeline", hostname), nil, &timeline))
	for _, e := range timeline.Events {
		types = append(types, e.Type)
	}
	return types
}
