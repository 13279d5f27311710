package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/e2e/stack"
)

// TestF9_RecordsThatAppearAreSeenBetweenTheChecks: the next check of the workflow is hours away, and the domain is served all the same.
func TestF9_RecordsThatAppearAreSeenBetweenTheChecks(t *testing.T) {
	t.Parallel()
	p := newPlatform(t, stack.Options{Env: map[string]string{"EARLY_CHECK_INTERVAL": "1s", "DNS_FIRST_CHECKS": "3h", "DNS_CHECK_INTERVAL": "3h"}})
	const name = "early.empty.test"
	p.connect(name)
	d := p.await(name, "was checked", func(d control.Domain) bool { return len(d.Problems) > 0 })
	require.Equal(t, cert.Pending, d.Headline)
	var panel cert.Diagnosis
	require.Equal(t, 200, p.call("GET", "/v1/domains/"+name+"/records", nil, &panel))
	for _, r := range panel.Records {
		if r.Purpose != cert.ForAddress {
			p.devstack("dns", "set", r.Name, r.Type, r.Value)
		}
	}
	p.awaitHeadline(name, cert.InstallationComplete)
	require.Equal(t, 1, p.caStats().Orders)
}
