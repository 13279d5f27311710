-- What makes the projection safe against resets, lost workflows and lost cases.

-- run is the workflow run that wrote the newest snapshot; state is what a new workflow needs to go on from there (workflows.State).
-- It is json and not jsonb: it is written at each snapshot, read almost never, and kept letter by letter.
ALTER TABLE domains
    ADD COLUMN run        uuid,
    ADD COLUMN state      json,
    ADD COLUMN next_actor text NOT NULL DEFAULT '' CHECK (next_actor IN ('', 'tenant', 'platform', 'ca', 'registrar'));

-- A run that was reset writes its sequence numbers again, with other events: a number is unique within its run only. id is the order of a
-- timeline.
ALTER TABLE events
    ADD COLUMN id  bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN run uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE events DROP CONSTRAINT events_pkey;
ALTER TABLE events ADD PRIMARY KEY (domain_id, run, seq, n);
CREATE INDEX events_timeline ON events (domain_id, id);

-- The snapshot of a domain opens and closes its case. The case's own workflow is owed while started and ended say so; start_at is when a worker
-- should see to it, again if need be. A case without a domain belongs to the platform and has no workflow.
ALTER TABLE cases
    ALTER COLUMN domain_id DROP NOT NULL,
    ADD COLUMN kind     text NOT NULL DEFAULT '',
    ADD COLUMN started  boolean NOT NULL DEFAULT false, -- its workflow has written something
    ADD COLUMN ended    boolean NOT NULL DEFAULT false, -- its workflow has seen that it is closed
    ADD COLUMN start_at timestamptz NOT NULL DEFAULT now();
UPDATE cases SET started = true, ended = closed_at IS NOT NULL;
CREATE UNIQUE INDEX cases_open_domain ON cases (domain_id) WHERE closed_at IS NULL AND domain_id IS NOT NULL; -- one open case a domain
CREATE INDEX cases_owed ON cases (start_at)
    WHERE domain_id IS NOT NULL AND (closed_at IS NULL AND NOT started OR closed_at IS NOT NULL AND started AND NOT ended);
