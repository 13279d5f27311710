// Package calendar lists the rule changes of the web's certificates whose date is known (row F14): what changes, for which domains, what
// to do and by when.
package calendar

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

// Date is a day of the calendar. A rule is in force from its begin in UTC.
type Date struct{ time.Time }

// On returns a date.
func On(year int, month time.Month, day int) Date {
	return Date{time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

func (d Date) String() string { return d.Format(time.DateOnly) }

// MarshalJSON writes the date as 2027-02-10.
func (d Date) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Date) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("read a date: %w", err)
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return fmt.Errorf("read a date: %w", err)
	}
	d.Time = t
	return nil
}

// Who makes a rule.
const (
	CABForum    = "CA/B Forum"
	LetsEncrypt = "Let's Encrypt"
	ICANN       = "ICANN"
)

// LetsEncryptDirectory is the ACME directory of Let's Encrypt's production.
const LetsEncryptDirectory = "https://acme-v02.api.letsencrypt.org/directory"

// Rule is a change that is certain to come, or came.
type Rule struct {
	ID      string  `json:"id"`
	Date    Date    `json:"date"`
	Who     string  `json:"who"`
	Change  string  `json:"change"`
	Touches Touched `json:"-"`
	Counted string  `json:"counted"` // which domains it touches, or why they can't be counted
	Do      string  `json:"do"`
	DoBy    Date    `json:"do_by"`
	Source  string  `json:"source"`
}

// Touched says how the domains that a rule touches are counted. The zero value says that they can't be.
type Touched struct {
	LongerThan time.Duration // connected domains whose live certificate is valid for longer
	Directory  string        // of LongerThan: only certificates of the CA with this ACME directory; empty is every CA
	Problem    cert.Code     // connected domains whose newest check shows this problem
	Nobody     bool          // the rule is about something that evercert doesn't do
}

// Countable reports whether the domains that are touched can be counted.
func (t Touched) Countable() bool { return t != Touched{} }

// InForce reports whether the rule holds at a time.
func (r *Rule) InForce(now time.Time) bool { return !now.Before(r.Date.Time) }

const day = 24 * time.Hour

// Rules returns the rules by date.
func Rules() []Rule { return slices.Clone(rules) }

// LongestAt returns the longest lifetime of a certificate that Let's Encrypt's default profile issues at a time.
func LongestAt(now time.Time) time.Duration {
	longest := 90 * day // letsencrypt.org/docs/profiles, classic
	for i := range rules {
		if r := &rules[i]; r.Touches.Directory == LetsEncryptDirectory && r.InForce(now) {
			longest = min(longest, r.Touches.LongerThan)
		}
	}
	return longest
}
