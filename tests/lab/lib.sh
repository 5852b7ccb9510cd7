# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A cluster in network namespaces for the tests and the demo:
#
#   pods ── worker ──┐                              ┌── outside 198.51.100.10
#   (veth, /32)      ├── fabric (bridge, router) ───┘   (counts each source at its interface)
#           gateways ┘   172.22.48.1/20   198.51.100.1
#
# The router knows no pod: an answer comes back only to a node's own address. Each node has strict
# rp_filter, its own configuration, runtime directory, pins and three daemons. All of it lives in
# namespaces of the calling script, so that names cannot meet those of another run, and goes when the
# script ends, however it ends.
#
# A script sources this file, calls lab_begin "$@", builds what it needs, then either shows it (the
# demo) or runs cases (lab_case) and ends with lab_end.

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_SERVER=198.51.100.10
LAB_PORT=8080
LAB_DAEMONS="loader planner watcher"
LAB_SECONDS=600 # after which servers and long clients end by themselves
LAB_UNDERLAY=172.22.48.0/20

. "$LAB_ROOT/tests/lab/network.sh"
. "$LAB_ROOT/tests/lab/traffic.sh"

# ---- beginning and end -------------------------------------------------------------------------

# lab_begin [PATTERN]: the script goes on in mount and process namespaces of its own, with a temporary
# directory. Only cases whose name holds PATTERN run. EGRESSGW_BUILD names the build directory; the
# nodes' logs and configurations are kept in EGRESSGW_LAB_LOGS, where that is set.
lab_begin() {
    if [ "$(id -u)" != 0 ]; then
        echo "$0: network namespaces and BPF need root: run it as root, or with sudo" >&2
        exit 1
    fi
    [ "${LAB_INSIDE:-}" = yes ] || lab_supervise "$@"
    unset LAB_INSIDE
    LAB_PATTERN=${1:-}
    LAB_BUILD=$(realpath "${EGRESSGW_BUILD:-$LAB_ROOT/build}")
    if [ ! -x "$LAB_BUILD/egressgw-loader" ] || [ ! -x "$LAB_BUILD/tests/tools/serve" ]; then
        echo "$0: nothing is built in $LAB_BUILD: run make tests first" >&2
        exit 1
    fi
    LAB_TOOLS=$LAB_BUILD/tests/tools
    LAB_LOADER=$LAB_BUILD/egressgw-loader
    LAB_NUMBER=0 LAB_FAILED=0
    mkdir -p /run/netns "$LAB_DIR"/{bpf,manifests,staging,clients,nodes}
    mount -t tmpfs egw-netns /run/netns || exit 1
    mount -t bpf egw-bpf "$LAB_DIR/bpf" || exit 1
    exec {LAB_NEVER}<> <(:)
}

# Runs the script once more as the first process of its namespaces. Whatever becomes of it, and of
# this process short of SIGKILL, the kernel then ends every process in there and with them goes every
# network namespace, mount and pin; the directory goes here.
lab_supervise() {
    LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/egw-$$-XXXXXX") || exit 1
    chmod 755 "$LAB_DIR"
    export LAB_DIR
    trap lab_supervise_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    set -m # else the script inside could never again listen to an interrupt
    LAB_INSIDE=yes unshare --mount --propagation private --pid --fork --kill-child --mount-proc -- \
        "$BASH" "$0" "$@" &
    LAB_SCRIPT=$!
    set +m
    wait $LAB_SCRIPT
    exit
}

lab_supervise_end() {
    local inside state
    trap '' INT TERM HUP
    inside=$(cat "/proc/$LAB_SCRIPT/task/$LAB_SCRIPT/children" 2>/dev/null)
    inside=${inside%% *}
    if [ -n "$inside" ]; then
        # unshare stands still, else it would comment on its child's end. The first process inside is
        # over once all others are.
        kill -STOP "$LAB_SCRIPT"
        kill -KILL "$inside"
        while read -r _ _ state _ 2>/dev/null <"/proc/$inside/stat" && [ "$state" != Z ]; do
            read -rt 0.01 <> <(:)
        done
        kill -KILL "$LAB_SCRIPT"
    fi
    wait "$LAB_SCRIPT" 2>/dev/null
    [ -z "${EGRESSGW_LAB_LOGS:-}" ] || cp -r "$LAB_DIR/nodes" "$EGRESSGW_LAB_LOGS/${LAB_DIR##*/}"
    rm -rf "$LAB_DIR"
}

lab_daemons_run() {
    local status ended=
    for status in "$LAB_DIR"/nodes/*/*.status; do
        [ ! -e "$status" ] || ended+="${status#"$LAB_DIR/nodes/"} $(<"$status")"$'\n'
    done
    expect_equal "daemons that ended by themselves, with their status," "$ended" ""
}

# Ends a script of cases: what still has to run runs; the plan, and the status.
lab_end() {
    [ -z "$(ls "$LAB_DIR/nodes")" ] || lab_case "no daemon has ended by itself" lab_daemons_run
    echo "1..$LAB_NUMBER"
    [ "$LAB_FAILED" -eq 0 ]
    exit
}

# ---- waiting -----------------------------------------------------------------------------------

lab_pause() { # [MICROSECONDS], less than a second; by default a fiftieth of one
    local seconds
    printf -v seconds '0.%06d' "${1:-20000}"
    read -rt "$seconds" <&"$LAB_NEVER" || true
}

# lab_wait SECONDS COMMAND...: until the command succeeds; after SECONDS its output is shown. An
# emulated processor sets LAB_SLOWNESS to how many times as long it takes. What takes long is looked at
# less often: looking takes time of what is waited for.
lab_wait() {
    local start=${EPOCHREALTIME/./} limit=$(($1 * ${LAB_SLOWNESS:-1} * 1000000)) waited pause output
    shift
    until output=$("$@" 2>&1); do
        waited=$((${EPOCHREALTIME/./} - start)) pause=$((waited / 10))
        if [ $waited -gt $limit ]; then
            echo "waited in vain for: $*" >&2
            [ -z "$output" ] || printf '%s\n' "$output" >&2
            return 1
        fi
        lab_pause $((pause < 20000 ? 20000 : pause > 200000 ? 200000 : pause))
    done
}

# ---- cases -------------------------------------------------------------------------------------

# lab_case NAME FUNCTION: runs the function in a subshell in which any failing command ends it.
lab_case() {
    local status
    [[ $1 == *"$LAB_PATTERN"* ]] || return 0
    LAB_NUMBER=$((LAB_NUMBER + 1))
    (
        set -eE
        trap 'lab_trace "$BASH_COMMAND"' ERR
        "$2"
    ) >"$LAB_DIR/case.log" 2>&1
    status=$?
    if [ "$status" -eq 0 ]; then
        echo "ok $LAB_NUMBER - $1"
        return 0
    fi
    LAB_FAILED=$((LAB_FAILED + 1))
    echo "not ok $LAB_NUMBER - $1"
    sed 's/^/#   /' "$LAB_DIR/case.log"
    lab_diagnose | sed 's/^/# /'
    lab_clients_kill
}

# The command that failed and the lines that led there.
lab_trace() {
    local level=0 line
    echo "failed: $1" >&2
    while line=$(caller $level); do
        echo "  at $line" >&2
        level=$((level + 1))
    done
}

lab_skip() { # NAME REASON
    [[ $1 == *"$LAB_PATTERN"* ]] || return 0
    LAB_NUMBER=$((LAB_NUMBER + 1))
    echo "ok $LAB_NUMBER - $1 # SKIP $2"
}

lab_sanitized() { # the daemons are built with sanitizers
    grep -q __asan_init "$LAB_LOADER"
}

# lab_needs_shipped NAME WHY: ends the script where the daemons are not built as they are shipped.
lab_needs_shipped() {
    ! lab_sanitized || { lab_skip "$1" "$2" && lab_end; }
}

# lab_case_shipped NAME FUNCTION WHY: the same for one case.
lab_case_shipped() {
    if lab_sanitized; then lab_skip "$1" "$3"; else lab_case "$1" "$2"; fi
}

# The address sanitizer, where the daemons have it, keeps what was given back; from now on not much of it.
lab_memory_is_measured() {
    export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1:thread_local_quarantine_size_kb=64
}

expect_equal() { # WHAT ACTUAL EXPECTED
    [ "$2" = "$3" ] && return 0
    printf '%s is\n%s\nand should be\n%s\n' "$1" "$2" "$3" >&2
    return 1
}

expect_failure() { # COMMAND...: must fail
    local output
    output=$("$@" 2>&1) || return 0
    printf 'succeeded and should not have: %s\n%s\n' "$*" "$output" >&2
    return 1
}

# What helps to understand a failure: the ends of the logs, dumps, counters, the server's sources.
lab_diagnose() {
    local node log
    for node in "$LAB_DIR"/nodes/*; do
        [ -d "$node" ] || continue
        echo "--- ${node##*/}: dump"
        lab_dump "${node##*/}" 2>&1 | head -n 20
        echo "--- ${node##*/}: counters"
        lab_counters "${node##*/}" 2>&1 | head -n 30
        for log in "$node"/*.log; do
            [ -s "$log" ] || continue
            echo "--- ${node##*/}: ${log##*/}"
            tail -n 12 "$log"
        done
    done
    [ -e /run/netns/outside ] || return 0
    echo "--- sources at the server's interface"
    lab_sources 2>&1
}

# ---- daemons -----------------------------------------------------------------------------------

lab_daemon_start() { # NODE DAEMON; the loader may be another one, LAB_LOADER
    local node=$LAB_DIR/nodes/$1 program=$LAB_BUILD/egressgw-$2
    [ "$2" != loader ] || program=$LAB_LOADER
    rm -f "$node/$2.pid" "$node/$2.status"
    (
        trap - ERR
        set +e
        # By exec, so that the pid is the daemon's own and signals reach it.
        (exec nsenter --net="/run/netns/$1" -- "$program" --config "$node/egressgw.yaml") >>"$node/$2.log" 2>&1 {LAB_NEVER}>&- </dev/null &
        echo $! >"$node/$2.pid"
        wait $!
        echo $? >"$node/$2.status"
    ) 2>/dev/null &
    disown $!
    lab_wait 5 test -s "$node/$2.pid"
}

lab_daemons_start() { # NODE...
    local name daemon
    for name; do
        for daemon in $LAB_DAEMONS; do lab_daemon_start "$name" "$daemon"; done
    done
}

lab_daemon_end() { # NODE DAEMON SIGNAL: returns once it is gone, fails with another status than 0
    local node=$LAB_DIR/nodes/$1
    kill "-$3" "$(<"$node/$2.pid")"
    lab_wait 5 test -s "$node/$2.status"
    [ "$3" = KILL ] || expect_equal "the status of $2" "$(<"$node/$2.status")" 0
    rm -f "$node/$2.status"
}

lab_loader() { # NODE OPTION...: the loader as a command
    lab_in "$1" "$LAB_LOADER" --config "$LAB_DIR/nodes/$1/egressgw.yaml" "${@:2}"
}

lab_dump() { # NODE [OPTION...]
    lab_loader "$1" --dump "${@:2}"
}

# The dump's rows without its head, single blanks between the columns.
lab_rows() { # NODE
    lab_dump "$1" | tail -n +2 | sed 's/  */ /g; s/ $//'
}

lab_rows_are() { # NODE ROWS
    expect_equal "the dump of $1" "$(lab_rows "$1")" "$2"
}

lab_row_is() { # NODE ROW: the dump holds this row
    lab_rows "$1" | grep -qxF -- "$2" || { lab_rows "$1" >&2 && return 1; }
}

# NAME PACKETS for each counter that is not zero, straight from the map.
lab_counters() { # NODE
    local layout=$LAB_ROOT/include/egressgw/layout.h names most
    names=$(sed -n '/^enum drop_reason/,/^};/s/^    \([A-Z_]*\).*/\1/p' "$layout" |
        grep -vxE '(DROP|COUNT)_LIMIT|COUNTERS')
    most=$(sed -n 's/^#define DROP_REASONS_MOST //p' "$layout")
    bpftool map dump pinned "$(lab_pins "$1")/maps/counters" 2>/dev/null |
        awk -v names="$names" -v most="$most" '
        BEGIN {
            count = split(names, names_in_order, "\n")
            for (i = 1; i <= count; i++)
                name[names_in_order[i] ~ /^COUNT_/ ? most + carried++ : i - 1] = names_in_order[i]
        }
        /"key":/ { gsub(/[^0-9]/, "", $2); key = $2 }
        /"packets":/ { gsub(/[^0-9]/, "", $2); sum[key] += $2 }
        END { for (key in sum) if (sum[key]) print name[key], sum[key] }' | sort
}

lab_counter() { # NODE NAME
    local packets
    packets=$(lab_counters "$1" | sed -n "s/^$2 //p")
    echo "${packets:-0}"
}
