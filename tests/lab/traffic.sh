# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the lab's pods send and what the server saw of it. lib.sh reads this file.

lab_ask() { # NAMESPACE tcp|udp [OPTION...]: "ADDRESS PORT" as the server outside saw it
    lab_in "$1" "$LAB_TOOLS/ask" "$2" "$LAB_SERVER" "$LAB_PORT" "${@:3}"
}

lab_seen() { # NAMESPACE [tcp|udp]: the address alone
    local answer
    answer=$(lab_ask "$1" "${2:-tcp}" -t 1000) || return
    echo "${answer% *}"
}

lab_seen_is() { # NAMESPACE ADDRESS [tcp|udp]
    expect_equal "what the server saw of $1" "$(lab_seen "$1" "${3:-tcp}" 2>&1)" "$2"
}

# A policy from the manifests beside this file, as it stands in the guide.
lab_policy() { # FILE
    lab_apply policy <"$LAB_ROOT/tests/lab/manifests/$1.yaml"
}

# The one named fixed, with another node as its gateway.
lab_policy_selects() { # HOSTNAME
    sed "s/kubernetes.io\/hostname: .*/kubernetes.io\/hostname: $1/" \
        "$LAB_ROOT/tests/lab/manifests/fixed.yaml" | lab_apply policy
}

lab_ping() { # NAMESPACE [ADDRESS]
    lab_in "$1" "$LAB_TOOLS/ask" ping "${2:-$LAB_SERVER}" 0 -t 1000
}

# ADDRESS PACKETS for each source that came to the server's interface since the last reset.
lab_sources() {
    lab_in outside nft list table netdev lab |
        grep -oE '[0-9a-f.:]+ counter packets [0-9]+' | sed 's/ counter packets//' |
        grep -vE '^(fe80|::)' || true
}

lab_sources_reset() {
    lab_in outside nft 'flush set netdev lab sources; flush set netdev lab sources6'
}

# lab_sources_only ADDRESS...: no packet of any other source has come to the server's interface.
lab_sources_only() {
    local address packets foreign=
    while read -r address packets; do
        [[ " $* 198.51.100.1 " == *" $address "* ]] || foreign+="$address: $packets packets"$'\n'
    done < <(lab_sources)
    expect_equal "other sources at the server" "$foreign" ""
}

# Waits until no packet has come to the server for a while: late acknowledgements are through.
lab_quiet() {
    local end=$((${EPOCHREALTIME/./} + 10000000)) before="" now same=0
    while [ $same -lt 15 ]; do
        now=$(lab_sources)
        if [ "$now" = "$before" ]; then same=$((same + 1)); else same=0; fi
        before=$now
        [ "${EPOCHREALTIME/./}" -lt $end ] || { echo "the server gets packets on and on" >&2 && return 1; }
        lab_pause
    done
}

# lab_client NAME NAMESPACE PROGRAM ARGUMENT...: a program of tests/tools in the background, whose
# input is written by lab_say and whose output is waited for by lab_heard.
lab_client() {
    local client=$LAB_DIR/clients/$1 namespace=$2 program=$3
    shift 3
    rm -f "$client".*
    mkfifo "$client.in"
    (
        trap - ERR
        set +e
        (exec nsenter --net="/run/netns/$namespace" -- "$LAB_TOOLS/$program" "$@") \
            <>"$client.in" >"$client.out" 2>&1 &
        echo $! >"$client.pid"
        wait $!
        echo $? >"$client.status"
    ) &
    disown $!
}

lab_say() { # NAME
    echo go >"$LAB_DIR/clients/$1.in"
}

lab_output_has() { # NAME PATTERN
    grep -qE -- "$2" "$LAB_DIR/clients/$1.out" || { cat "$LAB_DIR/clients/$1.out" && return 1; }
}

lab_heard() { # NAME PATTERN: waits for a line of its output, or its end
    lab_wait 20 lab_output_or_end "$1" "$2"
    lab_output_has "$1" "$2"
}

lab_output_or_end() {
    [ -s "$LAB_DIR/clients/$1.status" ] || lab_output_has "$1" "$2"
}

# The last number that a running transfer has said, to wait for progress beyond it.
lab_progress() { # NAME
    sed -n 's/^at //p' "$LAB_DIR/clients/$1.out" | tail -n 1
}

lab_progressed() { # NAME BYTES
    [ "$(lab_progress "$1")" -gt "$2" ]
}

# lab_advance NAME [AMOUNT]: waits until the transfer has moved another megabyte or two, or whatever
# the client counts by AMOUNT.
lab_advance() {
    lab_wait 20 lab_progressed "$1" "$(($(lab_progress "$1") + ${2:-1048576}))"
}

lab_finish() { # NAME: waits for its end, shows what it said, and fails where it failed
    lab_wait 90 test -s "$LAB_DIR/clients/$1.status"
    cat "$LAB_DIR/clients/$1.out"
    expect_equal "the status of $1" "$(<"$LAB_DIR/clients/$1.status")" 0
}

# The clients that a failed case has left running.
lab_clients_kill() {
    local client
    for client in "$LAB_DIR"/clients/*.pid; do
        [ -e "$client" ] || continue
        [ -s "${client%.pid}.status" ] || kill -KILL "$(<"$client")"
    done
}
