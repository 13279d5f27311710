package authority_test

import (
	"crypto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// today is when the tests of signatures take place.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// zone is the data of a zone and how it is signed.
type zone struct {
	t      testing.TB
	mu     *sync.Mutex // of its world
	name   string
	sets   map[string][]dns.RR // by "name TYPE"
	exists map[string]bool     // names with records, and those above them
	signing
}

// signing says how a zone is signed; the zero value: not at all.
type signing struct {
	published []*key                                // in the DNSKEY RRset
	signers   []*key                                // of the DNSKEY RRset
	workers   []*key                                // of everything else; the signers when nil
	from, to  time.Time                             // of all signatures; a day around today when zero
	spoil     func(set []dns.RR, s *dns.RRSIG) bool // changes a signature; false: leaves it out
	noNSEC    bool
}

// key is a DNSSEC key with its private half.
type key struct {
	*dns.DNSKEY
	private crypto.Signer
}

func newKey(t testing.TB, zone string, algorithm uint8) *key {
	t.Helper()
	k := &key{DNSKEY: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 60},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: algorithm,
	}}
	bits := map[uint8]int{dns.RSASHA256: 2048, dns.ECDSAP256SHA256: 256, dns.ECDSAP384SHA384: 384, dns.ED25519: 256}[algorithm]
	private, err := k.Generate(bits)
	require.NoError(t, err)
	k.private = private.(crypto.Signer)
	return k
}

// ds is the record for the parent, as text.
func (k *key) ds() string { return k.ToDS(dns.SHA256).String() }

// signedBy signs the zone with one key for everything.
func (z *zone) signedBy(k *key) *zone {
	return z.signed(signing{published: []*key{k}, signers: []*key{k}})
}

func (z *zone) signed(s signing) *zone {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.signing = s
	if z.workers == nil {
		z.workers = s.signers
	}
	if z.from.IsZero() {
		z.from = today.Add(-24 * time.Hour)
	}
	if z.to.IsZero() {
		z.to = today.Add(24 * time.Hour)
	}
	for _, k := range s.published {
		z.put(k.DNSKEY)
	}
	return z
}

func (z *zone) add(text string) {
	z.t.Helper()
	var lines strings.Builder
	for line := range strings.Lines(text) { // indented as Go is, which a zone file would take for "same owner as above"
		lines.WriteString(strings.TrimLeft(line, "\t"))
	}
	parser := dns.NewZoneParser(strings.NewReader(lines.String()), z.name, "")
	parser.SetDefaultTTL(60)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		z.put(rr)
	}
	require.NoError(z.t, parser.Err())
}

func (z *zone) put(rr dns.RR) {
	h := rr.Header()
	h.Name = dns.CanonicalName(h.Name)
	at := h.Name + " " + dns.TypeToString[h.Rrtype]
	if h.Rrtype == dns.TypeSOA {
		z.sets[at] = nil
	}
	z.sets[at] = append(z.sets[at], rr)
	for name := h.Name; name != z.name && name != "."; name = parentOf(name) {
		z.exists[name] = true
	}
}

func parentOf(name string) string {
	if next, end := dns.NextLabel(name, 0); !end {
		return name[next:]
	}
	return "."
}

func (z *zone) at(name string, rrtype uint16) []dns.RR {
	return z.sets[name+" "+dns.TypeToString[rrtype]]
}

// answer fills in what an authoritative server says (RFC 1034 §4.3.2, RFC 4035 §3.1).
func (z *zone) answer(m *dns.Msg, name string, qtype uint16) {
	if cut := z.delegation(name, qtype); cut != "" {
		z.refer(m, cut)
		return
	}
	m.Authoritative = true
	for at := parentOf(name); dns.IsSubDomain(z.name, at) && at != z.name; at = parentOf(at) {
		if set := z.at(at, dns.TypeDNAME); set != nil { // with the CNAME that it stands for, which is not signed (RFC 6672 §3.1)
			alias := strings.TrimSuffix(name, at) + set[0].(*dns.DNAME).Target
			made := &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: alias}
			m.Answer = append(z.withSignatures(set), made)
			return
		}
	}
	source := name
	if !z.exists[name] {
		for source = parentOf(name); !z.exists[source]; {
			source = parentOf(source)
		}
		if source = "*." + strings.TrimPrefix(source, "."); !z.exists[source] {
			m.Rcode = dns.RcodeNameError
		}
	}
	for _, rrtype := range []uint16{qtype, dns.TypeCNAME} {
		if set := z.withSignatures(z.at(source, rrtype)); len(set) > 0 {
			for _, rr := range set {
				rr = dns.Copy(rr)
				rr.Header().Name = name
				m.Answer = append(m.Answer, rr)
			}
			return
		}
	}
	m.Ns = z.withSignatures(z.at(z.name, dns.TypeSOA))
	m.Ns = append(m.Ns, z.absence(source)...)
}

// delegation is the zone below that the name is in.
func (z *zone) delegation(name string, qtype uint16) string {
	found := ""
	for at := name; at != z.name; at = parentOf(at) {
		if z.at(at, dns.TypeNS) != nil && (at != name || qtype != dns.TypeDS) {
			found = at
		}
	}
	return found
}

func (z *zone) refer(m *dns.Msg, cut string) {
	m.Ns = append(m.Ns, z.at(cut, dns.TypeNS)...)
	if ds := z.withSignatures(z.at(cut, dns.TypeDS)); ds != nil {
		m.Ns = append(m.Ns, ds...)
	} else {
		m.Ns = append(m.Ns, z.absence(cut)...)
	}
	for _, rr := range z.at(cut, dns.TypeNS) {
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m.Extra = append(m.Extra, z.at(rr.(*dns.NS).Ns, rrtype)...)
		}
	}
}

// absence is an NSEC record at the name or the zone's apex; which types it denies nobody looks at.
func (z *zone) absence(name string) []dns.RR {
	if z.signers == nil || z.noNSEC {
		return nil
	}
	if !z.exists[name] {
		name = z.name
	}
	return z.withSignatures([]dns.RR{&dns.NSEC{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60}, NextDomain: "z." + strings.TrimPrefix(z.name, "."), TypeBitMap: []uint16{dns.TypeNSEC},
	}})
}

func (z *zone) withSignatures(set []dns.RR) []dns.RR {
	if len(set) == 0 || z.signers == nil {
		return set
	}
	by := z.workers
	if set[0].Header().Rrtype == dns.TypeDNSKEY {
		by = z.signers
	}
	signed := slices.Clone(set)
	for _, k := range by {
		s := &dns.RRSIG{
			Hdr:       dns.RR_Header{Name: set[0].Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 60},
			Algorithm: k.Algorithm, KeyTag: k.KeyTag(), SignerName: z.name,
			Inception: uint32(z.from.Unix()), Expiration: uint32(z.to.Unix()),
		}
		require.NoError(z.t, s.Sign(k.private, set))
		if z.spoil == nil || z.spoil(set, s) {
			signed = append(signed, s)
		}
	}
	return signed
}
