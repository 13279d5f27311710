package authority

import (
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
