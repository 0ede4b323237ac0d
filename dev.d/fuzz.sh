# Hostile input: cargo-fuzz over every parser. What is found is kept outside of the tree, and told.

FUZZ_TARGETS="documents addresses sections manifests values"

fuzz() { # [TARGET...] [--seconds N]
    local seconds=60 targets="" target
    while [ $# -gt 0 ]; do
        case $1 in
            --seconds) seconds=${2:?--seconds N}; shift;;
            *) case " $FUZZ_TARGETS " in *" $1 "*) targets="$targets $1";; *) say "no target '$1': one of $FUZZ_TARGETS"; exit 2;; esac;;
        esac
        shift
    done
    need_rust
    need c++ g++
    local place=$OSTLER_CACHE/fuzz
    export PATH=$place/tools/bin:$PATH
    command -v cargo-fuzz >/dev/null || { say "installing cargo-fuzz"; cargo install -q --locked --root "$place/tools" cargo-fuzz; }
    cargo fuzz build --fuzz-dir fuzz --sanitizer none --target-dir "$place/target" || return 1
    local failed=0
    for target in ${targets:-$FUZZ_TARGETS}; do
        seeds "$target" "$place/seeds/$target"
        mkdir -p "$place/grown/$target" "$place/found"
        say "fuzzing $target for $seconds s"
        "$place/target/x86_64-unknown-linux-gnu/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
            -max_len=65536 -verbosity=0 -print_final_stats=1 -artifact_prefix="$place/found/$target-" \
            "$place/grown/$target" "$place/seeds/$target" || { say "$target: what was found is in $place/found"; failed=1; }
    done
    return $failed
}

# What a target begins from: the project's own examples, and the documents of a corpus where one is at hand.
seeds() { # target folder
    local corpus=${OSTLER_CORPUS:-../shared/corpus}
    rm -rf "$2"
    mkdir -p "$2"
    case $1 in
        documents) [ ! -d "$corpus/data" ] || find "$corpus/data" -type f -name '*.xml' -size -8k -exec cp --backup=numbered -t "$2" {} +;;
        manifests) find examples e2e/bad -type f -name '*.yaml' -exec cp --backup=numbered -t "$2" {} +;;
    esac
    [ ! -f "fuzz/seeds/$1" ] || split -l 1 -a 3 "fuzz/seeds/$1" "$2/own-"
}
