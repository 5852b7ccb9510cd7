# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Control groups that limit a daemon's memory or processor, of either version, for scripts that have
# sourced lib.sh.

LIMITS=/sys/fs/cgroup

limits_are_unified() {
    [ -e $LIMITS/cgroup.controllers ]
}

# limits_group CONTROLLER: makes a group, sets GROUP to its directory; fails where this machine has
# no such controller to give.
limits_group() {
    local own
    if limits_are_unified; then
        GROUP=$LIMITS/egw-${LAB_DIR##*/}
        grep -qw "$1" $LIMITS/cgroup.controllers && echo "+$1" >$LIMITS/cgroup.subtree_control
    else
        own=$(sed -n "s/^[0-9]*:\(.*,\)*$1\(,.*\)*://p" /proc/self/cgroup)
        GROUP=$LIMITS/$1$own/egw-${LAB_DIR##*/}
    fi 2>/dev/null && mkdir "$GROUP" 2>/dev/null
}

limits_join() { # PID
    echo "$1" >"$GROUP/cgroup.procs"
}

# The group goes; who is in it goes back to where this script is.
limits_end() {
    local pid
    for pid in $(<"$GROUP/cgroup.procs"); do echo "$pid" >"${GROUP%/*}/cgroup.procs" || true; done
    rmdir "$GROUP"
}

limits_memory_used() { # bytes
    if limits_are_unified; then cat "$GROUP/memory.current"; else cat "$GROUP/memory.usage_in_bytes"; fi
}

limits_memory() { # BYTES
    local file=memory.limit_in_bytes
    limits_are_unified && file=memory.max
    echo "$1" >"$GROUP/$file"
}

limits_processor() { # PERCENT of one
    if limits_are_unified; then
        echo "$(($1 * 1000)) 100000" >"$GROUP/cpu.max"
    else
        echo 100000 >"$GROUP/cpu.cfs_period_us"
        echo $(($1 * 1000)) >"$GROUP/cpu.cfs_quota_us"
    fi
}
