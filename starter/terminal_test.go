package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

const nasty = "x\x00\x1b]8;;http://a\x07\u009b31m\x7f\u202e\u2066\u2028\xff\xed\xa0\x80\nevercert: forged\r"

// requireSafe requires that nothing in an output can steer a terminal.
func requireSafe(t *testing.T, output string) {
	t.Helper()
	for line := range strings.Lines(output) {
		require.True(t, cert.IsLine(strings.NewReplacer("\n", "", "\t", "").Replace(line)), "%q", line)
	}
}

func TestF24_NothingThatIsPrintedCanSteerATerminal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(s *cert.Snapshot) {
		s.Problems = []cert.Problem{{Code: cert.CARejected, Message: nasty, Remediation: nasty, Found: nasty, WhoActs: cert.TenantActs}}
		s.NextAction, s.Serial, s.Issuer = nasty, "0a", nasty
		s.NotAfter = noon.AddDate(0, 1, 0)
	})
	b.store.Checked("shop.example.com", cert.Diagnosis{
		CheckedAt: noon, Verdict: cert.Wrong, Names: []cert.NameResult{{Name: "shop.example.com", Reason: nasty}},
		Problems: []cert.Problem{
			{Message: nasty, Remediation: nasty, Found: nasty, Record: &cert.Record{Name: "shop.example.com", Value: nasty}},
		},
		Records: []cert.RecordState{
			{
				Record: cert.Record{Name: "a", Type: "TXT", Value: nasty},
				Found:  []string{nasty},
				Seen:   []cert.Sighting{{Server: nasty, Error: nasty}},
			},
		},
		Servers: []cert.Nameserver{{Zone: nasty, Name: nasty, Address: nasty, Detail: nasty}},
		CAA:     []cert.CAAState{{CA: nasty, Record: &cert.Record{Value: nasty}}},
	})
	b.store.Events = []store.TimelineEntry{{At: noon, Event: cert.Event{Type: "note", Detail: nasty}}}
	b.store.RecordChanges = []cert.RecordChange{{At: noon, Server: nasty, Found: []string{nasty}}}
	b.store.OpenCases = []cert.Case{{
		Hostname: "shop.example.com", Tenant: "acme", Reason: nasty, Assignee: nasty, Notes: []cert.Note{{Author: nasty, Text: nasty}},
		Problems: []cert.Problem{{Message: nasty}},
	}}
	b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
		return cert.Answer{Message: nasty, NextAction: nasty}, nil
	}
	b.app.environ["USER"] = nasty
	for _, line := range [][]string{
		{"status", "shop.example.com"},
		{"list"},
		{"timeline", "shop.example.com"},
		{"cases"},
		{"changes", "shop.example.com"},
		{"records", "shop.example.com", "--servers"},
		{"pause", "shop.example.com"},
	} {
		for _, arguments := range [][]string{line, append(line, "--json")} {
			out, errors := b.run(exitOK, arguments...)
			require.NotEmpty(t, out)
			requireSafe(t, out+errors)
			require.NotContains(t, out, "\nevercert: forged", "a line of its own would look like ours: %q", arguments)
		}
	}
	require.Contains(t, b.workflows.Asked()[0], "By:x]8;;http://a", "the user's name is made fit, since a person can't change it here")
}

func TestF24_ArgumentsAndRowsAreCheckedAtTheDoor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	for _, line := range [][]string{
		{"status", nasty},
		{"connect", nasty, "--tenant", "acme"},
		{"connect", "a.example.com", "--tenant", nasty},
		{"connect", "a.example.com", "--tenant", "acme", "--also", nasty},
		{"list", "--tenant", nasty},
		{"list", "--contains", nasty},
		{"list", "--headline", nasty},
		{"pause", "shop.example.com", "--reason", nasty},
		{"check", "shop.example.com", "--reason", nasty},
		{"remove", nasty},
		{"remove", "shop.example.com", "--yes", "--reason", nasty},
		{"hand-back", "shop.example.com", "--note", nasty},
		{"cases", nasty},
		{"redirect", nasty, "on"},
		{nasty},
		{"status", "--" + nasty},
		{"doctor", nasty},
		{"doctor", "a.example.com", "--method", nasty},
		{"connect", "--file", nasty},
	} {
		for _, arguments := range [][]string{line, append(line, "--json")} {
			out, errors := b.run(exitRefused, arguments...)
			requireSafe(t, out+errors)
			var problem cert.Problem
			if json.Unmarshal([]byte(errors), &problem) == nil {
				require.True(t, cert.IsLine(problem.Message+problem.Remediation), "%q", problem)
			}
		}
	}
	for _, row := range []string{
		nasty + ",acme", "a.example.com," + nasty, "a.example.com,acme," + nasty, "b.example.com,x\x00\x1b[31m",
		"\x1b[31m.example.com,acme",
	} {
		for _, arguments := range [][]string{{"connect", "--file", "-"}, {"connect", "--file", "-", "--json"}} {
			b.app.in = strings.NewReader(strings.ReplaceAll(row, "\n", " "))
			out, errors := b.run(exitRefused, arguments...)
			requireSafe(t, out+errors)
		}
	}
	require.Empty(t, b.workflows.Asked())
}

func TestF24_ACharacterInTwoWritesStaysWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := &terminal{to: &out}
	for _, b := range []byte("é東🎉\x1b\x80\t|\n") {
		n, err := w.Write([]byte{b})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.Equal(t, "é東🎉\ufffd\ufffd\t|\n", out.String())
}
