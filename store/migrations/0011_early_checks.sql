-- The time since which a domain that waits for its records waits for a turn of being asked at its name servers (row F9), and a digest of what
-- these showed at the last turn. NULL: it gets no turn.
ALTER TABLE domain_checks
    ADD COLUMN early_at   timestamptz,
    ADD COLUMN early_seen text NOT NULL DEFAULT '';
CREATE INDEX domain_checks_early ON domain_checks (early_at) WHERE early_at IS NOT NULL;
