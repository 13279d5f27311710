package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/evercert/evercert/cert"
)

// RecordStatus writes what the workflow knows about a domain, with the new events of the timeline. A snapshot that is not newer than the
// stored one changes nothing, so repeating it has no effect, and an older one never replaces a newer one.
//
//	Newer means a later time of the workflow; at the same time within a run, a higher Seq, which starts at 1. The time decides first for
//
// this
//
//	reason: a worker may die after it has committed snapshots, and before it has reported the workflow task to Temporal. Another worker then
//	repeats the task later, perhaps together with a message that has arrived meanwhile, and perhaps with fewer snapshots. Runs of one
//	workflow follow each other, also after a reset, which starts again at a lower Seq.
//
//	A domain without a row gets one; the error is the cert.Problem NameTaken when its names belong to another domain. Names that changed are
//	claimed and freed. When the domain is removed, its names are free for its own tenant, in quarantine for others for seven days, and not
//	served any more. Names of a domain that was never verified are free for everybody at once; those with an heir are in quarantine for all
//	but the heir. A removed domain stays removed (removed_has_its_time in the tables).
//
//	The domain's case is open in the tables exactly when the snapshot has one. Edges are notified (ListenServed) when https_redirect changes
//	and when names are not served any more; workers (ListenConnected) when a case was opened or closed.
func (s *Store) RecordStatus(ctx context.Context, snap cert.Snapshot) error {
	if snap.Seq < 1 {
		return fmt.Errorf("record status of %s: sequence number %d is below 1", snap.Hostname, snap.Seq)
	}
	cases := false
	if snap.Status.Domain != cert.DomainRemoved && snap.Case == nil {
		done, closed, err := record(ctx, s.pool, snap) // nearly always this is enough
		if err != nil {
			return fmt.Errorf("record status of %s: %w", snap.Hostname, err)
		}
		if closed > 0 {
			s.notifyConnected(ctx)
		}
		if done {
			return nil
		}
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		cases, err = recordWithNames(ctx, tx, snap)
		return err
	})
	if err != nil {
		return fmt.Errorf("record status of %s: %w", snap.Hostname, err)
	}
	if cases {
		s.notifyConnected(ctx)
	}
	return nil
}

// noRun stands for the run of a snapshot that has none.
const noRun = "00000000-0000-0000-0000-000000000000"

// gate returns the arguments of newer.
func gate(snap cert.Snapshot) pgx.NamedArgs {
	return pgx.NamedArgs{"run": cmp.Or(snap.Run, noRun), "seq": snap.Seq, "at": zeronull.Timestamptz(snap.At)}
}

// newer is the condition on a row of domains for writing a snapshot.
const newer = `(run IS NULL
	OR run = @run AND (snapshot_at, seq) < (coalesce(@at::timestamptz, snapshot_at), @seq::bigint)
	OR run <> @run AND snapshot_at < coalesce(@at::timestamptz, '-infinity'))`

// record writes a snapshot in one statement, and returns how many cases it closed. It returns false, and has written nothing, unless the
// domain's row has the same names and an older snapshot.
func record(ctx context.Context, db runner, snap cert.Snapshot) (written bool, closed int, err error) {
	var types, details []string
	for _, event := range snap.Events {
		types, details = append(types, string(event.Type)), append(details, event.Detail)
	}
	caseID := ""
	if snap.Case != nil {
		caseID = snap.Case.ID
	}
	args := gate(snap)
	maps.Copy(args, pgx.NamedArgs{
		"id":                 snap.ID,
		"names":              snap.Names,
		"domain_status":      snap.Status.Domain,
		"certificate_status": snap.Status.Certificate,
		"renewal_status":     snap.Status.Renewal,
		"has_live":           snap.Status.HasLive,
		"escalated":          snap.Status.Escalated,
		"headline":           snap.Status.Headline(),
		"failures":           snap.Failures,
		"paused":             snap.Paused,
		"problems":           noNil(snap.Problems),
		"diagnosis":          snap.Diagnosis,
		"next_action":        snap.NextAction,
		"next_action_at":     zeronull.Timestamptz(snap.NextActionAt),
		"next_actor":         snap.NextActor,
		"deadline":           zeronull.Timestamptz(snap.Deadline),
		"serial":             snap.Serial,
		"issuer":             snap.Issuer,
		"not_after":          zeronull.Timestamptz(snap.NotAfter),
		"renew_at":           zeronull.Timestamptz(snap.RenewAt),
		"https_redirect":     snap.HTTPSRedirect,
		"state":              state(snap),
		"event_types":        types,
		"event_details":      details,
		"case_id":            caseID,
		"resolution":         snap.Resolution,
		"verified":           snap.Verified,
	})
	var notified int
	err = db.QueryRow(ctx, recordSQL, pgx.StrictNamedArgs(args)).Scan(&written, &notified, &closed)
	return written, closed, err
}

// state returns the value of the column: NULL when the snapshot brings no state.
func state(snap cert.Snapshot) *string {
	if len(snap.State) == 0 {
		return nil
	}
	text := string(snap.State)
	return &text
}

// recordSQL locks the row if the snapshot is newer, writes it, adds the events, closes cases and notifies the edges. The results of all
// parts are counted, because PostgreSQL runs a SELECT in a WITH list only as far as its result is read.
const recordSQL = `
	WITH before AS (
		SELECT id, https_redirect
		FROM domains
		WHERE id = @id AND names = @names AND ` + newer + `
		FOR NO KEY UPDATE
	), written AS (
		UPDATE domains
		SET recorded           = true,
		    run                = @run,
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
		    next_actor         = @next_actor,
		    deadline           = @deadline,
		    serial             = @serial,
		    issuer             = @issuer,
		    not_after          = @not_after,
		    renew_at           = @renew_at,
		    https_redirect     = @https_redirect,
		    state              = coalesce(@state::json, state),
		    verified_at        = CASE WHEN @verified THEN coalesce(verified_at, now()) ELSE verified_at END,
		    removed_at         = CASE WHEN @domain_status = 'removed' THEN coalesce(removed_at, now()) ELSE removed_at END
		FROM before
		WHERE domains.id = before.id
		RETURNING domains.id, domains.names, domains.snapshot_at, domains.https_redirect <> before.https_redirect AS redirect_changed
	), noted AS (
		INSERT INTO events (domain_id, run, seq, n, type, detail, at)
		SELECT written.id, @run, @seq, event.n, event.type, event.detail, written.snapshot_at
		FROM written, unnest(@event_types::text[], @event_details::text[]) WITH ORDINALITY AS event (type, detail, n)
		ON CONFLICT (domain_id, run, seq, n) DO UPDATE SET type = excluded.type, detail = excluded.detail, at = excluded.at
	), unnoted AS ( -- what the snapshot that is replaced had beyond this one's events
		DELETE FROM events USING written
		WHERE events.domain_id = written.id AND events.run = @run AND events.seq = @seq
		  AND events.n > coalesce(cardinality(@event_types::text[]), 0)
	), closed AS (
		UPDATE cases
		SET closed_at = written.snapshot_at, resolution = @resolution, start_at = now()
		FROM written
		WHERE cases.domain_id = written.id AND cases.closed_at IS NULL AND cases.id <> @case_id
		RETURNING cases.id
	), notified AS (
		SELECT pg_notify('evercert_served', name) FROM written, unnest(written.names) AS name WHERE redirect_changed
	)
	SELECT EXISTS (SELECT FROM written), (SELECT count(*) FROM notified), (SELECT count(*) FROM closed)`

// recordWithNames writes a snapshot that brings a new domain or a case, changes the names of a domain or removes it. It does nothing when
// the stored snapshot, read with the row locked, is as new. cases reports whether a case was opened or closed.
func recordWithNames(ctx context.Context, tx pgx.Tx, snap cert.Snapshot) (cases bool, err error) {
	if _, err := ensureTenant(ctx, tx, snap.Tenant); err != nil {
		return false, err
	}
	if _, err := insertDomain(ctx, tx, snap.Domain, snap.Status.Domain); err != nil {
		return false, err
	}
	args := gate(snap)
	args["id"] = snap.ID
	isNewer, err := one(ctx, tx, pgx.RowTo[bool], `SELECT `+newer+` FROM domains WHERE id = @id FOR UPDATE`, pgx.StrictNamedArgs(args))
	if errors.Is(err, ErrNotFound) { // not inserted: another connected domain has the hostname
		return false, nameTaken(snap.Hostname)
	}
	if err != nil {
		return false, fmt.Errorf("lock domain: %w", err)
	}
	if !isNewer {
		return false, nil
	}
	if err := changeNames(ctx, tx, snap); err != nil {
		return false, err
	}
	_, closed, err := record(ctx, tx, snap)
	if err != nil {
		return false, err
	}
	opened, err := openCase(ctx, tx, snap)
	if err != nil {
		return false, err
	}
	if snap.Status.Domain == cert.DomainRemoved {
		err = stopServing(ctx, tx, snap.ID)
	}
	return opened || closed > 0, err
}

// changeNames gives a domain exactly the names of its newest snapshot; none if it is removed.
func changeNames(ctx context.Context, tx pgx.Tx, snap cert.Snapshot) error {
	d := snap.Domain
	_, err := tx.Exec(ctx, `UPDATE domains SET names = @names WHERE id = @id AND names <> @names`,
		pgx.StrictNamedArgs{"names": d.Names, "id": d.ID})
	if err != nil {
		return fmt.Errorf("change names: %w", err)
	}
	if snap.Status.Domain == cert.DomainRemoved {
		return freeNames(ctx, tx, snap, nil)
	}
	if err := freeNames(ctx, tx, snap, d.Names); err != nil {
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
