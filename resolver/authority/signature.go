package authority

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxVerifications bounds what the signatures of one RRset can cost: a hostile zone may have many keys of one tag, and many
// signatures by each (CVE-2023-50387).
const maxVerifications = 16

// SignatureFault is a way in which a zone's DNSSEC is broken or can't be checked.
type SignatureFault string

// The faults of DNSSEC.
const (
	NoKey                SignatureFault = "no DNSKEY"               // the parent has DS records, the zone has no keys
	NoMatchingKey        SignatureFault = "no DNSKEY matches a DS"  // a key was changed on one side only
	KeysNotSigned        SignatureFault = "DNSKEY not signed"       // not by a key that a DS record names
	NotSigned            SignatureFault = "not signed"              // no signature by a key of the zone
	Expired              SignatureFault = "signature expired"       // see Validation.At
	NotYetValid          SignatureFault = "signature not yet valid" // see Validation.At; a clock is wrong
	InvalidSignature     SignatureFault = "signature invalid"       // the records are not those that were signed
	NoProof              SignatureFault = "absence not proven"      // a negative answer whose signed NSEC or NSEC3 records don't prove it
	UnsupportedAlgorithm SignatureFault = "unsupported algorithm"   // the zone counts as unsigned (RFC 4035 §5.2)
	NoAnswer             SignatureFault = "no answer"               // no server gave the answer that is needed
	NotCheckable         SignatureFault = "not checkable"           // a key that this program can't use, although its algorithm is known
)

// breach is why records are not secure.
type breach struct {
	fault  SignatureFault
	detail string
	at     time.Time
}

func (b *breach) Error() string { return b.detail }

// rrset is the records of one name and type, and the signatures that came with them.
type rrset struct {
	name       string
	rrtype     uint16
	records    []dns.RR
	signatures []*dns.RRSIG
}

func newRRset(section []dns.RR, name string, rrtype uint16) rrset {
	set := rrset{name: name, rrtype: rrtype, records: recordsAt(section, name, rrtype)}
	for _, rr := range recordsAt(section, name, dns.TypeRRSIG) {
		if signature, ok := rr.(*dns.RRSIG); ok && signature.TypeCovered == rrtype {
			set.signatures = append(set.signatures, signature)
		}
	}
	return set
}

// String is the set as it is called in details: "the DNSKEY records of example.com".
func (set rrset) String() string {
	return fmt.Sprintf("the %s records of %s", dns.TypeToString[set.rrtype], shown(set.name))
}

// verify checks that one of the signatures is by one of the zone's keys, and good at that time (RFC 4035 §5.3). It returns that one.
func (set rrset) verify(zone string, keys []*dns.DNSKEY, now time.Time) (*dns.RRSIG, *breach) {
	var worst *breach
	attempts := 0
	for _, signature := range set.signatures {
		if dns.CanonicalName(signature.SignerName) != zone {
			continue
		}
		if late := set.untimely(signature, now); late != nil {
			worst = moreTelling(worst, late)
			continue
		}
		for _, key := range keys {
			if key.KeyTag() != signature.KeyTag || key.Algorithm != signature.Algorithm {
				continue
			}
			if attempts++; attempts > maxVerifications {
				return nil, &breach{fault: InvalidSignature, detail: fmt.Sprintf("%s have more signatures and keys than a resolver tries", set)}
			}
			b := set.verifyWith(signature, key)
			if b == nil {
				return signature, nil
			}
			worst = moreTelling(worst, b)
		}
	}
	if worst != nil {
		return nil, worst
	}
	if len(set.signatures) == 0 {
		return nil, &breach{fault: NotSigned, detail: fmt.Sprintf("%s have no signature, although the zone is signed", set)}
	}
	detail := fmt.Sprintf("%s are signed by %s, not by a valid key of %s", set, signers(set.signatures), shown(zone))
	return nil, &breach{fault: NotSigned, detail: detail}
}

// untimely returns a breach if a signature is not valid yet or no longer. Its times are 32 bits that wrap around (RFC 4034 §3.1.5).
func (set rrset) untimely(signature *dns.RRSIG, now time.Time) *breach {
	current := uint32(now.Unix())
	at := func(when uint32) time.Time {
		return now.Add(time.Duration(int32(when-current)) * time.Second).UTC().Truncate(time.Second)
	}
	const layout = "2 January 2006 15:04 MST"
	if end := at(signature.Expiration); end.Before(now.Truncate(time.Second)) {
		detail := fmt.Sprintf("the signature of %s by key %d expired on %s", set, signature.KeyTag, end.Format(layout))
		return &breach{fault: Expired, at: end, detail: detail}
	}
	if begin := at(signature.Inception); begin.After(now) {
		detail := fmt.Sprintf("the signature of %s by key %d begins to be valid only on %s", set, signature.KeyTag, begin.Format(layout))
		return &breach{fault: NotYetValid, at: begin, detail: detail}
	}
	return nil
}

func (set rrset) verifyWith(signature *dns.RRSIG, key *dns.DNSKEY) *breach {
	err := signature.Verify(key, set.records)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dns.ErrSig) || errors.Is(err, rsa.ErrVerification) || errors.Is(err, dns.ErrRRset):
		return &breach{fault: InvalidSignature, detail: fmt.Sprintf("the signature of %s by key %d doesn't fit them", set, key.KeyTag())}
	default: // keys of a size that the library refuses, for one
		detail := fmt.Sprintf("the signature of %s by key %d is of a kind that can't be checked here", set, key.KeyTag())
		return &breach{fault: NotCheckable, detail: detail}
	}
}

// moreTelling keeps the breach that says most about records whose signatures all fail, each for a reason of its own.
func moreTelling(a, b *breach) *breach {
	order := []SignatureFault{NotCheckable, Expired, NotYetValid, InvalidSignature}
	if a == nil || slices.Index(order, b.fault) < slices.Index(order, a.fault) {
		return b
	}
	return a
}

func signers(signatures []*dns.RRSIG) string {
	var tags []string
	for _, signature := range signatures[:min(len(signatures), 4)] {
		tags = append(tags, fmt.Sprintf("key %d of %s", signature.KeyTag, shown(dns.CanonicalName(signature.SignerName))))
	}
	slices.Sort(tags)
	return strings.Join(slices.Compact(tags), " and ")
}
