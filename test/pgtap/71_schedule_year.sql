-- A year of schedules where clocks change, against the server's own time zone data: each minute of the year is
-- looked at, and each local minute that a clock left out.
\ir common/prologue.sql
SET client_min_messages = error;
SELECT no_plan();
BEGIN;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL work_mem = '256MB';
SET LOCAL jit = off;

-- What a schedule means, written without its text: null is each value.
CREATE TEMPORARY TABLE schedule (cron text, minutes int[], hours int[], days int[], months int[], weekdays int[], follows_minutes boolean, follows_hours boolean);
INSERT INTO schedule VALUES
    ('30 2 * * *', '{30}', '{2}', NULL, NULL, NULL, false, false),
    ('0,15,45 1,2 * * *', '{0,15,45}', '{1,2}', NULL, NULL, NULL, false, false),
    ('45 1 * * *', '{45}', '{1}', NULL, NULL, NULL, false, false),
    ('0 3 * * *', '{0}', '{3}', NULL, NULL, NULL, false, false),
    ('0 * * * *', '{0}', NULL, NULL, NULL, NULL, false, true),
    ('*/15 * * * *', '{0,15,30,45}', NULL, NULL, NULL, NULL, true, true),
    ('*/20 2 * * *', '{0,20,40}', '{2}', NULL, NULL, NULL, true, false),
    ('10 */2 * * *', '{10}', '{0,2,4,6,8,10,12,14,16,18,20,22}', NULL, NULL, NULL, false, true),
    ('15 2 * * sun', '{15}', '{2}', NULL, NULL, '{0}', false, false),
    ('5 4 1 * *', '{5}', '{4}', '{1}', NULL, NULL, false, false),
    ('30 2 29 mar,nov *', '{30}', '{2}', '{29}', '{3,11}', NULL, false, false),
    ('@hourly', '{0}', NULL, NULL, NULL, NULL, false, true);

CREATE TEMPORARY TABLE minute AS
    SELECT zone, at, local, local - lag(local) OVER clock AS step, (row_number() OVER (PARTITION BY zone, local ORDER BY at)) > 1 AS again,
           extract(minute FROM local)::int AS mi, extract(hour FROM local)::int AS h, extract(day FROM local)::int AS d,
           extract(month FROM local)::int AS mo, extract(dow FROM local)::int AS w
    FROM (SELECT zone, at, at AT TIME ZONE zone AS local
          FROM unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) zone,
               generate_series('2026-01-01 00:00+00'::timestamptz, '2027-01-01 00:00+00', '1 minute') at) m
    WINDOW clock AS (PARTITION BY zone ORDER BY at);
ANALYZE minute;

SELECT results_eq($$SELECT zone, count(*) FILTER (WHERE step > '1 minute'), sum(CASE WHEN again THEN 1 ELSE 0 END) FROM minute GROUP BY zone ORDER BY zone$$,
    $$VALUES ('America/New_York', 1::bigint, 60::bigint), ('Australia/Lord_Howe', 1, 30), ('Europe/Berlin', 1, 60)$$,
    'each zone has a gap and a repeated time in that year');

CREATE FUNCTION pg_temp.matches(s schedule, local timestamp) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (s.minutes IS NULL OR extract(minute FROM local)::int = ANY (s.minutes)) AND (s.hours IS NULL OR extract(hour FROM local)::int = ANY (s.hours))
       AND (s.days IS NULL OR extract(day FROM local)::int = ANY (s.days)) AND (s.months IS NULL OR extract(month FROM local)::int = ANY (s.months))
       AND (s.weekdays IS NULL OR extract(dow FROM local)::int = ANY (s.weekdays))
$$;

CREATE TEMPORARY TABLE expected AS
    SELECT s.cron, m.zone, m.at
    FROM schedule s JOIN minute m
         ON (s.minutes IS NULL OR m.mi = ANY (s.minutes)) AND (s.hours IS NULL OR m.h = ANY (s.hours)) AND (s.days IS NULL OR m.d = ANY (s.days))
            AND (s.months IS NULL OR m.mo = ANY (s.months)) AND (s.weekdays IS NULL OR m.w = ANY (s.weekdays))
    WHERE s.follows_minutes OR s.follows_hours OR NOT m.again
    UNION
    SELECT s.cron, m.zone, m.at
    FROM schedule s JOIN minute m ON m.step > '1 minute' AND NOT s.follows_hours,
         generate_series(m.local - m.step + interval '1 minute', m.local - interval '1 minute', '1 minute') AS left_out
    WHERE pg_temp.matches(s, left_out);

-- The first minute of the year is not later than itself.
CREATE TEMPORARY TABLE actual AS
    SELECT s.cron, z.zone, r.run_at AS at
    FROM schedule s, unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) AS z(zone),
         opsrunbook.next_runs(s.cron, z.zone, '2025-12-31 23:59:59+00', 40000) r
    WHERE r.run_at <= '2027-01-01 00:00+00';

CREATE INDEX ON expected (cron, zone, at);
ANALYZE expected;

SELECT ok(a.runs IS NOT DISTINCT FROM e.runs, format('%s in %s: %s runs, none missed, none twice', e.cron, e.zone, array_length(e.runs, 1)))
FROM (SELECT cron, zone, array_agg(at ORDER BY at) AS runs FROM expected GROUP BY 1, 2) e
     LEFT JOIN (SELECT cron, zone, array_agg(at ORDER BY at) AS runs FROM actual GROUP BY 1, 2) a USING (cron, zone)
ORDER BY e.cron, e.zone;
SELECT is((SELECT count(DISTINCT (cron, zone)) FROM expected), 36::bigint, 'all of these were compared');

-- From anywhere in the year, not from run to run alone.
SELECT setseed(0.2026) \g /dev/null
CREATE TEMPORARY TABLE probe AS
    SELECT s.cron, z.zone, '2026-01-01 00:00+00'::timestamptz + random() * interval '330 days' AS after
    FROM schedule s, unnest(ARRAY['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']) AS z(zone), generate_series(1, 40)
    UNION ALL
    SELECT s.cron, m.zone, m.at + k * interval '17 minutes' FROM schedule s, minute m, generate_series(-9, 9) k WHERE m.step <> '1 minute';
SELECT is_empty($$
    SELECT * FROM (SELECT p.*, (SELECT min(e.at) FROM expected e WHERE e.cron = p.cron AND e.zone = p.zone AND e.at > p.after) AS expected,
                          (SELECT run_at FROM opsrunbook.next_runs(p.cron, p.zone, p.after, 1)) AS actual FROM probe p) q
    WHERE actual IS DISTINCT FROM expected AND expected IS NOT NULL$$, 'the next run after any moment is the right one');

-- What the function refuses, and its ends
SELECT results_eq($$SELECT number, run_at FROM opsrunbook.next_runs('30 2 * * *', 'Europe/Berlin', '2026-03-28 00:00+00', 3)$$,
    $$VALUES (1, '2026-03-28 01:30+00'::timestamptz), (2, '2026-03-29 01:00+00'), (3, '2026-03-30 00:30+00')$$, 'the day without a 2:30 runs at 3:00');
SET LOCAL TimeZone = 'America/New_York';
SELECT is((SELECT run_at FROM opsrunbook.next_runs('0 12 * * *', after => '2026-07-01 00:00', count => 1)), '2026-07-01 12:00'::timestamptz, 'the session''s time zone is the default');
SELECT is((SELECT count(*) FROM opsrunbook.next_runs('@daily')), 10::bigint, 'ten, unless asked for another number');
SELECT is((SELECT count(*) FROM opsrunbook.next_runs('@daily', count => 0)), 0::bigint, 'none');
SELECT is((SELECT count(*) FROM opsrunbook.next_runs('@daily', after => 'infinity')), 0::bigint, 'nothing comes after infinity');
SELECT results_eq($$SELECT run_at FROM opsrunbook.next_runs('20 seconds', after => '2026-01-01 00:00:05+00', count => 2)$$,
    $$VALUES ('2026-01-01 00:00:20+00'::timestamptz), ('2026-01-01 00:00:40+00')$$, 'an interval of seconds');
SELECT throws_ok($$SELECT * FROM opsrunbook.next_runs('61 * * * *')$$, '22023', NULL, 'no such minute');
SELECT throws_ok($$SELECT * FROM opsrunbook.next_runs(NULL)$$, '22023', 'a schedule must be given', 'no schedule');
SELECT throws_ok($$SELECT * FROM opsrunbook.next_runs('@daily', 'Mars/Olympus')$$, '22023', 'time zone "Mars/Olympus" is not known', 'no such time zone');
SELECT throws_ok($$SELECT * FROM opsrunbook.next_runs('@daily', count => -1)$$, '22023', NULL, 'a negative number');

SELECT * FROM finish();
ROLLBACK;
