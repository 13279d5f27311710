-- The tables of evercert. The workflow is the truth about a domain; domains and events are its projection, written by
-- RecordStatus alone. Everything else here is what workers, edges and the validation DNS server share.

CREATE TABLE tenants (
    id         text PRIMARY KEY CHECK (id <> ''),
    state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'inactive', 'deleted')),
    secret     bytea NOT NULL CHECK (octet_length(secret) = 32), -- keys the ownership and delegation values
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A removed domain keeps its row: a hostname has one live row at most, and any number of removed ones.
CREATE TABLE domains (
    id                 uuid PRIMARY KEY,
    tenant             text NOT NULL REFERENCES tenants (id),
    hostname           text NOT NULL CHECK (hostname <> ''),
    names              text[] NOT NULL,

    recorded           boolean NOT NULL DEFAULT false, -- has the workflow said anything yet
    start_at           timestamptz NOT NULL DEFAULT now(), -- until it has: when a worker should start it, again if need be
    seq                bigint NOT NULL DEFAULT 0, -- of the newest snapshot
    snapshot_at        timestamptz,

    domain_status      text NOT NULL CHECK (domain_status IN
        ('pending_dns', 'pending_ownership', 'active', 'moved', 'blocked', 'removed')),
    certificate_status text NOT NULL DEFAULT 'none' CHECK (certificate_status IN
        ('none', 'pending_issuance', 'pending_installation', 'verifying', 'active', 'failed', 'rejected', 'expired')),
    renewal_status     text NOT NULL DEFAULT 'none' CHECK (renewal_status IN
        ('none', 'scheduled', 'due', 'renewing', 'on_hold', 'escalated')),
    has_live           boolean NOT NULL DEFAULT false, -- a certificate is being served
    escalated          boolean NOT NULL DEFAULT false,
    headline           text NOT NULL CHECK (headline IN
        ('Pending', 'Issuing', 'Installing', 'Installation complete', 'Request certificate', 'Contact support',
         'Invalid domain name signature has been detected', 'Renewal on hold', 'Expired', 'Removed')),

    failures           integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    paused             boolean NOT NULL DEFAULT false,
    problems           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(problems) = 'array'),
    diagnosis          jsonb CHECK (jsonb_typeof(diagnosis) = 'object'),
    next_action        text NOT NULL DEFAULT '',
    next_action_at     timestamptz,
    deadline           timestamptz,

    serial             text NOT NULL DEFAULT '',
    issuer             text NOT NULL DEFAULT '',
    not_after          timestamptz,
    renew_at           timestamptz,
    https_redirect     boolean NOT NULL DEFAULT false,

    connected_at       timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    removed_at         timestamptz,

    CONSTRAINT hostname_is_first_name CHECK (names[1] IS NOT DISTINCT FROM hostname),
    CONSTRAINT recorded_has_sequence CHECK (recorded = (seq > 0)),
    CONSTRAINT removed_has_its_time CHECK ((removed_at IS NOT NULL) = (domain_status = 'removed')),
    CONSTRAINT removed_says_so CHECK ((headline = 'Removed') = (domain_status = 'removed')),
    CONSTRAINT complete_has_a_certificate CHECK (headline NOT IN ('Installation complete', 'Renewal on hold') OR has_live)
) WITH (fillfactor = 80); -- a row is rewritten several times an issuance: leave room for it on its page

CREATE UNIQUE INDEX domains_live ON domains (hostname) WHERE removed_at IS NULL;
CREATE INDEX domains_live_by_tenant ON domains (tenant, hostname) WHERE removed_at IS NULL;
CREATE INDEX domains_live_by_headline ON domains (headline, hostname) WHERE removed_at IS NULL;
CREATE INDEX domains_unstarted ON domains (start_at) WHERE NOT recorded;
CREATE INDEX domains_removed_hostname ON domains (hostname, removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX domains_removed_names ON domains USING gin (names) WHERE removed_at IS NOT NULL;

-- The names in use: one domain each, whatever happens at the same time.
CREATE TABLE domain_names (
    name      text PRIMARY KEY CHECK (name <> '' AND name = lower(name)),
    domain_id uuid NOT NULL REFERENCES domains (id)
);
CREATE INDEX domain_names_domain ON domain_names (domain_id);

-- A name that was removed is kept from other tenants until ends_at, so that nobody takes over a domain whose records
-- still point here. Its own tenant may connect it again at once.
CREATE TABLE name_quarantine (
    name    text PRIMARY KEY,
    tenant  text NOT NULL REFERENCES tenants (id),
    ends_at timestamptz NOT NULL
);

CREATE TABLE events (
    domain_id uuid NOT NULL REFERENCES domains (id),
    seq       bigint NOT NULL, -- of the snapshot that brought it
    n         integer NOT NULL, -- its place in that snapshot, from 1
    type      text NOT NULL CHECK (type <> ''),
    detail    text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL,
    PRIMARY KEY (domain_id, seq, n)
);

-- Private keys of certificates, sealed by the keyring under their id.
CREATE TABLE keys (
    id         text PRIMARY KEY CHECK (id <> ''),
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- domain_id refers to nothing here and in certificates: the projection may be late or lost (restored from a backup),
-- and that must not stop a renewal.
CREATE TABLE issuances (
    id          text PRIMARY KEY CHECK (id <> ''),
    domain_id   uuid NOT NULL,
    names       text[] NOT NULL CHECK (cardinality(names) > 0),
    key_id      text NOT NULL UNIQUE REFERENCES keys (id),
    csr         bytea NOT NULL,
    replaces    text NOT NULL DEFAULT '',
    ca          text NOT NULL DEFAULT '',
    account_url text NOT NULL DEFAULT '',
    order_tries integer NOT NULL DEFAULT 0 CHECK (order_tries >= 0), -- runs that may have sent a newOrder to the CA
    order_url   text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT order_has_a_url CHECK (order_url <> ''),
    CONSTRAINT order_was_tried CHECK (order_url IS NULL OR order_tries > 0)
);
-- Not unique: a CA may answer newOrder with the pending order of an earlier attempt at the same names (Boulder does).
CREATE INDEX issuances_order ON issuances (order_url) WHERE order_url IS NOT NULL;

CREATE TABLE certificates (
    serial      text PRIMARY KEY CHECK (serial ~ '^[0-9a-f]+$'),
    issuance_id text NOT NULL UNIQUE REFERENCES issuances (id), -- one certificate for each issuance
    domain_id   uuid NOT NULL,
    names       text[] NOT NULL CHECK (cardinality(names) > 0),
    issuer      text NOT NULL,
    not_before  timestamptz NOT NULL,
    not_after   timestamptz NOT NULL,
    chain_pem   bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT lifetime_is_positive CHECK (not_before < not_after)
);
CREATE INDEX certificates_domain ON certificates (domain_id);

CREATE TABLE acme_accounts (
    directory  text PRIMARY KEY CHECK (directory <> ''),
    url        text NOT NULL CHECK (url <> ''),
    contact    text NOT NULL,
    key_id     text NOT NULL,
    sealed_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- What the edges serve: one certificate for each name, at every moment.
CREATE TABLE served_names (
    name         text PRIMARY KEY,
    serial       text NOT NULL REFERENCES certificates (serial),
    installed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX served_names_serial ON served_names (serial);

CREATE TABLE http_tokens (
    token             text PRIMARY KEY,
    key_authorization text NOT NULL,
    expires_at        timestamptz NOT NULL
);
CREATE INDEX http_tokens_expiry ON http_tokens (expires_at);

CREATE TABLE txt_values (
    name       text NOT NULL,
    value      text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (name, value)
);
CREATE INDEX txt_values_expiry ON txt_values (expires_at);

-- Token buckets, each told by one instant: when it is full again. A bucket that nobody draws from needs no upkeep,
-- and one whose instant has passed is as good as none.
CREATE TABLE budgets (
    ca      text NOT NULL,
    account text NOT NULL,
    bucket  text NOT NULL,
    key     text NOT NULL,
    full_at timestamptz NOT NULL,
    PRIMARY KEY (ca, account, bucket, key)
) WITH (fillfactor = 80);

CREATE TABLE cases (
    id          text PRIMARY KEY CHECK (id <> ''),
    domain_id   uuid NOT NULL,
    hostname    text NOT NULL,
    tenant      text NOT NULL,
    reason      text NOT NULL,
    failures    integer NOT NULL CHECK (failures >= 0),
    problems    jsonb NOT NULL CHECK (jsonb_typeof(problems) = 'array'),
    opened_at   timestamptz NOT NULL,
    assignee    text NOT NULL,
    notes       jsonb NOT NULL CHECK (jsonb_typeof(notes) = 'array'),
    reminded_at timestamptz,
    closed_at   timestamptz,
    resolution  text NOT NULL
);
CREATE INDEX cases_open ON cases (opened_at) WHERE closed_at IS NULL;
CREATE INDEX cases_hostname ON cases (hostname, opened_at);
