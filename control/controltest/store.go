// Package controltest has stand-ins for the ports of control, for tests of control, the API and the CLI. They are honest about
// what control relies on: claims are exclusive, connecting twice is connecting once, a verb reaches one workflow. They don't
// simulate transactions, the quarantine of removed names, time, or anything that a workflow decides.
package controltest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evercert/evercert/cert"
	"github.com/evercert/evercert/cert/calendar"
	"github.com/evercert/evercert/store"
)

// Store keeps domains in memory.
type Store struct {
	mu            sync.Mutex
	views         map[string]store.View // by domain id
	leases        map[string]time.Time  // of TakeUnstarted, by domain id
	wake          func()                // of ListenConnected
	Now           func() time.Time
	Err           error // every call fails with it while it is set; set it by Fail
	Events        []store.TimelineEntry
	Checks        map[string]cert.Diagnosis // by hostname; Checked fills it
	RecordChanges []cert.RecordChange
	OpenCases     []cert.Case
	Quarantined   []store.Quarantined
	Tended        map[string]store.Tended // by domain id
	Writes        int                     // of the caretaker
	PerMinute     int                     // the pace that Line returns
	LiveCA        map[string]string       // directory of the live certificate's CA, by hostname
	CAs           []cert.ConfiguredCA
	Certificates  map[string]cert.Certificate
	Issuances     map[string]cert.Issuance
	owed          []owedCase
	ended         []string // ids given to EndCase
}

// NewStore returns an empty store whose clock stands at 2 March 2026, noon UTC.
func NewStore() *Store {
	return &Store{
		views: map[string]store.View{}, leases: map[string]time.Time{}, wake: func() {},
		Now: func() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) },
	}
}

// Fail makes every call fail with err, until it is called with nil.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Err = err
}

// Len is how many domains were ever connected.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.views)
}

// Record is what a workflow would write: change alters the domain's snapshot, and the headline follows.
func (s *Store) Record(hostname string, change func(*cert.Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.find(hostname)
	if !ok {
		panic("nobody connected " + hostname)
	}
	v.Seq++
	change(&v.Snapshot)
	v.Headline, v.UpdatedAt = v.Status.Headline(), s.Now()
	s.views[v.ID] = v
}

// Checked is what a check leaves behind: the whole of it, and a snapshot of the domain.
func (s *Store) Checked(hostname string, d cert.Diagnosis) {
	s.mu.Lock()
	if s.Checks == nil {
		s.Checks = map[string]cert.Diagnosis{}
	}
	s.Checks[hostname] = d
	s.mu.Unlock()
	s.Record(hostname, func(snap *cert.Snapshot) { snap.Diagnosis, snap.Problems = &d, d.Problems })
}

// Ready fails as Fail says.
func (s *Store) Ready(context.Context) error { return s.failure() }

// TenantSecret returns a secret made of the tenant's id.
func (s *Store) TenantSecret(_ context.Context, tenant string) ([]byte, error) {
	return []byte("secret of " + tenant), s.failure()
}

// Connect claims the names, all or none.
func (s *Store) Connect(_ context.Context, d cert.Domain) (store.Connected, error) {
	if err := s.failure(); err != nil {
		return store.Connected{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range d.Names {
		v, ok := s.find(name)
		switch {
		case !ok || v.Status.Domain == cert.DomainRemoved:
		case v.Tenant == d.Tenant && slices.Equal(v.Names, d.Names):
			return store.Connected{Domain: v.Domain}, nil
		case v.Tenant == d.Tenant && v.Hostname == d.Hostname:
			return store.Connected{}, cert.Problem{
				Code: cert.RequestRefused, Message: d.Hostname + " is connected with other names",
				WhoActs: cert.TenantActs,
			}
		default:
			return store.Connected{}, cert.Problem{Code: cert.NameTaken, Message: name + " is connected already", WhoActs: cert.TenantActs}
		}
	}
	s.views[d.ID] = store.View{
		Snapshot: cert.Snapshot{Domain: d, Status: cert.Status{
			Domain: cert.DomainPendingDNS, Certificate: cert.CertificateNone,
			Renewal: cert.RenewalNone,
		}},
		Headline: cert.Pending, ConnectedAt: s.Now(), UpdatedAt: s.Now(),
	}
	s.wake()
	return store.Connected{Domain: d, Created: true}, nil
}

// Holders are the connected domains of other tenants that have one of the names. Verified are those whose snapshot says so.
func (s *Store) Holders(_ context.Context, d cert.Domain) (holders []store.Holder, err error) {
	for _, v := range s.sorted() {
		if v.Tenant == d.Tenant || v.Status.Domain == cert.DomainRemoved {
			continue
		}
		h := store.Holder{Domain: v.Domain, Verified: v.Verified, Seq: v.Seq}
		for _, name := range d.Names {
			if slices.Contains(v.Names, name) {
				h.Wanted = append(h.Wanted, name)
			}
		}
		if len(h.Wanted) > 0 {
			holders = append(holders, h)
		}
	}
	return holders, s.failure()
}

// ConfiguredCAs returns CAs.
func (s *Store) ConfiguredCAs(context.Context) ([]cert.ConfiguredCA, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.CAs, s.Err
}

// Touched counts by Certificates and Checks.
func (s *Store) Touched(_ context.Context, t calendar.Touched) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.views {
		c := s.Certificates[v.Serial]
		long := t.LongerThan > 0 && v.Status.HasLive && c.NotAfter.Sub(c.NotBefore) > t.LongerThan &&
			(t.Directory == "" || t.Directory == c.Directory)
		shows := t.Problem != "" && slices.ContainsFunc(s.Checks[v.Hostname].Problems, func(p cert.Problem) bool { return p.Code == t.Problem })
		if v.Status.Domain != cert.DomainRemoved && (long || shows) {
			n++
		}
	}
	return n, s.Err
}

// Quarantine returns Quarantined.
func (s *Store) Quarantine(context.Context, string, int) ([]store.Quarantined, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.Quarantined), s.Err
}

// LiftQuarantine takes a name out of Quarantined, and notes the detail as an event.
func (s *Store) LiftQuarantine(_ context.Context, name, detail string) (store.Quarantined, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.Quarantined, func(q store.Quarantined) bool { return q.Name == name })
	if i < 0 {
		return store.Quarantined{}, store.ErrNotFound
	}
	lifted := s.Quarantined[i]
	s.Quarantined = slices.Delete(s.Quarantined, i, i+1)
	s.Events = append(s.Events, store.TimelineEntry{At: s.Now(), Event: cert.Event{Type: cert.QuarantineLifted, Detail: detail}})
	return lifted, s.Err
}

// Line counts those for which Record was never called, and that were connected no later. The pace is PerMinute.
func (s *Store) Line(_ context.Context, domainID string) (store.Line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := store.Line{PerMinute: s.PerMinute}
	if s.views[domainID].Seq == 0 {
		for _, v := range s.views {
			if v.Seq == 0 && v.ConnectedAt.Compare(s.views[domainID].ConnectedAt) <= 0 {
				line.Place++
			}
		}
	}
	return line, s.Err
}

// TakeUnstarted leases the domains for which Record was never called.
func (s *Store) TakeUnstarted(_ context.Context, lease time.Duration, limit int) ([]cert.Domain, error) {
	if err := s.failure(); err != nil {
		return nil, err
	}
	var domains []cert.Domain
	for _, v := range s.sorted() {
		s.mu.Lock()
		if v.Seq == 0 && len(domains) < limit && time.Now().After(s.leases[v.ID]) {
			s.leases[v.ID] = time.Now().Add(lease)
			domains = append(domains, v.Domain)
		}
		s.mu.Unlock()
	}
	return domains, nil
}

// ListenConnected calls wake at once and when domains are connected.
func (s *Store) ListenConnected(ctx context.Context, wake func()) error {
	s.mu.Lock()
	s.wake = wake
	s.mu.Unlock()
	wake()
	<-ctx.Done()
	return ctx.Err()
}

// Domain finds a domain by any of its names.
func (s *Store) Domain(_ context.Context, name string) (store.View, error) {
	if err := s.failure(); err != nil {
		return store.View{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.find(name)
	if !ok {
		return store.View{}, cert.Problem{
			Code: cert.DomainUnknown, Message: "nobody connected " + name + " here", WhoActs: cert.TenantActs,
			Remediation: "connect it",
		}
	}
	return v, nil
}

// Domains lists by hostname.
func (s *Store) Domains(_ context.Context, f store.Filter) ([]store.View, error) {
	var found []store.View
	for _, v := range s.sorted() {
		hidden := v.Headline == cert.Removed && f.Headline != cert.Removed
		if !hidden && v.Hostname > f.After && strings.Contains(v.Hostname, f.Contains) && len(found) < f.Limit &&
			(f.Tenant == "" || v.Tenant == f.Tenant) && (f.Headline == "" || v.Headline == f.Headline) {
			found = append(found, v)
		}
	}
	return found, s.failure()
}

// Timeline returns Events whatever the domain.
func (s *Store) Timeline(context.Context, string, int) ([]store.TimelineEntry, error) {
	return s.Events, s.failure()
}

// Check looks in Checks.
func (s *Store) Check(_ context.Context, domainID string) (cert.Diagnosis, error) {
	if err := s.failure(); err != nil {
		return cert.Diagnosis{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.Checks[s.views[domainID].Hostname]
	if !ok {
		return d, store.ErrNotFound
	}
	return d, nil
}

// Changes returns RecordChanges whatever the domain.
func (s *Store) Changes(context.Context, string, int) ([]cert.RecordChange, error) {
	return s.RecordChanges, s.failure()
}

// Cases returns OpenCases, those of one hostname if it is given. They stand in the order in which they are listed.
func (s *Store) Cases(_ context.Context, f store.CaseFilter) ([]cert.Case, error) {
	var cases []cert.Case
	after := slices.IndexFunc(s.OpenCases, func(c cert.Case) bool { return c.ID != "" && c.ID == f.After.ID }) + 1
	for _, c := range s.OpenCases[after:] {
		if len(cases) < f.Limit && (f.Hostname == "" || c.Hostname == f.Hostname) {
			cases = append(cases, c)
		}
	}
	return cases, s.failure()
}

// Owe makes the workflow of a case owed, and wakes those who listen.
func (s *Store) Owe(c cert.Case) {
	s.mu.Lock()
	s.owed = append(s.owed, owedCase{c, time.Now()})
	wake := s.wake
	s.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// Ended are the ids of the cases whose workflow was found not running.
func (s *Store) Ended() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ended)
}

type owedCase struct {
	cert.Case
	at time.Time
}

// Heard ends the debt: the workflow of the case has said something.
func (s *Store) Heard(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed = slices.DeleteFunc(s.owed, func(c owedCase) bool { return c.ID == id })
}

// TakeOwedCases leases the cases that are owed.
func (s *Store) TakeOwedCases(_ context.Context, lease time.Duration, _ int) (taken []cert.Case, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.owed {
		if c := &s.owed[i]; !c.at.After(time.Now()) {
			c.at = time.Now().Add(lease)
			taken = append(taken, c.Case)
		}
	}
	return taken, s.Err
}

// EndCase notes the id; nothing is owed any more.
func (s *Store) EndCase(_ context.Context, id string) error {
	s.Heard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, id)
	return s.Err
}

// Issuance looks in Issuances.
func (s *Store) Issuance(_ context.Context, id string) (cert.Issuance, error) {
	i, ok := s.Issuances[id]
	if !ok {
		return i, store.ErrNotFound
	}
	return i, s.failure()
}

// Certificate looks in Certificates.
func (s *Store) Certificate(_ context.Context, serial string) (cert.Certificate, error) {
	c, ok := s.Certificates[serial]
	if !ok {
		return c, store.ErrNotFound
	}
	return c, s.failure()
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Err
}

// find prefers a live domain to a removed one.
func (s *Store) find(name string) (found store.View, ok bool) {
	for _, v := range s.views {
		if slices.Contains(v.Names, name) && (!ok || found.Status.Domain == cert.DomainRemoved) {
			found, ok = v, true
		}
	}
	return found, ok
}

func (s *Store) sorted() []store.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.views), func(a, b store.View) int { return strings.Compare(a.Hostname, b.Hostname) })
}
