-- What the caretaker has done about a domain and has not seen succeed: when, and about which kinds of finding (cert.FindingKind). A look that finds
-- the domain in order takes both away; a kind that is found again was not helped by it.
ALTER TABLE domains
    ADD COLUMN tended_at  timestamptz,
    ADD COLUMN tended_for text[] NOT NULL DEFAULT '{}';
