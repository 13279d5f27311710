package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
)

// hostile are texts that nobody may write into a request.
var hostile = []string{
	"nul\x00", "esc\x1b[31m", "two\nlines", "tab\there", "c1\u009b31m", "del\x7f", "bidi\u202etxt", "isolate\u2066", "line\u2028", "bad\xff",
	"surrogate\xed\xa0\x80",
	strings.Repeat("x", 1<<20),
}

func TestF24_NoVerbCarriesATextThatHarms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
	verbs := map[string]func(context.Context, control.Request) (cert.Answer, error){
		"check": b.Check, "request": b.RequestCertificate, "pause": b.Pause, "resume": b.Resume, "remove": b.Remove, "hand-back": b.HandBack,
		"redirect": func(ctx context.Context, r control.Request) (cert.Answer, error) {
			return b.SetRedirect(ctx, r, false)
		},
	}
	for verb, ask := range verbs {
		for _, text := range hostile {
			for field, r := range map[string]control.Request{"by": {By: text}, "reason": {By: "ann", Reason: text}} {
				r.Name = "shop.example.com"
				_, err := ask(t.Context(), r)
				var p cert.Problem
				require.ErrorAs(t, err, &p, "%s %.20q", verb, text)
				require.Equal(t, cert.RequestMalformed, p.Code)
				if verb == "hand-back" && field == "reason" {
					field = "note"
				}
				require.True(t, strings.HasPrefix(p.Message, field+" "), "%s: %s", verb, p.Message)
				require.True(t, cert.IsLine(p.Message+p.Remediation), "%q", p.Message)
				require.Less(t, len(p.Message), 400)
				require.False(t, control.IsFault(err))
			}
		}
		require.Empty(t, b.workflows.Asked(), verb)
	}
}

func TestF24_WhatAPersonMayWriteArrivesAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	for _, text := range []string{
		"Zoë, 東京, 🎉", "'; DROP TABLE domains; --", `{"a": "b"}`, "[x](http://y)",
		strings.Repeat("é", cert.MaxReason),
	} {
		_, err := b.Pause(t.Context(), control.Request{Name: "shop.example.com", By: " ann ", Reason: text})
		require.NoError(t, err)
		asked := b.workflows.Asked()
		require.Contains(t, asked[len(asked)-1], "{ID: By:ann Reason:"+text+"}")
	}
}

func TestF24_NoSearchAndNoNameReachesTheDatabaseThatItCantHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected(t, "shop.example.com")
	b.store.Fail(errors.New("the database was asked"))
	for _, text := range hostile {
		for field, f := range map[string]store.Filter{
			"tenant": {Tenant: text}, "contains": {Contains: text}, "after": {After: text},
			"headline": {Headline: cert.Headline(text)},
		} {
			_, err := b.List(t.Context(), f)
			require.Equal(t, cert.RequestMalformed, code(t, err), "%s %.20q", field, text)
		}
		_, err := b.Status(t.Context(), text+".example.com")
		require.Equal(t, cert.NameInvalid, code(t, err), "%.20q", text)
		_, err = b.Cases(t.Context(), control.CaseFilter{Name: text + ".example.com"})
		require.Equal(t, cert.NameInvalid, code(t, err), "%.20q", text)
		_, err = b.Connect(t.Context(), control.Connection{Hostname: text + ".example.com", Tenant: "acme"})
		require.Equal(t, cert.NameInvalid, code(t, err), "%.20q", text)
		_, err = b.Connect(t.Context(), control.Connection{Hostname: "a.example.com", Tenant: text})
		require.Equal(t, cert.RequestMalformed, code(t, err), "%.20q", text)
	}
}
