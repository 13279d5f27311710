-- Places in line for the tokens of budgets. A place belongs to one issuance; its tokens are taken from the buckets when it is
-- given, and go back when the order turns out not to have cost them, or when nobody came for the place.
CREATE TABLE budget_reservations (
    issuance_id text PRIMARY KEY CHECK (issuance_id <> ''),
    tenant      text NOT NULL,
    ca          text NOT NULL,
    account     text NOT NULL,
    stage       text NOT NULL CHECK (stage IN
        ('queued',  -- waits for its turn before it takes a token of what all tenants share
         'booked',  -- all of its tokens are there at the time of the place
         'spent')), -- an order may have been placed
    place       integer NOT NULL CHECK (place >= 0), -- 0: no wait
    at          timestamptz NOT NULL, -- of the place
    ends_at     timestamptz NOT NULL, -- when a place that nobody came for is given back
    charges     jsonb NOT NULL CHECK (jsonb_typeof(charges) = 'array')
) WITH (fillfactor = 80);
CREATE INDEX budget_reservations_end ON budget_reservations (ends_at);
