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

// Domain returns the domain that has a name, be it the hostname or a further one. If no live domain has it, it is the
// one that was removed last. A name that nobody connected is a cert.Problem, DomainUnknown.
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
			Remediation: "look for a typing error, or connect it first",
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
	Contains string        // one of whose names has this text in it; upper and lower case are the same
	After    string        // whose hostname comes after this one: the last of the page before
	Limit    int           // at most so many; 100 if zero or less
}

// defaultLimit is the length of a list whose caller does not say.
const defaultLimit = 100

// Domains lists domains by hostname. Removed ones are left out unless the filter asks for the headline Removed; of
// several removed ones with one hostname it is then the last.
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
	if f.Contains != "" { // strpos and not LIKE, whose wildcards would have to be escaped
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
