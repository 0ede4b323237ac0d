# The main job on this host, as a newcomer meets it: manifests in a directory, and a real guest runs.

demo() { # [--keep]
    local keep=""
    [ "${1:-}" = --keep ] && keep=yes
    [ "$(id -u)" = 0 ] || { say "the demo makes a bridge and starts a guest: run it as root"; exit 1; }
    need_host_tools
    say "building ostler (the first time takes some minutes)"
    cargo build -q -p ostler
    local ostler=$CARGO_TARGET_DIR/debug/ostler place=/var/lib/ostler-demo run=/run/ostler-demo guest agent
    if [ -e "$place/agent.pid" ] && kill -0 "$(cat "$place/agent.pid")" 2>/dev/null; then
        say "a demo is kept already: end it with 'kill $(cat "$place/agent.pid")' after './dev demo' removed it, or look at $place"
        exit 1
    fi
    guest=$(e2e/guest/build)
    rm -rf "$place" "$run"
    mkdir -p "$place/manifests" "$place/guest"
    chmod 755 "$place" "$place/guest"
    cp "$guest/vmlinuz" "$guest/initrd" "$place/guest/"
    for file in examples/demo/*.yaml; do
        sed -e "s|/var/lib/ostler/demo|$place/guest|" -e "s|/var/log/ostler-demo-console.log|$place/console.log|" "$file" > "$place/manifests/${file##*/}"
    done
    export OSTLER_STATE_DIR=$place/state OSTLER_RUN_DIR=$run
    say "starting: ostler agent --manifests $place/manifests"
    setsid "$ostler" agent --manifests "$place/manifests" --listen none > "$place/agent.log" 2>&1 < /dev/null &
    agent=$!
    echo "$agent" > "$place/agent.pid"
    trap 'end_demo '"'$ostler' '$place' '$run' '$agent' '$keep'" EXIT
    watch_demo "$ostler" "$place" "$agent"
}

# Shows the objects until the guest has greeted, then its address and console.
watch_demo() { # ostler place agent
    local ostler=$1 place=$2 agent=$3 shown="" table address="" start=$SECONDS
    while :; do
        kill -0 "$agent" 2>/dev/null || { say "the agent has ended:"; tail -n 20 "$place/agent.log" >&2; exit 1; }
        table=$("$ostler" get all 2>/dev/null || true)
        if [ -n "$table" ] && [ "$table" != "$shown" ]; then
            if [ -t 1 ]; then printf '\033[2J\033[H%s\n' "$table"; else printf '%s\n' "$table" | grep -v '^NAME\|^$' | while read -r line; do grep -qxF "$line" <<<"$shown" || printf '%3d s  %s\n' $((SECONDS - start)) "$line"; done; fi
            shown=$table
        fi
        address=$("$ostler" get dom hello -o json 2>/dev/null | sed -n '/"addresses"/,/\]/s/^ *"\([0-9.]*\)".*/\1/p' | head -n 1 || true)
        if [ -n "$address" ] && grep -aq OSTLER-GUEST-READY "$place/console.log" 2>/dev/null && ping -c 1 -W 2 "$address" >/dev/null; then break; fi
        [ $((SECONDS - start)) -lt 300 ] || { say "the guest did not come up within 5 minutes; see $place/agent.log"; exit 1; }
        sleep 0.3
    done
    local accelerators
    accelerators=$("$ostler" get host -o json | sed -n '/"accelerators"/,/\]/s/^ *"\(kvm\|tcg\)".*/\1/p' | head -n 1 || true)
    printf '\nThe guest runs and answers: %s\n' "$address"
    if [ "$accelerators" = kvm ]; then echo "It runs under KVM."; else echo "It runs under QEMU's translator (TCG): a probe guest did not run under KVM here."; fi
    printf '\nIts console said:\n'
    tr -d '\r' < "$place/console.log" | grep -a . | grep -av '^/ #' | tail -n 4 | sed 's/^/    /'
    cat <<TXT

How to go on (with ./dev demo --keep):
    export OSTLER_STATE_DIR=$place/state OSTLER_RUN_DIR=/run/ostler-demo
    $ostler get all -o wide
    $ostler console hello          # Ctrl+] leaves
    $ostler restart hello
    \$EDITOR $place/manifests/domain.yaml
TXT
}

end_demo() { # ostler place run agent keep
    local ostler=$1 place=$2 run=$3 agent=$4 keep=$5
    trap - EXIT
    if [ -n "$keep" ]; then
        printf '\nKept. To remove it: %s delete dom hello; likewise vol hello-data, pool images, vnet lan; then kill %s and remove %s\n' "$ostler" "$agent" "$place"
        return
    fi
    say "removing everything again"
    for object in "dom hello" "vol hello-data" "pool images" "vnet lan"; do
        # shellcheck disable=SC2086
        "$ostler" delete $object 2>/dev/null || true
    done
    kill "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
    rm -rf "$place" "$run"
}
