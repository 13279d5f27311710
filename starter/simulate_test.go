package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/control"
)

// withoutDatabase is a command that fails as soon as it asks for the database.
func withoutDatabase(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	b.app.open = func(context.Context) (*control.Control, func(), error) {
		t.Error("the command asked for the database")
		return nil, nil, context.Canceled
	}
	return b
}

func TestF20_SimulateSaysThatNothingExpiresAndHowLongDomainsWait(t *testing.T) {
	t.Parallel()
	b := withoutDatabase(t)
	out, errOut := b.run(exitOK, "simulate", "--domains", "900", "--lifetime", "47d", "--ca", "letsencrypt", "--days", "60")
	equal(t, errOut, "")
	lines := strings.Split(out, "\n")
	equal(t, lines[0], "900 domains at Let's Encrypt, certificates of 47 days, 60 days from 2026-03-02, 300 new orders in 3 hours:")
	equal(t, lines[1], "Nothing expires.")
	for _, want := range []string{
		"Least time left at a renewal: 15 d 1",
		"; the CA counts 600 of them as new, renewals are not counted",
		"Waits: 0 orders waited for a place, 0 s at most; 0 wait at the end",
		"try --move-on DAY",
		"The worst day of each 3:\nFROM        CONNECTED  ORDERS A DAY",
		"\n2026-03-02  30         10            10             0        0 s           –                0\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

// moved is a fleet that is live, and whose account changes on the fifth day: 16 orders a day are too few for 1,000 domains in 47 days.
var moved = strings.Fields("simulate --domains 1000 --lifetime 47d --days 80 --connected 1000 --move-on 5 --override-orders 2")

func TestF20_SimulateSaysWhatExpiresAndWhichOverrideHelps(t *testing.T) {
	t.Parallel()
	b := withoutDatabase(t)
	out, errOut := b.run(exitFault, append(moved, "--json")...)
	var answer struct {
		Expired       int       `json:"expired"`
		FirstExpiry   time.Time `json:"first_expiry"`
		OverrideHelps bool      `json:"override_helps"`
		Override      int       `json:"override_orders_per_3h"`
		Margin        int64     `json:"margin_seconds"`
		Days          []struct {
			Date    string `json:"date"`
			Expired int    `json:"expired"`
		} `json:"days"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if answer.Expired < 100 || !answer.OverrideHelps || answer.Override != 3 || answer.Margin >= 0 {
		t.Errorf("%+v", answer)
	}
	if len(answer.Days) != 80 || answer.Days[79].Date != "2026-05-20" {
		t.Errorf("%+v", answer)
	}
	if answer.FirstExpiry.Before(noon.AddDate(0, 0, 5)) || answer.FirstExpiry.After(noon.AddDate(0, 0, 80)) {
		t.Errorf("the first expires at %s", answer.FirstExpiry)
	}
	if !strings.Contains(errOut, "certificates expire") {
		t.Errorf("the error output: %s", errOut)
	}
	out, _ = b.run(exitFault, moved...)
	for _, want := range []string{
		" certificates expire, the first on 2026-0", "With an override of 3 new orders in 3 hours nothing expires.",
		"https://isrg.formstack.com/",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	out, _ = b.run(exitOK, append(moved, "--override-orders", "3")...)
	if !strings.Contains(out, "Nothing expires.") {
		t.Errorf("with the override that it named:\n%s", out)
	}
}

func TestF20_SimulateSaysWhenNoOverrideHelps(t *testing.T) {
	t.Parallel()
	b := withoutDatabase(t)
	out, _ := b.run(exitFault, "simulate", "--domains", "3", "--lifetime", "1d", "--days", "14", "--daily")
	if !strings.Contains(out, "No override of the new orders helps") || !strings.Contains(out, "\n2026-03-15  ") {
		t.Error(out)
	}
}

func TestF20_SimulateRefusesImpossibleFigures(t *testing.T) {
	t.Parallel()
	b := withoutDatabase(t)
	for want, line := range map[string]string{
		"required flag(s) \"domains\" not set":           "",
		"domains is 0":                                   "--domains 0",
		"domains is -5":                                  "--domains -5",
		"invalid argument \"many\"":                      "--domains many",
		"connected-per-day is 0":                         "--domains 5 --connected-per-day 0",
		"a lifetime of 0s is under a day":                "--domains 5 --lifetime 0d",
		"a lifetime of -47h0m0s is under a day":          "--domains 5 --lifetime -47h",
		"a lifetime of 23h0m0s is under a day":           "--domains 5 --lifetime 23h",
		"the lifetime is \"-47d\"":                       "--domains 5 --lifetime -47d",
		"the lifetime is \"99999999999d\"":               "--domains 5 --lifetime 99999999999d",
		"issues no certificate of more than 90 days":     "--domains 5 --lifetime 99999d",
		"issues no certificate of more than 45 days":     "--domains 5 --lifetime 47d --start 2028-02-16",
		"the limits of the CA \"zerossl\" are not known": "--domains 5 --ca zerossl",
		"the start is \"tomorrow\"":                      "--domains 5 --start tomorrow",
		"days is 0":                                      "--domains 5 --days 0",
		"move-on is 365":                                 "--domains 5 --move-on 365",
	} {
		out, errOut := b.run(exitRefused, append([]string{"simulate"}, strings.Fields(line)...)...)
		if out != "" || !strings.Contains(errOut, want) {
			t.Errorf("simulate %s: %q is missing in %q, %q", line, want, out, errOut)
		}
	}
	_, errOut := b.run(exitRefused, "simulate", "--json", "--domains", "0")
	var problem struct{ Code, Message, Remediation string }
	if err := json.Unmarshal([]byte(errOut), &problem); err != nil || problem.Code != "request_malformed" || problem.Remediation == "" {
		t.Errorf("%v: %s", err, errOut)
	}
}
