package faults

import (
	"errors"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/workflows"
)

// step is a row of the grid: lines of docs/lifecycle.md, how a domain comes to them, and what shows that it is there.
type step struct {
	name  string
	lines string // of docs/lifecycle.md
	// at is the statement by which the step is known, as the gate sees it; $id, $name and $label stand for those of the domain.
	at order
	// ca is the request to the CA by which it is known in place of a statement.
	ca string
	// early steps are over before a domain's id is known: their triggers are in place before it is connected.
	early bool
	story story
	// odd is what the CA does at its requests of this step, in the column "odd CA"; empty where the CA is not asked.
	odd string
}

// story is what happens to a connected domain whose records are missing, and what it must reach. The error says what it did not reach.
type story func(d *domain) error

// steps are the rows, in the order of a domain's life.
func steps() []step {
	id := []string{"$id"}
	return []step{
		{name: "claim", lines: "2", early: true, at: order{Text: "INSERT INTO domains", Values: []string{"$name"}}, story: issued},
		{name: "start", lines: "3", early: true, at: order{Text: "SET start_at"}, story: issued},
		{name: "check", lines: "4", at: order{Text: "UPDATE domain_checks", Values: id}, story: issued},
		{name: "record", lines: "5, 6, 8", at: order{Text: "INSERT INTO events", Values: id}, story: issued},
		{name: "csr", lines: "9", at: order{Text: "INSERT INTO keys", Values: id}, story: issued},
		{name: "budget", lines: "10, 18", at: order{Text: "budgets", Values: []string{"$name"}}, story: issued},
		{name: "order tried", lines: "11", at: order{Text: "SET order_tries", Values: id}, story: issued},
		{name: "newOrder", lines: "12", ca: "newOrder", odd: "drop-response", story: issued},
		{name: "order URL stored", lines: "13", at: order{Text: "SET order_url", Values: id}, story: issued},
		{name: "challenge shown", lines: "14", at: order{Text: "INSERT INTO txt_values", Values: []string{"$label"}}, story: issued},
		{name: "authorization", lines: "14", ca: "authz", odd: "truncate", story: issued},
		{name: "validation", lines: "15", ca: "challenge", odd: "problem:badNonce", story: issued},
		{name: "finalize", lines: "16", ca: "finalize", odd: "drop-response", story: issued},
		{name: "download", lines: "17", ca: "certificate", odd: "truncate", story: issued},
		{name: "certificate stored", lines: "17", at: order{Text: "INSERT INTO certificates", Values: id}, story: issued},
		{name: "install", lines: "19", at: order{Text: "INSERT INTO served_names", Values: []string{"$name"}}, story: issued},
		{name: "verify", lines: "20, 21", at: order{Text: "SELECT s.name", Values: []string{"$name"}}, story: issued},
		{name: "complete", lines: "22", at: event(cert.InstallationSucceeded), story: issued},
		{name: "renewal", lines: "24", at: event(cert.RenewalSucceeded), story: renewed},
		{name: "hold", lines: "25", at: event(cert.RenewalOnHoldEvent), story: heldAndResumed},
		{name: "expiry", lines: "26", at: event(cert.CertificateExpiredEvent), story: heldAndExpired},
		{name: "failure", lines: "27", at: event(cert.IssuanceFailed), odd: "refuse:403:html", story: refused},
		{name: "case", lines: "28", at: order{Text: "INSERT INTO cases", Values: id}, story: refusedThrice},
		{name: "hand-back", lines: "29", at: event(cert.EscalationClosed), story: handedBack},
		{name: "pause", lines: "30", at: event("resume by"), story: pausedAndResumed},
		{name: "remove", lines: "31", at: event(cert.DomainRemovedEvent), story: removed},
	}
}

// event is the record that brings an event of a domain, by its type or words of its detail.
func event[T ~string](words T) order {
	return order{Text: "INSERT INTO events", Values: []string{"$id"}, And: string(words)}
}

// issued is a domain whose records appear.
func issued(d *domain) error {
	if err := d.point(); err != nil {
		return err
	}
	return d.reach(d.shows(cert.InstallationComplete))
}

func renewed(d *domain) error {
	if err := issued(d); err != nil {
		return err
	}
	before, err := d.serial()
	if err != nil {
		return err
	}
	return d.reach(d.renewed(before))
}

// heldAndResumed is a domain whose records are away when its renewal is due, and come back.
func heldAndResumed(d *domain) error {
	return withoutRecords(d, func(v control.Domain) bool {
		return v.Status.Renewal == cert.RenewalOnHold || v.Headline == cert.Expired // which follows, if the fault takes long
	})
}

// heldAndExpired is one whose records come back too late.
func heldAndExpired(d *domain) error {
	return withoutRecords(d, func(v control.Domain) bool { return v.Headline == cert.Expired })
}

func withoutRecords(d *domain, until func(control.Domain) bool) error {
	if err := issued(d); err != nil {
		return err
	}
	before, err := d.serial()
	err = errors.Join(err, d.withdraw())
	if err != nil {
		return err
	}
	if err := d.reach(func() error { return d.is("without its records", until) }); err != nil {
		return err
	}
	if err := d.point(); err != nil {
		return err
	}
	return d.reach(d.renewed(before))
}

func refused(d *domain) error {
	if err := d.caFault("finalize", refusal, 2, d.name); err != nil { // twice: one whose report is lost does not count
		return err
	}
	return issued(d)
}

func refusedThrice(d *domain) error {
	// Until it is taken back: a refusal whose report is lost does not count as one.
	if err := errors.Join(d.caFault("finalize", refusal, 0, d.name), d.point()); err != nil {
		return err
	}
	if err := d.reach(d.shows(cert.ContactSupport)); err != nil {
		return err
	}
	return d.reach(d.openCase)
}

func handedBack(d *domain) error {
	if err := refusedThrice(d); err != nil {
		return err
	}
	if err := d.caFault("finalize", "none", 0, d.name); err != nil {
		return err
	}
	if err := d.reach(d.handBack()); err != nil {
		return err
	}
	return d.reach(d.shows(cert.InstallationComplete))
}

func pausedAndResumed(d *domain) error {
	if err := issued(d); err != nil {
		return err
	}
	before, err := d.serial()
	if err != nil {
		return err
	}
	for _, verb := range []string{workflows.Pause, workflows.Resume} {
		if err := d.reach(func() error { return d.verb(verb) }); err != nil {
			return err
		}
	}
	return d.reach(d.renewed(before))
}

func removed(d *domain) error {
	if err := issued(d); err != nil {
		return err
	}
	if err := d.reach(func() error { return d.api("DELETE", "/v1/domains/"+d.name, nil, nil) }); err != nil {
		return err
	}
	if err := d.reach(d.shows(cert.Removed)); err != nil {
		return err
	}
	return d.reach(func() error { return d.ended(workflows.DomainID(d.name)) })
}
