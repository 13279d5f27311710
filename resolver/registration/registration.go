// Package registration asks the registry whether a domain is registered, and whether its registration has run out, by RDAP
// (RFC 9082, RFC 9083).
//
// DNS alone can't distinguish an expired domain from one whose servers are broken, and only its holder can fix the first. What a
// registry doesn't answer, or answers so that it can't be read, is an error, and means unknown: it says nothing about the
// domain.
package registration

import (
	"fmt"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
)

// State is where a domain stands in its life at the registry.
type State string

// The states. What is worse hides what is better: a domain in redemption has expired, too.
const (
	Registered    State = "registered"
	Expired       State = "expired"        // its term is over; the registrar may still renew it
	Hold          State = "hold"           // kept out of DNS by the registrar or the registry (RFC 8056: client hold, server hold)
	Redemption    State = "redemption"     // deleted; its former holder may have it restored (RFC 3915)
	PendingDelete State = "pending_delete" // deleted for good in a few days
	NotRegistered State = "not_registered"
)

// Registration is what the registry says of a domain.
type Registration struct {
	State     State
	Status    []string  // as in RFC 8056, such as "client hold"; printable and few
	Expires   time.Time // zero when the registry doesn't say, as some countries' don't
	Registrar string    // printable; empty when the registry doesn't say
}

// stateOf puts the registry's words and the date together.
func stateOf(status []string, expires, now time.Time) State {
	has := map[string]bool{}
	for _, word := range status {
		has[word] = true
	}
	switch {
	case has["redemption period"] || has["pending restore"]: // stands beside "pending delete"
		return Redemption
	case has["pending delete"]:
		return PendingDelete
	case !expires.IsZero() && expires.Before(now):
		return Expired
	case has["client hold"] || has["server hold"]:
		return Hold
	default:
		return Registered
	}
}

// Problem says what is wrong with the registration of a domain, and nil when nothing is.
func (r Registration) Problem(domain string) *cert.Problem {
	name := cert.Unicode(domain)
	p := cert.Problem{Code: cert.DomainExpired, Severity: cert.Blocks, WhoActs: cert.TenantActs, Found: r.found()}
	at := "At the company where you registered the domain"
	if r.Registrar != "" {
		at = "At " + r.Registrar + ", where the domain is registered"
	}
	ended := ""
	if !r.Expires.IsZero() {
		ended = " on " + r.Expires.UTC().Format(time.DateOnly)
	}
	switch r.State {
	case NotRegistered:
		p.Code, p.Found = cert.DomainNotRegistered, "not registered"
		p.Message = fmt.Sprintf("The domain %s is not registered, so nobody can use it.", name)
		p.Remediation = fmt.Sprintf("At a company that registers domains, register %s; or correct the name, if it has a typing error.", name)
	case Expired:
		p.Message = fmt.Sprintf("The registration of the domain %s ended%s.", name, ended)
		p.Remediation = fmt.Sprintf("%s, renew %s. We go on by ourselves when the registry shows it.", at, name)
	case Redemption:
		p.Message = fmt.Sprintf("The domain %s was not renewed and has been deleted; for a few weeks its holder can still have it back.", name)
		p.Remediation = fmt.Sprintf("%s, ask to restore %s soon; after that, others can register it.", at, name)
	case PendingDelete:
		p.Message = fmt.Sprintf("The domain %s was not renewed; it is deleted for good within days, and can't be restored any more.", name)
		p.Remediation = fmt.Sprintf("%s, ask when %s becomes free, and register it again then; or connect another domain.", at, name)
	case Hold:
		p.WhoActs = cert.RegistrarActs
		p.Message = fmt.Sprintf("The registrar or the registry keeps the domain %s out of DNS (it is on hold).", name)
		p.Remediation = fmt.Sprintf("%s, ask why %s is on hold, and have that lifted: often the holder's e-mail address was never confirmed, "+
			"or a bill is open.", at, name)
	case Registered:
		return nil
	default:
		return nil
	}
	return &p
}

func (r Registration) found() string {
	said := "status " + strings.Join(r.Status, ", ")
	if len(r.Status) == 0 {
		said = "no status"
	}
	if !r.Expires.IsZero() {
		said += "; expires " + r.Expires.UTC().Format(time.DateOnly)
	}
	return said
}
