package reach

import (
	"context"
	"crypto/tls"
	"net/netip"

	"github.com/evercert/evercert/cert"
)

// acmeProtocol is what a CA offers for tls-alpn-01, and nothing beside it (RFC 8737 §3).
const acmeProtocol = "acme-tls/1"

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
		return result, unknown(
			cert.TLSALPNRefused,
			"a CA's question over TLS (tls-alpn-01) is refused now, as it is where no CA is expected at the moment and where none ever is",
		)
	}
}
