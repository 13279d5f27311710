-- When the order of an issuance was placed: one that doesn't become a certificate for a day is given up. NULL for orders that were placed before this
-- was noted; their issuance is older than they are.
ALTER TABLE issuances ADD COLUMN ordered_at timestamptz;
