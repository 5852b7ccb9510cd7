# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Builds for arm64 and boots its kernel, on amd64. Nothing of that architecture is installed: its
# packages, libraries to link with and programs for the machine alike, are unpacked into a root
# directory in the cache. A script sources this file after lib.sh.

ARM64_CACHE=${KERNEL_CACHE%/*}/arm64
ARM64_ROOT=$ARM64_CACHE/root
ARM64_LIBRARIES=$ARM64_ROOT/usr/lib/aarch64-linux-gnu
# Beside what a build needs; libraries come along.
ARM64_PACKAGES="bash busybox-static coreutils findutils grep mawk mount sed"

PATH=/usr/aarch64-linux-gnu/bin:$PATH # for strip
KERNEL_PATH=$ARM64_ROOT/usr/bin:$ARM64_ROOT/usr/sbin
KERNEL_QEMU=(qemu-system-aarch64 -M virt -cpu "${ARM64_PROCESSOR:-max,pauth-impdef=on}")
KERNEL_CONSOLE=ttyAMA0
KERNEL_LIMIT=7200
KERNEL_TESTS+=(unit)
KERNEL_DATA+=(tests/unit/semantics docs/observing.md)

# apt, as if this were a machine of that architecture with nothing on it.
arm64_apt() {
    mkdir -p "$ARM64_CACHE/apt/lists/partial" "$ARM64_CACHE/apt/archives/partial" || return
    : >"$ARM64_CACHE/apt/status"
    cat >"$ARM64_CACHE/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::State "$ARM64_CACHE/apt";
Dir::State::status "$ARM64_CACHE/apt/status";
Dir::Cache "$ARM64_CACHE/apt";
EOF
    export APT_CONFIG=$ARM64_CACHE/apt.conf
}

# Packages that packages depend on and no program of ours uses.
arm64_unused() { # FILE
    case ${1##*/} in libboost* | libperl* | perl*) ;; *) return 1 ;; esac
}

arm64_unpack() { # DIRECTORY
    local file
    mkdir -p "$1"/usr/{bin,lib,sbin} && ln -s usr/bin usr/lib usr/sbin "$1" || return
    for file in "$ARM64_CACHE"/apt/archives/*.deb; do
        arm64_unused "$file" ||
            dpkg-deb --fsys-tarfile "$file" | tar -x -C "$1" --keep-directory-symlink || return
    done
    ln -s mawk "$1/usr/bin/awk" && ln -s bash "$1/usr/bin/sh"
}

# arm64_fetch: the root directory, anew where the archive has other versions than it was made of, or the
# one of an earlier time where there is no archive.
arm64_fetch() {
    local wanted work=$ARM64_CACHE/root-new
    apt-get -qq update >&2 || true
    # shellcheck disable=SC2046,SC2086
    set -- -qq -y install $("$KERNEL_ROOT/tests/deps" target) $ARM64_PACKAGES
    wanted=$(apt-get --print-uris "$@" | cut -d ' ' -f 2 | sort)
    [ "$wanted" != "$(cat "$ARM64_ROOT.packages" 2>/dev/null)" ] || return 0
    rm -rf "$work" "$ARM64_ROOT.packages" "$ARM64_CACHE"/apt/archives/*.deb
    if [ -n "$wanted" ] && apt-get --download-only "$@" >&2 && arm64_unpack "$work"; then
        rm -rf "$ARM64_ROOT" && mv "$work" "$ARM64_ROOT" && echo "$wanted" >"$ARM64_ROOT.packages"
    fi
    rm -f "$ARM64_CACHE"/apt/archives/*.deb
    [ -d "$ARM64_LIBRARIES" ]
}

# arm64_build BUILD: all that the tests need, by the compilers of this machine.
arm64_build() {
    PKG_CONFIG_SYSROOT_DIR=$ARM64_ROOT PKG_CONFIG_LIBDIR=$ARM64_LIBRARIES/pkgconfig \
        make -C "$KERNEL_ROOT" --no-print-directory BUILD="$1" WERROR=1 AR=aarch64-linux-gnu-ar \
        CC="aarch64-linux-gnu-gcc --sysroot=$ARM64_ROOT" \
        CLANG="clang --sysroot=$ARM64_ROOT -I$ARM64_ROOT/usr/include/aarch64-linux-gnu" tests
}

# In the place of lib.sh's, which asks this machine's loader.

kernel_libraries() { # PROGRAM...
    local name
    for name in $(readelf -d "$@" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u); do
        [ ! -e "$KERNEL_IMAGE/lib/$name" ] || continue
        cp -L "$ARM64_LIBRARIES/$name" "$KERNEL_IMAGE/lib/" || return
        kernel_libraries "$ARM64_LIBRARIES/$name" || return
    done
}
