package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/cert/calendar"
	"github.com/evercert/evercert/cert/fleet"
	"github.com/evercert/evercert/control"
)

// wouldExpire is the error of simulate when certificates of the fleet expire. The answer was printed before.
type wouldExpire struct{ certificates int }

func (w wouldExpire) Error() string { return fmt.Sprintf("%d certificates expire", w.certificates) }

// connectedWithin is the number of days in which a fleet is connected, unless --connected-per-day says otherwise. Let's Encrypt's limit
// lets 200,000 new domains through in 83 days.
const connectedWithin = 90

// simulateFlags are the flags that need a reading.
type simulateFlags struct {
	ca, lifetime, start string
	daily               bool
}

func (a *app) simulateCommand() *cobra.Command {
	var (
		plan  fleet.Plan
		flags simulateFlags
	)
	cmd := &cobra.Command{
		Use:   "simulate --domains N [--lifetime 47d] [--ca letsencrypt]",
		Short: "Simulate a fleet under a CA's rate limits: will anything expire, which override is needed",
		Args:  cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("connected-per-day") {
				plan.ConnectedPerDay = max(1, (plan.Domains-plan.Connected+connectedWithin-1)/connectedWithin)
			}
			err := a.simulate(cmd.Context(), plan, flags)
			if impossible := (fleet.Impossible{}); errors.As(err, &impossible) {
				err = control.Malformed(impossible.Message, impossible.Remediation)
			}
			if err != nil {
				return carriedOut{err}
			}
			return nil
		},
	}
	cmd.Long = `Simulate a fleet of domains, day by day, under the rate limits of a CA, by the code that gives domains their times of renewal
and their places in line. It needs no database. Every check of DNS passes and every order becomes a certificate: only the limits are
simulated.

  evercert simulate --domains 200000 --lifetime 47d                       # connected within 90 days
  evercert simulate --domains 200000 --lifetime 47d --connected 200000 --move-on 30
                                                                          # all live; on day 30 the account or the CA is another one

Exit codes: 0 nothing expires · 1 something does; it says how many and which override helps · 2 the figures can't be.`
	f := cmd.Flags()
	f.IntVar(&plan.Domains, "domains", 0, "domains of the fleet (required)")
	f.StringVar(&flags.lifetime, "lifetime", "", "lifetime of a certificate, such as 47d or 160h; the CA's longest if not given")
	f.StringVar(&flags.ca, "ca", fleet.LetsEncrypt.Name, "the CA whose limits hold")
	f.IntVar(&plan.Days, "days", 365, "days to simulate")
	f.IntVar(&plan.Connected, "connected", 0, "domains that have a live certificate on the first day, each of another age")
	f.IntVar(&plan.ConnectedPerDay, "connected-per-day", 0, "pace at which the others are connected; all within 90 days if not given")
	f.IntVar(&plan.Tenants, "tenants", 100, "tenants that share the domains, of the same size")
	f.IntVar(&plan.NamesPerDomain, "names-per-domain", 2, "names on a certificate")
	f.IntVar(&plan.PerRegistered, "per-registered-domain", 1, "domains below one registered domain")
	f.IntVar(
		&plan.MoveOn,
		"move-on",
		fleet.Never,
		"day from which certificates come from another account, or another CA with these limits; -1 is never",
	)
	f.IntVar(
		&plan.OverrideOrders,
		"override-orders",
		0,
		"new orders in 3 hours that the CA allows this account; 0 is its limit for all accounts",
	)
	f.Uint64Var(&plan.Seed, "seed", 1, "of what is random; the same seed gives the same answer")
	f.StringVar(&flags.start, "start", "", "first day, such as 2027-02-10; today if not given")
	f.BoolVar(&flags.daily, "daily", false, "print each day; JSON has each in any case")
	cobra.CheckErr(cmd.MarkFlagRequired("domains"))
	return cmd
}

func (a *app) simulate(ctx context.Context, p fleet.Plan, flags simulateFlags) (err error) {
	if p.CA, err = fleet.FindCA(flags.ca); err != nil {
		return err
	}
	p.Start = a.now().UTC().Truncate(24 * time.Hour)
	if flags.start != "" {
		if p.Start, err = time.Parse(time.DateOnly, flags.start); err != nil {
			return fleet.Impossible{Message: fmt.Sprintf("the start is %q", flags.start), Remediation: "give --start a date such as 2027-02-10"}
		}
	}
	p.Lifetime = p.CA.Longest(p.Start)
	if flags.lifetime != "" {
		if p.Lifetime, err = readDays(flags.lifetime); err != nil {
			return err
		}
	}
	if err := p.Check(); err != nil {
		return err
	}
	pace := a.newPace()
	result, err := p.Run(ctx, func(day int) { pace.print("day %d of %d", day, p.Days) })
	if err != nil {
		return err
	}
	answer := newSimulated(p, result)
	if result.Expired > 0 {
		orders, found, err := p.SmallestOverride(ctx, func(orders int) { pace.print("looking for the override: %d orders in 3 hours", orders) })
		if err != nil {
			return err
		}
		answer.OverrideHelps = &found
		if found {
			answer.Override = &orders
		}
	}
	a.showSimulated(p, answer, flags.daily)
	if result.Expired > 0 {
		return wouldExpire{result.Expired}
	}
	return nil
}

// readDays reads a lifetime: 47d, or what Go writes a duration in. Five digits of days fit into a duration.
func readDays(text string) (time.Duration, error) {
	if m := regexp.MustCompile(`^(\d{1,5})d$`).FindStringSubmatch(text); m != nil {
		days, err := strconv.Atoi(m[1])
		return time.Duration(days) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fleet.Impossible{Message: fmt.Sprintf("the lifetime is %q", text), Remediation: "give --lifetime a time such as 47d or 160h"}
	}
	return d, nil
}

// pace prints every few seconds how far a long command is.
type pace struct {
	app     *app
	printed time.Time
}

func (a *app) newPace() *pace { return &pace{a, a.now()} }

func (p *pace) print(format string, values ...any) {
	if now := p.app.now(); now.Sub(p.printed) >= reportEvery {
		p.printed = now
		fmt.Fprintf(p.app.err, "evercert: "+format+"\n", values...)
	}
}

// simulated is the answer of simulate. Times are in seconds.
type simulated struct {
	CA              string         `json:"ca"`
	Domains         int            `json:"domains"`
	Lifetime        int64          `json:"lifetime_seconds"`
	Start           calendar.Date  `json:"start"`
	OrdersPer3Hours int            `json:"orders_per_3h"`
	Expired         int            `json:"expired"`
	FirstExpiry     time.Time      `json:"first_expiry,omitzero"`
	OverrideHelps   *bool          `json:"override_helps,omitempty"`
	Override        *int           `json:"override_orders_per_3h,omitempty"` // the smallest by which nothing expires
	Orders          int            `json:"orders"`
	Counted         int            `json:"counted_orders"`
	Waited          int            `json:"waited"`
	LongestWait     int64          `json:"longest_wait_seconds"`
	Margin          *int64         `json:"margin_seconds"` // null: nothing was replaced
	Waiting         int            `json:"waiting_at_the_end"`
	Days            []simulatedDay `json:"days"`
}

type simulatedDay struct {
	Date        calendar.Date `json:"date"`
	Connected   int           `json:"connected"`
	Orders      int           `json:"orders"`
	Counted     int           `json:"counted_orders"`
	Waiting     int           `json:"waiting"`
	LongestWait int64         `json:"longest_wait_seconds"`
	Margin      *int64        `json:"margin_seconds"`
	Expired     int           `json:"expired"`
}

func newSimulated(p fleet.Plan, r fleet.Result) simulated {
	s := simulated{
		CA:              p.CA.Title,
		Domains:         p.Domains,
		Lifetime:        seconds(p.Lifetime),
		Start:           calendar.Date{Time: p.Start},
		OrdersPer3Hours: p.OrdersPer3Hours(),
		Expired:         r.Expired,
		FirstExpiry:     r.FirstExpiry.Truncate(time.Second),
		Orders:          r.Orders,
		Counted:         r.Counted,
		Waited:          r.Waited,
		LongestWait:     seconds(r.LongestWait),
		Margin:          margin(r.Replaced, r.Margin),
		Waiting:         r.Waiting,
		Days:            make([]simulatedDay, len(r.Days)),
	}
	for i, d := range r.Days {
		s.Days[i] = simulatedDay{
			Date: calendar.Date{Time: p.Start.AddDate(0, 0, i)}, Connected: d.Connected, Orders: d.Orders, Counted: d.Counted, Waiting: d.Waiting,
			LongestWait: seconds(d.LongestWait), Margin: margin(d.Replaced, d.Margin), Expired: d.Expired,
		}
	}
	return s
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// margin is nil where nothing was replaced.
func margin(replaced int, left time.Duration) *int64 {
	if replaced == 0 {
		return nil
	}
	s := seconds(left)
	return &s
}

func (a *app) showSimulated(p fleet.Plan, s simulated, daily bool) {
	if a.json {
		a.printJSON(a.out, s)
		return
	}
	fmt.Fprintf(a.out, "%d domains at %s, certificates of %s, %d days from %s, %d new orders in 3 hours:\n",
		s.Domains, s.CA, inDays(p.Lifetime), p.Days, s.Start, s.OrdersPer3Hours)
	a.showExpiry(p, s)
	fmt.Fprintf(a.out, "Orders: %d; the CA counts %d of them as new, renewals are not counted\n", s.Orders, s.Counted)
	longest := inDays(time.Duration(s.LongestWait) * time.Second)
	fmt.Fprintf(a.out, "Waits: %d orders waited for a place, %s at most; %d wait at the end\n", s.Waited, longest, s.Waiting)
	if p.MoveOn == fleet.Never {
		fmt.Fprintln(a.out, "A change of the account or of the CA makes every renewal count: try --move-on DAY")
	}
	fmt.Fprintln(a.out)
	a.showDays(s.Days, daily)
}

func (a *app) showExpiry(p fleet.Plan, s simulated) {
	if s.Expired == 0 {
		fmt.Fprintln(a.out, "Nothing expires.")
		if s.Margin != nil {
			fmt.Fprintf(a.out, "Least time left at a renewal: %s\n", inDays(time.Duration(*s.Margin)*time.Second))
		}
		return
	}
	fmt.Fprintf(a.out, "%d certificates expire, the first on %s.\n", s.Expired, calendar.Date{Time: s.FirstExpiry})
	if s.Override == nil {
		fmt.Fprintln(a.out, "No override of the new orders helps: the limit for the same names, or for one registered domain, is too low.")
		return
	}
	fmt.Fprintf(a.out, "With an override of %d new orders in 3 hours nothing expires. It takes weeks; ask for it at %s\n",
		*s.Override, p.CA.Override)
}

// rowsShown is how many rows a table of days has at most, unless each day is asked for.
const rowsShown = 20

// showDays prints the days, or the worst of every few days in one row.
func (a *app) showDays(days []simulatedDay, daily bool) {
	step := 1
	if !daily {
		step = (len(days) + rowsShown - 1) / rowsShown
	}
	if step > 1 {
		fmt.Fprintf(a.out, "The worst day of each %d:\n", step)
	}
	t := a.newTable("FROM", "CONNECTED", "ORDERS A DAY", "COUNTED A DAY", "WAITING", "LONGEST WAIT", "LEAST TIME LEFT", "EXPIRED")
	for first := 0; first < len(days); first += step {
		row := simulatedDay{Date: days[first].Date}
		for _, d := range days[first:min(first+step, len(days))] {
			row.Connected += d.Connected
			row.Expired += d.Expired
			row.Orders, row.Counted, row.Waiting = max(row.Orders, d.Orders), max(row.Counted, d.Counted), max(row.Waiting, d.Waiting)
			row.LongestWait = max(row.LongestWait, d.LongestWait)
			if d.Margin != nil && (row.Margin == nil || *d.Margin < *row.Margin) {
				row.Margin = d.Margin
			}
		}
		left := "–"
		if row.Margin != nil {
			left = inDays(time.Duration(*row.Margin) * time.Second)
		}
		t.row(row.Date.String(), fmt.Sprint(row.Connected), fmt.Sprint(row.Orders), fmt.Sprint(row.Counted), fmt.Sprint(row.Waiting),
			inDays(time.Duration(row.LongestWait)*time.Second), left, fmt.Sprint(row.Expired))
	}
	t.show()
}

// inDays is span without hours that are none, and with a sign.
func inDays(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + inDays(-d)
	case d > 0 && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	default:
		return span(d)
	}
}
