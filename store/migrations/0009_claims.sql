-- Whose records were all seen once, and since when. The names of a domain that never was verified are free at its removal, and their number is
-- limited for each tenant.
ALTER TABLE domains ADD COLUMN verified_at timestamptz;
UPDATE domains SET verified_at = connected_at WHERE domain_status IN ('active', 'moved') OR serial <> '' OR has_live;
CREATE INDEX domains_unverified ON domains (tenant) WHERE verified_at IS NULL AND removed_at IS NULL;

-- Names that were removed before are looked up by the end of their quarantine.
CREATE INDEX name_quarantine_end ON name_quarantine (ends_at);
