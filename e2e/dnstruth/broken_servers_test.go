package dnstruth

import (
	"strings"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

const (
	a, b, c    = dnslab.BIND, dnslab.Knot, dnslab.NSD
	dead, lame = dnslab.Dead, dnslab.Lame
)

// onKnot is another zone on the second server.
func onKnot(text string) dnslab.Zones { return dnslab.Zones{b: text} }

// brokenServers are registrations, delegations and name servers that only a walk from the root shows.
func brokenServers() []row {
	ready := owned + delegated + pointed
	hosted := func(c *resolver.Config) {
		c.HostedNameservers = []string{"ns-a.dnshost.net", "ns-b.dnshost.net"}
	}
	unknown := func(r row) row {
		r.verdict, r.acts = cert.Unknown, cert.PlatformActs
		return r
	}
	fine := func(r row) row {
		r.verdict, r.chosen = cert.OK, dns01
		return r
	}
	table := []row{
		{name: "unregistered", absent: true, codes: codes(cert.DomainNotRegistered), says: []string{"$DOMAIN"}},
		{name: "expired and gone", absent: true, codes: codes(cert.DomainExpired), says: []string{"$DOMAIN"}},
		{name: "on hold at the registry", absent: true, codes: codes(cert.DomainExpired), acts: cert.RegistrarActs},
		{name: "in redemption", absent: true, codes: codes(cert.DomainExpired)},
		{
			name: "expired and parked", registered: true, text: "@ A " + hostOld + "\n* A " + hostOld + "\n",
			codes: codes(cert.DomainExpired, cert.OwnershipMissing, cert.DelegationMissing, cert.DNSWrongTarget), warns: codes(cert.SiteWouldBreak),
		},
		{name: "the only server is lame", servers: []string{lame}, codes: codes(cert.NameserverLame), says: []string{"ns-lame.dnshost.net"}},
		{name: "both servers have never heard of the zone", text: ready, parent: dnslab.NS(lame, c), codes: codes(cert.NameserverLame)},
		fine(row{
			name: "one server of two is lame", servers: []string{a, lame}, text: ready, warns: codes(cert.NameserverLame),
			says: []string{"ns-lame.dnshost.net"},
		}),
		fine(row{
			name: "one server of three is dead", servers: []string{a, b, dead}, text: ready, warns: codes(cert.NameserverUnreachable),
			says: []string{"ns-dead.dnshost.net"},
		}),
		fine(row{name: "one server of two is dead", servers: []string{c, dead}, text: ready, warns: codes(cert.NameserverUnreachable)}),
		unknown(row{
			name: "all servers are dead", servers: []string{dead}, codes: codes(cert.NameserverUnreachable), says: []string{"ns-dead.dnshost.net"},
		}),
		fine(row{
			name: "a server without an address", servers: []string{a, b}, text: ready, parent: dnslab.NS(a, b) + "@ NS ns-gone.dnshost.net.\n",
			warns: codes(cert.NameserverUnreachable, cert.NameserversDiffer), says: []string{"ns-gone.dnshost.net"},
		}),
		{
			name: "no server has an address", servers: []string{"ns-gone"}, codes: codes(cert.NameserverUnreachable),
			says: []string{"ns-gone.dnshost.net"},
		},
		{
			name: "glue is missing", servers: []string{a, b}, text: ready + "ns1 A $NET.11\n", parent: "@ NS ns1\n",
			codes: codes(cert.NameserverUnreachable), says: []string{"ns1.$DOMAIN"},
		},
		fine(row{
			name: "glue leads to a dead address", text: ready + "ns1 A $NET.11\n", parent: dnslab.NS(b) + "@ NS ns1\nns1 A $NET.14\n",
			warns: codes(cert.NameserverUnreachable, cert.NameserversDiffer),
		}),
		fine(row{
			name: "a server with a private address", text: ready, parent: dnslab.NS(a, b) + "@ NS ns1\nns1 A 10.0.0.53\n",
			warns: codes(cert.NameserverUnreachable, cert.NameserversDiffer), says: []string{"10.0.0.53"},
		}),
		fine(row{
			name: "the parent names a server that the zone doesn't", servers: []string{a, b}, child: []string{a}, text: ready,
			warns: codes(cert.NameserversDiffer), says: []string{"ns-b.dnshost.net"},
		}),
		fine(row{
			name: "the zone names a server that the parent doesn't", servers: []string{a}, child: []string{a, b}, text: ready,
			warns: codes(cert.NameserversDiffer), says: []string{"ns-b.dnshost.net"},
		}),
		fine(row{
			name: "the zone has moved and the parent names the old servers", servers: []string{a, b}, child: []string{c}, text: ready,
			warns: codes(cert.NameserversDiffer),
		}),
		{
			name: "the old servers have the old zone", servers: []string{a, b}, child: []string{c}, text: ready,
			on: dnslab.Zones{a: elsewhere, b: elsewhere}, warns: codes(cert.NameserversDiffer),
			codes: codes(cert.OwnershipMissing, cert.DelegationMissing, cert.DNSWrongTarget),
		},
		{
			name: "records on one server only", text: ready, on: onKnot(""),
			codes: codes(cert.AnswersDiffer, cert.OwnershipMissing, cert.DelegationMissing, cert.DNSNoRecords), says: []string{"ns-b.dnshost.net"},
		},
		{
			name: "the delegation on one server of three is old", servers: []string{a, b, c}, text: ready,
			on: dnslab.Zones{c: owned + pointed + "_acme-challenge.shop CNAME old.stranger.org.\n"}, methods: dns01,
			codes: codes(cert.AnswersDiffer, cert.DelegationWrongTarget),
		},
		{
			name: "the address on one server of two is old", text: owned + flat, on: onKnot(owned + elsewhere), methods: http01,
			codes: codes(cert.AnswersDiffer, cert.DNSWrongTarget),
		},
		{
			name: "the address on one server of two is old and our edge is down", target: "silent.platform.net", text: owned + pointed,
			on: onKnot(owned + elsewhere), methods: http01,
			codes: codes(cert.AnswersDiffer, cert.DNSWrongTarget, cert.HTTPUnreachable), never: []string{"that leads to " + hostSilent},
		},
		fine(row{name: "one server fails", text: ready, on: onKnot(dnslab.NotLoaded), warns: codes(cert.NameserverLame)}),
		unknown(row{
			name: "both servers fail", text: ready, on: dnslab.Zones{a: dnslab.NotLoaded, b: dnslab.NotLoaded}, codes: codes(cert.DNSLookupFailed),
			says: []string{"SERVFAIL"}, never: []string{"does not know the domain"},
		}),
		{
			name: "hosted at other servers than the platform's", servers: []string{c}, text: ready, config: hosted,
			codes: codes(cert.NameserversNotHosted), says: []string{"ns-a.dnshost.net", "ns-b.dnshost.net"},
		},
		{
			name: "hosted at one server of the platform and another", servers: []string{a, c}, text: ready, config: hosted,
			codes: codes(cert.NameserversNotHosted),
		},
		{
			name: "the name is a zone of its own on a lame server", text: owned + "shop NS ns-lame.dnshost.net.\n", methods: http01,
			codes: codes(cert.NameserverLame), says: []string{"ns-lame.dnshost.net"},
		},
	}
	for i := range table {
		if table[i].verdict != "" {
			continue
		}
		if table[i].verdict = cert.Wrong; table[i].acts == "" {
			table[i].acts = cert.TenantActs
		}
	}
	return table
}

// brokenSignatures are zones whose DNSSEC is wrong. Resolvers that validate answer SERVFAIL, as they do for a server's fault.
func brokenSignatures() []row {
	ready := owned + delegated + pointed
	table := []row{
		{name: "signatures have expired", signing: dnslab.Expired, says: []string{"expired"}},
		{name: "the DS record matches no key", signing: dnslab.ForeignDS, says: []string{"DS"}},
		{name: "a DS record and no signatures", signing: dnslab.DSOnly, says: []string{"DS"}},
		{
			name: "a record was changed after signing", signing: dnslab.Signed,
			tamper: func(zone string) string { return strings.ReplaceAll(zone, "evercert-tenant=", "evercert-tenent=") },
		},
		{name: "one record has no signature", methods: dns01, signing: dnslab.Signed, tamper: takenOut("RRSIG", "CNAME 13 4")},
		{name: "the zone has lost its keys", signing: dnslab.Signed, tamper: takenOut("DNSKEY", "")},
		{name: "that there is no CAA can't be proven", servers: []string{b}, signing: dnslab.Signed, tamper: takenOut("NSEC", "")},
		{name: "signatures on one server of two have expired", signing: dnslab.Signed, stale: b, says: []string{"ns-b.dnshost.net"}},
	}
	for i := range table {
		table[i].text = ready
		table[i].verdict, table[i].codes, table[i].acts = cert.Wrong, codes(cert.DNSSECBogus), cert.TenantActs
	}
	return table
}
