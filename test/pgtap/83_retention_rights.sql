-- Whose code runs with whose rights: conditions and triggers belong to the table's owner, and the batches of a
-- superuser's job run them.
\ir common/prologue.sql

SELECT no_plan();

CREATE ROLE retention_mallory;
GRANT pg_monitor TO retention_mallory;
CREATE SCHEMA mallory AUTHORIZATION retention_mallory;
CREATE FUNCTION pg_temp.status_of(table_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(status || ': ' || details, E'\n' ORDER BY relation) FROM opsrunbook.apply_retention() WHERE relation = table_name
$$;

SET ROLE retention_mallory;
CREATE TABLE mallory.who (name text);
CREATE FUNCTION mallory.tell() RETURNS integer LANGUAGE sql AS $$INSERT INTO mallory.who VALUES (CURRENT_USER) RETURNING 1$$;
CREATE FUNCTION mallory.tell_deferred() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM mallory.tell(); RETURN NULL; END$$;

-- left behind for the commit, which is not the owner's: a cursor that is computed then
CREATE TABLE mallory.by_cursor AS SELECT timestamptz '2020-01-01' AS at;
CREATE FUNCTION mallory.open_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT mallory.tell()';
    RETURN OLD;
END $$;
CREATE TRIGGER open_cursor BEFORE DELETE ON mallory.by_cursor FOR EACH ROW EXECUTE FUNCTION mallory.open_cursor();
RESET ROLE;
SELECT opsrunbook.set_retention('mallory.by_cursor', 'at', '1 day') \g /dev/null
SELECT matches(pg_temp.status_of('mallory.by_cursor'), '^failed: .*WITH HOLD', 'a trigger cannot leave a cursor for the commit');
SELECT is_empty('SELECT * FROM mallory.who', 'and nothing of it ran as the caller');
SELECT opsrunbook.drop_retention('mallory.by_cursor') \g /dev/null

-- … a trigger that is deferred again
SET ROLE retention_mallory;
CREATE TABLE mallory.by_constraint AS SELECT timestamptz '2020-01-01' AS at;
CREATE TABLE mallory.later (id integer);
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON mallory.later DEFERRABLE FOR EACH ROW EXECUTE FUNCTION mallory.tell_deferred();
CREATE FUNCTION mallory.defer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    INSERT INTO mallory.later VALUES (1);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER defer AFTER DELETE ON mallory.by_constraint DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mallory.defer();
RESET ROLE;
SELECT opsrunbook.set_retention('mallory.by_constraint', 'at', '1 day') \g /dev/null
SELECT matches(pg_temp.status_of('mallory.by_constraint'), '^failed: .*deferred trigger', 'nor a deferred trigger');
SELECT is_empty('SELECT * FROM mallory.who', 'and nothing of that ran as the caller either');
SELECT opsrunbook.drop_retention('mallory.by_constraint') \g /dev/null

-- … or a setting, under which the rest of the run fails
SET ROLE retention_mallory;
CREATE TABLE mallory.by_setting AS SELECT timestamptz '2020-01-01' AS at;
CREATE FUNCTION mallory.set_read_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('default_transaction_read_only', 'on', false);
    RETURN OLD;
END $$;
CREATE TRIGGER set_read_only BEFORE DELETE ON mallory.by_setting FOR EACH ROW EXECUTE FUNCTION mallory.set_read_only();
RESET ROLE;
CREATE TABLE next (at timestamptz);
INSERT INTO next VALUES ('2020-01-01');
SELECT opsrunbook.set_retention('mallory.by_setting', 'at', '1 day') \g /dev/null
SELECT opsrunbook.set_retention('next', 'at', '1 day') \g /dev/null
SELECT results_eq('SELECT relation, status, rows_affected FROM opsrunbook.apply_retention() ORDER BY 1',
    $$VALUES ('mallory.by_setting', 'completed', 1::bigint), ('public.next', 'completed', 1)$$, 'a setting of a trigger ends with its batch');

-- what the planner computes beforehand is of the same kind
SET ROLE retention_mallory;
CREATE TABLE mallory.by_planner (at timestamptz);
CREATE FUNCTION mallory.constant() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM set_config('application_name', 'mallory was here', false);
    RETURN true;
END $$;
RESET ROLE;
SELECT opsrunbook.set_retention('mallory.by_planner', 'at', '1 day', 'mallory.constant()') \g /dev/null
SELECT isnt(current_setting('application_name'), 'mallory was here', 'checking a condition leaves no setting behind');

-- a policy is about the table and by the role that it was set on and by: not about what has the name later
CREATE TABLE event AS SELECT timestamptz '2020-01-01' AS at;
SELECT opsrunbook.set_retention('event', 'at', '1 day') \g /dev/null
DROP TABLE event;
CREATE TABLE event AS SELECT timestamptz '2020-01-01' AS at;
SELECT matches(pg_temp.status_of('public.event'), '^refused: .*set on another table.*set_retention', 'a new table of the name does not inherit the policy');
SELECT is((SELECT count(*) FROM event), 1::bigint, 'and keeps its rows');
SELECT matches((SELECT problem FROM opsrunbook.retention_policies WHERE relation_name = 'event'), 'set on another table', 'which the view tells, too');
SELECT opsrunbook.set_retention('event', 'at', '1 day') \g /dev/null
SELECT matches(pg_temp.status_of('public.event'), '^completed', 'set again, it is about the new one');
SELECT is((SELECT problem FROM opsrunbook.retention_policies WHERE relation_name = 'event'), NULL, 'and nothing is against it');

-- a table of another name is not under it either, and that is told until somebody sets it again
CREATE SCHEMA moved;
CREATE TABLE renamed AS SELECT timestamptz '2020-01-01' AS at;
SELECT opsrunbook.set_retention('renamed', 'at', '1 day') \g /dev/null
ALTER TABLE renamed SET SCHEMA moved;
SELECT matches(pg_temp.status_of('public.renamed'), '^refused: the table is called moved.renamed now: .*drop_retention', 'a table that has another name is not passed over in silence');
SELECT is((SELECT problem FROM opsrunbook.retention_policies WHERE relation_name = 'renamed'), 'the table is called moved.renamed now', 'nor in the view');
SELECT pg_temp.link('procedure') \g /dev/null
SELECT throws_like($$SELECT dblink_exec('procedure', 'CALL opsrunbook.run_retention()')$$, 'retention was not done everywhere', 'and the procedure fails');
SET ROLE retention_mallory;
SELECT matches((SELECT problem FROM opsrunbook.retention_policies WHERE relation_name = 'renamed'), 'called moved.renamed', 'monitors see it');
RESET ROLE;
DROP TABLE moved.renamed;
SELECT matches(pg_temp.status_of('public.renamed'), '^refused: the table does not exist any more', 'nor is one that is gone');
SELECT opsrunbook.drop_retention('public', 'renamed') \g /dev/null
SELECT lives_ok($$SELECT dblink_exec('procedure', 'CALL opsrunbook.run_retention()')$$, 'until its policy is dropped');

CREATE TABLE event_archive (LIKE event);
SELECT opsrunbook.set_retention('event', 'at', '1 day', archive_to => 'event_archive') \g /dev/null
DROP TABLE event_archive;
CREATE TABLE event_archive (LIKE event);
SELECT matches(pg_temp.status_of('public.event'), '^refused: .*the other table', 'nor does a new archive get the rows');
SELECT opsrunbook.set_retention('event', 'at', '1 day') \g /dev/null

SET ROLE retention_mallory;
CREATE TABLE mallory.given AS SELECT timestamptz '2020-01-01' AS at;
SELECT opsrunbook.set_retention('mallory.given', 'at', '1 day') \g /dev/null
RESET ROLE;
ALTER TABLE mallory.given OWNER TO CURRENT_USER;
SELECT matches(pg_temp.status_of('mallory.given'), '^refused: .*role retention_mallory set it', 'a table that changed hands is not under its former owner''s policy');
SELECT is((SELECT count(*) FROM mallory.given), 1::bigint, 'and keeps its rows');

-- after a dump and restore the OIDs are unknown: the setter's rights decide, and the new OIDs are noted
DELETE FROM opsrunbook.retention_policy_identity;
INSERT INTO event VALUES ('2020-01-01');
SELECT matches(pg_temp.status_of('mallory.given'), '^refused: .*role retention_mallory set it', 'restored: a setter without the rights of the owner');
SELECT is((SELECT count(*) FROM event), 0::bigint, 'restored: a setter with the rights of the owner');
SELECT is((SELECT relation_oid FROM opsrunbook.retention_policy_identity WHERE relation_name = 'event'), 'event'::regclass::oid, 'and from then on it is about this table');

-- so it is with the rules of orphaned objects
CREATE TABLE object AS SELECT 'a' AS name UNION SELECT 'b';
CREATE TABLE reference AS SELECT 'c' AS name;
SELECT opsrunbook.add_orphan_rule('about names', 'object', 'name', 'reference', 'name', min_age => '0') \g /dev/null
ALTER TABLE object RENAME TO object_before;
CREATE TABLE object AS TABLE object_before;
SET client_min_messages = error;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'a new table of objects does not inherit the rule');
DROP TABLE object;
ALTER TABLE object_before RENAME TO object;
DROP TABLE reference;
CREATE TABLE reference AS SELECT 'c' AS name;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'nor does a new table of references');
CREATE TABLE other_object AS SELECT 'a' AS name;
SELECT opsrunbook.add_orphan_rule('other names', 'other_object', 'name', 'reference', 'name', min_age => '0') \g /dev/null
SELECT dblink_exec('procedure', 'SET client_min_messages = error') \g /dev/null
SELECT throws_like($$SELECT dblink_exec('procedure', 'CALL opsrunbook.run_orphan_cleanup()')$$, 'orphaned objects were not cleaned up everywhere', 'of which the procedure tells');
SELECT is_empty('SELECT * FROM other_object', 'after it has cleaned the other tables');
SELECT opsrunbook.remove_orphan_rule('other names') \g /dev/null
SET client_min_messages = warning;
DELETE FROM opsrunbook.orphan_rule_identity;
SELECT results_eq('SELECT image_name FROM cleanup_orphaned_images()', $$VALUES ('a'), ('b')$$, 'restored: a setter with the rights of the owner');
SELECT is((SELECT reference_oid FROM opsrunbook.orphan_rule_identity), 'reference'::regclass::oid, 'and from then on it is about this table');

SELECT * FROM finish();
SELECT opsrunbook.drop_retention(relation) FROM opsrunbook.retention_policies \g /dev/null
DROP SCHEMA mallory CASCADE;
DROP ROLE retention_mallory;
