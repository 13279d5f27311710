-- CAs at which no order is placed for a time, of all domains or of one (row F12).
CREATE TABLE ca_absences (
    directory text        NOT NULL,
    domain_id text        NOT NULL, -- empty: all domains
    until     timestamptz NOT NULL,
    problem   jsonb       NOT NULL,
    PRIMARY KEY (directory, domain_id)
);
CREATE INDEX ca_absences_of_domain ON ca_absences (domain_id, until);

-- The platform's CAs in their order, as the newest worker was configured.
CREATE TABLE configured_cas (
    position       integer PRIMARY KEY CHECK (position > 0),
    name           text    NOT NULL,
    directory      text    NOT NULL UNIQUE,
    profile        text    NOT NULL,
    caa_identities jsonb   NOT NULL
);
