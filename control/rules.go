package control

import (
	"context"
	"time"

	"github.com/evercert/evercert/cert/calendar"
)

// Rule is a rule of the calendar and the number of connected domains that it touches.
type Rule struct {
	calendar.Rule

	InForce bool `json:"in_force"`
	Domains *int `json:"domains"` // nil: it can't be counted, or nothing was counted
}

// Rules returns the calendar of rule changes by date, each with the number of domains that it touches (row F14).
func (c *Control) Rules(ctx context.Context) ([]Rule, error) {
	rules := Calendar(time.Now())
	for i, r := range rules {
		if r.Domains != nil || !r.Touches.Countable() {
			continue
		}
		n, err := c.store.Touched(ctx, r.Touches)
		if err != nil {
			return nil, err
		}
		rules[i].Domains = &n
	}
	return rules, nil
}

// Calendar returns the rules with the numbers that are known without a database.
func Calendar(now time.Time) []Rule {
	var rules []Rule
	for _, r := range calendar.Rules() {
		rule := Rule{Rule: r, InForce: r.InForce(now)}
		if r.Touches.Nobody {
			rule.Domains = new(int)
		}
		rules = append(rules, rule)
	}
	return rules
}
