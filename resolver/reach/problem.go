package reach

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/evercert/evercert/cert"
)

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
		Code: f.code, Severity: f.severity, WhoActs: f.who, Found: cert.Line(strings.Join(found, "; "), maxFound),
		Message: f.message(cert.Unicode(name), list(where), alike[0].protocol), Remediation: fill.Replace(f.step),
	}
}

func (f *fault) message(name, where, protocol string) string {
	if f.unknown {
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
		Message: fmt.Sprintf("%s is behind %s, at %s, so we don't see whether visitors and CAs are led to us.",
			cert.Unicode(name), network, list(where)),
		Remediation: fmt.Sprintf("At your DNS provider, switch the proxy off for the record %s (at Cloudflare: \"DNS only\"), "+
			"or set up %s to ask the name that your records are to lead to.", cert.FormName(name), network),
	}
}
