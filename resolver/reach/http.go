package reach

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"net/url"

	"github.com/evercert/evercert/cert"
)

// HTTP asks each address of a name for a token, as a CA does for http-01 (RFC 8555 §8.3), and follows redirects as Let's
// Encrypt does. With a Probe the answer must be its key authorization. Without one the token is made up, and an answer that
// says "there is no such page", or shows one, is plausible.
func (p *Prober) HTTP(ctx context.Context, t Target) Results {
	return p.each(ctx, t, protocolHTTP, p.askHTTP)
}

func (p *Prober) askHTTP(ctx context.Context, t Target, addr netip.Addr) (AddressResult, *fault) {
	token := madeUp()
	if t.Probe != nil {
		token = t.Probe.Token
	}
	w := walk{prober: p, target: t, address: addr}
	last, f := w.fetch(ctx, &url.URL{Scheme: "http", Host: t.Name, Path: challengePath + token})
	result := AddressResult{CDN: p.cdnAt(addr)}
	if w.first != nil {
		if name := cdnIn(w.first.header); name != "" {
			result.CDN = name
		}
		result.Response = &Response{FirstStatus: w.first.status, Server: cert.Line(w.first.header.Get("Server"), maxTold), Redirects: w.followed}
	}
	if f != nil {
		return result, f
	}
	result.Response.Status = last.status
	return result, judge(t, last, result.CDN)
}

// madeUp is a token that nobody answers, of the length that CAs use.
func madeUp() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(random[:])
}
