package reach

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/evercert/evercert/cert"
)

const maxServedNames = 10

// HTTPS asks each address for the front page as a visitor's browser does: it looks at the certificate, and then whether a web
// site answers. Before the first certificate is installed none fits, so its problems warn and don't block.
func (p *Prober) HTTPS(ctx context.Context, t Target) Results {
	t.visiting = true
	return p.each(ctx, t, protocolHTTPS, p.askHTTPS)
}

func (p *Prober) askHTTPS(ctx context.Context, t Target, addr netip.Addr) (AddressResult, *fault) {
	state, failed := p.negotiate(ctx, addr, t.Name, "h2", "http/1.1")
	if failed != nil {
		return AddressResult{}, p.noTLS(failed, p.cdnAt(addr))
	}
	served, why := p.inspect(state, t.Name)
	result := AddressResult{TLS: &Handshake{Version: tls.VersionName(state.Version), Protocol: state.NegotiatedProtocol, Served: served}}
	if why == "" {
		var f *fault
		result.Response, f = p.frontPage(ctx, t, addr)
		return result, f
	}
	found := fmt.Sprintf(
		"issued by %s, for %s, until %s", served.Issuer, strings.Join(served.Names, ", "), served.NotAfter.UTC().Format(time.DateOnly),
	)
	return result, wrong(cert.ServedCertificateWrong, why, stepCertificate).with(found)
}

// frontPage asks for the page at / on a connection of its own. Any answer shows that HTTPS works, a redirect and "forbidden" too, but not
// one by which the server itself says that it has a fault (RFC 9110 §15.6).
func (p *Prober) frontPage(ctx context.Context, t Target, addr netip.Addr) (*Response, *fault) {
	got, failed := p.exchange(ctx, &url.URL{Scheme: "https", Host: t.Name, Path: "/"}, []netip.Addr{addr}, plainUserAgent)
	if got == nil { // a page that breaks off is the site's own affair
		return nil, failed.noPage()
	}
	answered := &Response{FirstStatus: got.status, Status: got.status, Server: cert.Line(got.header.Get("Server"), maxTold)}
	if got.status < http.StatusInternalServerError {
		return answered, nil
	}
	cause := fmt.Sprintf("the certificate is right; the site behind it answers with status %d", got.status)
	if text := http.StatusText(got.status); text != "" {
		cause += fmt.Sprintf(" (%s)", text)
	}
	return answered, wrong(cert.HTTPUnexpectedResponse, cause, stepSite).with(pageText(got))
}

// noPage is the fault of an address whose certificate is right, and which gave no answer then.
func (f *failure) noPage() *fault {
	if f.ours {
		return unknown(cert.HTTPSUnreachable, f.cause)
	}
	said := wrong(cert.HTTPUnexpectedResponse, "the certificate is right; "+f.cause, stepSite)
	said.late = f.late
	return said
}

// inspect sums up the certificate that was shown, and says why a browser would refuse it.
func (p *Prober) inspect(state tls.ConnectionState, name string) (*Served, string) {
	leaf, others, now := state.PeerCertificates[0], state.PeerCertificates[1:], p.now() // TLS as it is spoken here always has a certificate
	digest := sha256.Sum256(leaf.Raw)
	served := &Served{
		Issuer: issuerOf(leaf), Serial: cert.SerialOf(leaf), Fingerprint: hex.EncodeToString(digest[:]),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		ForName: leaf.VerifyHostname(name) == nil, Current: !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter),
	}
	for _, dnsName := range leaf.DNSNames[:min(len(leaf.DNSNames), maxServedNames)] {
		served.Names = append(served.Names, cert.Line(dnsName, maxTold))
	}
	intermediates := x509.NewCertPool()
	for _, other := range others {
		intermediates.AddCert(other)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: p.cfg.Roots, Intermediates: intermediates, CurrentTime: within(now, leaf)})
	served.Chained = err == nil
	switch {
	case !served.ForName:
		return served, "it is for other names"
	case now.After(leaf.NotAfter):
		return served, "it ended on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case !served.Current:
		return served, "it begins on " + leaf.NotBefore.UTC().Format(time.DateOnly)
	case served.Chained:
		return served, ""
	default:
		return served, unchained(leaf, others)
	}
}

// within is a time at which the certificate is valid, today if it is: the chain is judged apart from the dates.
func within(now time.Time, leaf *x509.Certificate) time.Time {
	switch {
	case now.After(leaf.NotAfter):
		return leaf.NotAfter
	case now.Before(leaf.NotBefore):
		return leaf.NotBefore
	default:
		return now
	}
}

// unchained says why a certificate leads to no trusted root.
func unchained(leaf *x509.Certificate, others []*x509.Certificate) string {
	switch {
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		return "the server made it itself, and no CA issued it"
	case !slices.ContainsFunc(others, func(other *x509.Certificate) bool { return bytes.Equal(other.RawSubject, leaf.RawIssuer) }):
		return "the server sends it without the certificate of the CA that issued it (the chain is incomplete), or browsers don't know that CA"
	default:
		return "it was issued by a CA that browsers don't know"
	}
}

// issuerOf names the CA as people know it. The names in a certificate are whatever its maker wrote.
func issuerOf(leaf *x509.Certificate) string {
	name := leaf.Issuer.CommonName
	if len(leaf.Issuer.Organization) > 0 && !strings.Contains(name, leaf.Issuer.Organization[0]) {
		name = strings.TrimSpace(leaf.Issuer.Organization[0] + " " + name)
	}
	return cert.Line(name, maxTold)
}
