package reach

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

// Served is the certificate that an address shows to visitors.
type Served struct {
	Names       []string // DNS names, a few of them
	Issuer      string   // the CA's name, such as "Let's Encrypt R11"
	Serial      string   // in lower-case hexadecimal
	Fingerprint string   // SHA-256 of the certificate, in lower-case hexadecimal
	NotBefore   time.Time
	NotAfter    time.Time
	ForName     bool // it is for the name that was asked for
	Current     bool // it is valid today
	Chained     bool // with what the server sends along, it leads to a root that browsers trust
}

// AddressResult is what one address answers.
type AddressResult struct {
	Address  netip.Addr
	Verdict  cert.Verdict
	Problem  *cert.Problem // why the verdict isn't ok
	CDN      string        // the content delivery network that answers there, such as "Cloudflare"; empty when none is recognised
	Response *Response     // of Prober.HTTP and Prober.HTTPS, when an answer came
	TLS      *Handshake    // of Prober.TLSALPN and Prober.HTTPS, when a connection was made

	fault    *fault
	answered bool // of Prober.TLSALPN: a server spoke TLS, if only to refuse
	passed   bool // a CA does without this address
	target   Target
	protocol string
}

// Response is an answer to a request for a token, or for the front page. What comes from strangers in it is short and printable.
type Response struct {
	FirstStatus int      // of the address itself, before redirects
	Status      int      // of the last answer
	Server      string   // how the address names its software
	Redirects   []string // the URLs that were followed
}

func (a *AddressResult) own() bool {
	return slices.ContainsFunc(a.target.Own, func(own netip.Addr) bool { return own.Unmap() == a.Address })
}

func (a *AddressResult) reserved() bool {
	return a.fault != nil && a.fault.code == cert.ReservedAddress
}

func (r *Response) summary() string {
	said := fmt.Sprintf("status %d", r.FirstStatus)
	if len(r.Redirects) > 0 {
		said += fmt.Sprintf(", then %d after %d redirects", r.Status, len(r.Redirects))
	}
	if r.Server != "" {
		said += ", by " + r.Server
	}
	return said
}

// ALPNAnswer is what a server does with the protocol of tls-alpn-01.
type ALPNAnswer string

// The answers. A server that speaks the protocol refuses it as long as it has no challenge for the name, and so does one that
// has never heard of it: only an open challenge shows the difference.
const (
	Negotiated ALPNAnswer = "negotiated"
	Refused    ALPNAnswer = "refused"
	Ignored    ALPNAnswer = "ignored" // TLS came about without the protocol, so that a CA fails
)

// Handshake is what was agreed upon in TLS.
type Handshake struct {
	Version  string     // such as "TLS 1.3"; empty when no handshake with the protocols of browsers came about
	Protocol string     // chosen of h2 and http/1.1; empty when the server chooses none
	ACME     ALPNAnswer // of Prober.TLSALPN
	Served   *Served    // of Prober.HTTPS
}
