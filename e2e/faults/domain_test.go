package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/workflows"
)

// domain is one customer's domain and its records.
type domain struct {
	*world
	name    string
	id      string
	records []cert.Record
	caseID  string // workflow id of its open case, once openCase has seen it
}

// connect claims a name, again and again if need be.
func (w *world) connect(name string) *domain {
	w.t.Helper()
	d := &domain{world: w, name: name}
	w.insist("connect "+name, d.tryConnect)
	return d
}

func (d *domain) tryConnect() error {
	var answer struct{ Records []cert.Record }
	if err := d.api("POST", "/v1/domains", map[string]string{"hostname": d.name, "tenant": "acme"}, &answer); err != nil {
		return err
	}
	d.records = answer.Records
	conn, err := pgx.Connect(d.t.Context(), d.info.Postgres) // past the gate
	if err != nil {
		return err
	}
	defer conn.Close(context.Background()) //nolint:errcheck // read only
	return conn.QueryRow(d.t.Context(), `SELECT id::text FROM domains WHERE hostname = $1 AND removed_at IS NULL`, d.name).Scan(&d.id)
}

// point adds all records that were asked for, and withdraw takes them away.
func (d *domain) point() error { return d.dns("POST") }

func (d *domain) withdraw() error { return d.dns("DELETE") }

func (d *domain) dns(method string) error {
	var errs []error
	for _, r := range d.records {
		errs = append(
			errs, d.send(method, d.info.DNSControl+"/records", map[string]string{"name": r.Name, "type": r.Type, "value": r.Value}, nil),
		)
	}
	return errors.Join(errs...)
}

// delegation is the name at which the CA asks for this domain's TXT value.
func (d *domain) delegation() string {
	for _, r := range d.records {
		if r.Purpose == cert.ForDelegation {
			return r.Value
		}
	}
	return ""
}

func (d *domain) verb(verb string) error {
	return d.api("POST", "/v1/domains/"+d.name+"/"+verb, map[string]string{"by": "sue"}, nil)
}

// handBack returns a call to repeat until it returns nil. One whose answer did not come may have been carried out: the next one reads
// that no case is open.
func (d *domain) handBack() func() error {
	unanswered := false
	return func() error {
		err := d.verb("hand-back")
		if err == nil || !strings.Contains(err.Error(), "has no open case") {
			unanswered = unanswered || err != nil
			return err
		}
		if unanswered {
			return nil
		}
		return err
	}
}

// is returns nil when the domain is seen as wanted.
func (d *domain) is(what string, wanted func(control.Domain) bool) error {
	var view control.Domain
	if err := d.api("GET", "/v1/domains/"+d.name, nil, &view); err != nil {
		return err
	}
	if !wanted(view) {
		return fmt.Errorf("%s is %q, next: %s at %s, not yet: %s; problems: %v",
			d.name, view.Headline, view.NextAction, view.NextActionAt.Format(time.TimeOnly), what, view.Problems)
	}
	return nil
}

func (d *domain) shows(h cert.Headline) func() error {
	return func() error { return d.is(string(h), func(v control.Domain) bool { return v.Headline == h }) }
}

// reach is await with the patience of these tests. It gives up early when the domain's workflow has ended in another way than by its own
// return.
func (d *domain) reach(done func() error) error {
	const reads = 20 // for each read of the workflow
	n := 0
	return await(d.name, patience, func() error {
		err := done()
		if n++; err != nil && n%reads == 0 && d.failed(workflows.DomainID(d.name)) {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		return err
	})
}

func (d *domain) awaits(h cert.Headline) { d.t.Helper(); d.insist(d.name, d.shows(h)) }

// serial is that of the live certificate.
func (d *domain) serial() (serial string, err error) {
	return serial, d.reach(func() error {
		return d.is("a certificate", func(v control.Domain) bool {
			if v.Certificate != nil {
				serial = v.Certificate.Serial
			}
			return serial != ""
		})
	})
}

// renewed returns nil when another certificate than before is served.
func (d *domain) renewed(before string) func() error {
	return func() error {
		return d.is("renewed", func(v control.Domain) bool {
			return v.Headline == cert.InstallationComplete && v.Certificate != nil && v.Certificate.Serial != before
		})
	}
}

// openCase returns nil when people have the domain's case, and can work on it.
func (d *domain) openCase() error {
	var list struct{ Cases []cert.Case }
	if err := d.api("GET", "/v1/cases", nil, &list); err != nil {
		return err
	}
	i := slices.IndexFunc(list.Cases, func(c cert.Case) bool { return c.Hostname == d.name && c.ClosedAt.IsZero() })
	if i < 0 {
		return fmt.Errorf("no case of %s is open", d.name)
	}
	d.caseID = workflows.EscalationID(list.Cases[i].ID)
	return d.running(d.caseID)
}
