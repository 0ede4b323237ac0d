# Hostile input: libFuzzer over every parser. What is found is kept outside of the tree, and told.

FUZZ_TARGETS=$(ls fuzz/seeds | tr '\n' ' ')

# What cargo-fuzz builds with, but for a sanitizer, which alone would need a nightly compiler: branches and comparisons are
# counted and told to the fuzzer.
FUZZ_FLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"

fuzz() { # [TARGET...] [--minutes N | --seconds N]
    local seconds=60 targets="" failed=0 target
    while [ $# -gt 0 ]; do
        case $1 in
            --seconds) seconds=${2:?--seconds N}; shift;;
            --minutes) seconds=$((60 * ${2:?--minutes N})); shift;;
            *) case " $FUZZ_TARGETS" in *" $1 "*) targets="$targets $1";; *) say "no target '$1': one of $FUZZ_TARGETS"; exit 2;; esac;;
        esac
        shift
    done
    targets=${targets:-$FUZZ_TARGETS}
    fuzz_build "$targets" || return 1
    for target in $targets; do fuzz_one "$target" "$seconds" || failed=1; done
    return $failed
}

# What a test has time for: manifests, which take Kubernetes' types to build, have hostile tests of their own (crds/src/manifest).
# It tries the same each time, from nothing grown, on a machine that may stand still for a while.
fuzz_short() {
    local grown status=0
    grown=$(mktemp -d)
    # shellcheck disable=SC2086
    FUZZ_RUN="-seed=1 -timeout=120" FUZZ_GROWN=$grown fuzz --seconds 10 ${FUZZ_TARGETS/manifests/} || status=1
    rm -rf "$grown"
    return $status
}

fuzz_build() { # targets
    need_rust
    need c++ g++
    local host features=""
    case " $1 " in *" manifests "*) features="--features manifests";; esac
    host=$(rustc -vV | sed -n 's/^host: //p')
    FUZZ_PLACE=$OSTLER_CACHE/fuzz
    FUZZ_PROGRAM=$FUZZ_PLACE/target/$host/release/any
    # A target that is named keeps the flags from what only runs while building.
    # shellcheck disable=SC2086
    RUSTFLAGS=$FUZZ_FLAGS cargo build -q --release --locked --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$FUZZ_PLACE/target" $features
}

fuzz_one() { # target seconds
    local seeds=$FUZZ_PLACE/seeds/$1 grown=${FUZZ_GROWN:-$FUZZ_PLACE/grown}/$1 found=$FUZZ_PLACE/found log
    seeds "$1" "$seeds"
    mkdir -p "$grown" "$found"
    log=$(mktemp)
    # shellcheck disable=SC2086
    if OSTLER_FUZZ=$1 "$FUZZ_PROGRAM" -max_total_time="$2" ${FUZZ_RUN:--timeout=10} -rss_limit_mb=1024 -max_len=65536 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$found/$1-" "$grown" "$seeds" > "$log" 2>&1; then
        awk -v target="$1" -v seconds="$2" '{ value[$1] = $2 }
            END { printf "%s: %d executions in %d s, slowest %d s, at most %d MiB\n", target, value["stat::number_of_executed_units:"],
                  seconds, value["stat::slowest_unit_time_sec:"], value["stat::peak_rss_mb:"] }' "$log"
        rm -f "$log"
    else
        tail -n 40 "$log" >&2
        rm -f "$log"
        say "$1: what was found is in $found"
        return 1
    fi
}

# What a target begins from: its own seeds, one a line, the project's examples, and the documents of a corpus where one is at hand.
seeds() { # target folder
    local corpus=${OSTLER_CORPUS:-../shared/corpus} line number=0
    rm -rf "$2"
    mkdir -p "$2"
    case $1 in
        documents | schemas) [ ! -d "$corpus/data" ] || find "$corpus/data" -type f -name '*.xml' -size -8k -exec cp --backup=numbered -t "$2" {} +;;
        manifests) find examples e2e/bad -type f -name '*.yaml' -exec cp --backup=numbered -t "$2" {} +;;
    esac
    while IFS= read -r line; do
        number=$((number + 1))
        # Images are bytes, written as C would.
        if [ "$1" = images ]; then printf '%b' "$line"; else printf '%s' "$line"; fi > "$2/own-$number"
    done < "fuzz/seeds/$1"
}
