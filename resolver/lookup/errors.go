package lookup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver/authority"
)

// ErrTimeout means that no answer came in time. A time-out says nothing about the records: the answer is unknown.
var ErrTimeout = errors.New("no answer in time")

// ErrEndless means that the CNAME records of a name form a loop, or are more than MaxAliases. CAs' resolvers fail then, too.
var ErrEndless = errors.New("its CNAME records lead in a circle or through too many names")

// ServerError says which server gave no answer, or none that says anything.
type ServerError struct {
	Asked  string // what it was asked for: "shop.example.com (TXT)"; empty where another ServerError around this one has it
	Server string // see View.Server
	Err    error
}

func (e *ServerError) Error() string { return e.Server + ": " + e.Err.Error() }

func (e *ServerError) Unwrap() error { return e.Err }

// Servers returns the servers at fault by name, where the error has them, or else whom was to be asked.
func (e *ServerError) Servers() string {
	if inner, ok := errors.AsType[*ServerError](e.Err); ok {
		return inner.Servers()
	}
	return e.Server
}

// BogusError means that an answer failed DNSSEC validation. Validating resolvers, such as every CA's, discard it (RFC 4035 §5.5).
type BogusError struct {
	Zone   string // the zone at fault, as ZoneText has it; empty where a resolver refused the answer and the zone isn't known
	Detail string // the reason, for people
}

// NewBogusError returns the error of a validation that found a fault.
func NewBogusError(v authority.Validation) *BogusError {
	return &BogusError{Zone: ZoneText(v.Zone), Detail: v.Detail}
}

func (b *BogusError) Error() string { return "DNSSEC: " + b.Detail }

// Problem returns what has to be fixed, and by whom: in the zone at fault or, where that isn't known, in the registered domain of the
// name that was asked for. The tenant can fix a zone that the name is in; or lead the name elsewhere, where an alias leads into another's
// zone. A zone above the registered domains is its registry's, and the root's signatures fail only when this program's own keys for it
// are wrong.
func (b *BogusError) Problem(name string) cert.Problem {
	zone := b.Zone
	if zone == "" {
		zone = cert.RegisteredDomain(name)
	}
	shown := cert.Unicode(zone)
	p := cert.Problem{
		Code: cert.DNSSECBogus, WhoActs: cert.TenantActs, Severity: cert.Blocks, Found: b.Detail,
		Message: fmt.Sprintf("The signatures (DNSSEC) of %s are broken, so that CAs, and many visitors, refuse all that its name servers "+
			"say: %s.", shown, b.Detail),
		Remediation: fmt.Sprintf("At your DNS provider, have DNSSEC for %s repaired (sign the zone anew), and at your registrar make the DS "+
			"records those that your DNS provider names; or delete all DS records there, which switches DNSSEC off.", shown),
	}
	switch {
	case zone == root:
		p.WhoActs = cert.PlatformActs
		p.Remediation = "The platform has to compare the setting DNS_TRUST_ANCHORS with the keys that IANA publishes for the root of DNS."
	case authority.IsRegistry(zone):
		p.WhoActs = cert.RegistrarActs
		p.Remediation = fmt.Sprintf("Ask your registrar about it: the registry of %s has to repair it. We check again.", shown)
	case zone != name && !strings.HasSuffix(name, "."+zone):
		p.Remediation = fmt.Sprintf("An alias (CNAME record) of %s, or of a name above it, leads into %s: ask whoever runs %s to repair its "+
			"signatures or to delete its DS records, or lead the alias elsewhere.", cert.Unicode(name), shown, shown)
	}
	return p
}

// noAnswer returns the error of a message that says nothing about the name. Only NOERROR and NXDOMAIN do, and a referral doesn't: a
// resolver that sends one does not resolve for us.
func noAnswer(m *dns.Msg) error {
	switch {
	case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
		return errors.New(dns.RcodeToString[m.Rcode] + extendedError(m))
	case authority.Refers(m):
		return errors.New("a referral in place of an answer")
	}
	return nil
}

// extendedError formats the reason that some resolvers add to a failure (RFC 8914), such as " (DNSSEC Bogus)".
func extendedError(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, option := range opt.Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			if text := dns.ExtendedErrorCodeToString[ede.InfoCode]; text != "" {
				return " (" + text + ")"
			}
		}
	}
	return ""
}
