# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts of the fuzzers share. Corpora grow below FUZZ_CORPORA, by default in the build.

FUZZ_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fuzz_targets() { # [TARGET...]: those, or all
    if [ $# -gt 0 ]; then
        printf '%s\n' "$@"
    else
        (cd "$FUZZ_HERE" && printf '%s\n' fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
    fi
}

fuzz_dictionary() { # TARGET: an option for libFuzzer, or nothing
    case $1 in
    record) echo "-dict=$FUZZ_HERE/dictionaries/record.dict" ;;
    config | kube_config | manifest | check) echo "-dict=$FUZZ_HERE/dictionaries/yaml.dict" ;;
    kube_event | kube_stream) echo "-dict=$FUZZ_HERE/dictionaries/json.dict" ;;
    links | attach) echo "-dict=$FUZZ_HERE/dictionaries/netlink.dict" ;;
    esac
}

fuzz_length() { # TARGET: the longest input that is tried
    case $1 in
    record | kube_stream | manifest | check) echo 4096 ;;
    packet | dump) echo 2048 ;;
    http) echo 256 ;;
    *) echo 8192 ;;
    esac
}

# fuzz_seeds BUILD CORPORA: the first inputs of each target, those of the tree and those that are made.
fuzz_seeds() {
    local build=$1 corpora=$2 file
    mkdir -p "$corpora"
    cp -r "$FUZZ_HERE"/corpus/. "$corpora/"
    "$build/tests/fuzz/seeds" "$corpora" || return 1
    "$build/tests/fuzz/seeds_packet" "$corpora/packet" || return 1
    mkdir -p "$corpora/check" "$corpora/manifest"
    for file in "$FUZZ_HERE"/../../deploy/*.yaml "$FUZZ_HERE"/../../deploy/examples/*.yaml; do
        cp "$file" "$corpora/check/"
        { printf 0 && cat "$file"; } >"$corpora/manifest/deploy-${file##*/}"
    done
}
