-- The newest check of each domain's DNS, record by record and server by server, and what changed from check to check.
-- domain_id refers to nothing: a check is kept before the first snapshot of its domain is recorded.

CREATE TABLE domain_checks (
    domain_id  uuid PRIMARY KEY,
    checked_at timestamptz NOT NULL,
    panel      jsonb NOT NULL CHECK (jsonb_typeof(panel) = 'object') -- cert.Diagnosis, and what silent servers showed before
);

CREATE TABLE record_changes (
    domain_id uuid NOT NULL,
    at        timestamptz NOT NULL, -- of the check that saw it
    n         integer NOT NULL, -- its place in that check, from 1
    change    jsonb NOT NULL CHECK (jsonb_typeof(change) = 'object'), -- cert.RecordChange
    PRIMARY KEY (domain_id, at, n)
);

-- What the tenant's DNS showed when people got the case.
ALTER TABLE cases ADD COLUMN records jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(records) = 'array');
