package main

import (
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/store"
)

func TestF19_QuarantineIsListedAndLifted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Quarantined = []store.Quarantined{
		{
			Name:   "shop.example.com",
			Tenant: "acme",
			EndsAt: noon.Add(48 * time.Hour),
		}, {Name: "xn--bcher-kva.example.com", Tenant: "beta", EndsAt: noon},
	}
	out, _ := b.run(exitOK, "quarantine", "list")
	equal(t, out, `NAME                KEPT FOR  UNTIL
shop.example.com    acme      2026-03-04 12:00
bücher.example.com  beta      2026-03-02 12:00
`)
	_, stderr := b.run(exitRefused, "quarantine", "lift", "shop.example.com")
	if !strings.Contains(stderr, "the reason is missing") || !strings.Contains(stderr, "--reason TEXT") {
		t.Errorf("without a reason: %s", stderr)
	}
	out, _ = b.run(exitOK, "quarantine", "lift", "shop.example.com", "--reason", "it was sold")
	equal(t, out, "shop.example.com is free: any account may connect it. It was kept for acme until 2026-03-04 12:00\n")
	_, stderr = b.run(exitRefused, "quarantine", "lift", "shop.example.com", "--reason", "again")
	if !strings.Contains(stderr, "shop.example.com is in no quarantine") {
		t.Errorf("twice: %s", stderr)
	}
	out, _ = b.run(exitOK, "--json", "quarantine", "list")
	if !strings.Contains(out, `"name": "xn--bcher-kva.example.com"`) || strings.Contains(out, "shop.example.com") {
		t.Errorf("json: %s", out)
	}
}
