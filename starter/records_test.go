package main

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
)

// expected are the records that a connected domain was asked for.
func (b *bundle) expected(hostname string) []cert.RecordState {
	b.t.Helper()
	out, _ := b.run(exitOK, "records", hostname, "--json")
	var diagnosis cert.Diagnosis
	require.NoError(b.t, json.Unmarshal([]byte(out), &diagnosis))
	return diagnosis.Records
}

// checked is a check of a connected domain in which each of its records is seen by three servers, at three stages of a change.
func (b *bundle) checked(hostname string) cert.Diagnosis {
	b.t.Helper()
	d := cert.Diagnosis{
		CheckedAt: noon, Verdict: cert.Wrong,
		Names:    []cert.NameResult{{Name: hostname, Reason: "waits for its records"}},
		Problems: []cert.Problem{{Code: cert.AnswersDiffer, WhoActs: cert.TenantActs, Message: "The servers differ.", Remediation: "wait"}},
		Servers:  []cert.Nameserver{{Zone: "example.com", Name: "ns1.example.com", Address: "192.0.2.53", State: "answers"}},
	}
	seen := []cert.Sighting{
		{
			Server:    "ns1.example.com (192.0.2.53)",
			Role:      cert.Authoritative,
			Verdict:   cert.OK,
			Found:     []string{"right"},
			FirstSeen: noon.Add(-time.Hour),
			LastSeen:  noon,
		},
		{Server: "ns2.example.com (192.0.2.54)", Role: cert.Authoritative, Verdict: cert.Wrong, LastSeen: noon.Add(-2 * time.Hour)},
		{Server: "192.0.2.1:53", Role: cert.Recursive, Verdict: cert.Unknown, Error: "no answer in 2s"},
	}
	for i, r := range b.expected(hostname) {
		d.Records = append(d.Records, cert.RecordState{Record: r.Record, Verdict: cert.Wrong, Seen: seen[i:]})
	}
	return d
}

func TestRecordsAreATableToCopy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	out, _ := b.run(exitOK, "records", "shop.example.com")
	records := b.expected("shop.example.com")
	lines := strings.Split(out, "\n")
	require.Len(t, lines, len(records)+2)
	for i, r := range records {
		require.Equal(t, []string{r.Name, r.Type, r.Value, string(r.Purpose), "not", "checked", "yet"}, strings.Fields(lines[i+1]))
	}
	out, _ = b.run(exitOK, "records", "shop.example.com", "--servers")
	require.Contains(t, out, "No server was asked yet.")

	b.store.Checked("shop.example.com", b.checked("shop.example.com"))
	out, _ = b.run(exitOK, "records", "shop.example.com")
	require.Regexp(t, `(?m)^_evercert\.\S+ +TXT +\S+ +ownership +not yet propagated$`, out)
	require.Regexp(t, `(?m)^_acme-challenge\.\S+ +CNAME +\S+ +delegation +missing$`, out)
	require.NotContains(t, out, "ns1.example.com")
}

func TestRecordsByServerSayWhoShowsThemSinceWhen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	d := b.checked("shop.example.com")
	d.Records = d.Records[:1]
	b.store.Checked("shop.example.com", d)
	out, _ := b.run(exitOK, "records", "shop.example.com", "--servers")
	_, out, _ = strings.Cut(out, "\n\n")
	equal(t, out, `Checked: 2026-03-02 12:00 (in 0 s)

RECORD                      TYPE  SERVER                        STATE    FIRST SEEN        LAST SEEN         SHOWS
_evercert.shop.example.com  TXT   ns1.example.com (192.0.2.53)  found    2026-03-02 11:00  2026-03-02 12:00  right
_evercert.shop.example.com  TXT   ns2.example.com (192.0.2.54)  missing  -                 2026-03-02 10:00  nothing
_evercert.shop.example.com  TXT   resolver 192.0.2.1:53         unknown  -                 -                 no answer in 2s

ZONE         NAME SERVER      ADDRESS     STATE    DETAIL
example.com  ns1.example.com  192.0.2.53  answers
`)
}

func TestChangesAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	out, _ := b.run(exitOK, "changes", "shop.example.com")
	equal(t, out, "No changes.\n")
	out, _ = b.run(exitOK, "changes", "shop.example.com", "--json")
	require.JSONEq(t, `{"changes":[]}`, out)

	record := cert.Record{Name: "shop.example.com", Type: "CNAME", Value: "edge.example.net", Purpose: cert.ForAddress}
	change := func(from, to cert.Verdict, found ...string) cert.RecordChange {
		return cert.RecordChange{
			At:     noon,
			Record: record,
			Server: "ns1.example.com (192.0.2.53)",
			Role:   cert.Authoritative,
			From:   from,
			To:     to,
			Found:  found,
		}
	}
	b.store.RecordChanges = []cert.RecordChange{
		change(
			cert.OK,
			cert.Wrong,
		), change(cert.Wrong, cert.OK, "CNAME edge.example.net"), change(cert.Wrong, cert.Wrong, "A 192.0.2.1", "A 192.0.2.2"),
	}
	b.store.RecordChanges[2].Role, b.store.RecordChanges[2].Server = cert.Recursive, "192.0.2.1:53"
	out, _ = b.run(exitOK, "changes", "shop.example.com")
	equal(t, out, `SEEN AT           RECORD            TYPE   SERVER                        CHANGE    SHOWS
2026-03-02 12:00  shop.example.com  CNAME  ns1.example.com (192.0.2.53)  gone      nothing
2026-03-02 12:00  shop.example.com  CNAME  ns1.example.com (192.0.2.53)  appeared  CNAME edge.example.net
2026-03-02 12:00  shop.example.com  CNAME  resolver 192.0.2.1:53         changed   A 192.0.2.1, A 192.0.2.2
`)
}

// checksNow lets the domain's workflow make a check as soon as it is asked for one.
func (b *bundle) checksNow(d cert.Diagnosis) {
	b.workflows.Reply = func(hostname, _ string, _ any) (cert.Answer, error) {
		d.CheckedAt = noon.Add(time.Second)
		b.store.Checked(hostname, d)
		return cert.Answer{Headline: cert.Pending, Message: "the records are checked now", Checking: true, LastCheck: noon}, nil
	}
}

func TestCheckTellsTheFreshDiagnosisAsDoctorDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	d := b.checked("shop.example.com")
	b.checksNow(d)
	out, errOut := b.run(exitWrong, "check", "shop.example.com", "--reason", "they called")
	require.Empty(t, errOut)
	require.True(t, strings.HasPrefix(out, "Pending: shop.example.com – "), out)
	_, said, _ := strings.Cut(out, "\n\n")
	doctor := setup(t)
	d = d.Clean()
	d.Problems[0].Then = cert.CheckNow // doctor knows no domain that a request could be for
	doctor.app.showDiagnosis([]string{"shop.example.com"}, cert.Answer{Diagnosis: &d})
	equal(t, said, doctor.out.String())
	require.Contains(t, b.workflows.Asked()[0], "check-now shop.example.com {ID: By:ann Reason:they called")

	out, _ = b.run(exitWrong, "check", "shop.example.com", "--json")
	var answer cert.Answer
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Equal(t, "shop.example.com", answer.Hostname)
	require.Equal(t, d.Problems, answer.Diagnosis.Problems)

	b.checksNow(
		cert.Diagnosis{
			Verdict: cert.OK,
			Names:   []cert.NameResult{{Name: "shop.example.com", Method: cert.DNS01}, {Name: "www.example.com", Method: cert.HTTP01}},
		},
	)
	out, _ = b.run(exitOK, "check", "shop.example.com")
	require.Regexp(t, `(?m)^shop\.example\.com and www\.example\.com: ready\.`, out)
	b.checksNow(cert.Diagnosis{Verdict: cert.Unknown})
	out, _ = b.run(exitUnknown, "check", "shop.example.com")
	require.Contains(t, out, "not known")
}

func TestACheckThatIsNotMadeAtOnceSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the command waits in the bubble's time
		b := setup(t)
		b.connected("shop.example.com", func(*cert.Snapshot) {})
		b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
			return cert.Answer{Headline: cert.Pending, Message: "it is paused"}, nil
		}
		out, errOut := b.run(exitIncomplete, "check", "shop.example.com")
		equal(t, out, "Pending: shop.example.com – it is paused\n")
		require.Empty(t, errOut)

		b.app.terminal = true
		b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
			return cert.Answer{Headline: cert.Pending, Message: "now", Checking: true, LastCheck: noon}, nil
		}
		out, errOut = b.run(exitIncomplete, "check", "shop.example.com")
		require.Contains(t, out, "under way")
		equal(t, errOut, "evercert: waiting for the check of shop.example.com\n")
	})
}

// TestA5_CheckNamesTheRefusalsThatNoLookShows: after the third failure the records may be as right as can be.
func TestA5_CheckNamesTheRefusalsThatNoLookShows(t *testing.T) {
	t.Parallel()
	refusal := cert.Problem{
		Code:        cert.CARejected,
		WhoActs:     cert.PlatformActs,
		Message:     "The CA refused the order: too popular",
		Remediation: "ask the CA",
	}
	for _, c := range []struct {
		failures, code int
		escalated      bool
		says           []string
	}{
		{3, exitWrong, true, []string{
			"Contact support: shop.example.com – the records were checked: all that is needed is there; nothing is ordered until support hands " +
				"the domain back",
			"shop.example.com: the records are right, but 3 attempts in a row failed. Nothing is ordered until support hands the domain back.",
			"Blocks: The CA refused the order: too popular (ca_rejected)",
		}},
		{1, exitOK, false, []string{
			"shop.example.com: the records are right, but 1 attempt failed.",
			"Blocks: The CA refused the order: too popular (ca_rejected)",
		}},
		{0, exitOK, false, []string{"shop.example.com: ready. A certificate ordered now is expected to be issued."}},
	} {
		b := setup(t)
		b.connected("shop.example.com", func(*cert.Snapshot) {})
		b.workflows.Reply = func(hostname, _ string, _ any) (cert.Answer, error) {
			b.store.Checked(hostname, cert.Diagnosis{CheckedAt: noon, Verdict: cert.OK})
			b.store.Record(hostname, func(s *cert.Snapshot) {
				s.Failures, s.Status.Escalated = c.failures, c.escalated
				if c.failures > 0 {
					s.Problems, s.Status.Certificate = []cert.Problem{refusal}, cert.CertificateFailed
				}
			})
			return cert.Answer{Checking: true, LastCheck: noon.Add(-time.Hour)}, nil
		}
		out, _ := b.run(c.code, "check", "shop.example.com")
		for _, part := range c.says {
			if !strings.Contains(out, part) {
				t.Errorf("%d failures: %s\ndoes not say %s", c.failures, out, part)
			}
		}
		if c.failures > 0 && strings.Contains(out, "is expected to be issued") {
			t.Errorf("%d failures: %s", c.failures, out)
		}
		if out, _ := b.run(c.code, "check", "shop.example.com", "--json"); strings.Contains(out, `"code": "ca_rejected"`) != (c.failures > 0) {
			t.Errorf("%d failures: %s", c.failures, out)
		}
	}
}
