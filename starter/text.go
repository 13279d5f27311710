package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
)

// showDomain tells a domain in sentences, the headline first.
func (a *app) showDomain(d control.Domain) {
	fmt.Fprintf(a.out, "%s: %s of tenant %s\n", d.Headline, d.UnicodeName, d.Tenant)
	if d.UnicodeName != d.Hostname {
		fmt.Fprintf(a.out, "In DNS: %s\n", d.Hostname)
	}
	if len(d.Names) > 1 {
		fmt.Fprintf(a.out, "Also: %s\n", strings.Join(unicodes(d.Names[1:]), ", "))
	}
	a.showNext(d)
	for _, p := range d.Problems {
		fmt.Fprintf(a.out, "Problem: %s\n", p.OneLine())
		a.showThen(p, d.Hostname)
	}
	if d.Failures > 0 {
		fmt.Fprintf(a.out, "Failed attempts in a row: %d\n", d.Failures)
	}
	if c := d.Certificate; c != nil {
		fmt.Fprintf(a.out, "Certificate: serial %s by %s, valid until %s\n", c.Serial, c.Issuer, a.moment(c.NotAfter))
		if !c.RenewAt.IsZero() {
			fmt.Fprintf(a.out, "Renewal: %s\n", a.moment(c.RenewAt))
		}
		fmt.Fprintf(a.out, "HTTPS redirect: %s\n", map[bool]string{true: "on", false: "off"}[d.HTTPSRedirect])
	}
	fmt.Fprintf(a.out, "Connected: %s\n", a.moment(d.ConnectedAt))
}

func (a *app) showNext(d control.Domain) {
	if d.Paused {
		fmt.Fprintln(a.out, "Paused: nothing is done by itself until it is resumed")
	}
	if d.NextAction != "" {
		fmt.Fprintf(a.out, "Next: %s%s\n", a.action(d.NextAction, d.NextActionAt), turn(d))
	}
	if !d.Deadline.IsZero() && d.Headline != cert.InstallationComplete { // the end of a live certificate is told beside it
		fmt.Fprintf(a.out, "Goes to support if nothing changes by %s\n", a.moment(d.Deadline))
	}
}

// turn says whose turn it is, where that is somebody else's than evercert's own.
func turn(d control.Domain) string {
	if d.NextActor == "" || d.NextActor == cert.PlatformActs && !d.NextActionAt.IsZero() {
		return ""
	}
	return " – " + d.NextActor.Acts()
}

// showRecords is the table to copy into a DNS provider's form.
func (a *app) showRecords(records []cert.RecordState) {
	t := a.newTable("NAME", "TYPE", "VALUE", "FOR", "STATE")
	for _, r := range records {
		t.row(r.Name, r.Type, r.Value, string(r.Purpose), r.State.Words())
	}
	t.show()
}

func (a *app) showCase(c cert.Case) {
	state, who := "open", "nobody has taken it"
	if c.Assignee != "" {
		who = "taken by " + c.Assignee
	}
	if !c.ClosedAt.IsZero() {
		state, who = "closed", c.Resolution
	}
	about := cert.Unicode(c.Hostname) + " of tenant " + c.Tenant
	if c.Hostname == "" {
		about = "account " + strings.TrimPrefix(c.ID, cert.AccountCasePrefix)
	}
	fmt.Fprintf(a.out, "%s: %s\n  %s since %s; %s\n", about, c.Reason, state, a.moment(c.OpenedAt), who)
	for _, p := range c.Problems {
		fmt.Fprintf(a.out, "  Problem: %s\n", p.OneLine())
		a.showThen(p, c.Hostname)
	}
	for _, n := range c.Notes {
		fmt.Fprintf(a.out, "  %s, %s: %s\n", a.clock(n.At), n.Author, n.Text)
	}
}

// showThen shows the command that goes on once a problem is fixed, if there is one.
func (a *app) showThen(p cert.Problem, hostname string) {
	if command := p.Then.Command(hostname); command != "" && hostname != "" {
		fmt.Fprintf(a.out, "  Then: %s\n", command)
	}
}

func (a *app) action(what string, at time.Time) string {
	if at.IsZero() || what == "" {
		return what
	}
	return what + ", " + a.moment(at)
}

// moment is a time as people think of it: on the clock, and from now.
func (a *app) moment(t time.Time) string { return a.clock(t) + " (" + relative(t.Sub(a.now())) + ")" }

func (a *app) clock(t time.Time) string { return t.In(a.local).Format("2006-01-02 15:04") }

// relative rounds to the two greatest units that matter.
func relative(d time.Duration) string {
	switch {
	case d < 0:
		return span(-d) + " ago"
	default:
		return "in " + span(d)
	}
}

func span(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Minute) // 90 days that began a second ago are 90 days
	}
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", minutes)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	default:
		return fmt.Sprintf("%d d %d h", days, hours)
	}
}

// sentence begins with a capital and ends with a dot.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func unicodes(names []string) []string {
	shown := make([]string, len(names))
	for i, n := range names {
		shown[i] = cert.Unicode(n)
	}
	return shown
}
