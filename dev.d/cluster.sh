# A Kubernetes of two nodes on this machine, with this build of Ostler in it.

cluster() { # up|down|reload|status|exec [--id N] ...
    [ "$(id -u)" = 0 ] || { say "a cluster makes namespaces and control groups: run this as root"; exit 1; }
    local verb=${1:-}
    [ $# -gt 0 ] && shift
    case $verb in
        up) need_cluster_tools; cluster_up "$@";;
        reload) need_cluster_tools; cluster_reload "$@";;
        down | status | exec | load) cluster_program "$verb" "$@";;
        *) say "usage: ./dev cluster up|down|reload|status [--id N], or exec NODE PROGRAM..."; exit 2;;
    esac
}

need_cluster_tools() {
    need_host_tools
    need containerd containerd
    need runc runc
    need conntrack conntrack
    need patchelf patchelf
    [ -x /usr/lib/cni/bridge ] || need cni-bridge-plugin containernetworking-plugins
    command -v go >/dev/null || need_go
}

need_go() {
    say "installing Go"
    local release=""
    # Debian 12's own is too old to fetch the one that Kubernetes asks for.
    if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
        grep -rqs 'bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d || echo 'deb http://deb.debian.org/debian bookworm-backports main' > /etc/apt/sources.list.d/backports.list
        release="-t bookworm-backports"
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $release golang-go >/dev/null
}

cluster_program() {
    need_rust
    cargo build -q -p ostler-e2e --bin cluster
    "$CARGO_TARGET_DIR/debug/cluster" "$@"
}

cluster_up() {
    local said
    said=$(cluster_program up "$@")
    eval "$said" # export KUBECONFIG=…
    cluster_install "$@"
    printf '%s\n' "$said"
}

# A new build into the cluster that is there.
cluster_reload() {
    local said
    said=$(cluster_program kubeconfig "$@")
    eval "$said"
    cluster_install "$@"
    local kubectl
    kubectl=$(cluster_program tool kubectl)
    "$kubectl" -n ostler-system rollout restart daemonset,deployment
    "$kubectl" -n ostler-system rollout status --timeout 120s daemonset/ostler-agent deployment/ostler-controller
}
