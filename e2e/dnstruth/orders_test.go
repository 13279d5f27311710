package dnstruth

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/e2e/dnslab"
	"github.com/evercert/evercert/resolver"
)

const (
	week = 7 * 24 * time.Hour
	// atOnce is how many domains live at the same time. Most of a life is spent waiting for servers that don't answer.
	atOnce = 24
	// fewestLooks is somewhat less than the default policy makes of a week without the records: 5 looks in the first 82 minutes, one
	// each 2 hours until the case is opened after 72 hours, one a day from then on.
	fewestLooks = 40
)

// TestD2_OverTheWholeBrokenTableTheCAReceivesNoOrder connects every row of both tables as a domain and lets it live for a week
// of virtual time: the real workflow, the real pre-flight against the real name servers, the real store and the real client of a CA
// that counts. Rows whose verdict is ok are the control: each is ordered for once, in the same week by the same code.
//
// It is not parallel: name servers and web servers of the tables have fixed addresses, which TestDNSTruth uses too.
func TestD2_OverTheWholeBrokenTableTheCAReceivesNoOrder(t *testing.T) {
	rows := append(brokenTable(), healthyTable()...)
	slices.Reverse(rows) // those that wait for dead servers stand towards the end: they take longest, and begin first
	zones := platformZones()
	for _, r := range rows {
		zones = append(zones, r.zones()...)
	}
	lab := dnslab.Tree{Network: network, Zones: zones}.Start(t)
	startWeb(t)
	dnslab.StartOdd(t, faultyResolver, lab.Resolver, dnslab.FailsToValidate)
	parts := startParts(t)

	lives := make([]*life, len(rows))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, r := range rows {
		config := configOf(lab)
		config.RequireOwnership, config.ProbeTimeout = !r.bare, time.Second
		if r.config != nil {
			r.config(&config)
		}
		dns, err := resolver.New(config, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		lives[i] = &life{row: r, dns: dns, domain: parts.connect(t, r)}
		group.Go(func() error {
			if err := lives[i].live(t.Context(), parts, week); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())

	blocked, ready, looks := 0, 0, 0
	for _, l := range lives {
		looks += len(l.verdicts)
		want := 0
		if l.row.verdict == cert.OK {
			want = 1
			ready++
		} else {
			blocked++
		}
		t.Run(l.row.label(), func(t *testing.T) {
			require.Equal(t, want, parts.ca.ordersFor(l.domain), "orders for %v; its looks: %v; its story:\n%s",
				l.domain.Names, l.verdicts, parts.story(t, l.domain))
			require.Contains(t, l.verdicts, l.row.verdict, "the row was never seen as it is")
			if want == 0 {
				require.NotContains(t, l.verdicts, cert.OK)
				require.GreaterOrEqual(t, len(l.verdicts), fewestLooks, "looks in a week")
			}
		})
	}
	require.GreaterOrEqual(t, blocked, 60)
	require.GreaterOrEqual(t, ready, 10)
	require.Equal(t, ready, parts.server.Requests("/new-order"), "what the CA itself has counted")
	t.Logf("%d domains that are blocked: 0 orders; %d that are ready: %d orders; %d looks",
		blocked, ready, parts.server.Requests("/new-order"), looks)
}
