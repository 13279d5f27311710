package main

import (
	"fmt"
	"net"
	"slices"

	"github.com/miekg/dns" //nolint:depguard // the name servers that the bench asks are its own

	"github.com/evercert/evercert/cert"
)

// zone is a zone, and where it is served.
type zone struct {
	soa     dns.RR
	ns      []dns.RR
	glue    []dns.RR
	servers []string
}

func (z *zone) dead() bool { return slices.Contains(deadServers, z.servers[0]) }

// tree is all zones. It is written once and read by all servers.
type tree struct {
	zones   map[string]*zone
	records map[string][]dns.RR // of each name that exists; none of some
}

// newTree has the root, the registry of test, the platform, a hosting provider that gives the servers of all domains their names,
// and every domain of the bench with the records that its tenant was asked for.
func newTree(domains int) *tree {
	t := &tree{zones: map[string]*zone{}, records: map[string][]dns.RR{}}
	t.zone(".", rootServers)
	t.zone("test.", registryServers)
	t.zone("provider.test.", platformServers)
	t.zone("platform.test.", platformServers)
	t.zone("dcv.platform.test.", platformServers)
	t.record("shops.platform.test. 300 IN A 127.83.2.9")
	for i := range domains {
		t.domain(healthyName(i), []string{hostServers[2*i%16], hostServers[(2*i+1)%16]})
		if isDead(i) {
			t.domain(deadName(i), []string{deadServers[i/10*2%4], deadServers[(i/10*2+1)%4]})
		}
	}
	return t
}

func (t *tree) domain(name string, servers []string) {
	t.zone(cert.RegisteredDomain(name)+".", servers)
	for _, r := range expectedOf(name) {
		value := r.Value
		switch r.Type {
		case "TXT":
			value = `"` + value + `"`
		case "CNAME":
			value += "."
			if r.Purpose == cert.ForDelegation {
				t.exists(value)
			}
		}
		t.record(fmt.Sprintf("%s. 300 IN %s %s", r.Name, r.Type, value))
	}
}

// zone adds one; its servers are named after their addresses, in the provider's zone.
func (t *tree) zone(name string, servers []string) {
	z := &zone{servers: servers}
	z.soa = t.record(name + " 300 IN SOA ns.provider.test. hostmaster.provider.test. 1 3600 600 86400 60")
	for _, address := range servers {
		ip := net.ParseIP(address).To4()
		host := fmt.Sprintf("ns%d-%d.provider.test.", ip[2], ip[3])
		z.ns = append(z.ns, t.record(name+" 300 IN NS "+host))
		if len(t.records[host]) == 0 {
			t.record(host + " 300 IN A " + address)
		}
		z.glue = append(z.glue, t.records[host][0])
	}
	t.zones[name] = z
}

func (t *tree) record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err) // the bench wrote it
	}
	name := rr.Header().Name
	t.exists(name)
	t.records[name] = append(t.records[name], rr)
	return rr
}

// exists notes that a name, and all above it, exist.
func (t *tree) exists(name string) {
	for _, at := range dns.Split(name) {
		if _, known := t.records[name[at:]]; !known {
			t.records[name[at:]] = nil
		}
	}
}

// find is the smallest zone that a name is in, of those that ok accepts.
func (t *tree) find(name string, ok func(zone string, z *zone) bool) *zone {
	for _, at := range append(dns.Split(name), len(name)-1) {
		if z := t.zones[name[at:]]; z != nil && ok(name[at:], z) {
			return z
		}
	}
	return nil
}

// authoritative answers as the server at that address does: with what is in its zones, or a referral to the zone below.
func (t *tree) authoritative(q *dns.Msg, address string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, q.IsEdns0().Do())
	}
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	// DS stands with the parent (RFC 4035 §3.1.4.1)
	above := func(zone string) bool { return qtype == dns.TypeDS && zone == name && zone != "." }
	mine := t.find(name, func(zone string, z *zone) bool { return slices.Contains(z.servers, address) && !above(zone) })
	deepest := t.find(name, func(zone string, _ *zone) bool { return !above(zone) })
	switch {
	case mine == nil:
		m.Rcode = dns.RcodeRefused
	case deepest != mine:
		m.Ns, m.Extra = deepest.ns, append(m.Extra, deepest.glue...)
	default:
		m.Authoritative = true
		t.answer(m, name, qtype, mine)
	}
	return m
}

// answer puts in what stands at a name, and returns where it leads.
func (t *tree) answer(m *dns.Msg, name string, qtype uint16, z *zone) (alias string) {
	records, exists := t.records[name]
	for _, rr := range records {
		if kind := rr.Header().Rrtype; kind == qtype || kind == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
			if cname, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME {
				return cname.Target
			}
		}
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 || m.Answer[len(m.Answer)-1].Header().Rrtype != qtype {
		m.Ns = []dns.RR{z.soa}
	}
	return ""
}

// recursive answers as a resolver does that knows everything, and says nothing of zones whose servers are dead: on the internet it
// would say SERVFAIL, after longer than anybody waits.
func (t *tree) recursive(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	for name != "" {
		z := t.find(name, func(string, *zone) bool { return true })
		if z.dead() {
			return nil
		}
		name = t.answer(m, name, qtype, z)
	}
	return m
}
