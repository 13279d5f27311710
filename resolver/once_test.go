package resolver_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/resolver"
)

// everyMethod is what doctor asks about.
var everyMethod = []cert.Method{cert.DNS01, cert.HTTP01, cert.TLSALPN01}

// askOnce looks at shop.example.com as doctor does: nobody looks again.
func askOnce(t *testing.T, zone string, q cert.Question, config func(*resolver.Config)) cert.Diagnosis {
	t.Helper()
	w := newWorld(t)
	w.change(t, zone)
	settings := resolver.Config{Resolvers: []string{w.address}, QueryTimeout: 3 * time.Second, CheckTimeout: 10 * time.Second}
	if config != nil {
		config(&settings)
	}
	r, err := resolver.New(settings, quiet())
	require.NoError(t, err)
	q.Names, q.CAs, q.Once = []string{"shop.example.com"}, []cert.CAIdentity{letsEncrypt}, true
	d, err := r.Diagnose(t.Context(), q)
	require.NoError(t, err)
	return d
}

func TestD5_NobodyWhoAsksOnceIsToldThatWeLookAgain(t *testing.T) {
	t.Parallel()
	silent := "fault shop.example.com servfail\nfault _acme-challenge.shop.example.com servfail\nfault example.com servfail"
	for _, q := range []cert.Question{
		{Methods: everyMethod},
		{
			Methods: everyMethod,
			Expected: []cert.Record{{
				Name: "shop.example.com", Type: "CNAME", Value: "edge.platform.net", Purpose: cert.ForAddress, Hostname: "shop.example.com",
			}},
		},
	} {
		d := askOnce(t, silent, q, nil)
		require.Equal(t, cert.Unknown, d.Verdict)
		require.NotEmpty(t, d.Problems)
		for _, p := range d.Problems {
			require.NotRegexp(t, "ourselves|we check again", p.Message+p.Remediation)
			require.Contains(t, p.Remediation, "ask again in a minute")
		}
	}
	s := setup{zone: "dead"}
	require.Contains(t, s.diagnose(t).Problems[0].Remediation, "we check again by ourselves", "a connected domain is checked again")
}

// TestD5_WhatWasNotComparedIsNotCalledMissing: doctor knows the target, and not the label of the delegation.
func TestD5_WhatWasNotComparedIsNotCalledMissing(t *testing.T) {
	t.Parallel()
	zone := `add shop.example.com. 60 CNAME edge.platform.net.
		add edge.platform.net. 60 A 192.0.2.10
		add _acme-challenge.shop.example.com. 60 CNAME x.dcv.platform.net.`
	address := cert.Record{
		Name: "shop.example.com", Type: "CNAME", Value: "edge.platform.net", Purpose: cert.ForAddress, Hostname: "shop.example.com",
	}
	delegation := cert.Record{
		Name: "_acme-challenge.shop.example.com", Type: "CNAME", Value: "y.dcv.platform.net", Purpose: cert.ForDelegation,
		Hostname: "shop.example.com",
	}
	for _, c := range []struct {
		q    cert.Question
		says string
	}{
		{
			cert.Question{Methods: everyMethod, Expected: []cert.Record{address}},
			"the name leads here, and whether dns-01 is delegated was not compared",
		},
		{cert.Question{Methods: everyMethod, Expected: []cert.Record{address, delegation}}, "the name leads here, and dns-01 is not delegated"},
		{
			cert.Question{Methods: []cert.Method{cert.HTTP01}, Expected: []cert.Record{address}},
			"the name leads here, and dns-01 is not among the methods allowed",
		},
		{cert.Question{Methods: []cert.Method{cert.HTTP01}}, "the name's address can be reached, and dns-01 is not among the methods allowed"},
		{cert.Question{Methods: []cert.Method{cert.TLSALPN01}}, "the name's address can be reached, and dns-01 is not among the methods allowed"},
	} {
		d := askOnce(t, zone, c.q, nil)
		require.Equal(t, cert.OK, d.Verdict, "%v", d.Problems)
		require.Equal(t, c.says, d.Names[0].Reason)
	}
}

// TestD5_AServerThatRefusesTLSALPNIsHealthy, as nearly every web server does. Where nothing else is allowed, it is reported.
func TestD5_AServerThatRefusesTLSALPNIsHealthy(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secured := httptest.NewUnstartedServer(http.NotFoundHandler())
	secured.TLS = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	secured.StartTLS()
	t.Cleanup(secured.Close)
	probe := func(c *resolver.Config) {
		c.ProbeTimeout, c.ProbeAllow = 5*time.Second, []string{"127.0.0.0/24"}
		c.ProbeHTTPPort, c.ProbeHTTPSPort = portOf(t, plain.URL), portOf(t, secured.URL)
	}
	const zone = "add shop.example.com. 60 A 127.0.0.1"
	for _, methods := range [][]cert.Method{everyMethod, {cert.HTTP01, cert.TLSALPN01}} {
		d := askOnce(t, zone, cert.Question{Methods: methods}, probe)
		require.Equal(t, cert.OK, d.Verdict)
		require.Empty(t, d.Problems)
	}
	d := askOnce(t, zone, cert.Question{Methods: []cert.Method{cert.TLSALPN01}}, probe)
	require.NotEqual(t, cert.OK, d.Verdict)
	require.Equal(t, cert.TLSALPNRefused, d.Problems[0].Code)
}

// TestD4_AnAddressThatCouldNotBeLookedUpSaysWhy, server by server.
func TestD4_AnAddressThatCouldNotBeLookedUpSaysWhy(t *testing.T) {
	t.Parallel()
	s := setup{zone: "fault shop.example.com servfail"}
	for _, state := range s.diagnose(t).Records {
		for _, seen := range state.Seen {
			if state.Purpose == cert.ForAddress {
				require.Equal(t, cert.Unknown, seen.Verdict)
				require.Contains(t, seen.Error, "SERVFAIL")
			}
		}
	}
}
