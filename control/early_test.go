package control_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/store"
	"github.com/evercert/evercert/workflows"
)

var (
	ownershipRecord = cert.Record{
		Name:     "_evercert.shop.example.com",
		Hostname: "shop.example.com",
		Type:     "TXT",
		Value:    "o",
		Purpose:  cert.ForOwnership,
	}
	delegationRecord = cert.Record{
		Name:     "_acme-challenge.shop.example.com",
		Hostname: "shop.example.com",
		Type:     "CNAME",
		Value:    "d.example.net",
		Purpose:  cert.ForDelegation,
	}
	addressRecord = cert.Record{
		Name:     "shop.example.com",
		Hostname: "shop.example.com",
		Type:     "CNAME",
		Value:    "edge.example.net",
		Purpose:  cert.ForAddress,
	}
)

// earlyWorld is the queue, the name servers and Temporal. It ends the loop when the queue has been asked for once more.
type earlyWorld struct {
	mu    sync.Mutex
	check store.EarlyCheck
	shows map[string]map[cert.Record]cert.Shown // by server; a server without an entry is silent
	turns int                                   // that are left
	end   context.CancelFunc
	noted []string
	woken []workflows.WakeRequest
	asked []string
}

func (w *earlyWorld) TakeEarly(context.Context, time.Duration, int) ([]store.EarlyCheck, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turns == 0 {
		w.end()
		return nil, nil
	}
	w.turns--
	return []store.EarlyCheck{w.check}, nil
}

func (w *earlyWorld) NoteEarly(_ context.Context, domain string, check time.Time, seen string) error {
	w.noted = append(w.noted, domain+" "+check.Format(time.RFC3339))
	w.check.Seen = seen
	return nil
}

func (w *earlyWorld) AskServer(_ context.Context, server netip.Addr, want cert.Record) (cert.Shown, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, server.String()+" "+want.Name)
	zone, ok := w.shows[server.String()]
	if !ok {
		return cert.Shown{}, errors.New("no answer in time")
	}
	return zone[want], nil
}

func (w *earlyWorld) Wake(_ context.Context, id string, r workflows.WakeRequest) error {
	w.woken = append(w.woken, r)
	if id != "domain:shop.example.com" {
		return errors.New("another workflow")
	}
	return nil
}

func (w *earlyWorld) run(t *testing.T, turns int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w.turns, w.end = turns, cancel
	control.Early{
		Config: control.EarlyConfig{Interval: time.Second, Rate: 1000}, Store: w, Servers: w, Workflows: w, Log: slog.New(slog.DiscardHandler),
	}.Run(ctx)
}

func newEarlyWorld(age time.Duration, verdicts ...cert.Verdict) *earlyWorld {
	records := []cert.Record{ownershipRecord, delegationRecord, addressRecord}
	check := cert.Diagnosis{CheckedAt: time.Now().Add(-age), Verdict: cert.Wrong, Servers: []cert.Nameserver{
		{Zone: "com", Name: "a.example", Address: "192.0.2.9", State: cert.ServerAnswers},
		{Zone: "example.com", Name: "ns1", Address: "192.0.2.1", State: cert.ServerAnswers},
		{Zone: "example.com", Name: "ns2", Address: "192.0.2.2", State: cert.ServerAnswers},
		{Zone: "example.com", Name: "ns3", Address: "192.0.2.3", State: cert.ServerLame},
	}}
	for i, r := range records {
		check.Records = append(check.Records, cert.RecordState{Record: r, Verdict: verdicts[i]})
	}
	return &earlyWorld{
		check: store.EarlyCheck{DomainID: "id", Hostname: "shop.example.com", Check: check},
		shows: map[string]map[cert.Record]cert.Shown{"192.0.2.1": {}, "192.0.2.2": {}},
	}
}

func (w *earlyWorld) show(server string, records ...cert.Record) {
	for _, r := range records {
		w.shows[server][r] = cert.Shown{Right: true, Text: []string{r.Type + " " + r.Value}}
	}
}

// TestF9_AWaitingDomainIsWokenWhenItsRecordsAreComplete: at all servers that answer, and once; a record that comes alone wakes nobody.
func TestF9_AWaitingDomainIsWokenWhenItsRecordsAreComplete(t *testing.T) {
	t.Parallel()
	const right, wrong, unknown = cert.OK, cert.Wrong, cert.Unknown
	for name, test := range map[string]struct {
		verdicts []cert.Verdict
		show     func(w *earlyWorld)
		wakes    int
	}{
		"nothing yet":              {[]cert.Verdict{wrong, wrong, wrong}, func(*earlyWorld) {}, 0},
		"ownership alone":          {[]cert.Verdict{wrong, wrong, wrong}, func(w *earlyWorld) { both(w, ownershipRecord) }, 0},
		"delegation alone":         {[]cert.Verdict{wrong, wrong, wrong}, func(w *earlyWorld) { both(w, delegationRecord) }, 0},
		"ownership and delegation": {[]cert.Verdict{wrong, wrong, wrong}, func(w *earlyWorld) { both(w, ownershipRecord, delegationRecord) }, 1},
		"ownership and address":    {[]cert.Verdict{wrong, wrong, wrong}, func(w *earlyWorld) { both(w, ownershipRecord, addressRecord) }, 1},
		"the last that was missing": {
			[]cert.Verdict{right, unknown, wrong}, func(w *earlyWorld) { both(w, addressRecord) }, 1,
		},
		"at one of two servers": {
			[]cert.Verdict{right, wrong, wrong}, func(w *earlyWorld) { w.show("192.0.2.1", delegationRecord) }, 0,
		},
		"at the one that answers": {
			[]cert.Verdict{right, wrong, wrong}, func(w *earlyWorld) { w.show("192.0.2.1", delegationRecord); delete(w.shows, "192.0.2.2") }, 1,
		},
		"no server answers":                      {[]cert.Verdict{right, wrong, wrong}, func(w *earlyWorld) { clear(w.shows) }, 0},
		"they were there, and CAA is in the way": {[]cert.Verdict{right, right, wrong}, func(w *earlyWorld) { both(w, addressRecord) }, 0},
	} {
		w := newEarlyWorld(time.Minute, test.verdicts...)
		test.show(w)
		w.run(t, 1)
		if len(w.woken) != test.wakes {
			t.Errorf("%s: woken %+v; want %d", name, w.woken, test.wakes)
		}
		for _, r := range w.woken {
			if !r.Check || r.Renew || r.Reinstall {
				t.Errorf("%s: asked for more than a check: %+v", name, r)
			}
		}
		if asked := strings.Join(w.asked, ", "); strings.Contains(asked, "192.0.2.9") || strings.Contains(asked, "192.0.2.3") {
			t.Errorf("%s: servers of another zone, or that do not answer, were asked: %s", name, asked)
		}
	}
}

func both(w *earlyWorld, records ...cert.Record) {
	w.show("192.0.2.1", records...)
	w.show("192.0.2.2", records...)
}

// TestF9_AnotherChangeWakesOnceTheCheckIsOld: the addresses of a CDN are not the record that was asked for, and may do all the same.
func TestF9_AnotherChangeWakesOnceTheCheckIsOld(t *testing.T) {
	t.Parallel()
	for age, wakes := range map[time.Duration]int{time.Minute: 0, 10 * time.Minute: 1} {
		w := newEarlyWorld(age, cert.OK, cert.Wrong, cert.Wrong)
		w.run(t, 2)
		if len(w.noted) != 1 || len(w.woken) != 0 {
			t.Errorf("two turns that show the same: noted %q, woken %+v", w.noted, w.woken)
		}
		w.shows["192.0.2.1"][addressRecord] = cert.Shown{Text: []string{"A 198.51.100.7"}}
		w.run(t, 1)
		if len(w.woken) != wakes {
			t.Errorf("a check of %s ago: woken %+v; want %d", age, w.woken, wakes)
		}
	}
}
