# shellcheck shell=bash
# What test.sh, demo.sh and debian-root.sh share: failure reports, packages, the build tree, throwaway servers.
#
# A script sources this file, may set `steps_total`, calls `step` before each stage, and may define `at_exit`,
# which runs after the clean-up.  Everything temporary lives below $work, which is removed on the way out; a server
# whose data directory is below $work is stopped first.

set -Eeuo pipefail
umask 022
shopt -s inherit_errexit nullglob

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin_directory=''
cache=/var/cache/opsrunbook
work=''
keep_work=no
build_tree=''
lock_fd=''
log_file=''
steps_total=0
steps_done=0
current_step='starting'

# ---- failure and clean-up --------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

die()
{
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

show_log()  # [FILE [LINES]]
{
    local file=${1:-$log_file} lines=${2:-30}
    [[ -n $file && -s $file ]] || return 0
    printf -- '---- last lines of the log ----\n' >&2
    tail -n "$lines" "$file" >&2
    printf -- '-------------------------------\n' >&2
}

on_error()  # STATUS LINE COMMAND
{
    # A subshell's failure is reported once, by the shell that waits for it.
    [[ $BASHPID == "$$" ]] || return 0
    trap - ERR
    printf '%s: failed while %s (line %s, exit status %s)\n  %s\n' "$(basename "$0")" "$current_step" "$2" "$1" "$3" >&2
    show_log
    exit 1
}

stop_servers()
{
    local pid_file pid _
    [[ -n $work && -d $work ]] || return 0
    while IFS= read -r pid_file; do
        pid=$(head -n 1 "$pid_file" 2>/dev/null) || continue
        [[ $pid =~ ^[0-9]+$ ]] || continue
        pkill -CONT -P "$pid" # what a bench has stopped takes no other signal
        kill -CONT "$pid" 2>/dev/null
        kill -INT "$pid" 2>/dev/null || continue
        for _ in {1..150}; do
            kill -0 "$pid" 2>/dev/null || continue 2
            sleep 0.1
        done
        kill -QUIT "$pid" 2>/dev/null || true
        sleep 1
    done < <(find "$work" -name postmaster.pid 2>/dev/null)
}

on_exit()
{
    local status=$?
    trap - ERR
    set +e
    if [[ -n $work && $keep_work == no ]]; then
        stop_servers
        rm -rf --one-file-system -- "$work"
    fi
    if declare -F at_exit >/dev/null; then at_exit; fi
    exit "$status"
}

trap 'on_error $? $LINENO "$BASH_COMMAND"' ERR
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step()  # what happens now, as a phrase that also reads well after "failed while"
{
    steps_done=$((steps_done + 1))
    current_step=$1
    printf '[%d/%d] %s\n' "$steps_done" "$steps_total" "$1"
}

# Keeps the output of a long command in a log that is shown only when something fails.
logged()  # NAME COMMAND...
{
    log_file=$work/log/$1
    shift
    "$@" >"$log_file" 2>&1 </dev/null
}

# ---- who runs this, and where ----------------------------------------------------------------------------------

# The server refuses to run as root, and apt and make install need root: so scripts start as root and step down.
require_root()  # the script's arguments
{
    [[ $EUID -ne 0 ]] || return 0
    if command -v sudo >/dev/null; then
        say "$(basename "$0") installs packages and the extension: going on with sudo"
        exec sudo env ${PG_MAJOR:+PG_MAJOR="$PG_MAJOR"} ${PG_CONFIG:+PG_CONFIG="$PG_CONFIG"} bash "$0" "$@"
    fi
    die "must be run as root (it installs packages and the extension); there is no sudo on this machine"
}

make_work_directory()
{
    work=$(mktemp -d /tmp/opsrunbook.XXXXXX)
    mkdir "$work/log"
    chmod 755 "$work"
}

# PG_MAJOR picks Debian's server of that version; PG_CONFIG picks any other server.
choose_server()
{
    if [[ -n ${PG_CONFIG:-} ]]; then
        command -v "$PG_CONFIG" >/dev/null || die "PG_CONFIG=$PG_CONFIG is not there"
        PG_CONFIG=$(command -v "$PG_CONFIG")
        PG_MAJOR=$("$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
    else
        PG_MAJOR=${PG_MAJOR:-15}
        PG_CONFIG=/usr/lib/postgresql/$PG_MAJOR/bin/pg_config
    fi
    [[ $PG_MAJOR =~ ^[0-9]+$ ]] || die "PG_MAJOR must be a number such as 15, not '$PG_MAJOR'"
    # Nothing of the caller's own connection settings may leak into the throwaway servers.
    local name
    for name in ${!PG*}; do
        [[ $name == PG_MAJOR || $name == PG_CONFIG ]] || unset "$name"
    done
}

# Two runs for one server version would replace each other's installed module under a running test.
lock_server_version()
{
    install -d -m 755 "$cache"
    exec {lock_fd}>"$cache/lock-$PG_MAJOR"
    if ! flock --nonblock "$lock_fd"; then
        say "another run for PostgreSQL $PG_MAJOR is under way: waiting for it"
        flock "$lock_fd"
    fi
}

# ---- packages --------------------------------------------------------------------------------------------------

server_packages()
{
    printf '%s\n' g++ make
    if [[ $PG_CONFIG == /usr/lib/postgresql/$PG_MAJOR/bin/pg_config ]]; then
        printf '%s\n' "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR"
    fi
}

test_packages()
{
    printf '%s\n' libtap-parser-sourcehandler-pgtap-perl libipc-run-perl
    if [[ $PG_CONFIG == /usr/lib/postgresql/$PG_MAJOR/bin/pg_config ]]; then
        printf '%s\n' "postgresql-$PG_MAJOR-pgtap" "postgresql-$PG_MAJOR-cron"
    fi
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Installing a server package makes and starts a cluster called main, unless told otherwise.  We want the programs
# only.  A setting that the machine's owner made stands.
without_main_cluster()  # COMMAND...
{
    local drop_in=/etc/postgresql-common/createcluster.d/opsrunbook.conf status=0
    if grep -qsE '^[[:space:]]*create_main_cluster' /etc/postgresql-common/createcluster.conf; then
        "$@"
        return
    fi
    mkdir -p "$(dirname "$drop_in")"
    printf 'create_main_cluster = false\n' >"$drop_in"
    "$@" || status=$?
    rm -f "$drop_in"
    return "$status"
}

apt_install()
{
    apt-get update -o DPkg::Lock::Timeout=300
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

install_packages()
{
    local package missing=()
    command -v dpkg-query >/dev/null ||
        die "this machine has no apt: install g++, make, PostgreSQL and its headers by hand"
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    say "      installing ${missing[*]}"
    if ! without_main_cluster logged apt apt_install "${missing[@]}"; then
        show_log
        die "apt could not install: ${missing[*]}"
    fi
}

# ---- the build -------------------------------------------------------------------------------------------------

# Runs a command as the servers' user, in the build tree, with a clean environment.  Assignments may stand before
# the command, as with env.
as_postgres()
{
    (
        if [[ -n $lock_fd ]]; then exec {lock_fd}>&-; fi
        cd "${build_tree:-/}"
        exec runuser -u postgres -- env -i HOME=/nonexistent LANG=C.UTF-8 LC_ALL=C.UTF-8 TMPDIR=/tmp \
            PATH="$bin_directory:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
    )
}

tree_files()
{
    (
        cd "$1"
        find . \( -name .git -o -path ./build -o -path ./results -o -path ./tmp_check -o -path ./output_iso \) -prune \
            -o -type f ! -name '*.o' ! -name '*.d' ! -name '*.so' ! -name '*.bc' ! -path './opsrunbook--*.sql' \
            ! -name 'regression.*' -printf '%P\n' | LC_ALL=C sort
    )
}

# Copies the sources to a place that the postgres user can read and write (a clone may be below /root).  Only files
# whose content differs are copied, so that a second run, even from a fresh clone, compiles only what changed.
copy_to_build_tree()
{
    local file stamp clean=no
    id postgres >/dev/null 2>&1 || die "there is no user 'postgres' to run a server as"
    bin_directory=$("$PG_CONFIG" --bindir)
    build_tree=$cache/build/$PG_MAJOR
    install -d -m 755 "$cache" "$cache/build" "$build_tree" "$build_tree/build"

    stamp="$("$PG_CONFIG" --version) $("$PG_CONFIG" --pgxs) $(g++ --version | head -n 1)"
    # Objects do not depend on the make files, nor on sources that are gone: these cases start anew.
    [[ $(cat "$build_tree/build/built-for" 2>/dev/null) == "$stamp" ]] || clean=yes
    while IFS= read -r file; do
        rm -f -- "$build_tree/$file"
        clean=yes
    done < <(LC_ALL=C comm -13 <(tree_files "$project") <(tree_files "$build_tree"))
    while IFS= read -r file; do
        cmp -s "$project/$file" "$build_tree/$file" && continue
        mkdir -p "$build_tree/$(dirname "$file")"
        cp --remove-destination --preserve=mode "$project/$file" "$build_tree/$file"
        if [[ $file == Makefile || $file == *.mk ]]; then clean=yes; fi
    done < <(tree_files "$project")
    if [[ $clean == yes ]]; then
        find "$build_tree" \( -name '*.o' -o -name '*.d' -o -name '*.so' -o -path "$build_tree/opsrunbook--*.sql" \) \
            -delete
        rm -rf "$build_tree/build"
        mkdir "$build_tree/build"
        printf '%s\n' "$stamp" >"$build_tree/build/built-for"
    fi
    chown -R postgres: "$build_tree"
}

build_and_install()
{
    copy_to_build_tree
    if ! logged build as_postgres make -j"$(nproc)" PG_CONFIG="$PG_CONFIG"; then
        show_log "$log_file" 60
        die "the build for PostgreSQL $PG_MAJOR failed"
    fi
    logged install make -C "$build_tree" install PG_CONFIG="$PG_CONFIG"
}

# ---- throwaway servers -----------------------------------------------------------------------------------------

# The server listens on a socket in its own directory and on no address, so no port can be taken.  Afterwards
# "${server[@]}" before a client command points it there:  as_postgres "${server[@]}" psql ...
server=()

start_server()  # NAME [LINE OF postgresql.conf]...
{
    local directory=$work/$1
    shift
    install -d -o postgres -g postgres -m 755 "$directory" "$directory/socket"
    logged initdb as_postgres initdb --pgdata="$directory/data" --auth=trust --username=postgres --encoding=UTF8 \
        --locale=C.UTF-8 --no-sync
    {
        printf "listen_addresses = ''\nunix_socket_directories = '%s'\nport = 5432\n" "$directory/socket"
        # A crash of the machine loses nothing worth keeping here.
        printf "fsync = off\nmax_wal_size = '4GB'\nlog_line_prefix = '%%m [%%p] %%b '\n"
        printf '%s\n' "$@"
    } >>"$directory/data/postgresql.conf"
    logged start as_postgres pg_ctl --pgdata="$directory/data" --log="$directory/server.log" --wait start || {
        show_log "$directory/server.log"
        die "the throwaway server did not start"
    }
    server=(PGHOST="$directory/socket" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres)
}

psql_quiet() { as_postgres "${server[@]}" psql -X -q -v ON_ERROR_STOP=1 "$@"; }
