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
	chain     chainKind
}

// chainKind is how a zone denies names.
type chainKind struct {
	hashed     bool   // NSEC3 in place of NSEC
	iterations uint16 // of NSEC3
	salt       string // of NSEC3, in hexadecimal
	optOut     bool   // NSEC3 leaves out delegations without DS records
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
		z.put(dns.Copy(k.DNSKEY)) // put changes the name, and other zones with the same key may be served already
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
	source, encloser := name, name
	if !z.exists[name] {
		for encloser = parentOf(name); !z.exists[encloser]; {
			encloser = parentOf(encloser)
		}
		if source = wildcardOf(encloser); !z.exists[source] {
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
			if source != name {
				m.Ns = z.denial(z.missing(name, encloser))
			}
			return
		}
	}
	m.Ns = z.withSignatures(z.at(z.name, dns.TypeSOA))
	names := []string{name}
	if source != name { // and the wildcard, which is missing too or lacks the type
		names = append(z.missing(name, encloser), wildcardOf(encloser))
	}
	m.Ns = append(m.Ns, z.denial(names)...)
}

func wildcardOf(encloser string) string { return "*." + strings.TrimPrefix(encloser, ".") }

// missing are the names whose NSEC or NSEC3 records show that a name doesn't exist.
func (z *zone) missing(name, encloser string) []string {
	if !z.chain.hashed {
		return []string{name}
	}
	closer := name
	for parentOf(closer) != encloser {
		closer = parentOf(closer)
	}
	return []string{encloser, closer}
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
		m.Ns = append(m.Ns, z.noDS(cut)...)
	}
	for _, rr := range z.at(cut, dns.TypeNS) {
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m.Extra = append(m.Extra, z.at(rr.(*dns.NS).Ns, rrtype)...)
		}
	}
}

// noDS shows that a delegation has no DS record; where the zone leaves it out, that nothing more is known.
func (z *zone) noDS(cut string) []dns.RR {
	if !z.chain.optOut {
		return z.denial([]string{cut})
	}
	encloser := parentOf(cut)
	for encloser != z.name && !slices.Contains(z.owners(), encloser) {
		encloser = parentOf(encloser)
	}
	return z.denial(z.missing(cut, encloser))
}

// owners are the names in the zone's chain of denial, in canonical order. Names in tests have no bytes below a dot's.
func (z *zone) owners() []string {
	var names []string
	for name := range z.exists {
		types := z.typesAt(name)
		insecure := slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeSOA) && !slices.Contains(types, dns.TypeDS)
		if name != z.name && z.delegation(parentOf(name), 0) != "" || len(types) == 0 && !z.chain.hashed || insecure && z.chain.optOut {
			continue // glue; an empty name, which NSEC passes over; an unsigned delegation
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(reversed(a), reversed(b)) })
	return names
}

// reversed is a name by which names sort in canonical order.
func reversed(name string) string {
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}

// atOrBefore returns the one of the sorted owners that stands at a place or before it, and the one after it.
func atOrBefore(owners []string, name string, place func(string) string) (at, next string) {
	i := slices.IndexFunc(owners, func(owner string) bool { return place(owner) > place(name) })
	if i < 0 {
		i = len(owners)
	}
	return owners[(i+len(owners)-1)%len(owners)], owners[i%len(owners)]
}

// typesAt are the types of the records at a name that the zone answers for, sorted.
func (z *zone) typesAt(name string) []uint16 {
	var types []uint16
	cut := name != z.name && z.at(name, dns.TypeNS) != nil
	for at := range z.sets {
		owner, text, _ := strings.Cut(at, " ")
		if rrtype := dns.StringToType[text]; owner == name && (!cut || rrtype == dns.TypeNS || rrtype == dns.TypeDS) {
			types = append(types, rrtype)
		}
	}
	slices.Sort(types)
	return types
}

// denial are the NSEC or NSEC3 records at names, or over those that don't exist, each once and signed.
func (z *zone) denial(names []string) []dns.RR {
	if z.signers == nil || z.noNSEC {
		return nil
	}
	var all []dns.RR
	given := map[string]bool{}
	for _, name := range names {
		set := z.nsec(name)
		if z.chain.hashed {
			set = z.nsec3(name)
		}
		if owner := set[0].Header().Name; !given[owner] {
			given[owner] = true
			all = append(all, z.withSignatures(set)...)
		}
	}
	return all
}

// nsec is the NSEC record at a name, or over it.
func (z *zone) nsec(name string) []dns.RR {
	at, next := atOrBefore(z.owners(), name, reversed)
	types := append(z.typesAt(at), dns.TypeRRSIG, dns.TypeNSEC)
	slices.Sort(types)
	return []dns.RR{&dns.NSEC{
		Hdr:        dns.RR_Header{Name: at, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60},
		NextDomain: next, TypeBitMap: types,
	}}
}

// nsec3 is the NSEC3 record at a name, or over it.
func (z *zone) nsec3(name string) []dns.RR {
	hash := func(name string) string { return dns.HashName(name, dns.SHA1, z.chain.iterations, z.chain.salt) }
	owners := z.owners()
	slices.SortFunc(owners, func(a, b string) int { return strings.Compare(hash(a), hash(b)) })
	at, next := atOrBefore(owners, name, hash)
	types := z.typesAt(at)
	if cut := at != z.name && slices.Contains(types, dns.TypeNS); !cut || slices.Contains(types, dns.TypeDS) {
		types = append(types, dns.TypeRRSIG)
		slices.Sort(types)
	}
	rr := &dns.NSEC3{
		Hdr: dns.RR_Header{
			Name: strings.ToLower(hash(at)) + "." + strings.TrimPrefix(z.name, "."), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET,
			Ttl: 60,
		},
		Hash: dns.SHA1, Iterations: z.chain.iterations, SaltLength: uint8(len(z.chain.salt) / 2), Salt: z.chain.salt, HashLength: 20,
		NextDomain: hash(next), TypeBitMap: types,
	}
	if z.chain.optOut {
		rr.Flags = 1
	}
	return []dns.RR{rr}
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
