package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

func TestF14_RulesShowsDatesNumbersAndWhatToDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.connected("shop.example.com", func(s *cert.Snapshot) {})
	b.store.Checked("shop.example.com", cert.Diagnosis{CheckedAt: noon, Problems: []cert.Problem{{Code: cert.CAAAccountBound}}})
	out, _ := b.run(exitOK, "rules")
	for _, want := range []string{
		"2027-02-10 (in 344 d 12 h)  Let's Encrypt: the default profile (classic) issues certificates of 64 days instead of 90",
		"  Domains: 1 – domains whose newest check shows caa_account_bound",
		"  Domains: unknown – not countable: it concerns resolvers, not domains",
		"  To do by 2027-03-15: the tenants of these domains put evercert's account into accounturi, or take the parameter out",
		"  Source: https://letsencrypt.org/2025/12/02/from-90-to-45",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestF14_RulesWithoutADatabaseShowsTheDatesAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app.open = func(context.Context) (*control.Control, func(), error) {
		_, err := loadSettings(map[string]string{"TEMPORAL_ADDRESS": "127.0.0.1:7233"}, "")
		return nil, nil, err
	}
	out, errOut := b.run(exitOK, "rules", "--json")
	if !strings.Contains(errOut, "the numbers of domains need a database; set DATABASE_URL") {
		t.Errorf("the error output: %s", errOut)
	}
	var answer struct {
		Rules []struct {
			ID      string
			Date    string
			Domains *int
		}
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Rules) < 10 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, r := range answer.Rules {
		if r.Date == "" || (r.Domains != nil) != (r.ID == "cab-no-email") {
			t.Errorf("%+v", r)
		}
	}
}

func TestF14_RulesWithADatabaseThatFailsIsAFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Fail(errors.New("database away"))
	out, _ := b.run(exitFault, "rules")
	equal(t, out, "")
}
