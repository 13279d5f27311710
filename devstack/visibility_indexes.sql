-- Temporal's visibility table has seventy indexes, one for each search attribute that a namespace might use. Nearly all
-- of them are on columns that stay null, and each row that is written pays for all. As partial indexes they cost nothing until
-- their column is used, and serve the same queries: "column = value" implies that the column isn't null.
-- Run it again after each upgrade of Temporal's schema; what is partial already is left alone.
DO $$
DECLARE i record;
BEGIN
	FOR i IN
		SELECT class.relname AS name, pg_get_indexdef(index.indexrelid) AS definition, attribute.attname AS column
		FROM pg_index AS index
		JOIN pg_class AS class ON class.oid = index.indexrelid
		JOIN pg_attribute AS attribute ON attribute.attrelid = index.indrelid AND attribute.attnum = index.indkey[1]
		WHERE index.indrelid = 'executions_visibility'::regclass
			AND NOT index.indisunique AND index.indpred IS NULL AND NOT attribute.attnotnull
	LOOP
		EXECUTE format('DROP INDEX %I', i.name);
		EXECUTE i.definition || format(' WHERE %I IS NOT NULL', i.column);
	END LOOP;
END $$;
