# Measures the static release binary.

bench() { # [--cluster | --fleet [--hosts N] [--domains N]] [--json] [PART...]
    local word
    for word; do
        case $word in
            -h | --help) usage; return;;
            --json | --cluster | --fleet | --hosts | --domains) ;;
            -*) say "bench has no option '$word'"; usage >&2; exit 2;;
        esac
    done
    need_host_tools
    case " $* " in
        *" --cluster "*) need_cluster_tools;;
        *" --fleet "*) command -v go >/dev/null || need_go;;
    esac
    need sysctl procps
    build --release
    export OSTLER_BINARY=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/ostler
    # The cluster's nodes run its program.
    cargo build -q --release -p ostler-e2e --bin bench --bin cluster
    "$CARGO_TARGET_DIR/release/bench" "$@"
}
