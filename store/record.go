package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/evercert/evercert/cert"
)

// RecordStatus writes what the workflow knows about a domain, with the events of the timeline. A snapshot that is not newer
// than the stored one changes nothing, so that repeating is harmless and an older one never wins. Newer is a higher Seq, which
// starts at 1, or the same Seq at a later time: a worker that dies after the commit and before it has told Temporal
// is followed by one that does the same turn again, maybe with a message that has come meanwhile.
//
// A domain that has no row yet gets one; cert.Problem NameTaken when its names belong to another. Names that changed
// are claimed and freed. When the domain is removed its names are free for its own tenant, in quarantine for seven days
// for others, and are served no more; a removed domain stays removed (removed_has_its_time in the tables).
//
// Edges are told (ListenServed) when https_redirect changes and when names are served no more.
func (s *Store) RecordStatus(ctx context.Context, snap cert.Snapshot) error {
	if snap.Seq < 1 {
		return fmt.Errorf("record status of %s: sequence number %d is below 1", snap.Hostname, snap.Seq)
	}
	if snap.Status.Domain != cert.DomainRemoved {
		done, err := record(ctx, s.pool, snap) // nearly always all there is to do
		if err != nil {
			return fmt.Errorf("record status of %s: %w", snap.Hostname, err)
		}
		if done {
			return nil
		}
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return recordWithNames(ctx, tx, snap) })
	if err != nil {
		return fmt.Errorf("record status of %s: %w", snap.Hostname, err)
	}
	return nil
}

// record writes a snapshot in one statement. It returns false, and has written nothing, unless the domain's row is there
// with the same names and an older snapshot.
func record(ctx context.Context, db runner, snap cert.Snapshot) (written bool, err error) {
	var types, details []string
	for _, event := range snap.Events {
		types, details = append(types, string(event.Type)), append(details, event.Detail)
	}
	var notified int
	err = db.QueryRow(ctx, recordSQL,
		pgx.StrictNamedArgs{
			"id": snap.ID, "seq": snap.Seq, "names": snap.Names, "at": zeronull.Timestamptz(snap.At),
			"domain_status": snap.Status.Domain, "certificate_status": snap.Status.Certificate, "renewal_status": snap.Status.Renewal,
			"has_live": snap.Status.HasLive, "escalated": snap.Status.Escalated, "headline": snap.Status.Headline(),
			"failures": snap.Failures, "paused": snap.Paused,
			"problems": noNil(snap.Problems), "diagnosis": snap.Diagnosis,
			"next_action": snap.NextAction, "next_action_at": zeronull.Timestamptz(snap.NextActionAt), "deadline": zeronull.Timestamptz(snap.Deadline),
			"serial": snap.Serial, "issuer": snap.Issuer, "not_after": zeronull.Timestamptz(snap.NotAfter), "renew_at": zeronull.Timestamptz(snap.RenewAt),
			"https_redirect": snap.HTTPSRedirect,
			"event_types":    types, "event_details": details,
		}).Scan(&written, &notified)
	return written, err
}

// recordSQL locks the row if the snapshot is newer, writes it, adds the events and tells the edges. The notifications are
// counted because PostgreSQL runs a SELECT of a WITH list only as far as it is read.
const recordSQL = `
	WITH before AS (
		SELECT id, https_redirect
		FROM domains
		WHERE id = @id AND (seq, snapshot_at) < (@seq, coalesce(@at::timestamptz, '-infinity')) AND names = @names
		FOR NO KEY UPDATE
	), written AS (
		UPDATE domains
		SET recorded           = true,
		    seq                = @seq,
		    snapshot_at        = coalesce(@at, now()),
		    updated_at         = now(),
		    domain_status      = @domain_status,
		    certificate_status = @certificate_status,
		    renewal_status     = @renewal_status,
		    has_live           = @has_live,
		    escalated          = @escalated,
		    headline           = @headline,
		    failures           = @failures,
		    paused             = @paused,
		    problems           = @problems,
		    diagnosis          = coalesce(@diagnosis, diagnosis),
		    next_action        = @next_action,
		    next_action_at     = @next_action_at,
		    deadline           = @deadline,
		    serial             = @serial,
		    issuer             = @issuer,
		    not_after          = @not_after,
		    renew_at           = @renew_at,
		    https_redirect     = @https_redirect,
		    removed_at         = CASE WHEN @domain_status = 'removed' THEN coalesce(removed_at, now()) ELSE removed_at END
		FROM before
		WHERE domains.id = before.id
		RETURNING domains.id, domains.names, domains.snapshot_at, domains.https_redirect <> before.https_redirect AS redirect_changed
	), noted AS (
		INSERT INTO events (domain_id, seq, n, type, detail, at)
		SELECT written.id, @seq, event.n, event.type, event.detail, written.snapshot_at
		FROM written, unnest(@event_types::text[], @event_details::text[]) WITH ORDINALITY AS event (type, detail, n)
		ON CONFLICT (domain_id, seq, n) DO UPDATE SET type = excluded.type, detail = excluded.detail, at = excluded.at
	), unnoted AS ( -- what the snapshot that is replaced had beyond this one's events
		DELETE FROM events USING written
		WHERE events.domain_id = written.id AND events.seq = @seq AND events.n > coalesce(cardinality(@event_types::text[]), 0)
	), notified AS (
		SELECT pg_notify('evercert_served', name) FROM written, unnest(written.names) AS name WHERE redirect_changed
	)
	SELECT EXISTS (SELECT FROM written), (SELECT count(*) FROM notified)`

// recordWithNames writes a snapshot that brings a new domain, changes the names of one or removes it. It does nothing
// when it finds, with the row locked, that the stored snapshot is as new.
func recordWithNames(ctx context.Context, tx pgx.Tx, snap cert.Snapshot) error {
	if _, err := ensureTenant(ctx, tx, snap.Tenant); err != nil {
		return err
	}
	if _, err := insertDomain(ctx, tx, snap.Domain, snap.Status.Domain); err != nil {
		return err
	}
	newer, err := one(ctx, tx, pgx.RowTo[bool], `SELECT (seq, snapshot_at) < ($2::bigint, coalesce($3::timestamptz, '-infinity')) FROM domains WHERE id = $1 FOR UPDATE`,
		snap.ID, snap.Seq, zeronull.Timestamptz(snap.At))
	if errors.Is(err, ErrNotFound) { // not inserted: another domain is live under the hostname
		return nameTaken(snap.Hostname)
	}
	if err != nil {
		return fmt.Errorf("lock domain: %w", err)
	}
	if !newer {
		return nil
	}
	if err := changeNames(ctx, tx, snap.Domain, snap.Status.Domain); err != nil {
		return err
	}
	if _, err := record(ctx, tx, snap); err != nil {
		return err
	}
	if snap.Status.Domain == cert.DomainRemoved {
		return stopServing(ctx, tx, snap.ID)
	}
	return nil
}

// changeNames gives a domain the names of its newest snapshot and no others; none if it is removed.
func changeNames(ctx context.Context, tx pgx.Tx, d cert.Domain, status cert.DomainStatus) error {
	_, err := tx.Exec(ctx, `UPDATE domains SET names = @names WHERE id = @id AND names <> @names`,
		pgx.StrictNamedArgs{"names": d.Names, "id": d.ID})
	if err != nil {
		return fmt.Errorf("change names: %w", err)
	}
	if status == cert.DomainRemoved {
		return freeNames(ctx, tx, d.ID, nil)
	}
	if err := freeNames(ctx, tx, d.ID, d.Names); err != nil {
		return err
	}
	held, err := claimNames(ctx, tx, d)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return nameTaken(held[0])
	}
	return nil
}
