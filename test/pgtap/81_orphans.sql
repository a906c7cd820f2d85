\ir common/prologue.sql

SELECT no_plan();

CREATE SCHEMA storage;
CREATE TABLE storage.objects (id integer PRIMARY KEY, bucket_id text, name text, size bigint, created_at timestamptz DEFAULT now() - interval '30 days');
CREATE TABLE inventory (id integer, image_url text);
CREATE TABLE gallery (id integer, pictures jsonb);
CREATE TABLE pages (id integer, cover text);
INSERT INTO storage.objects VALUES (1, 'images', 'rings/a.png', 100), (2, 'images', 'rings/b.png', 200), (3, 'images', 'my ring.png', 300),
    (4, 'images', 'c.png', 400), (5, 'images', 'd.png', 500), (6, 'images', 'queried.png', 600), (7, 'images', 'plain', 700);
INSERT INTO storage.objects VALUES (8, 'images', 'young.png', 800, now());

SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'no rule, no row');

SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'storage.objects', 'name', 'inventory', 'image_url', 'like')$$, '22023', NULL, 'add_orphan_rule: an unknown match');
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'storage.objects', 'nope', 'inventory', 'image_url')$$, '22023', NULL, 'add_orphan_rule: no such column');
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'storage.objects', 'name', 'gallery', 'pictures')$$, '22023', NULL, 'add_orphan_rule: JSON is not matched exactly');
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'inventory', 'image_url', 'gallery', 'pictures', 'contains')$$, '22023', NULL, 'add_orphan_rule: no time to know the age by');
CREATE ROLE orphan_stranger;
GRANT pg_monitor TO orphan_stranger;
SET ROLE orphan_stranger;
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'storage.objects', 'name', 'inventory', 'image_url')$$, '42501', NULL, 'add_orphan_rule: only with the rights of the owner');
RESET ROLE;

SELECT opsrunbook.add_orphan_rule('ring images', 'storage.objects', 'name', 'inventory', 'image_url', 'suffix', bucket_column => 'bucket_id', size_column => 'size') \g /dev/null
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('ring images', 'storage.objects', 'name', 'inventory', 'image_url', 'suffix')$$, '42710', NULL, 'add_orphan_rule: a name twice');
SET client_min_messages = error;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images(true)', 'a reference that is empty proves nothing');
SET client_min_messages = warning;

INSERT INTO inventory VALUES (1, 'https://cdn.example.org/images/rings/a.png'), (2, 'https://cdn.example.org/images/my%20ring.png'),
    (3, 'https://cdn.example.org/images/queried.png?width=200#top'), (4, 'https://cdn.example.org/explain'), (5, NULL), (6, 'https://cdn.example.org/%ff/x.png');
SELECT results_eq('SELECT image_name, bucket, size_bytes, action FROM cleanup_orphaned_images(true)',
    $$VALUES ('c.png', 'images', 400::bigint, 'would delete'), ('d.png', 'images', 500, 'would delete'), ('plain', 'images', 700, 'would delete'), ('rings/b.png', 'images', 200, 'would delete')$$,
    'a dry run lists what no URL ends with; escapes and queries are understood; the young one is left alone');
SELECT is((SELECT count(*) FROM storage.objects), 8::bigint, 'and deletes nothing');

-- more rules: an object stays when any of them finds it
SELECT opsrunbook.add_orphan_rule('gallery', 'storage.objects', 'name', 'gallery', 'pictures', 'contains') \g /dev/null
SELECT opsrunbook.add_orphan_rule('covers', 'storage.objects', 'name', 'pages', 'cover') \g /dev/null
INSERT INTO gallery VALUES (1, '[{"src": "/images/c.png"}]');
INSERT INTO pages VALUES (1, 'plain');
SELECT results_eq('SELECT image_name FROM cleanup_orphaned_images(true)', $$VALUES ('d.png'), ('rings/b.png')$$, 'what another rule finds is no orphan');

-- what somebody has locked is left for the next time
SELECT dblink_connect('locker', format('dbname=%L host=%L port=%s user=%L', current_database(),
    split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), CURRENT_USER)) \g /dev/null
SELECT dblink_exec('locker', 'BEGIN') \g /dev/null
SELECT * FROM dblink('locker', 'SELECT id FROM storage.objects WHERE id = 5 FOR UPDATE') AS l(id integer) \g /dev/null
SELECT results_eq('SELECT image_name, action FROM cleanup_orphaned_images()', $$VALUES ('rings/b.png', 'deleted')$$, 'a locked object is left');
SELECT dblink_exec('locker', 'COMMIT') \g /dev/null
SELECT dblink_disconnect('locker') \g /dev/null
SELECT results_eq('SELECT image_name, action FROM cleanup_orphaned_images()', $$VALUES ('d.png', 'deleted')$$, 'and taken the next time');
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'then nothing is left');
SELECT is((SELECT array_agg(id ORDER BY id) FROM storage.objects), ARRAY[1, 3, 4, 6, 7, 8], 'what is referred to, or young, stays');

-- a table is cleaned by who has its owner's rights; what the owner cannot read, or row security hides from it, is no
-- reason to delete
GRANT USAGE ON SCHEMA storage TO orphan_stranger;
GRANT SELECT, UPDATE, DELETE ON storage.objects TO orphan_stranger;
GRANT SELECT ON inventory, gallery, pages TO orphan_stranger;
DELETE FROM pages;
INSERT INTO pages VALUES (1, 'nothing');
SET client_min_messages = error;
SET ROLE orphan_stranger;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images(true)', 'a role without the rights of the owner cleans nothing');
RESET ROLE;
ALTER TABLE storage.objects OWNER TO orphan_stranger;
SELECT results_eq('SELECT image_name FROM cleanup_orphaned_images(true)', $$VALUES ('plain')$$, 'a superuser cleans the table of another');
REVOKE SELECT ON gallery FROM orphan_stranger;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'but not by references that its owner cannot read');
GRANT SELECT ON gallery TO orphan_stranger;
ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;
CREATE POLICY first_only ON inventory USING (id = 1);
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'nor by references that row security hides');
SELECT is((SELECT count(*) FROM storage.objects), 6::bigint, 'and everything is there');
SET client_min_messages = warning;
SELECT is(current_setting('row_security'), 'on', 'row_security is as before');
ALTER TABLE inventory DISABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects OWNER TO CURRENT_USER;
UPDATE pages SET cover = 'plain';

-- triggers run as the owner of the table, and leave nothing to the commit
CREATE SCHEMA orphan AUTHORIZATION orphan_stranger;
SET ROLE orphan_stranger;
CREATE TABLE orphan.object AS SELECT 'a.png' AS name UNION SELECT 'b.png';
CREATE TABLE orphan.reference AS SELECT 'b.png' AS name;
CREATE TABLE orphan.who (name text);
CREATE FUNCTION orphan.tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO orphan.who VALUES (CURRENT_USER); RETURN OLD; END$$;
CREATE CONSTRAINT TRIGGER tell AFTER DELETE ON orphan.object DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION orphan.tell();
SELECT opsrunbook.add_orphan_rule('own', 'orphan.object', 'name', 'orphan.reference', 'name', min_age => '0') \g /dev/null
RESET ROLE;
CREATE TABLE secret AS SELECT 'b.png' AS name;
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'orphan.object', 'name', 'secret', 'name', min_age => '0')$$, '42501', NULL, 'add_orphan_rule: references that the owner cannot read');
GRANT SELECT ON secret TO orphan_stranger;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON secret USING (true);
SELECT throws_ok($$SELECT opsrunbook.add_orphan_rule('x', 'orphan.object', 'name', 'secret', 'name', min_age => '0')$$, '42501', NULL, 'add_orphan_rule: nor references that row security may hide from the owner');
SELECT results_eq('SELECT image_name, action FROM cleanup_orphaned_images()', $$VALUES ('a.png', 'deleted')$$, 'a superuser''s call cleans the table');
SELECT results_eq('SELECT name FROM orphan.who', $$VALUES ('orphan_stranger')$$, 'and its trigger runs as the owner');
SET ROLE orphan_stranger;
INSERT INTO orphan.object VALUES ('c.png');
CREATE FUNCTION orphan.open_cursor() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'; RETURN OLD; END$$;
CREATE TRIGGER open_cursor BEFORE DELETE ON orphan.object FOR EACH ROW EXECUTE FUNCTION orphan.open_cursor();
RESET ROLE;
SET client_min_messages = error;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'a trigger that would leave a cursor for the commit fails');
SET client_min_messages = warning;
SELECT is((SELECT array_agg(name) FROM orphan.object), ARRAY['b.png', 'c.png'], 'and only its table is left as it was');
-- … nor keep the next table from being cleaned, by deferring its constraints
SET ROLE orphan_stranger;
DROP TRIGGER open_cursor ON orphan.object;
CREATE FUNCTION orphan.defer() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NULL; END$$;
CREATE TRIGGER zzz AFTER DELETE ON orphan.object FOR EACH STATEMENT EXECUTE FUNCTION orphan.defer();
CREATE TABLE orphan.object_too AS SELECT 'x.png' AS name;
CREATE CONSTRAINT TRIGGER tell AFTER DELETE ON orphan.object_too DEFERRABLE FOR EACH ROW EXECUTE FUNCTION orphan.tell();
SELECT opsrunbook.add_orphan_rule('own too', 'orphan.object_too', 'name', 'orphan.reference', 'name', min_age => '0') \g /dev/null
RESET ROLE;
SELECT results_eq('SELECT image_name FROM cleanup_orphaned_images()', $$VALUES ('c.png'), ('x.png')$$, 'constraints that one table''s trigger defers are not deferred at the next');
SELECT opsrunbook.remove_orphan_rule('own') \g /dev/null
SELECT opsrunbook.remove_orphan_rule('own too') \g /dev/null

-- a rule whose reference is gone keeps the objects
DROP TABLE gallery;
INSERT INTO storage.objects VALUES (9, 'images', 'orphan.png', 900);
SET client_min_messages = error;
SELECT is_empty('SELECT * FROM cleanup_orphaned_images()', 'a reference that is gone leaves a doubt');
SET client_min_messages = warning;
SELECT ok(opsrunbook.remove_orphan_rule('gallery'), 'remove_orphan_rule');
SELECT ok(NOT opsrunbook.remove_orphan_rule('gallery'), 'remove_orphan_rule: there is none any more');
SELECT results_eq('SELECT image_name FROM cleanup_orphaned_images(true)', $$VALUES ('c.png'), ('orphan.png')$$, 'without the doubt it goes on');

CREATE TABLE new_object (name text);
CREATE TABLE new_reference (name text);
SELECT opsrunbook.add_orphan_rule('new', 'new_object', 'name', 'new_reference', 'name', min_age => '0') \g /dev/null
CALL opsrunbook.run_orphan_cleanup();
SELECT pass('where there is no object yet, a reference that is empty is no failure');

SELECT is(opsrunbook.decode_url('a%20b%C3%A4+%zz%'), 'a bä+%zz%', 'decode_url');
SELECT is(opsrunbook.decode_url('%ff'), '%ff', 'decode_url: no valid text stays as it is');

SELECT * FROM finish();
DROP OWNED BY orphan_stranger;
DROP ROLE orphan_stranger;
