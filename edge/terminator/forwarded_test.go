package terminator_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/evercert/evercert/edge/terminator"
)

// TestF19_WhatVisitorsClaimInAProxysNameIsDropped: in the header, with "_", in other case, in the trailer, and with the field named in
// Connection.
func TestF19_WhatVisitorsClaimInAProxysNameIsDropped(t *testing.T) {
	t.Parallel()
	asked := make(chan http.Header, 1)
	b := setup(t, func(o *terminator.Options) {
		o.Upstream = upstream(t, func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) //nolint:errcheck // for the trailer
			seen := r.Header.Clone()
			for name, values := range r.Trailer {
				seen["trailer "+name] = values
			}
			asked <- seen
		})
	})
	b.source.Install(b.ca.Issue(t, "shop.test"))
	names := []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Ssl",
		"X-Forwarded-Prefix", "X-Forwarded-Server", "X-Real-IP", "True-Client-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP",
		"CF-Connecting-IP", "Fastly-Client-IP", "X-Original-Forwarded-For", "X-Original-Host", "X-Host", "X-HTTP-Host-Override",
		"X-Original-URL", "X-Rewrite-URL", "X-Scheme", "X-URL-Scheme", "Front-End-Https", "Proxy",
	}
	var fields strings.Builder
	for _, name := range names {
		underscored := strings.ReplaceAll(name, "-", "_")
		for _, spelled := range []string{name, strings.ToLower(name), underscored, strings.ToUpper(underscored)} {
			fmt.Fprintf(&fields, "%s: forged\r\n", spelled)
		}
	}
	head := "POST / HTTP/1.1\r\nHost: shop.test\r\nApi_Key: kept\r\nX-Request-Id: kept\r\n" +
		"Connection: X-Forwarded-For, X-Forwarded-Proto\r\n" + fields.String()
	for end, request := range map[string]string{
		"plain": head + "Connection: close\r\n\r\n",
		"trailer": head + "Trailer: X-Real-IP, X_Forwarded_For\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Real-IP: forged\r\n" +
			"X_Forwarded_For: forged\r\n\r\n",
	} {
		if answer := b.raw(t, request); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
			t.Fatalf("%s: %s", end, answer)
		}
		got := <-asked
		for name, values := range got {
			if slices.Contains(values, "forged") {
				t.Errorf("%s: the upstream got %s: %q", end, name, values)
			}
		}
		for name, want := range map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "shop.test", "X-Forwarded-Proto": "http", "Api_key": "kept", "X-Request-Id": "kept",
		} {
			if !slices.Equal(got[name], []string{want}) {
				t.Errorf("%s: %s: %q, want %q", end, name, got[name], want)
			}
		}
	}
}

func TestA9_TLS12HasNoCBC(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.Install(b.ca.Issue(t, "shop.test"))
	offer := func(suite uint16) *tls.Config {
		return &tls.Config{ServerName: "shop.test", RootCAs: b.ca.Roots, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}
	}
	for _, suite := range []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	} {
		conn, err := tls.Dial("tcp", b.https, offer(suite))
		if err != nil {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
			continue
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	const handshakeFailure = 40
	for _, suite := range []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA} {
		if alert := b.alert(t, offer(suite)); alert != handshakeFailure {
			t.Errorf("%s: alert %d, want %d", tls.CipherSuiteName(suite), alert, handshakeFailure)
		}
	}
}
