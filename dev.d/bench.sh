# Measures the static release binary.

bench() {
    need_host_tools
    need sysctl procps
    build --release
    export OSTLER_BINARY=$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/ostler
    cargo run -q --release -p ostler-e2e --bin bench -- "$@"
}
