#!/bin/bash
# Another Debian's PostgreSQL on this machine: a root made by debootstrap in /var/cache/opsrunbook, and kept there.

# shellcheck source=scripts/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

usage()
{
    cat <<'TEXT'
scripts/debian-root.sh SUITE MAJOR [COMMAND...]

Makes, or reuses, a root of Debian SUITE with PostgreSQL MAJOR and what building and testing the extension needs
(trixie 17, forky 18), copies the project to /srv/opsrunbook in it, and runs COMMAND there, as root, in that folder.
Prints the root's place when there is no COMMAND.  Run as root or with sudo.
TEXT
}

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    usage
    exit 0
fi
if [[ $# -lt 2 || ! $1 =~ ^[a-z]+$ || ! $2 =~ ^[0-9]+$ ]]; then
    usage >&2
    exit 2
fi
require_root "$@"
suite=$1
PG_MAJOR=$2
shift 2
unset PG_CONFIG
choose_server
make_work_directory
root=$cache/$suite
# Says which packages the root has; it is written last, so a root without it was left half-made.
marker=$root/.opsrunbook-root

# The mirror that this machine's own apt uses.
debian_mirror()
{
    # shellcheck disable=SC2016 # apt expands it
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && !found { print $2; found = 1 }'
}

# Runs a command in the root with /proc, /dev and a shared memory of its own.  The mounts, and whatever the command
# started, live in namespaces that end with it: nothing is left mounted or running, whatever happens.
in_root()
{
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --pid --ipc --fork --kill-child --propagation private /bin/bash -c '
        set -e
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mkdir -p "$root/dev/shm"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
    ' in_root "$root" "$@"
}

make_root()
{
    local mirror script=''
    install_packages debootstrap
    mirror=$(debian_mirror)
    if [[ -z $mirror ]]; then
        logged apt-update apt-get update
        mirror=$(debian_mirror)
    fi
    [[ -n $mirror ]] || die "apt names no Debian mirror on this machine, so there is none to make a root from"

    # A half-made root is of no use; a file system that is still mounted in it must not be emptied with it.
    if grep -q " $root/" /proc/mounts; then die "something is still mounted below $root: unmount it first"; fi
    rm -rf --one-file-system -- "$root"
    mkdir -p "$root"

    # Suites newer than this machine's debootstrap are made as sid is.
    [[ -e /usr/share/debootstrap/scripts/$suite ]] || script=sid
    say "      debootstrap $suite"
    # shellcheck disable=SC2086 # no script is no argument
    if ! logged debootstrap debootstrap --variant=minbase --include=ca-certificates \
        "$suite" "$root" "$mirror" $script; then
        show_log
        rm -rf --one-file-system -- "$root"
        die "debootstrap could not make a root of Debian $suite on this machine"
    fi

    printf '#!/bin/sh\n# No service is started in this root.\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mkdir -p "$root/etc/postgresql-common"
    printf 'create_main_cluster = false\n' >"$root/etc/postgresql-common/createcluster.conf"
    # Mirrors of a testing suite may lag behind, and a suite that is frozen for long is still good to test with.
    printf 'Acquire::Check-Valid-Until "false";\n' >"$root/etc/apt/apt.conf.d/50opsrunbook"
}

step_packages() { server_packages; test_packages; }

wanted=$(step_packages | LC_ALL=C sort | tr '\n' ' ')

# One maker at a time; others wait, and then find it made.
install -d -m 755 "$cache"
exec {lock_fd}>"$cache/lock-root-$suite"
flock "$lock_fd"

if [[ ! -e $marker || $(<"$marker") != "$wanted" ]]; then
    current_step="making a root of Debian $suite"
    say "      making a root of Debian $suite with PostgreSQL $PG_MAJOR (some minutes, once)"
    if [[ ! -e $marker ]]; then make_root; fi
    say "      installing PostgreSQL $PG_MAJOR in it"
    # shellcheck disable=SC2086 # a list of words
    if ! { logged root-update in_root apt-get update &&
        logged root-install in_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends $wanted; }; then
        show_log
        die "apt could not install PostgreSQL $PG_MAJOR in the root of Debian $suite"
    fi
    in_root apt-get clean
    printf '%s\n' "$wanted" >"$marker"
fi
flock --unlock "$lock_fd"

if [[ $# -eq 0 ]]; then
    say "$root"
    exit 0
fi

# Built files stay behind, by the same rule as for the build tree.
current_step="copying the project to $root"
tree=$root/srv/opsrunbook
rm -rf --one-file-system -- "$tree"
mkdir -p "$tree"
tree_files "$project" | tar -C "$project" -cf - -T - | tar -C "$tree" -xf - --no-same-owner

current_step="running $1 in $root"
status=0
in_root /bin/sh -c 'cd /srv/opsrunbook && exec "$@"' sh "$@" || status=$?
exit "$status"
