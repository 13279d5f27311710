package resolver

import (
	"slices"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/caa"
	"github.com/evercert/evercert/resolver/reach"
)

// evidence is all that is known for a question: what the servers show together, and what the zones, the registries and the web servers say.
type evidence struct {
	question cert.Question
	config   Config
	cutOff   bool // the domain's own name servers could not be asked from here
	records  []*recordEvidence
	names    []*nameEvidence
}

// recordEvidence is what the servers show in the place of an expected record.
type recordEvidence struct {
	want    cert.Record
	finding finding         // of those who decide, together
	seen    []cert.Sighting // server by server
}

// nameEvidence is what is known of one name of the question.
type nameEvidence struct {
	name       string        // in A-labels; a wildcard begins with "*."
	zone       zone          // that the name is in
	wildcard   string        // the wildcard record that answers for its addresses, until there is a record below the name; empty: none
	expected   bool          // address records of the name are expected
	pointed    finding       // whether visitors are led to the platform
	challenge  finding       // whether a CA could look up its _acme-challenge name; only where no records are expected
	delegation *finding      // of its delegation record; nil where none is expected
	caa        []caa.Set     // the CAA records that govern it, as each server shows them that decides
	registered *cert.Problem // what the registry says is wrong; nil where it says nothing, or was not asked
	web        webAnswers    // of its web servers, where they were asked
}

// webAnswers is what the addresses of a name answered, by protocol; empty where they were not asked.
type webAnswers struct{ http, alpn reach.Results }

// cdn returns the content delivery network in front of the name, empty if none is recognised.
func (w webAnswers) cdn() string {
	for _, result := range slices.Concat(w.http, w.alpn) {
		if result.CDN != "" {
			return result.CDN
		}
	}
	return ""
}

// problems returns those of both protocols.
func (w webAnswers) problems() []cert.Problem {
	return slices.Concat(w.http.Problems(), w.alpn.Problems())
}

// unconnected reports whether no record is expected: the question is about a domain that isn't connected.
func (e *evidence) unconnected() bool { return len(e.question.Expected) == 0 }

func (e *evidence) methods() []cert.Method { return methodsOf(e.question) }

func (e *evidence) allows(m cert.Method) bool { return slices.Contains(e.methods(), m) }

// allowsByAddress reports whether a method is allowed by which the CA connects to the name's addresses.
func (e *evidence) allowsByAddress() bool { return e.allows(cert.HTTP01) || e.allows(cert.TLSALPN01) }

// zoneOf returns the zone that a name of the question is in, as its evidence has it.
func (e *evidence) zoneOf(name string) (zone, bool) {
	for _, n := range e.names {
		if n.zone.name == base(name) {
			return n.zone, true
		}
	}
	return zone{}, false
}

// inBrokenZone reports whether a name is in a zone whose own problem stands for all that could be said of the name.
func (e *evidence) inBrokenZone(name string) bool {
	z, known := e.zoneOf(name)
	return known && z.broken()
}

// record returns the evidence of an expected record of a name, nil where none of that purpose is expected.
func (e *evidence) record(name string, purpose cert.Purpose) *recordEvidence {
	for _, r := range e.records {
		if r.want.Purpose == purpose && r.want.Hostname == name {
			return r
		}
	}
	return nil
}
