package reach

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/evercert/evercert/cert"
)

// fault is what is wrong at one address, in the parts that a problem is put together from.
type fault struct {
	verdict  cert.Verdict
	code     cert.Code
	severity cert.Severity
	who      cert.Actor
	cause    string // "the connection is refused", without a full stop
	step     string // what mends it, with {name}, {named} and {where} to fill in
	found    string // in the words of whom mends it
	late     bool   // no answer came in time
	untold   bool   // nothing was learnt about the address
	visitor  bool   // it is a visitor who meets it
	undialed bool   // no connection was made
	passed   bool   // a CA does without the address
}

// What is told of one answer, in characters: problems are kept and shown.
const (
	maxTold  = 160
	maxFound = 500
)

// The steps that tenants take. All begin where a tenant can always do something: a name that leads to the platform has none
// of these problems.
const (
	stepPort80 = "At your DNS provider, delete the record {named} that leads to {where}, if that is not the server for {name}. " +
		"If it is, let that server and its firewall take requests on port 80 from everywhere."
	stepPort443 = "At your DNS provider, delete the record {named} that leads to {where}, if that is not the server for {name}. " +
		"If it is, let that server and its firewall take requests on port 443 from everywhere."
	stepIPv6 = "At your DNS provider, delete the AAAA record {named} that leads to {where}. " +
		"If visitors are meant to come over IPv6, make that server answer there as it does over IPv4."
	stepRedirect = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"change the redirect there: requests for http://{name}/.well-known/acme-challenge/ must be answered, or sent on to the same path of a public host."
	stepResponse = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"let requests for http://{name}/.well-known/acme-challenge/ through there, without a login, a check for robots or another page in their place."
	stepCertificate = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"put a certificate for {name} on that server."
	stepALPN = "At your DNS provider, give {name} the records that we ask for: only our own servers can answer this kind of question."
	stepSite = "At your DNS provider, give {name} the records that we ask for. If it is right that {where} answers, " +
		"mend the web site on that server: its HTTPS is in order."
	stepEdge      = "There is nothing to change at the DNS provider: {where} is the platform's own, and whoever runs the platform looks after the edge there."
	stepElsewhere = "Look again in a minute, and from another machine: from this one it can't be told."

	stepWait = cert.NothingToDo
)

const protocolHTTP, protocolHTTPS = "HTTP", "HTTPS"

func wrong(code cert.Code, cause, step string) *fault {
	return &fault{verdict: cert.Wrong, code: code, severity: cert.Blocks, who: cert.TenantActs, cause: cause, step: step}
}

// untold is the fault of a probe that told nothing about the address.
func untold(code cert.Code, cause string) *fault {
	return &fault{verdict: cert.Unknown, code: code, severity: cert.Warns, who: cert.PlatformActs, cause: cause, step: stepWait, untold: true}
}

func reserved(why string) *fault {
	return wrong(cert.ReservedAddress, why,
		"At your DNS provider, delete the record {named} that leads to {where}, and give {name} the records that we ask for.")
}

// with adds what was seen.
func (f *fault) with(found string) *fault {
	f.found = shorten(found, maxTold)
	return f
}

// platforms is the fault where the address is the platform's: it isn't held against the tenant.
func (f *fault) platforms() *fault {
	g := *f
	g.verdict, g.who, g.step = cert.Unknown, cert.PlatformActs, stepWait
	return &g
}

// passedOver is the fault at an address that a CA does without: it only warns.
func (f *fault) passedOver() *fault {
	g := *f
	g.passed, g.severity = true, cert.Warns
	return &g
}

// visitors is the fault as it is told of a visit, which people ask for and which decides nothing: it only warns, and at the platform's
// own address it is the platform that mends it.
func (f *fault) visitors(own bool) *fault {
	g := *f
	g.visitor, g.severity = true, cert.Warns
	switch {
	case f.untold:
		g.step = stepElsewhere
	case own:
		g.who, g.step = cert.PlatformActs, stepEdge
	}
	return &g
}

func (f *fault) unreachable() bool {
	return f.code == cert.HTTPUnreachable || f.code == cert.HTTPSUnreachable
}

// kind is equal for faults that make one problem.
func (f *fault) kind() string {
	return strings.Join([]string{string(f.code), string(f.verdict), string(f.severity), f.cause, f.step}, "\x00")
}

// problemOf makes one problem of results whose faults are of one kind.
func problemOf(alike []AddressResult) cert.Problem {
	f, name := alike[0].fault, alike[0].target.Name
	where := make([]netip.Addr, len(alike))
	var found []string
	for i, result := range alike {
		where[i] = result.Address
		if result.fault.found != "" {
			found = append(found, fmt.Sprintf("%s: %s", result.Address, result.fault.found))
		}
	}
	if len(found) == 0 {
		found = []string{fmt.Sprintf("%s: %s", list(where), f.cause)}
	}
	fill := strings.NewReplacer("{named}", cert.FormName(name), "{name}", cert.Unicode(name), "{where}", list(where))
	return cert.Problem{
		Code: f.code, Severity: f.severity, WhoActs: f.who, Found: shorten(strings.Join(found, "; "), maxFound),
		Message: f.message(cert.Unicode(name), list(where), alike[0].protocol), Remediation: fill.Replace(f.step),
	}
}

func (f *fault) message(name, where, protocol string) string {
	if f.untold {
		return fmt.Sprintf("We could not see how %s answers over %s at %s: %s.", name, protocol, where, f.cause)
	}
	switch f.code {
	case cert.HTTPUnreachable, cert.HTTPSUnreachable:
		return fmt.Sprintf("From here, %s can't be reached over %s at %s: %s.", name, protocol, where, f.cause)
	case cert.IPv6Unreachable:
		first := "A CA asks IPv6 addresses first."
		switch {
		case f.visitor:
			first = "Visitors who have IPv6 ask IPv6 addresses first."
		case f.passed:
			first = "A CA goes on to IPv4; visitors who have IPv6 wait."
		}
		return fmt.Sprintf("From here, %s can't be reached over IPv6 at %s, while it answers over IPv4: %s. %s", name, where, f.cause, first)
	case cert.HTTPBadRedirect:
		return fmt.Sprintf("%s, at %s, sends a CA's request on so that it doesn't arrive: %s.", name, where, f.cause)
	case cert.TLSALPNRefused:
		return fmt.Sprintf("%s doesn't answer a CA's question over TLS (tls-alpn-01), at %s: %s.", name, where, f.cause)
	case cert.ServedCertificateWrong:
		return fmt.Sprintf("Browsers refuse the certificate that %s shows at %s: %s.", name, where, f.cause)
	case cert.ReservedAddress:
		left := ""
		if f.passed {
			left = " CAs leave it out; visitors may be sent there."
		}
		return fmt.Sprintf("%s has the address %s, which nobody on the internet can reach: it belongs to %s.%s", name, where, f.cause, left)
	}
	if f.visitor {
		return fmt.Sprintf("%s shows visitors no web site over HTTPS, at %s: %s.", name, where, f.cause)
	}
	return fmt.Sprintf("%s doesn't answer a CA's request as it must, at %s: %s.", name, where, f.cause)
}

func proxied(name, network string, where []netip.Addr) cert.Problem {
	return cert.Problem{
		Code: cert.ProxiedByCDN, Severity: cert.Warns, WhoActs: cert.TenantActs, Found: fmt.Sprintf("%s: %s", list(where), network),
		Message: fmt.Sprintf("%s is behind %s, at %s, so we don't see whether visitors and CAs are led to us.", cert.Unicode(name), network, list(where)),
		Remediation: fmt.Sprintf("At your DNS provider, switch the proxy off for the record %s (at Cloudflare: \"DNS only\"), "+
			"or set up %s to ask the name that your records are to lead to.", cert.FormName(name), network),
	}
}

// list tells addresses, a few of them by name.
func list(addresses []netip.Addr) string {
	const most = 4
	var told []string
	for _, addr := range addresses[:min(len(addresses), most)] {
		told = append(told, addr.String())
	}
	switch more := len(addresses) - most; {
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(told, ", "), more)
	case len(told) > 1:
		return strings.Join(told[:len(told)-1], ", ") + " and " + told[len(told)-1]
	default:
		return strings.Join(told, "")
	}
}

// shorten makes text of strangers fit to be shown: printable, and of at most so many characters.
func shorten(text string, most int) string {
	kept := make([]rune, 0, min(len(text), most)+1)
	for _, r := range text {
		if len(kept) == most {
			return string(append(kept, '…'))
		}
		if !unicode.IsPrint(r) {
			r = '·'
		}
		kept = append(kept, r)
	}
	return string(kept)
}
