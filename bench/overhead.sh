#!/bin/bash
# What it costs a busy server that opsrunbook is there with everything on: transactions a second, and instructions.

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/common.sh"

usage()
{
    cat <<'TEXT'
bench/overhead.sh [--pairs N] [--seconds N] [--scale N] [--clients N] [--no-instructions] [--installed]

Starts two throwaway servers on copies of one data directory
  with     opsrunbook preloaded, its scheduler at work with the default schedule (the alerts are observed every minute),
           the planner's hook of index trials in place and one trial under way
  without  shared_preload_libraries empty
and runs pgbench (its standard transaction, fsync off: nothing but the processors limits it) on them by turns of a few
seconds, each pair in the other order than the one before, so that whatever else the machine does falls on both sides.
The server whose turn it is not is stopped (SIGSTOP), so it takes nothing; what its scheduler missed by the clock it does
in its next turn, so the scheduler works twice as much here as on a server of its own.  Prints the median of the pairs'
ratios, and the interval that holds 95 % of the medians of resampled pairs: of the transactions a second, and of the
processor time that the whole server, the scheduler's processes among it, took for a transaction, which hardly depends
on what else runs.

Then counts, under valgrind, the instructions of one backend for the same transactions with and without: what the hooks
cost in each statement, free of whatever else the machine does.  The scheduler's own work is beside it: the processor
time that one observation of the alerts takes, as a share of all processors.

  --pairs            how often both sides take turns (default 200)
  --seconds          how long a turn lasts (default 3)
  --scale            pgbench's scale (default 10)
  --clients          pgbench's clients, half as many threads (default 4)
  --no-instructions  leaves valgrind out
  --installed        takes the extension as it is installed instead of building and installing it first

PG_MAJOR=17 or PG_CONFIG=/path/to/pg_config choose the server; the default is Debian's 15.
TEXT
}

pairs=200
seconds=3
scale=10
clients=4
instructions=yes
installed=no
arguments=("$@")
while [[ $# -gt 0 ]]; do
    case $1 in
        --pairs | --seconds | --scale | --clients)
            [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || die "$1 needs a number; see --help"
            declare "${1#--}=$2"
            shift ;;
        --no-instructions) instructions=no ;;
        --installed) installed=yes ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

preload_of() { if [[ $1 == with ]]; then printf 'opsrunbook'; fi; }

use() { server=(PGHOST="$work/$1/socket" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres); }

start()  # with|without
{
    use "$1"
    logged start as_postgres pg_ctl --pgdata="$work/$1/data" --log="$work/$1/server.log" --wait start \
        --options="-c shared_preload_libraries=$(preload_of "$1") -c unix_socket_directories=$work/$1/socket"
}

stop() { logged stop as_postgres pg_ctl --pgdata="$work/$1/data" --wait --mode=fast stop; }

postmaster_of() { head -n 1 "$work/$1/data/postmaster.pid"; }

# The postmaster first and last, so that it starts nothing meanwhile.
freeze()
{
    local postmaster
    postmaster=$(postmaster_of "$1")
    kill -STOP "$postmaster"
    pkill -STOP -P "$postmaster"
}
thaw()
{
    local postmaster
    postmaster=$(postmaster_of "$1")
    pkill -CONT -P "$postmaster"
    kill -CONT "$postmaster"
}

run_pgbench() { as_postgres "${server[@]}" pgbench -n -c "$clients" -j $(((clients + 1) / 2)) -T "$1" bench 2>/dev/null; }

# User and system time of the postmaster, its children and all that it has reaped, in ticks.  A client's backend that is
# about to end would be in neither sum, or in both.
server_ticks()  # with|without
{
    local postmaster
    postmaster=$(postmaster_of "$1")
    while pgrep -P "$postmaster" -f ': postgres bench .local.' >/dev/null; do sleep 0.05; done
    sleep 0.2
    { cat "/proc/$postmaster/stat"; pgrep -P "$postmaster" | sed 's,.*,/proc/&/stat,' | xargs cat 2>/dev/null || true; } |
        awk '{ line = $0; sub(/^.*\) /, "", line); split(line, f, " "); ticks += f[12] + f[13]; if (NR == 1) ticks += f[14] + f[15] }
            END { print ticks }'
}

# What became due while the server was down is done at its start: not what a server that runs has to do.
wait_for_missed_jobs()
{
    until [[ $(psql_quiet -d bench -Atc "SELECT bool_and(next_run > now() AND status = 'idle') FROM opsrunbook.jobs") == t ]]; do
        sleep 0.1
    done
}

# The tables as small as they were, and no checkpoint due.
tidy() { psql_quiet -d bench -c 'VACUUM pgbench_branches, pgbench_tellers' -c 'TRUNCATE pgbench_history' -c CHECKPOINT; }

# Appends the transactions a second, and a processor second, to the side's files.
measure()  # with|without
{
    local before after
    use "$1"
    thaw "$1"
    before=$(server_ticks "$1")
    run_pgbench "$seconds" >"$work/answer"
    after=$(server_ticks "$1")
    freeze "$1"
    sed -nE 's/^tps = ([0-9.]+).*/\1/p' "$work/answer" >>"$work/rate-$1"
    awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" \
        '/^number of transactions actually processed:/ { print $NF / (ticks / hertz) }' "$work/answer" >>"$work/work-$1"
}

# The ratios' median and, from resampled pairs, the interval that holds 95 % of such medians.
report_pairs()  # FILES' PREFIX, what they count
{
    printf '\n%s\n' "$2"
    paste "$work/$1-with" "$work/$1-without" | awk '
        function median(list, count) { return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2 }
        function sort(list, count,   i, j, value) {
            for (i = 2; i <= count; i++) {
                value = list[i]
                for (j = i - 1; j >= 1 && list[j] > value; j--) list[j + 1] = list[j]
                list[j + 1] = value
            }
        }
        { ratio[NR] = $1 / $2; with += $1; without += $2 }
        END {
            srand(1)
            rounds = 1000
            for (round = 1; round <= rounds; round++) {
                for (i = 1; i <= NR; i++) sample[i] = ratio[1 + int(rand() * NR)]
                sort(sample, NR)
                medians[round] = median(sample, NR)
            }
            sort(medians, rounds)
            for (i = 1; i <= NR; i++) sum += ratio[i]
            printf "  %d pairs, with %.1f, without %.1f on average\n", NR, with / NR, without / NR
            sort(ratio, NR)
            printf "  with to without: median %.4f (%+.2f %%), 95 %% of resampled medians %.4f to %.4f; quartiles %.4f and %.4f, mean %.4f\n",
                median(ratio, NR), 100 * (median(ratio, NR) - 1), medians[int(rounds * 0.025) + 1], medians[int(rounds * 0.975)],
                ratio[int(NR / 4) + 1], ratio[NR - int(NR / 4)], sum / NR
        }'
}

# The statements of pgbench, for a backend that reads them one a line.
transactions()  # NUMBER
{
    awk -v count="$1" -v scale="$scale" 'BEGIN {
        srand(1)
        for (i = 1; i <= count; i++) {
            account = 1 + int(rand() * 100000 * scale); teller = 1 + int(rand() * 10 * scale)
            branch = 1 + int(rand() * scale); change = int(rand() * 10000) - 5000
            print "BEGIN"
            print "UPDATE pgbench_accounts SET abalance = abalance + " change " WHERE aid = " account
            print "SELECT abalance FROM pgbench_accounts WHERE aid = " account
            print "UPDATE pgbench_tellers SET tbalance = tbalance + " change " WHERE tid = " teller
            print "UPDATE pgbench_branches SET bbalance = bbalance + " change " WHERE bid = " branch
            print "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (" teller ", " branch ", " account ", " change ", CURRENT_TIMESTAMP)"
            print "END"
        }
    }'
}

count_instructions()  # with|without NUMBER_OF_TRANSACTIONS
{
    transactions "$2" >"$work/statements"
    rm -rf "$work/counted"
    install -d -o postgres -g postgres "$work/counted"
    cp -a "$work/with/data" "$work/counted/data"
    (cd "$work/counted" && as_postgres valgrind --tool=callgrind --callgrind-out-file="$work/counted/out" "$bin_directory/postgres" \
        --single -D "$work/counted/data" -c "shared_preload_libraries=$(preload_of "$1")" -c fsync=off bench) \
        <"$work/statements" >"$work/counted/answers" 2>"$work/counted/log" || die "valgrind failed: $(tail -n 3 "$work/counted/log")"
    sed -nE 's/^summary: ([0-9]+).*/\1/p' "$work/counted/out"
}

report_instructions()
{
    local side few=20 many=420 first second
    for side in without with; do
        first=$(count_instructions "$side" "$few")
        second=$(count_instructions "$side" "$many")
        printf '%s\n' $(((second - first) / (many - few))) >"$work/instructions-$side"
    done
    awk -v with="$(<"$work/instructions-with")" -v without="$(<"$work/instructions-without")" 'BEGIN {
        printf "instructions of a backend a transaction: with %d, without %d: %+.3f %%\n", with, without, 100 * (with / without - 1) }'
}

# Ten observations, each as the scheduler does it: a turn, a worker, and the turn after it.
report_observations()
{
    local before after count=10 i ended
    thaw with
    use with
    psql_quiet -d bench -Atqc "SELECT opsrunbook.disable_default_schedule()" >/dev/null
    before=$(server_ticks with)
    for ((i = 1; i <= count; i++)); do
        psql_quiet -d bench -Atqc "SELECT opsrunbook.run_once('observation $i', 'SELECT opsrunbook.observe_alerts()')" >/dev/null
        ended=0
        until [[ $ended -eq $i ]]; do
            ended=$(psql_quiet -d bench -Atqc "SELECT count(*) FROM opsrunbook.job_runs WHERE job_name LIKE 'observation %' AND status = 'completed'")
        done
    done
    after=$(server_ticks with)
    awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" -v count="$count" -v processors="$(nproc)" 'BEGIN {
        each = ticks / hertz / count
        printf "one observation of the alerts, with the sessions that asked for it: at most %.0f ms of a processor; each minute: %.3f %% of %d processors\n",
            1000 * each, 100 * each / 60 / processors, processors }'
}

require_root "${arguments[@]}"
choose_server
make_work_directory
steps_total=5
if [[ $instructions == no ]]; then steps_total=4; fi

if [[ $installed == no ]]; then
    step "building and installing for PostgreSQL $PG_MAJOR"
    mapfile -t packages < <(server_packages; if [[ $instructions == yes ]]; then printf 'valgrind\n'; fi)
    install_packages "${packages[@]}"
    lock_server_version
    build_and_install
else
    step "taking the extension that is installed for PostgreSQL $PG_MAJOR"
    bin_directory=$("$PG_CONFIG" --bindir)
fi

step "making the database"
start_server with "shared_buffers = '256MB'" "max_wal_size = '16GB'" "checkpoint_timeout = '1h'" "autovacuum = off" \
    "opsrunbook.index_trial_min_gain = 1000000"
psql_quiet -c 'CREATE DATABASE bench'
as_postgres "${server[@]}" pgbench -i -q -s "$scale" bench >/dev/null 2>&1
stop with
start with
psql_quiet -d bench -c 'CREATE EXTENSION opsrunbook' -c 'CREATE TABLE aside (id integer); CREATE INDEX aside_id ON aside (id)' \
    -c "SELECT opsrunbook.enable_default_schedule()" -c "SELECT opsrunbook.start_index_trial('aside_id')" >/dev/null
stop with
install -d -o postgres -g postgres -m 755 "$work/without" "$work/without/socket"
cp -a "$work/with/data" "$work/without/data"
start without
start with
wait_for_missed_jobs

step "measuring $pairs pairs of $seconds seconds"
for side in with without; do
    use "$side"
    run_pgbench 2 >/dev/null
    freeze "$side"
done
for ((pair = 1; pair <= pairs; pair++)); do
    if ((pair % 10 == 1)); then
        for side in with without; do
            use "$side"
            thaw "$side"
            tidy
            freeze "$side"
        done
    fi
    if ((pair % 2)); then order=(with without); else order=(without with); fi
    for side in "${order[@]}"; do measure "$side"; done
done
report_pairs rate 'transactions a second'
report_pairs work 'transactions a second of processor time, of the whole server'

step "measuring the scheduler's own work"
report_observations

if [[ $instructions == yes ]]; then
    step "counting instructions"
    stop with
    report_instructions
fi
printf 'PostgreSQL %s, %s processors\n' "$("$PG_CONFIG" --version | sed 's/^PostgreSQL //')" "$(nproc)"
