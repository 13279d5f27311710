package control

import (
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/store"
)

// Domain is what people see of a domain. The API and the CLI show it alike.
type Domain struct {
	Hostname      string         `json:"hostname"`     // A-labels, as in certificates
	UnicodeName   string         `json:"unicode_name"` // the same as people write it
	Names         []string       `json:"names"`
	Tenant        string         `json:"tenant"`
	Headline      cert.Headline  `json:"headline"`
	Status        cert.Status    `json:"status"`
	Failures      int            `json:"failures"` // in a row
	Paused        bool           `json:"paused"`
	Problems      []cert.Problem `json:"problems"`
	NextAction    string         `json:"next_action,omitempty"`
	NextActionAt  time.Time      `json:"next_action_at,omitzero"`
	NextActor     cert.Actor     `json:"next_actor,omitempty"`  // whose turn it is until then
	Deadline      time.Time      `json:"deadline,omitzero"`     // when the present wait is handed to people
	Certificate   *Certificate   `json:"certificate,omitempty"` // the live one
	HTTPSRedirect bool           `json:"https_redirect"`
	ConnectedAt   time.Time      `json:"connected_at"`
	UpdatedAt     time.Time      `json:"updated_at"`
}

// Certificate is what people see of a live certificate beside its domain.
type Certificate struct {
	Serial   string    `json:"serial"`
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"not_after"`
	RenewAt  time.Time `json:"renew_at,omitzero"`
}

// Event is an entry of a domain's timeline.
type Event struct {
	At time.Time `json:"at"`
	cert.Event
}

func newDomain(v store.View) Domain {
	d := Domain{
		Hostname: v.Hostname, UnicodeName: cert.Unicode(v.Hostname), Names: v.Names, Tenant: v.Tenant,
		Headline: v.Headline, Status: v.Status, Failures: v.Failures, Paused: v.Paused, Problems: listed(v.Problems, v.Status, v.Paused),
		NextAction: cert.Line(v.NextAction, cert.MaxText), NextActionAt: v.NextActionAt, NextActor: v.NextActor, Deadline: v.Deadline,
		HTTPSRedirect: v.HTTPSRedirect, ConnectedAt: v.ConnectedAt, UpdatedAt: v.UpdatedAt,
	}
	if v.Seq == 0 {
		d.NextAction = "the first DNS check"
	}
	if v.Serial != "" {
		d.Certificate = &Certificate{Serial: v.Serial, Issuer: cert.Line(v.Issuer, cert.MaxIssuer), NotAfter: v.NotAfter, RenewAt: v.RenewAt}
	}
	return d
}

// listed returns the problems of a domain as they are shown: each with the request that is accepted in the domain's state and goes on once the problem
// is fixed (row F2). It makes an empty list of none: in JSON [], not null.
func listed(problems []cert.Problem, s cert.Status, paused bool) []cert.Problem {
	shown := make([]cert.Problem, len(problems))
	for i, p := range problems {
		shown[i] = p.Clean()
		shown[i].Then = p.Code.Verb(s, paused)
	}
	return shown
}
