-- What the edges show for tls-alpn-01 (RFC 8737). A CA asks by the name alone, so a name has one answer at a time.
CREATE TABLE tls_challenges (
    name              text PRIMARY KEY CHECK (name <> '' AND name = lower(name)),
    key_authorization text NOT NULL,
    expires_at        timestamptz NOT NULL
);
CREATE INDEX tls_challenges_expiry ON tls_challenges (expires_at);
