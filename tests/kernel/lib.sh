# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Boots a kernel of Debian under QEMU and runs tests in there that ran here as well. The kernel is
# downloaded by apt (never installed) into a cache of the user; its root directory is an initramfs of
# the test programs and of what they call. A script sources this file and calls kernel_test.

KERNEL_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KERNEL_ROOT=$(cd "$KERNEL_HOME/../.." && pwd)
KERNEL_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/egressgw/kernels
KERNEL_LIMIT=2100 # seconds for the boot and all that runs there, beside other tests

KERNEL_PATH=$PATH:/usr/sbin:/sbin # where the programs are that go into the root directory
KERNEL_QEMU=(qemu-system-x86_64 -cpu "qemu64,+rdrand")
KERNEL_CONSOLE=ttyS0

KERNEL_TESTS=(bpf tools) # of build/tests
KERNEL_DATA=(tests/lab include/egressgw)

# What tests/bpf and tests/lab call; the rest is busybox.
KERNEL_PROGRAMS="awk bash bpftool cat comm cp cut dirname expr find grep head ip ls md5sum mkdir mkfifo
mktemp mount mv nft nsenter pgrep realpath rm sed seq sh sort stat tail tee timeout touch tr umount
unshare wc"
KERNEL_MODULES="8021q bonding bridge cls_bpf macvlan nf_conntrack nf_nat nf_tables nft_chain_nat nft_ct
nft_masq sch_ingress veth"

kernel_skip() { # REASON
    echo "ok 1 - ${0##*/} # SKIP $1"
    echo 1..1
    exit 0
}

# kernel_fetch PACKAGE: prints the directory with the content of the package that PACKAGE depends on.
# Where apt does not know it or cannot get it, one that was fetched earlier has to do. It is there whole
# or not at all: two tests may look for the same one at a time.
kernel_fetch() {
    local name work found
    name=$(apt-cache depends "$1" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    if [ -n "$name" ] && [ ! -e "$KERNEL_CACHE/$1/$name" ]; then
        mkdir -p "$KERNEL_CACHE/$1" && work=$(mktemp -d "$KERNEL_CACHE/$1/.work-XXXXXX") || return
        (
            cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$name" >&2 &&
                dpkg-deb -x "$name"_*.deb root && busybox depmod -b root "${name#linux-image-}" &&
                mv -T root "../$name"
        )
        rm -rf "$work"
    fi
    found=$KERNEL_CACHE/$1/$name
    [ -n "$name" ] && [ -d "$found" ] ||
        found=$(find "$KERNEL_CACHE/$1" -mindepth 1 -maxdepth 1 -name 'linux-image-*' 2>/dev/null |
            sort -V | tail -n 1)
    [ -n "$found" ] && echo "$found"
}

# ---- the initramfs -----------------------------------------------------------------------------

# kernel_libraries PROGRAM...: copies the shared libraries that they need.
kernel_libraries() {
    local library
    ldd "$@" 2>/dev/null | grep -oE '/[^ ):]+\.so[^ ):]*' | sort -u | while read -r library; do
        [ -e "$KERNEL_IMAGE$library" ] || cp -L --parents "$library" "$KERNEL_IMAGE"
    done
}

kernel_copy_programs() {
    local name path
    for name in $KERNEL_PROGRAMS; do
        path=$(PATH=$KERNEL_PATH type -P "$name") || {
            echo "no program $name here" >&2
            return 1
        }
        cp -L "$path" "$KERNEL_IMAGE/usr/bin/$name" || return
        kernel_libraries "$path"
    done
    cp -L "$(PATH=$KERNEL_PATH type -P busybox)" "$KERNEL_IMAGE/usr/bin/busybox"
}

# kernel_copy_modules DIRECTORY VERSION: the modules with those that they depend on. modprobe finds
# all of them by itself there, as the kernel calls it.
kernel_copy_modules() {
    local from=$1/lib/modules/$2 to=$KERNEL_IMAGE/lib/modules/$2 name file
    mkdir -p "$to" && cp "$from"/modules.{builtin,order} "$to" || return
    for name in $KERNEL_MODULES; do
        grep -E "/$name\.ko[^:/]*:" "$from/modules.dep" | tr -d : | tr ' ' '\n' |
            while read -r file; do
                [ -z "$file" ] || (cd "$from" && cp --parents "$file" "$to")
            done
    done
    busybox depmod -b "$KERNEL_IMAGE" "$2"
}

# kernel_copy_tests PROGRAM...: the build, the lab, and the list of what init is to run.
kernel_copy_tests() {
    local to=$KERNEL_IMAGE/egressgw program
    mkdir -p "$to/build/tests" &&
        cp -r "${KERNEL_TESTS[@]/#/$KERNEL_BUILD/tests/}" "$to/build/tests" &&
        cp "$KERNEL_BUILD"/egressgw-{loader,planner,watcher} "$to/build" &&
        (cd "$KERNEL_ROOT" && cp -r --parents "${KERNEL_DATA[@]}" "$to") || return
    find "$to/build" -name '*.[od]' -delete
    find "$to/build" -type f -exec strip -g {} + 2>/dev/null
    for program in "$to"/build/egressgw-* "$to"/build/tests/*/*; do kernel_libraries "$program"; done
    for program; do echo "$program"; done >"$to/programs"
}

kernel_image() { # DIRECTORY VERSION PROGRAM...
    KERNEL_IMAGE=$KERNEL_DIR/image
    mkdir -p "$KERNEL_IMAGE"/usr/{bin,lib,lib64} "$KERNEL_IMAGE"/{dev,etc,proc,run,sys,tmp} || return
    ln -s usr/bin "$KERNEL_IMAGE/bin" && ln -s usr/bin "$KERNEL_IMAGE/sbin" &&
        ln -s bin "$KERNEL_IMAGE/usr/sbin" && ln -s usr/lib "$KERNEL_IMAGE/lib" &&
        ln -s usr/lib64 "$KERNEL_IMAGE/lib64" || return
    cp "$KERNEL_HOME/init" "$KERNEL_IMAGE/init" &&
        kernel_copy_programs && kernel_copy_modules "$1" "$2" && kernel_copy_tests "${@:3}" &&
        (cd "$KERNEL_IMAGE" && find . | cpio --quiet -o -H newc) >"$KERNEL_DIR/initramfs"
}

# ---- the machine -------------------------------------------------------------------------------

# kernel_boot DIRECTORY VERSION: what the machine said on its console is in the file console after.
# Without KVM, which in a virtual machine may be there and not work; the plain processor
# is the one that is emulated fastest. Its clock counts instructions and skips what it idles: however
# busy the host is, the tests see the same machine.
kernel_boot() {
    timeout --kill-after=5 $KERNEL_LIMIT "${KERNEL_QEMU[@]}" -accel tcg \
        -icount shift=2,sleep=off -rtc clock=vm -smp 1 -m 1536 -nodefaults -no-reboot -display none -monitor none -serial stdio \
        -kernel "$1/boot/vmlinuz-$2" -initrd "$KERNEL_DIR/initramfs" \
        -append "console=$KERNEL_CONSOLE loglevel=3 mitigations=off panic=-1 oops=panic" \
        >"$KERNEL_DIR/raw" 2>"$KERNEL_DIR/qemu.log" </dev/null &
    KERNEL_MACHINE=$!
    wait $KERNEL_MACHINE
    KERNEL_STATUS=$?
    KERNEL_MACHINE=
    tr -d '\r' <"$KERNEL_DIR/raw" >"$KERNEL_DIR/console"
}

kernel_end() {
    [ -z "${KERNEL_MACHINE:-}" ] || { kill "$KERNEL_MACHINE" && wait "$KERNEL_MACHINE"; } 2>/dev/null
    rm -rf "$KERNEL_DIR"
}

# kernel_said PROGRAM: what it said on the console, and behind "@end " its status and its seconds.
kernel_said() {
    awk -v begin="@begin $1" -v end="@end $1" '
        substr($0, 1, length(end) + 1) == end " " { print "@end", $(NF - 1), $NF; exit }
        found { print }
        $0 == begin { found = 1 }' "$KERNEL_DIR/console"
}

# kernel_report VERSION PROGRAM...: one line of TAP for each program, what it said where it failed.
kernel_report() {
    local version=$1 number=0 failed=0 program said status seconds passed
    shift
    for program; do
        number=$((number + 1))
        said=$(kernel_said "$program")
        read -r _ status seconds < <(grep '^@end ' <<<"$said")
        passed=$(grep -E '^ok\b' <<<"$said" | grep -vc '# SKIP')
        if [ "${status:-}" = 0 ] && [ "$passed" -gt 0 ] && ! grep -q '^not ok' <<<"$said"; then
            echo "ok $number - Linux $version: ${program#build/}: $passed tests in $seconds s"
            continue
        fi
        failed=$((failed + 1))
        echo "not ok $number - Linux $version: ${program#build/} ended with ${status:-no status}"
        [ -n "$said" ] || said=$(tail -n 60 "$KERNEL_DIR/console" "$KERNEL_DIR/qemu.log")
        tail -n 200 <<<"$said" | sed 's/^/#   /' # indented: only the lines above are results
    done
    [ "$KERNEL_STATUS" = 0 ] || echo "# the machine ended with status $KERNEL_STATUS"
    echo "1..$number"
    [ "$failed" -eq 0 ]
}

# kernel_test PACKAGE PROGRAM...: boots the kernel of PACKAGE and runs the programs there: paths as in
# the repository or below build/, then a blank and a pattern of cases if not all are meant.
kernel_test() {
    local package=$1 directory version
    shift
    KERNEL_BUILD=$(realpath "${EGRESSGW_BUILD:-$KERNEL_ROOT/build}")
    if [ ! -x "$KERNEL_BUILD/egressgw-loader" ] || [ ! -x "$KERNEL_BUILD/tests/tools/serve" ]; then
        echo "$0: nothing is built in $KERNEL_BUILD: run make tests first" >&2
        exit 1
    fi
    [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
        kernel_skip "needs Debian on amd64, where the kernel's package and QEMU for it are"
    for program in "${KERNEL_QEMU[0]}" busybox cpio; do
        type -P $program >/dev/null || kernel_skip "needs $program (make deps installs it)"
    done
    directory=$(kernel_fetch "$package") || kernel_skip "apt has no $package to download"
    version=$(basename "$directory"/boot/vmlinuz-*)
    version=${version#vmlinuz-}
    KERNEL_DIR=$(mktemp -d "${TMPDIR:-/tmp}/egw-kernel-XXXXXX") || exit 1
    trap kernel_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    kernel_image "$directory" "$version" "$@" || { echo "no initramfs" >&2 && exit 1; }
    kernel_boot "$directory" "$version"
    [ -z "${EGRESSGW_LAB_LOGS:-}" ] || cp "$KERNEL_DIR/console" "$EGRESSGW_LAB_LOGS/$version.console"
    kernel_report "$version" "$@"
    exit
}

# Every program of tests/bpf, or of the other one named.
kernel_programs() { # [bpf|unit]
    local program
    for program in "${EGRESSGW_BUILD:-$KERNEL_ROOT/build}/tests/${1:-bpf}"/test_*; do
        case $program in *.[od]) ;; *) echo "build/tests/${1:-bpf}/${program##*/}" ;; esac
    done
}
