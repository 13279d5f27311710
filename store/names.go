package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evercert/evercert/cert"
)

// quarantine is how long a removed name is kept from other tenants: long enough for its former owner to delete the records that still point
// here, or to notice the removal.
const quarantine = 7 * 24 * time.Hour

// claimNames gives the names to a domain whose row exists. It returns those that another domain has, and a problem when one of them is in
// another tenant's quarantine; in both cases the transaction must be rolled back.
//
//	The names are inserted in alphabetical order, so that two transactions for the same names wait for each other instead of deadlocking.
//	Quarantine is read afterwards: once the names belong to this domain, no other transaction can add them there.
func claimNames(ctx context.Context, tx pgx.Tx, d cert.Domain) (held []string, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO domain_names (name, domain_id)
		SELECT DISTINCT name, @domain::uuid FROM unnest(@names::text[]) AS name ORDER BY name
		ON CONFLICT (name) DO NOTHING`,
		pgx.StrictNamedArgs{"names": d.Names, "domain": d.ID})
	batch.Queue(`
		SELECT name FROM domain_names WHERE name = ANY (@names) AND domain_id <> @domain ORDER BY name`,
		pgx.StrictNamedArgs{"names": d.Names, "domain": d.ID}).Query(func(rows pgx.Rows) (err error) {
		held, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	var quarantined []quarantinedName
	batch.Queue(`
		DELETE FROM name_quarantine WHERE name = ANY (@names)
		RETURNING name, ends_at, tenant <> @tenant AND ends_at > now() AS refused`,
		pgx.StrictNamedArgs{"names": d.Names, "tenant": d.Tenant}).Query(func(rows pgx.Rows) (err error) {
		quarantined, err = pgx.CollectRows(rows, pgx.RowToStructByName[quarantinedName])
		return err
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("claim the names of %s: %w", d.Hostname, err)
	}
	if len(held) > 0 {
		return held, nil
	}
	for _, q := range quarantined {
		if q.Refused {
			return nil, nameInQuarantine(q.Name, q.EndsAt)
		}
	}
	return nil, nil
}

// quarantinedName is a row of name_quarantine, and whether it excludes the tenant that asks.
type quarantinedName struct {
	Name    string
	EndsAt  time.Time
	Refused bool
}

// freeNames removes all names from a domain except those in keep. The names of its heir are kept for the heir, and the others for the
// domain's tenant, unless the domain was never verified: an unproven claim keeps names from nobody.
func freeNames(ctx context.Context, tx pgx.Tx, snap cert.Snapshot, keep []string) error {
	var heir cert.Heir
	if snap.Heir != nil {
		heir = *snap.Heir
	}
	_, err := tx.Exec(ctx, `
		WITH freed AS (
			DELETE FROM domain_names WHERE domain_id = @domain AND name <> ALL (@keep::text[]) RETURNING name
		)
		INSERT INTO name_quarantine (name, tenant, ends_at)
		SELECT freed.name, CASE WHEN freed.name = ANY (@inherited::text[]) THEN @heir ELSE domains.tenant END, now() + @quarantine::interval
		FROM freed, domains
		WHERE domains.id = @domain AND (@verified OR domains.verified_at IS NOT NULL OR freed.name = ANY (@inherited::text[]))
		ON CONFLICT (name) DO UPDATE SET tenant = excluded.tenant, ends_at = excluded.ends_at`,
		pgx.StrictNamedArgs{
			"domain": snap.ID, "keep": noNil(keep), "quarantine": quarantine, "verified": snap.Verified,
			"heir": heir.Tenant, "inherited": noNil(heir.Names),
		})
	if err != nil {
		return fmt.Errorf("free names of domain %s: %w", snap.ID, err)
	}
	return nil
}

// nameTaken does not say who has the name, because that is confidential.
func nameTaken(name string) cert.Problem {
	return cert.Problem{
		Code: cert.NameTaken, WhoActs: cert.TenantActs,
		Message:     cert.Unicode(name) + " is connected by another account already",
		Remediation: "if the domain is yours, remove it from the other account first or contact support",
	}
}

func nameInQuarantine(name string, until time.Time) cert.Problem {
	return cert.Problem{
		Code: cert.NameTaken, WhoActs: cert.TenantActs,
		Message: fmt.Sprintf("%s was removed from another account a short time ago; it is kept for another account until %s",
			cert.Unicode(name), until.UTC().Format("2006-01-02 15:04 MST")),
		Remediation: "wait until then; if the domain is yours, connect it from the other account, or contact support",
	}
}
