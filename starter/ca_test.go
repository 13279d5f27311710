package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
)

func TestF12_CAListShowsWhereOrdersGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	out, _ := b.run(exitOK, "ca", "list")
	equal(t, out, "No worker has started yet: the workers publish their list of CAs.\n")

	down := cert.Problem{
		Code:        cert.CAUnavailable,
		Message:     "one is down \x1b[31m",
		Remediation: "evercert goes on by itself",
		WhoActs:     cert.CAActs,
	}
	terms := cert.Problem{Code: cert.AccountProblem, Message: "two has new terms", Remediation: "read them", WhoActs: cert.PlatformActs}
	b.store.CAs = []cert.ConfiguredCA{
		{Position: 1, Name: "one", Directory: "https://one.example/dir", Profile: "classic", AbsentUntil: noon.Add(time.Hour), Absence: &down},
		{Position: 2, Name: "two", Directory: "https://two.example/dir", AccountURL: "https://two.example/account/1", Blocked: &terms},
		{Position: 3, Name: "three", Directory: "https://three.example/dir", AbsentFor: 7},
		{Position: 4, Name: "four", Directory: "https://four.example/dir"},
	}
	out, _ = b.run(exitOK, "ca", "list")
	for _, want := range []string{
		"1  one    cannot issue; no orders until ", "2  two    refuses the account", "3  three  orders, but not for 7 domains",
		"4  four   orders  ",
		"two: two has new terms\n  To do: read them", "one: one is down ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("a control character reaches the terminal: %q", out)
	}
	out, _ = b.run(exitOK, "ca", "list", "--json")
	var answer struct{ CAs []cert.ConfiguredCA }
	if err := json.Unmarshal(
		[]byte(out),
		&answer,
	); err != nil || len(answer.CAs) != 4 ||
		answer.CAs[1].Blocked.Message != "two has new terms" {
		t.Errorf("%v\n%s", err, out)
	}
}
