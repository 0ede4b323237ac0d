# A Kubernetes of two nodes on this machine, with this build of Ostler in it.

cluster() { # up|down|reload|status|exec...
    [ "$(id -u)" = 0 ] || { say "a cluster makes namespaces and control groups: run this as root"; exit 1; }
    local verb=${1:-}
    [ $# -eq 0 ] || shift
    case $verb in
        up) need_cluster_tools; cluster_up "$@";;
        reload) need_cluster_tools; cluster_install "$@";;
        down | status | exec | load) need_rust; cluster_program "$verb" "$@";;
        *) say "usage: ./dev cluster up|reload|down|status [--id N], or exec NODE PROGRAM..."; exit 2;;
    esac
}

cluster_program() {
    cargo build -q -p ostler-e2e --bin cluster
    "$CARGO_TARGET_DIR/debug/cluster" "$@"
}

cluster_up() {
    local kubeconfig
    kubeconfig=$(cluster_program up "$@")
    cluster_install "$@"
    cat <<TXT

$kubeconfig
kubectl get hosts
kubectl apply -f examples/demo && kubectl get dom -w
TXT
}

# This build into the cluster: image, then charts; what runs is replaced, guests go on.
cluster_install() {
    say "building ostler (the first time takes some minutes)"
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static" cargo build -q -p ostler --target x86_64-unknown-linux-gnu
    cluster_program install "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/debug/ostler" "$@"
}
