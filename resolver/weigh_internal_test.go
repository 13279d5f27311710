package resolver

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
	"github.com/evercert/evercert/resolver/lookup"
)

var (
	shown    = right([]string{"CNAME x.dcv.platform.net"})
	missing  = wrong(nil, cert.Problem{Code: cert.DelegationMissing, WhoActs: cert.TenantActs, Message: "It is missing."})
	silent   = unanswered("shop.example.com", nil, lookup.ErrTimeout)
	bogus    = unanswered("shop.example.com", nil, &lookup.BogusError{Zone: "example.com", Detail: "expired"})
	edgeDown = rightButBroken([]string{"CNAME x.dcv.platform.net"}, waiting("The platform gives no answer.", errors.New("SERVFAIL")))
)

// TestD4_TheServersThatACAAsksDecide goes through what authoritative servers and resolvers can show of one record. The first authoritative
// server is the one whose aliases are followed into the platform's own zone.
func TestD4_TheServersThatACAAsksDecide(t *testing.T) {
	t.Parallel()
	type all = []finding
	for name, c := range map[string]struct {
		authoritative, recursive all
		usable                   cert.Verdict
		code                     cert.Code
	}{
		"all right":                                   {all{shown, shown}, all{shown}, cert.OK, ""},
		"one server lacks it":                         {all{shown, missing}, all{shown, shown}, cert.Wrong, cert.DelegationMissing},
		"one server is silent":                        {all{shown, silent}, all{shown}, cert.OK, ""},
		"all are silent":                              {all{silent, silent}, all{shown}, cert.Unknown, cert.DNSLookupFailed},
		"resolvers are behind":                        {all{shown, shown}, all{missing, missing}, cert.OK, ""},
		"right, and the platform's zone is silent":    {all{edgeDown, shown}, all{shown}, cert.Unknown, cert.DNSLookupFailed},
		"every resolver reports DNSSEC":               {all{shown, shown}, all{bogus, bogus}, cert.Wrong, cert.DNSSECBogus},
		"the resolvers that answer report DNSSEC":     {all{shown, shown}, all{bogus, silent}, cert.Wrong, cert.DNSSECBogus},
		"one resolver of several reports DNSSEC":      {all{shown, shown}, all{bogus, shown}, cert.OK, ""},
		"no resolver answers":                         {all{shown, shown}, all{silent, silent}, cert.OK, ""},
		"an answer of a server fails validation":      {all{shown, bogus}, all{shown}, cert.Wrong, cert.DNSSECBogus},
		"one server lacks it, and no resolver has it": {all{missing, missing}, all{missing}, cert.Wrong, cert.DelegationMissing},
	} {
		got := judge(zone{}, c.authoritative, c.recursive)
		require.Equal(t, c.usable, got.usable, name)
		require.Equal(t, c.code, got.problem.Code, name)
	}
	unsigned := zone{found: &authority.Zone{Name: "example.com."}, validation: authority.Validation{Security: authority.Insecure}}
	require.Equal(t, shown, judge(unsigned, []finding{shown, shown}, []finding{bogus, bogus}), "no validation fails in an unsigned zone")
}

func TestD5_ServersThatDifferAreReported(t *testing.T) {
	t.Parallel()
	require.Contains(t, judge(zone{}, []finding{shown, missing}, nil).problem.Message, "Some servers show the right records already")
	require.NotContains(t, judge(zone{}, []finding{missing, missing}, nil).problem.Message, "Some servers")
}

// TestB3_TheHostAddsWhatIsMissing holds that a tenant isn't asked to add records in a zone that the platform hosts.
func TestB3_TheHostAddsWhatIsMissing(t *testing.T) {
	t.Parallel()
	for server, acts := range map[string]cert.Actor{"ns1.platform.net.": cert.PlatformActs, "ns1.elsewhere.net.": cert.TenantActs} {
		z := zone{name: "example.com", found: &authority.Zone{Name: "example.com.", ParentNS: []string{server}}}
		e := &evidence{config: Config{HostedNameservers: []string{"ns1.platform.net"}}, names: []*nameEvidence{{name: "example.com", zone: z}}}
		require.Equal(t, acts, e.assigned("example.com", missing).problem.WhoActs, server)
		require.Equal(t, acts, e.assigned("*.example.com", missing).problem.WhoActs, "a wildcard is in the zone of its base name")
	}
}
