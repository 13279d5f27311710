package reach

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"

	"github.com/evercert/evercert/cert"
)

// acmeProtocol is what a CA offers for tls-alpn-01, and nothing beside it (RFC 8737 §3).
const acmeProtocol = "acme-tls/1"

// ALPNAnswer is what a server does with the protocol of tls-alpn-01.
type ALPNAnswer string

// The answers. A server that speaks the protocol refuses it as long as it has no challenge for the name, and so does one that
// has never heard of it: only an open challenge tells them apart.
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

// TLSALPN connects to port 443 of each address as a CA does for tls-alpn-01: with the name as SNI and acme-tls/1 as the only
// protocol (RFC 8737 §3). A server that refuses the protocol and answers browsers is unknown, not wrong: it may speak the
// protocol once a challenge is open. One that ignores it, or a CDN, is wrong.
func (p *Prober) TLSALPN(ctx context.Context, t Target) Results {
	return p.each(ctx, t, protocolHTTPS, p.askALPN)
}

func (p *Prober) askALPN(ctx context.Context, t Target, addr netip.Addr) (AddressResult, *fault) {
	var result AddressResult
	cdn := p.cdnAt(addr)
	state, failed := p.negotiate(ctx, addr, t.Name, acmeProtocol)
	result.answered = failed == nil || failed.alert != ""
	if failed == nil && state.NegotiatedProtocol == acmeProtocol {
		result.TLS = &Handshake{Version: tls.VersionName(state.Version), ACME: Negotiated}
		return result, nil
	}
	answer := Ignored
	if failed != nil {
		if !failed.tls || failed.late {
			return result, p.noTLS(failed, cdn)
		}
		answer = Refused
	}
	asBrowser, unserved := p.negotiate(ctx, addr, t.Name, "h2", "http/1.1")
	if unserved != nil {
		if answer == Refused {
			return result, p.noTLS(unserved, cdn)
		}
		asBrowser = state
	}
	result.TLS = &Handshake{Version: tls.VersionName(asBrowser.Version), Protocol: asBrowser.NegotiatedProtocol, ACME: answer}
	switch {
	case cdn != "":
		return result, wrong(cert.TLSALPNRefused, cdn+" answers on port 443 itself, and passes this kind of question on to nobody", stepUnproxied)
	case answer == Ignored:
		return result, wrong(cert.TLSALPNRefused, "the server there answers it as if a browser had asked", stepALPN)
	default:
		return result, untold(
			cert.TLSALPNRefused,
			"a CA's question over TLS (tls-alpn-01) is refused now, as it is where no CA is expected at the moment and where none ever is",
		)
	}
}

// negotiate makes one TLS connection and ends it.
func (p *Prober) negotiate(ctx context.Context, addr netip.Addr, name string, protocols ...string) (tls.ConnectionState, *failure) {
	conn, failed := p.dial(ctx, []netip.Addr{addr}, p.cfg.HTTPSPort)
	if failed != nil {
		return tls.ConnectionState{}, failed
	}
	defer hangUp(conn)
	secured, failed := p.handshake(ctx, conn, name, protocols...)
	if failed != nil {
		return tls.ConnectionState{}, failed
	}
	return secured.ConnectionState(), nil
}

func hangUp(conn net.Conn) { _ = conn.Close() } // nothing was written that could be lost

const (
	noCertificateYet  = "Cloudflare has no certificate for this name yet"
	stepCloudflareTLS = "At your DNS provider, switch the proxy off for the record {named} (at Cloudflare: \"DNS only\"). If it must stay, " +
		"switch on Universal SSL at Cloudflare (SSL/TLS, Edge Certificates) and wait until its certificate is active."
)

// noTLS is the fault of an address with which TLS doesn't come about.
func (p *Prober) noTLS(failed *failure, cdn string) *fault {
	if failed.alert != "" && cdn == cloudflare { // letsdebug's CloudflareSSLNotProvisioned
		return wrong(cert.HTTPSUnreachable, noCertificateYet, stepCloudflareTLS).with(failed.cause)
	}
	return failed.unreachable(cert.HTTPSUnreachable, stepPort443)
}
