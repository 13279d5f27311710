package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/evercert/evercert/cert"
)

// View is a domain as lists and pages show it: the newest snapshot, without its events (see Timeline).
type View struct {
	cert.Snapshot
	Headline    cert.Headline
	ConnectedAt time.Time
	UpdatedAt   time.Time // when the newest snapshot was written, by the database's clock
}

// viewColumns are the columns that readView reads, in its order.
const viewColumns = `
	id, hostname, names, tenant, coalesce(run::text, ''), seq, snapshot_at,
	domain_status, certificate_status, renewal_status, has_live, escalated, headline,
	failures, paused, problems, diagnosis, next_action, next_action_at, next_actor, deadline,
	serial, issuer, not_after, renew_at, https_redirect,
	connected_at, updated_at`

func readView(row pgx.CollectableRow) (View, error) {
	var v View
	err := row.Scan(
		&v.ID, &v.Hostname, &v.Names, &v.Tenant, &v.Run, &v.Seq, (*zeronull.Timestamptz)(&v.At),
		&v.Status.Domain, &v.Status.Certificate, &v.Status.Renewal, &v.Status.HasLive, &v.Status.Escalated, &v.Headline,
		&v.Failures, &v.Paused, &v.Problems, &v.Diagnosis, &v.NextAction, (*zeronull.Timestamptz)(&v.NextActionAt), &v.NextActor,
		(*zeronull.Timestamptz)(&v.Deadline),
		&v.Serial, &v.Issuer, (*zeronull.Timestamptz)(&v.NotAfter), (*zeronull.Timestamptz)(&v.RenewAt), &v.HTTPSRedirect,
		&v.ConnectedAt, &v.UpdatedAt)
	return v, err
}

// Domain returns the connected domain that has a name, as its hostname or a further name. If there is none, it returns the one that was
// removed last. For a name that was never connected it returns a cert.Problem, DomainUnknown.
func (s *Store) Domain(ctx context.Context, name string) (View, error) {
	view, err := one(ctx, s.pool, readView, `
		SELECT `+viewColumns+`
		FROM domains
		WHERE id = coalesce(
			(SELECT domain_id FROM domain_names WHERE name = $1),
			(SELECT id FROM domains WHERE removed_at IS NOT NULL AND names @> ARRAY[$1] ORDER BY removed_at DESC LIMIT 1))`,
		name)
	if errors.Is(err, ErrNotFound) {
		return View{}, cert.Problem{
			Code: cert.DomainUnknown, WhoActs: cert.TenantActs,
			Message:     cert.Unicode(name) + " is not connected here",
			Remediation: "check the spelling, or connect it first",
		}
	}
	if err != nil {
		return View{}, fmt.Errorf("domain %s: %w", name, err)
	}
	return view, nil
}

// Filter chooses domains. Its zero value chooses all that are not removed.
type Filter struct {
	Tenant   string        // of this tenant only
	Headline cert.Headline // with this headline only
	Contains string        // one of its names contains this text, in any case
	After    string        // its hostname is after this one: the last of the page before
	Limit    int           // at most so many; 100 if zero or less
}

// defaultLimit is the length of a list whose caller gives no limit.
const defaultLimit = 100

// Domains lists domains by hostname. Removed ones are omitted unless the filter asks for the headline Removed; of several removed domains
// with one hostname it then returns the last one.
func (s *Store) Domains(ctx context.Context, f Filter) ([]View, error) {
	conditions := []string{"hostname > @after", "removed_at IS NULL"}
	if f.Headline == cert.Removed {
		conditions[1] = "removed_at IS NOT NULL"
	}
	if f.Tenant != "" {
		conditions = append(conditions, "tenant = @tenant")
	}
	if f.Headline != "" {
		conditions = append(conditions, "headline = @headline")
	}
	if f.Contains != "" { // strpos has no wildcards that must be escaped, as LIKE has
		conditions = append(conditions, "EXISTS (SELECT FROM unnest(names) AS name WHERE strpos(name, @contains) > 0)")
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	views, err := list(ctx, s.pool, readView, `
		SELECT DISTINCT ON (hostname) `+viewColumns+`
		FROM domains
		WHERE `+strings.Join(conditions, " AND ")+`
		ORDER BY hostname, removed_at DESC
		LIMIT @limit`,
		pgx.NamedArgs{"after": f.After, "tenant": f.Tenant, "headline": f.Headline, "contains": strings.ToLower(f.Contains), "limit": f.Limit})
	if err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	return views, nil
}
