package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Security is what DNSSEC says of a zone or an answer (RFC 4033 §5).
type Security string

// The four results of validation.
const (
	Secure        Security = "secure"
	Insecure      Security = "insecure" // not signed, which is allowed
	Bogus         Security = "bogus"    // a validating resolver, such as every CA's, answers SERVFAIL
	Indeterminate Security = "indeterminate"
)

// Refused reports whether a validating resolver, such as every CA's, answers SERVFAIL: because something is wrong, or because what it
// needs for validation doesn't come. Keys that only this program can't check are not refused.
func (v Validation) Refused() bool {
	return v.Security == Bogus || v.Security == Indeterminate && v.Fault == NoAnswer
}

// Validation is the result for a zone or for an answer.
type Validation struct {
	Security Security
	Zone     string         // where it was decided: the zone whose keys, or whose answer, decided; the parent for its DS records
	Fault    SignatureFault // empty when all is well, or the zone is not signed
	Detail   string         // the fault in words that a tenant may read
	At       time.Time      // when the signature expired, or begins to be valid; zero for other faults

	keys []*dns.DNSKEY // of a secure zone
}

// CheckZone validates the chain of trust from Config.TrustAnchors down to the keys of the zone. With no anchors at all there
// is no chain: each zone's DS records are believed as its parent shows them, which finds what is broken in a zone whose
// parents are not signed, as in a test's own tree.
//
// A fault that only some servers show is passed over, because resolvers ask the others then; CheckAnswer sees it. Where a zone has
// a DS record and no server answers the question for its keys, or no server of a zone above does, the result is Indeterminate, and
// Detail names a server: it may pass by itself, and until then no validating resolver gets an answer.
func (t *Tree) CheckZone(ctx context.Context, zone *Zone) Validation {
	return t.validate(ctx, zone.cut)
}

func (t *Tree) validate(ctx context.Context, c *cut) Validation {
	v, err := t.trust.do(ctx, c, func() (Validation, error) { return t.validateNow(ctx, c), ctx.Err() })
	if err != nil {
		return failed(c.name, err)
	}
	return v
}

func (t *Tree) validateNow(ctx context.Context, c *cut) Validation {
	anchored := len(t.config.TrustAnchors) > 0
	var ds []*dns.DS
	for _, anchor := range t.config.TrustAnchors {
		if dns.CanonicalName(anchor.Hdr.Name) == c.name {
			ds = append(ds, anchor)
		}
	}
	if ds == nil && has(c.proof, dns.TypeDS) { // the keys will be needed; their way back need not wait for the parent's
		go func() { _, _ = t.query(ctx, c, inquiry{name: c.name, qtype: dns.TypeDNSKEY}) }()
	}
	switch {
	case ds != nil:
		return t.checkKeys(ctx, c, ds)
	case c.parent == nil:
		return Validation{Security: Insecure, Zone: c.name}
	}
	up := t.validate(ctx, c.parent)
	if up.Security == Bogus || up.Security == Indeterminate || up.Security == Insecure && anchored {
		return up
	}
	ds, err := t.delegationSigner(ctx, c, up)
	switch {
	case err != nil:
		return failed(c.parent.name, err)
	case len(ds) == 0:
		return Validation{Security: Insecure, Zone: c.name}
	}
	return t.checkKeys(ctx, c, ds)
}

// failed is the result when an error stands in the way.
func failed(zone string, err error) Validation {
	b, ok := errors.AsType[*breach](err)
	if !ok {
		return Validation{Security: Indeterminate, Zone: zone, Fault: NoAnswer, Detail: err.Error()}
	}
	v := Validation{Security: Bogus, Zone: zone, Fault: b.fault, Detail: b.detail, At: b.at}
	if b.fault == NotCheckable {
		v.Security = Indeterminate
	}
	return v
}

// delegationSigner returns a zone's DS records, verified when the parent is secure. The referral has them, or says that there
// are none; where it does neither, the parent is asked.
func (t *Tree) delegationSigner(ctx context.Context, c *cut, parent Validation) ([]*dns.DS, error) {
	if has(c.proof, dns.TypeDS) || has(c.proof, dns.TypeNSEC) || has(c.proof, dns.TypeNSEC3) {
		if ds, b := t.readDS(c, c.proof, parent); b == nil {
			return ds, nil
		}
	}
	var ds []*dns.DS
	_, err := t.query(ctx, c.parent, inquiry{name: c.name, qtype: dns.TypeDS, accept: func(m *dns.Msg) error {
		var b *breach
		if ds, b = t.readDS(c, slices.Concat(m.Answer, m.Ns), parent); b != nil {
			return b
		}
		return nil
	}})
	return ds, err
}

func (t *Tree) readDS(c *cut, section []dns.RR, parent Validation) ([]*dns.DS, *breach) {
	set := newRRset(section, c.name, dns.TypeDS)
	var ds []*dns.DS
	for _, rr := range set.records {
		if d, ok := rr.(*dns.DS); ok {
			ds = append(ds, d)
		}
	}
	switch {
	case parent.Security != Secure:
		return ds, nil
	case len(ds) == 0:
		_, b := verifyAbsence(section, parent.Zone, parent.keys, t.config.Now(), func(d *denial) string { return d.noDS(c.name) })
		return nil, b
	}
	_, b := set.verify(parent.Zone, parent.keys, t.config.Now())
	return ds, b
}

// checkKeys asks for the zone's keys, server after server until some can be trusted.
func (t *Tree) checkKeys(ctx context.Context, c *cut, ds []*dns.DS) Validation {
	ds = supported(ds)
	if len(ds) == 0 {
		return Validation{
			Security: Insecure, Zone: c.name, Fault: UnsupportedAlgorithm,
			Detail: "its keys are of kinds that are not in use any more, or not yet",
		}
	}
	var keys []*dns.DNSKEY
	_, err := t.query(ctx, c, inquiry{name: c.name, qtype: dns.TypeDNSKEY, accept: func(m *dns.Msg) error {
		var b *breach
		if keys, b = trusted(newRRset(m.Answer, c.name, dns.TypeDNSKEY), ds, t.config.Now()); b != nil {
			return b
		}
		return nil
	}})
	if err != nil {
		return failed(c.name, err)
	}
	return Validation{Security: Secure, Zone: c.name, keys: keys}
}

// supported leaves out the DS records that can't be used (RFC 4035 §5.2), and SHA-1 digests beside better ones (RFC 4509 §3).
func supported(ds []*dns.DS) []*dns.DS {
	algorithms := []uint8{
		dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519,
	}
	digests := []uint8{dns.SHA256, dns.SHA384}
	usable := func(digests []uint8) []*dns.DS {
		return slices.DeleteFunc(slices.Clone(ds), func(d *dns.DS) bool {
			return !slices.Contains(algorithms, d.Algorithm) || !slices.Contains(digests, d.DigestType)
		})
	}
	if better := usable(digests); len(better) > 0 {
		return better
	}
	return usable([]uint8{dns.SHA1})
}

// trusted returns the zone's keys, if they are signed by one that a DS record names (RFC 4035 §5.2).
func trusted(set rrset, ds []*dns.DS, now time.Time) ([]*dns.DNSKEY, *breach) {
	var all, named []*dns.DNSKEY
	revoked := revokedKeys(set)
	for _, rr := range set.records {
		key, ok := rr.(*dns.DNSKEY)
		if !ok || key.Flags&dns.ZONE == 0 || key.Protocol != 3 || slices.Contains(revoked, key.PublicKey) {
			continue
		}
		all = append(all, key)
		if slices.ContainsFunc(ds, func(d *dns.DS) bool { return names(d, key) }) {
			named = append(named, key)
		}
	}
	zone := shown(set.name)
	signers := "the DS records for " + zone + " in the zone above"
	if set.name == "." {
		signers = "the trust anchors (DNS_TRUST_ANCHORS) for " + zone
	}
	switch {
	case len(all) == 0:
		return nil, &breach{fault: NoKey, detail: fmt.Sprintf("%s (%s) exist, but %s has no DNSKEY record", signers, tags(ds), zone)}
	case len(named) == 0:
		return nil, &breach{fault: NoMatchingKey, detail: fmt.Sprintf("%s (%s) fit none of its keys (%s)", signers, tags(ds), keyTags(all))}
	}
	_, b := set.verify(set.name, named, now)
	if b != nil && b.fault == NotSigned {
		detail := fmt.Sprintf("the DNSKEY records of %s are not signed by the key that its DS record names (%s)", zone, keyTags(named))
		b = &breach{fault: KeysNotSigned, detail: detail}
	}
	return all, b
}

// revokedKeys are the public keys that their owner has withdrawn (RFC 5011 §2.1). A key with the REVOKE bit has another tag than
// before, so that no DS record names it any more; a copy of it without the bit must not be used either.
func revokedKeys(set rrset) []string {
	var revoked []string
	for _, rr := range set.records {
		if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.REVOKE != 0 {
			revoked = append(revoked, key.PublicKey)
		}
	}
	return revoked
}

// names reports whether a DS record is of a key.
func names(ds *dns.DS, key *dns.DNSKEY) bool {
	if ds.KeyTag != key.KeyTag() || ds.Algorithm != key.Algorithm {
		return false
	}
	same := key.ToDS(ds.DigestType)
	return same != nil && strings.EqualFold(same.Digest, ds.Digest)
}

func tags(ds []*dns.DS) string {
	var list []string
	for _, d := range ds[:min(len(ds), 8)] {
		list = append(list, fmt.Sprintf("key %d", d.KeyTag))
	}
	return strings.Join(list, ", ")
}

func keyTags(keys []*dns.DNSKEY) string {
	var list []string
	for _, key := range keys[:min(len(keys), 8)] {
		list = append(list, fmt.Sprintf("key %d", key.KeyTag()))
	}
	return strings.Join(list, ", ")
}
