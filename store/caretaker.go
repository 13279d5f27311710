package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/evercert/evercert/cert"
)

// Inspected is what the tables say about a connected domain, for the caretaker to compare. All of it is read at one moment.
type Inspected struct {
	cert.Domain
	Run          string // the run that wrote the newest snapshot; empty if it named none
	SnapshotAt   time.Time
	Status       cert.Status
	NextActionAt time.Time

	Serial      string    // of the certificate in use
	LiveNames   []string  // its names; none when it is not in the tables
	LiveFrom    time.Time // its notBefore
	LiveCA      string    // URL of the ACME directory where it was ordered
	Served      []ServedName
	OpenCase    string // id of the domain's open case
	CaseStarted bool   // its workflow has written something
	Tended      Tended
	Reported    bool // the case of PlatformCaseID is open
}

// ServedName says with which certificate a name is served.
type ServedName struct {
	Name        string    `json:"name"`
	Serial      string    `json:"serial"`
	DomainID    string    `json:"domain_id"`  // of the domain that the certificate belongs to
	NotBefore   time.Time `json:"not_before"` // of the certificate
	InstalledAt time.Time `json:"installed_at"`
}

// Tended is what the caretaker did about a domain and has not seen succeed yet. The zero value means nothing.
type Tended struct {
	At  time.Time
	For []cert.FindingKind
}

// PlatformCaseID returns the id of the platform's case about a domain that the caretaker can't repair.
func PlatformCaseID(domainID string) string { return "workflow:" + domainID }

// Inspect returns the connected domains after a hostname, ordered by hostname, whose workflow has recorded something. TakeUnstarted returns
// the others.
func (s *Store) Inspect(ctx context.Context, after string, limit int) ([]Inspected, error) {
	domains, err := list(ctx, s.pool, readInspected, `
		SELECT d.id, d.hostname, d.names, d.tenant, CASE WHEN d.run = @no_run THEN '' ELSE coalesce(d.run::text, '') END, d.snapshot_at,
		       d.domain_status, d.certificate_status, d.renewal_status, d.has_live, d.escalated, d.next_action_at,
		       d.serial, live.names, live.not_before, coalesce(live.directory, ''), coalesce(served.names, '[]'),
		       coalesce(people.id, ''), coalesce(people.started, false), d.tended_at, d.tended_for, platform.id IS NOT NULL
		FROM (SELECT * FROM domains WHERE removed_at IS NULL AND recorded AND hostname > @after ORDER BY hostname LIMIT @limit) d
		LEFT JOIN certificates live ON live.serial = d.serial
		LEFT JOIN LATERAL (
			SELECT jsonb_agg(jsonb_build_object('name', s.name, 'serial', s.serial, 'domain_id', c.domain_id,
			                                    'not_before', c.not_before, 'installed_at', s.installed_at)) AS names
			FROM served_names s JOIN certificates c ON c.serial = s.serial
			WHERE s.name = ANY (d.names)) served ON true
		LEFT JOIN cases people ON people.domain_id = d.id AND people.closed_at IS NULL
		LEFT JOIN cases platform ON platform.id = 'workflow:' || d.id AND platform.closed_at IS NULL
		ORDER BY d.hostname`,
		pgx.StrictNamedArgs{"after": after, "limit": limit, "no_run": noRun})
	if err != nil {
		return nil, fmt.Errorf("inspect the domains after %q: %w", after, err)
	}
	return domains, nil
}

// HasOtherCA reports whether a connected domain is served with a certificate that was ordered at another CA's directory than these.
func (s *Store) HasOtherCA(ctx context.Context, directories []string) (bool, error) {
	found, err := one(ctx, s.pool, pgx.RowTo[bool], `
		SELECT EXISTS (
			SELECT FROM domains d JOIN certificates c ON c.serial = d.serial
			WHERE d.removed_at IS NULL AND d.serial <> '' AND c.directory <> '' AND c.directory <> ALL ($1))`, directories)
	if err != nil {
		return false, fmt.Errorf("find certificates of another CA: %w", err)
	}
	return found, nil
}

func readInspected(row pgx.CollectableRow) (Inspected, error) {
	var d Inspected
	err := row.Scan(
		&d.ID, &d.Hostname, &d.Names, &d.Tenant, &d.Run, (*zeronull.Timestamptz)(&d.SnapshotAt), &d.Status.Domain, &d.Status.Certificate,
		&d.Status.Renewal, &d.Status.HasLive, &d.Status.Escalated, (*zeronull.Timestamptz)(&d.NextActionAt), &d.Serial, &d.LiveNames,
		(*zeronull.Timestamptz)(&d.LiveFrom), &d.LiveCA, &d.Served, &d.OpenCase, &d.CaseStarted, (*zeronull.Timestamptz)(&d.Tended.At),
		&d.Tended.For, &d.Reported,
	)
	return d, err
}

// KeptState returns a connected domain and the workflow's state that was stored with its newest snapshot; the state is nil if there is
// none. ErrNotFound when the domain was removed, or its workflow has recorded nothing yet: then it must not be started again.
func (s *Store) KeptState(ctx context.Context, domainID string) (cert.Domain, json.RawMessage, error) {
	type kept struct {
		cert.Domain
		State *string
	}
	found, err := one(ctx, s.pool, func(row pgx.CollectableRow) (k kept, err error) {
		err = row.Scan(&k.ID, &k.Tenant, &k.Hostname, &k.Names, &k.State)
		return k, err
	}, `SELECT id, tenant, hostname, names, state::text FROM domains WHERE id = $1 AND removed_at IS NULL AND recorded`, domainID)
	if err != nil {
		return cert.Domain{}, nil, fmt.Errorf("kept state of domain %s: %w", domainID, err)
	}
	if found.State == nil {
		return found.Domain, nil, nil
	}
	return found.Domain, json.RawMessage(*found.State), nil
}

// NoteTended stores what the caretaker does about a domain.
func (s *Store) NoteTended(ctx context.Context, domainID string, kinds []cert.FindingKind) error {
	if _, err := s.pool.Exec(ctx, `UPDATE domains SET tended_at = now(), tended_for = $2 WHERE id = $1`, domainID, noNil(kinds)); err != nil {
		return fmt.Errorf("note what was done about domain %s: %w", domainID, err)
	}
	return nil
}

// NoteHealthy stores that the domains have no fault any more, and closes the platform's cases about them.
func (s *Store) NoteHealthy(ctx context.Context, domainIDs []string) error {
	_, err := s.pool.Exec(ctx, `
		WITH healthy AS (
			UPDATE domains SET tended_at = NULL, tended_for = '{}' WHERE id = ANY ($1) AND tended_at IS NOT NULL
		)
		UPDATE cases SET closed_at = now(), resolution = 'the caretaker finds it in order'
		WHERE domain_id IS NULL AND closed_at IS NULL AND id = ANY (SELECT 'workflow:' || id FROM unnest($1::uuid[]) AS id)`, domainIDs)
	if err != nil {
		return fmt.Errorf("note that %d domains are in order: %w", len(domainIDs), err)
	}
	return nil
}

// OpenPlatformCase opens the platform's case about a domain. When it is open already, its problem is updated.
func (s *Store) OpenPlatformCase(ctx context.Context, c cert.Case) error {
	args := caseArgs(c)
	delete(args, "domain_id")
	_, err := s.pool.Exec(ctx, `
		INSERT INTO cases (id, domain_id, hostname, tenant, kind, reason, failures, problems, records, opened_at,
		                   assignee, notes, reminded_at, closed_at, resolution, started)
		VALUES (@id, NULL, @hostname, @tenant, @kind, @reason, @failures, @problems, @records, @opened_at,
		        @assignee, @notes, @reminded_at, @closed_at, @resolution, true)
		ON CONFLICT (id) DO UPDATE
		SET opened_at = CASE WHEN cases.closed_at IS NULL THEN cases.opened_at ELSE excluded.opened_at END,
		    reason = excluded.reason, problems = excluded.problems, closed_at = NULL, resolution = ''`, args)
	if err != nil {
		return fmt.Errorf("open case %s of %s: %w", c.ID, c.Hostname, err)
	}
	return nil
}

// CloseOrphanedCases closes the platform's cases about domains that are not connected any more.
func (s *Store) CloseOrphanedCases(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE cases SET closed_at = now(), resolution = 'the domain was removed'
		WHERE domain_id IS NULL AND closed_at IS NULL AND id LIKE 'workflow:%'
		  AND NOT EXISTS (SELECT FROM domains WHERE 'workflow:' || domains.id = cases.id AND removed_at IS NULL)`)
	if err != nil {
		return fmt.Errorf("close the cases of removed domains: %w", err)
	}
	return nil
}

// OweCase makes a case's workflow be started, or signalled again (TakeOwedCases).
func (s *Store) OweCase(ctx context.Context, id string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE cases SET started = closed_at IS NOT NULL, ended = false, start_at = now() WHERE id = $1 AND domain_id IS NOT NULL`, id)
	if err != nil {
		return fmt.Errorf("owe case %s: %w", id, err)
	}
	s.notifyConnected(ctx)
	return nil
}

// Stray is a name that is served though no connected domain has it.
type Stray struct {
	Name     string
	Serial   string
	Names    []string // of its certificate
	Hostname string   // of the domain that the certificate belongs to; empty when the tables don't have that domain
}

// Strays returns names that are served though no connected domain has them.
func (s *Store) Strays(ctx context.Context, limit int) ([]Stray, error) {
	strays, err := list(ctx, s.pool, pgx.RowToStructByName[Stray], `
		SELECT s.name, s.serial, c.names, coalesce(d.hostname, '') AS hostname
		FROM served_names s
		JOIN certificates c ON c.serial = s.serial
		LEFT JOIN domains d ON d.id = c.domain_id
		WHERE NOT EXISTS (SELECT FROM domain_names n WHERE n.name = s.name)
		ORDER BY s.name
		LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("find served names that no domain has: %w", err)
	}
	return strays, nil
}

// RetireStray stops serving a name with a certificate, unless a domain with the name was connected meanwhile, or the certificate's own
// domain is not in the tables: then only its row was lost.
func (s *Store) RetireStray(ctx context.Context, name, serial string) error {
	_, err := s.pool.Exec(ctx, `
		WITH retired AS (
			DELETE FROM served_names s USING certificates c, domains d
			WHERE s.name = $1 AND s.serial = $2 AND c.serial = s.serial AND d.id = c.domain_id
			  AND NOT EXISTS (SELECT FROM domain_names n WHERE n.name = s.name)
			RETURNING s.name
		)
		SELECT pg_notify('evercert_served', name) FROM retired`, name, serial)
	if err != nil {
		return fmt.Errorf("retire %s: %w", name, err)
	}
	return nil
}

// Unknown is a hostname that no connected domain has.
type Unknown struct {
	Hostname  string
	RemovedAt time.Time // when the last domain of this hostname was removed; zero if there was none
}

// UnknownHostnames returns those of the hostnames that are not a connected domain's.
func (s *Store) UnknownHostnames(ctx context.Context, hostnames []string) ([]Unknown, error) {
	unknown, err := list(ctx, s.pool, func(row pgx.CollectableRow) (u Unknown, err error) {
		err = row.Scan(&u.Hostname, (*zeronull.Timestamptz)(&u.RemovedAt))
		return u, err
	}, `
		SELECT hostname, (SELECT max(removed_at) FROM domains d WHERE d.hostname = asked.hostname AND removed_at IS NOT NULL)
		FROM unnest($1::text[]) AS asked (hostname)
		WHERE NOT EXISTS (SELECT FROM domains d WHERE d.hostname = asked.hostname AND removed_at IS NULL)
		ORDER BY hostname`, hostnames)
	if err != nil {
		return nil, fmt.Errorf("find which of %d hostnames are not connected: %w", len(hostnames), err)
	}
	return unknown, nil
}

// UnheardCases returns those of the cases whose workflow should not run and does not know it: cases without a row, or with a row that says
// that the workflow has ended.
func (s *Store) UnheardCases(ctx context.Context, ids []string) (unheard []UnheardCase, err error) {
	unheard, err = list(ctx, s.pool, pgx.RowToStructByName[UnheardCase], `
		SELECT asked.id, cases.id IS NOT NULL AS ended
		FROM unnest($1::text[]) AS asked (id)
		LEFT JOIN cases ON cases.id = asked.id
		WHERE cases.id IS NULL OR cases.closed_at IS NOT NULL AND cases.ended
		ORDER BY asked.id`, ids)
	if err != nil {
		return nil, fmt.Errorf("find which of %d cases are known: %w", len(ids), err)
	}
	return unheard, nil
}

// UnheardCase is a case whose workflow should not run.
type UnheardCase struct {
	ID    string
	Ended bool // its row says so; else it has no row
}
