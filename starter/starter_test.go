package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/control/controltest"
	"github.com/evercert/evercert/resolver"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// bundle is the command over stand-ins for the store and the workflows.
type bundle struct {
	t         *testing.T
	app       *app
	out, err  bytes.Buffer
	store     *controltest.Store
	workflows *controltest.Workflows
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, store: controltest.NewStore(), workflows: &controltest.Workflows{}}
	rules := cert.NameRules{PlatformNames: []string{"edge.example.net"}}
	platform := cert.Platform{ValidationZone: "dcv.example.net", Target: "edge.example.net"}
	c := control.New(b.store, b.workflows, rules, platform, slog.New(slog.DiscardHandler))
	b.app = &app{
		in: strings.NewReader(""), out: &b.out, err: &b.err, environ: map[string]string{"USER": "ann"},
		now: func() time.Time { return noon }, local: time.UTC,
		open:  func(context.Context) (*control.Control, func(), error) { return c, func() {}, nil },
		visit: func(context.Context, doctorSettings, cert.Question) ([]resolver.Visit, error) { return nil, nil },
	}
	return b
}

// run executes a command line and checks its exit code.
func (b *bundle) run(code int, line ...string) (out, err string) {
	b.t.Helper()
	b.out.Reset()
	b.err.Reset()
	b.app.json, b.app.stackFile = false, ""
	if got := b.app.run(b.t.Context(), line); got != code {
		b.t.Errorf("evercert %s: exit code %d, want %d\n%s%s", strings.Join(line, " "), got, code, b.out.String(), b.err.String())
	}
	return b.out.String(), b.err.String()
}

func (b *bundle) connected(hostname string, change func(*cert.Snapshot)) {
	b.t.Helper()
	b.run(exitOK, "connect", hostname, "--tenant", "acme")
	if err := b.workflows.Start(b.t.Context(), cert.Domain{Hostname: hostname}); err != nil {
		b.t.Fatal(err)
	}
	b.store.Record(hostname, change)
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestA1_ConnectSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out, _ := b.run(exitOK, "connect", "www.Bücher.de", "--tenant", "acme")
	value := func(prefix string) string {
		_, rest, _ := strings.Cut(out, prefix)
		return strings.Fields(rest)[0]
	}
	txt, cname := value("TXT    "), value("_acme-challenge.www.xn--bcher-kva.de  CNAME")
	equal(t, out, `Pending: www.bücher.de of tenant acme is connected.
Next: the first DNS check
Note: bücher.de is not included; connect it too if visitors type it

The DNS needs these records; the certificate follows by itself:

NAME                                  TYPE   VALUE                                       FOR         STATE
_evercert.www.xn--bcher-kva.de        TXT    `+txt+`  ownership   not checked yet
_acme-challenge.www.xn--bcher-kva.de  CNAME  `+cname+`  delegation  not checked yet
www.xn--bcher-kva.de                  CNAME  edge.example.net                            address     not checked yet

Follow it with: evercert watch www.xn--bcher-kva.de
`)
	if out, _ := b.run(exitOK, "connect", "www.bücher.de", "--tenant", "acme"); !strings.Contains(out, "was connected before") {
		t.Errorf("the second time: %s", out)
	}
}

func TestStatusTellsTheHeadlineFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(s *cert.Snapshot) {
		s.Failures = 2
		s.Status.Certificate = cert.CertificateFailed
		s.NextAction, s.NextActionAt, s.Deadline = "next attempt", noon.Add(118*time.Minute), noon.Add(70*time.Hour)
		s.Problems = []cert.Problem{
			{Code: cert.CAAForbids, Message: "CAA forbids it.", WhoActs: cert.TenantActs, Remediation: "add a CAA record"},
		}
	})
	out, _ := b.run(exitOK, "status", "shop.example.com")
	equal(t, out, `Request certificate: shop.example.com of tenant acme
Next: next attempt, 2026-03-02 13:58 (in 1 h 58 min)
Goes to support if nothing changes by 2026-03-05 10:00 (in 2 d 22 h)
Problem: CAA forbids it – the tenant acts – add a CAA record
  Then: evercert check shop.example.com
Failed attempts in a row: 2
Connected: 2026-03-02 12:00 (in 0 s)
`)
	b.store.Record("shop.example.com", func(s *cert.Snapshot) {
		*s = cert.Snapshot{
			Domain:   s.Domain,
			Seq:      s.Seq,
			Status:   cert.Status{HasLive: true},
			Serial:   "0a",
			Issuer:   "Test CA",
			NotAfter: noon.AddDate(0, 0, 90).Add(-time.Second),
			Deadline: noon.AddDate(0, 0, 90),
			RenewAt:  noon.AddDate(0, 0, 60),
		}
	})
	out, _ = b.run(exitOK, "status", "shop.example.com")
	equal(t, out, `Installation complete: shop.example.com of tenant acme
Certificate: serial 0a by Test CA, valid until 2026-05-31 11:59 (in 90 d 0 h)
Renewal: 2026-05-01 12:00 (in 60 d 0 h)
HTTPS redirect: off
Connected: 2026-03-02 12:00 (in 0 s)
`)
}

func TestEveryCommandAnswersInJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(s *cert.Snapshot) {
		s.Serial, s.Status.HasLive = "0a", true
	})
	b.store.Certificates = map[string]cert.Certificate{"0a": {Serial: "0a", IssuanceID: "1/1", ChainPEM: []byte("chain")}}
	b.store.Issuances = map[string]cert.Issuance{"1/1": {CSR: []byte("csr")}}
	b.connected("case.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
	b.workflows.Reply = func(hostname, verb string, _ any) (cert.Answer, error) {
		b.store.Checked(hostname, cert.Diagnosis{CheckedAt: noon, Verdict: cert.OK})
		return cert.Answer{Headline: cert.Pending, Message: "done", Checking: verb == workflows.CheckNow}, nil
	}
	for _, line := range [][]string{
		{"connect", "other.example.com", "--tenant", "acme"},
		{"status", "shop.example.com"},
		{"watch", "shop.example.com"},
		{"list", "--contains", "shop"},
		{"records", "shop.example.com"},
		{"changes", "shop.example.com"},
		{"check", "shop.example.com"},
		{"request", "shop.example.com"},
		{"pause", "shop.example.com"},
		{"resume", "shop.example.com"},
		{"hand-back", "case.example.com", "--note", "x"},
		{"redirect", "shop.example.com", "on"},
		{"cases"},
		{"timeline", "shop.example.com"},
		{"csr", "shop.example.com"},
		{"certificate", "shop.example.com"},
		{"remove", "shop.example.com", "--yes"},
		{"keyring", "generate", filepath.Join(t.TempDir(), "keys")},
	} {
		out, _ := b.run(exitOK, append(line, "--json")...)
		var v map[string]any
		if err := json.Unmarshal([]byte(out), &v); err != nil || len(v) == 0 {
			t.Errorf("%v: %v in %s", line, err, out)
		}
	}
	_, errOut := b.run(exitRefused, "status", "nobody.example.com", "--json")
	var p cert.Problem
	if err := json.Unmarshal([]byte(errOut), &p); err != nil || p.Code != cert.DomainUnknown {
		t.Errorf("a refusal: %v in %s", err, errOut)
	}
}

func TestE3_VerbsAnswerInSentences(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	b.workflows.Reply = func(string, string, any) (cert.Answer, error) {
		return cert.Answer{
			Headline:     cert.Pending,
			Message:      "the records are checked now",
			NextAction:   "DNS check",
			NextActionAt: noon.Add(42 * time.Second),
		}, nil
	}
	out, _ := b.run(exitOK, "request", "shop.example.com", "--reason", "in a hurry")
	equal(t, out, "Pending: shop.example.com – the records are checked now\nNext: DNS check, 2026-03-02 12:00 (in 42 s)\n")
	if got := b.workflows.Asked(); got[0] != "request-certificate shop.example.com {ID: By:ann Reason:in a hurry}" {
		t.Errorf("asked %q", got)
	}
}

func TestRemoveAsksForYes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	_, errOut := b.run(exitRefused, "remove", "shop.example.com")
	equal(
		t,
		errOut,
		"evercert: removing shop.example.com ends HTTPS for all its names at once; nothing was done\nRepeat the command with --yes if that is "+
			"what you want.\n",
	)
	if len(b.workflows.Asked()) != 0 {
		t.Errorf("asked %q", b.workflows.Asked())
	}
	b.run(exitOK, "remove", "shop.example.com", "--yes")
	if len(b.workflows.Asked()) != 1 {
		t.Error("the removal was not asked for")
	}
}

func TestExitCodesTellWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, line := range [][]string{
		{"connect", "10.0.0.1", "--tenant", "acme"},
		{"connect"},
		{"connect", "a.example.com", "--file", "x.csv"},
		{"connect", "--file", "x.csv", "--workers", "0"},
		{"connect", "a.example.com", "b.example.com", "--tenant", "acme"},
		{"connect", "a.example.com"},
		{"connect", "--file", "no/such.csv"},
		{"frobnicate"},
		{"status"},
		{"status", "a.example.com", "--jsn"},
		{"redirect", "a.example.com", "up"},
		{"list", "--headline", "done"},
	} {
		if _, errOut := b.run(exitRefused, line...); !strings.HasPrefix(errOut, "evercert: ") || strings.Count(errOut, "\n") < 2 {
			t.Errorf("%v: no sentence and what to do: %s", line, errOut)
		}
	}
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	b.workflows.SetDown(true)
	if _, errOut := b.run(exitFault, "check", "shop.example.com"); !strings.Contains(errOut, "Temporal does not answer") ||
		!strings.Contains(errOut, "Cause: ") {
		t.Errorf("Temporal is down: %s", errOut)
	}
	b.store.Fail(errors.New("dial tcp: connection refused"))
	if _, errOut := b.run(exitFault, "status", "shop.example.com"); !strings.Contains(errOut, "connection refused") {
		t.Errorf("PostgreSQL is down: %s", errOut)
	}
}

func TestListsAndCasesAreTables(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if out, _ := b.run(exitOK, "list"); out != "No domains.\n" {
		t.Errorf("empty: %s", out)
	}
	for i := range 501 { // more than a page
		b.connected(
			fmt.Sprintf("s%03d.example.com", i),
			func(s *cert.Snapshot) { s.NextAction, s.NextActionAt = "DNS check", noon.Add(time.Minute) },
		)
	}
	out, _ := b.run(exitOK, "list")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 502 || lines[0] != "NAME              TENANT  HEADLINE  NEXT" ||
		!strings.Contains(lines[1], "s000.example.com  acme    Pending   DNS check, 2026-03-02 12:01 (in 1 min)") {
		t.Errorf("%d lines: %s", len(lines), lines[0:2])
	}
	b.store.OpenCases = []cert.Case{
		{
			Hostname: "s001.example.com",
			Tenant:   "acme",
			Reason:   "3 attempts failed",
			OpenedAt: noon.Add(-26 * time.Hour),
			Assignee: "sue",
			Notes:    []cert.Note{{Author: "sue", Text: "wrote to them", At: noon}},
		},
	}
	out, _ = b.run(exitOK, "cases")
	equal(
		t,
		out,
		"s001.example.com of tenant acme: 3 attempts failed\n  open since 2026-03-01 10:00 (1 d 2 h ago); taken by sue\n  2026-03-02 12:00, "+
			"sue: wrote to them\n",
	)
	b.store.OpenCases = []cert.Case{
		{ID: "account:https://ca.example/account/1", Reason: "the CA refuses the account", OpenedAt: noon.Add(-26 * time.Hour)},
	}
	out, _ = b.run(exitOK, "cases")
	equal(
		t,
		out,
		"account https://ca.example/account/1: the CA refuses the account\n  open since 2026-03-01 10:00 (1 d 2 h ago); nobody has taken it\n",
	)
	b.store.Events = []store.TimelineEntry{{At: noon, Event: cert.Event{Type: cert.DomainConnected, Detail: "by acme"}}}
	out, _ = b.run(exitOK, "timeline", "s001.example.com")
	equal(t, out, "2026-03-02 12:00  domain.connected  by acme\n")
}

func TestWatchFollowsADomainToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.connected("shop.example.com", func(s *cert.Snapshot) {
			s.Problems = []cert.Problem{{Message: "a record is missing", WhoActs: cert.TenantActs, Remediation: "add it"}}
		})
		steps := []func(*cert.Snapshot){
			func(s *cert.Snapshot) { s.NextActionAt = noon }, // nothing that a person wants to see
			func(s *cert.Snapshot) { s.Status.Certificate, s.Problems = cert.CertificatePendingIssuance, nil },
			func(s *cert.Snapshot) { s.Status.Certificate = cert.CertificatePendingInstallation },
			func(s *cert.Snapshot) { s.Status.Certificate, s.Status.HasLive = cert.CertificateActive, true },
		}
		go func() {
			for i, step := range steps {
				time.Sleep(time.Second) // of the bubble's own time
				if i == 2 {
					b.store.Fail(errors.New("the database restarts"))
					time.Sleep(5 * time.Second) // of the bubble too
					b.store.Fail(nil)
				}
				b.store.Record("shop.example.com", step)
			}
		}()
		out, _ := b.run(exitOK, "watch", "shop.example.com")
		equal(t, out, `12:00:00  Pending
          a record is missing – the tenant acts – add it
12:00:00  Issuing
12:00:00  Installing
12:00:00  Installation complete
`)
	})
}

func TestWatchStopsWhenAPersonIsNeededOrTheTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.connected("shop.example.com", func(*cert.Snapshot) {})
		if _, errOut := b.run(exitIncomplete, "watch", "shop.example.com", "--timeout", "1m"); !strings.Contains(
			errOut,
			"shop.example.com is still Pending",
		) {
			t.Errorf("time-out: %s", errOut)
		}
		b.store.Record("shop.example.com", func(s *cert.Snapshot) { s.Status.Escalated = true })
		if _, errOut := b.run(exitIncomplete, "watch", "shop.example.com"); !strings.Contains(
			errOut,
			"goes no further by itself: Contact support",
		) {
			t.Errorf("escalated: %s", errOut)
		}
		b.store.Fail(errors.New("the database is gone"))
		b.run(exitFault, "watch", "shop.example.com", "--timeout", "0")
	})
}

func TestKeyringsAreNeverOverwritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := filepath.Join(t.TempDir(), "keyring.json")
	if out, _ := b.run(exitOK, "keyring", "generate", file); !strings.HasPrefix(out, file+" is written.") {
		t.Errorf("said %s", out)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, errOut := b.run(exitRefused, "keyring", "generate", file); !strings.Contains(errOut, "file exists\nChoose another file name") {
		t.Errorf("the second time: %s", errOut)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed, or %v", err)
	}
	b.run(exitOK, "keyring", "rotate", file)
	b.run(exitRefused, "keyring", "rotate", filepath.Join(t.TempDir(), "none"))
	if err := os.WriteFile(file+".new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errOut := b.run(exitRefused, "keyring", "rotate", file); !strings.Contains(errOut, "remove the file that ends in .new") {
		t.Errorf("an interrupted rotation: %s", errOut)
	}
}

func TestTheVersionIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out, errOut := b.run(exitOK, "--version")
	if !regexp.MustCompile(`^evercert (build|commit) [0-9a-f]{12} \(go1\.\S+\)\n$`).MatchString(out) || errOut != "" {
		t.Errorf("%q %q", out, errOut)
	}
}

// full is a disk without room.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// TestAnOutputThatCannotBeWrittenIsAFault, whatever the command: a report on a full disk is not done.
func TestAnOutputThatCannotBeWrittenIsAFault(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"status shop.example.com", "status shop.example.com --json", "list", "list --json", "records shop.example.com",
		"changes shop.example.com", "check shop.example.com",
		"timeline shop.example.com --json", "cases", "cases --json", "pause shop.example.com", "connect new.example.com --tenant acme",
		"--version", "--help", "connect --file - --tenant acme",
	} {
		for _, room := range []int{0, 5} {
			b := setup(t)
			b.connected("shop.example.com", func(*cert.Snapshot) {})
			b.app.in = strings.NewReader("a.example.com\n")
			b.app.out = &terminal{to: &full{room: room}}
			code := b.app.run(t.Context(), strings.Fields(line))
			if code != exitFault || !strings.Contains(b.err.String(), "could not be written: no space left on device") {
				t.Errorf("%s with room for %d: exit code %d, %s", line, room, code, b.err.String())
			}
		}
	}
}

// TestF2_EachVerbIsACommand: what a problem leads to can be done with the CLI, and the CLI names it as it is.
func TestF2_EachVerbIsACommand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(*cert.Snapshot) {})
	for _, v := range cert.Verbs {
		command := v.Command("shop.example.com")
		if command == "" {
			require.Equal(t, cert.Repeat, v)
			continue
		}
		words := strings.Fields(command)
		require.Equal(t, "evercert", words[0])
		out, _ := b.run(exitOK, append(words[1:], "--help")...)
		require.Contains(t, out, "evercert "+words[1], "the help of that command")
	}
}

// TestF2_TheCLINamesTheVerbOfEachProblem: for every code, the words that the docs and the API have, and the command that the domain
// accepts.
func TestF2_TheCLINamesTheVerbOfEachProblem(t *testing.T) {
	t.Parallel()
	for _, e := range cert.Explanations {
		b := setup(t)
		b.connected("shop.example.com", func(s *cert.Snapshot) {
			s.Problems = []cert.Problem{{Code: e.Code, Message: "it is wrong", Remediation: "do this", WhoActs: e.WhoActs[0]}}
		})
		out, _ := b.run(exitOK, "status", "shop.example.com")
		require.Contains(t, out, "Problem: it is wrong – "+e.WhoActs[0].Acts()+" – do this\n")
		if command := e.Verb.Command("shop.example.com"); command != "" {
			require.Contains(t, out, "  Then: "+command+"\n", e.Code)
		}
		out, _ = b.run(exitOK, "status", "shop.example.com", "--json")
		var d control.Domain
		require.NoError(t, json.Unmarshal([]byte(out), &d))
		require.Equal(t, e.Verb, d.Problems[0].Then, e.Code)
	}
}
