-- Accounts at CAs are retired, never deleted: orders, CAA records and bills may still name them.
ALTER TABLE acme_accounts
    DROP CONSTRAINT acme_accounts_pkey,
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired')),
    ADD COLUMN retired_at timestamptz,
    ADD COLUMN retired_because text NOT NULL DEFAULT '',
    ADD CONSTRAINT retired_has_its_time CHECK ((state = 'retired') = (retired_at IS NOT NULL));
CREATE UNIQUE INDEX acme_accounts_active ON acme_accounts (directory) WHERE state = 'active';

-- An account that its CA refuses. The row belongs to the directory, because a CA can refuse before there is an account.
CREATE TABLE acme_blocks (
    directory     text PRIMARY KEY CHECK (directory <> ''),
    account_url   text NOT NULL, -- empty while registering
    kind          text NOT NULL, -- ACME error type, without its prefix
    problem       jsonb NOT NULL CHECK (jsonb_typeof(problem) = 'object'), -- cert.Problem
    settings      text NOT NULL, -- a hash of the settings that the CA refused
    blocked_since timestamptz NOT NULL DEFAULT now(),
    probes        integer NOT NULL DEFAULT 0 CHECK (probes >= 0),
    probed_at     timestamptz NOT NULL DEFAULT now(),
    probe_at      timestamptz NOT NULL
);

-- An account's case belongs to no domain.
ALTER TABLE cases ALTER COLUMN domain_id DROP NOT NULL;

-- An order is continued only at the CA that placed it. Empty: stored before this column was.
ALTER TABLE issuances ADD COLUMN directory text NOT NULL DEFAULT '';
ALTER TABLE certificates ADD COLUMN directory text NOT NULL DEFAULT '';
