# What CI runs, stage by stage.

stages=() troubles=() not_run=() passed=0 failed=0

stage() { # name command...
    local name=$1 start=$SECONDS log status=0; shift
    log=$(mktemp)
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || status=1
    # Each test program closes with one line of figures.
    local p f
    p=$(grep -aoE '^test result: .* ([0-9]+) passed' "$log" | grep -oE '[0-9]+ passed' | awk '{n += $1} END {print n + 0}' || true)
    f=$(grep -aoE '[0-9]+ failed;' "$log" | awk '{n += $1} END {print n + 0}' || true)
    if [ "$p" = 0 ] && [ "$f" = 0 ]; then if [ $status = 0 ]; then p=1; else f=1; fi; elif [ $status != 0 ] && [ "$f" = 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f))
    stages+=("$(printf '%-28s %-6s %4d s   %d passed, %d failed' "$name" "$([ $status = 0 ] && echo ok || echo FAILED)" $((SECONDS - start)) "$p" "$f")")
    # How a stage failed stands at the end too, where little else does.
    [ $status = 0 ] || troubles+=("$(printf '== %s\n' "$name"; grep -aE '^test .* FAILED$|panicked at|^error|^ostler: |^[a-z]+: what was found' "$log" | head -n 30; tail -n 15 "$log")")
    rm -f "$log"
}

# The programs of tests that take longest: they begin first.
E2E_FIRST="cluster policies controller agent_cluster hardware life care"

# With arguments: cargo test's. Without: all programs, some beside each other, for they mostly wait.
e2e() {
    if [ $# -gt 0 ]; then cargo test -p ostler-e2e --no-fail-fast "$@" -- --test-threads 2; return; fi
    local built programs status=0
    # Tests build what they test; this way none of them waits for another's build.
    cargo build -q -p ostler || return 1
    built=$(cargo test -p ostler-e2e --no-run 2>&1) || { printf '%s\n' "$built"; return 1; }
    programs=$(printf '%s\n' "$built" | sed -n 's/^ *Executable .*(\(.*\))$/\1/p' | xargs -r realpath)
    [ -n "$programs" ] || { printf '%s\n' "$built" 'no program of tests was built'; return 1; }
    E2E_LOGS=$(mktemp -d) CARGO=${CARGO:-$(command -v cargo)}
    export E2E_LOGS CARGO
    export -f e2e_program
    e2e_in_order "$programs" | xargs -P "${E2E_LANES:-2}" -I{} bash -c 'e2e_program "$1"' _ {} || status=1
    rm -rf "$E2E_LOGS"
    return $status
}

e2e_in_order() { # programs
    local name
    for name in $E2E_FIRST; do printf '%s\n' "$1" | grep -E "/$name-[0-9a-f]+$" || true; done
    printf '%s\n' "$1" | grep -vE "/(${E2E_FIRST// /|})-[0-9a-f]+$" || true
}

# Runs one program where cargo would, and shows what it said in one piece.
e2e_program() { # program
    local name start=$SECONDS status=0
    name=$(basename "$1")
    (cd e2e && "$1" --test-threads 2) > "$E2E_LOGS/$name" 2>&1 || status=1
    { printf '\n-- %s: %d s\n' "${name%-*}" $((SECONDS - start)); cat "$E2E_LOGS/$name"; } | flock "$E2E_LOGS/shown" cat
    return $status
}

conformance() {
    case " $* " in *" --start "*) need_qemu;; *" --live "*) need_libvirt;; esac
    cargo run -q -p ostler-conformance --bin conformance -- "$@"
}

run_tests() {
    need_test_tools
    stage "format" cargo fmt --all --check
    stage "lints" cargo clippy -q --workspace --all-targets -- -D warnings
    stage "unit and driver tests" cargo test -q --workspace --exclude ostler-e2e --no-fail-fast
    stage "without a driver" cargo check -q -p ostler --no-default-features
    stage "hostile input" fuzz_short
    stage "end to end" e2e
    if [ -d ../shared/corpus ]; then stage "conformance" conformance --ratchet; else not_run+=("conformance, and that YAML loses nothing: the corpus of libvirt's cases is not at hand"); fi
    printf '\n'
    for line in "${troubles[@]}"; do printf '%s\n\n' "$line"; done
    printf '%s\n' "${stages[@]}"
    for line in "${not_run[@]}"; do printf 'not run: %s\n' "$line"; done
    printf '\n%d passed, %d failed\n' $passed $failed
    [ $failed = 0 ]
}
