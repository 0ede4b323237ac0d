# What the commands share.

say() { printf '%s\n' "$*" >&2; }

# Installs Debian packages that are missing; nothing is asked of the network when all are there.
need() { # command package [package...]
    local command=$1; shift
    command -v "$command" >/dev/null && return
    [ "$(id -u)" = 0 ] || { say "'$command' is missing: install the packages $* (or run this as root)"; exit 1; }
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
}

# Installs packages from Debian 12's backports, where it is that; elsewhere the distribution's own serve.
newer() { # package...
    export DEBIAN_FRONTEND=noninteractive
    local release=""
    if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
        grep -rqs 'bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d || echo 'deb http://deb.debian.org/debian bookworm-backports main' > /etc/apt/sources.list.d/backports.list
        release="-t bookworm-backports"
    fi
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $release "$@" >/dev/null
}

need_qemu() {
    command -v qemu-system-x86_64 >/dev/null && command -v qemu-img >/dev/null && return
    [ "$(id -u)" = 0 ] || { say "QEMU is missing: install qemu-system-x86 and qemu-utils (or run this as root)"; exit 1; }
    say "installing QEMU"
    newer qemu-system-x86 qemu-utils
}

# Distributions keep SPICE in a module of its own.
has_spice() { [[ $(qemu-system-x86_64 -spice help 2>&1) == *addr* ]]; }

# What some guests need besides QEMU: UEFI with its descriptors, a TPM, another architecture.
need_guest_programs() {
    [ -d /usr/share/OVMF ] && [ -d /usr/share/AAVMF ] && [ -d /usr/share/qemu/firmware ] && [ -x /usr/bin/swtpm ] && [ -x /usr/bin/qemu-system-aarch64 ] && has_spice && return
    [ "$(id -u)" = 0 ] || { say "tests of guests need ovmf, qemu-efi-aarch64, swtpm, qemu-system-arm and QEMU's module for SPICE (install them, or run this as root)"; exit 1; }
    say "installing ovmf, qemu-efi-aarch64, swtpm, qemu-system-arm and SPICE"
    newer ovmf qemu-efi-aarch64 qemu-system-arm qemu-system-modules-spice swtpm
}

# A libvirt to compare with: it runs only while it is asked.
need_libvirt() {
    need_qemu
    [ -d /usr/share/OVMF ] || { say "installing firmware"; newer ovmf; }
    command -v libvirtd >/dev/null && command -v virsh >/dev/null && [ -e /usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so ] && return
    say "installing libvirt"
    newer libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients
}

need_rust() {
    command -v cargo >/dev/null || { say "cargo is missing: install Rust, as https://rustup.rs says"; exit 1; }
    command -v cc >/dev/null || need cc gcc libc6-dev
}

need_host_tools() {
    need_rust
    need_qemu
    need_guest_programs
    need dnsmasq dnsmasq-base
    need nft nftables
    need ip iproute2
    need ping iputils-ping
    need busybox busybox-static
    need cpio cpio
    need xz xz-utils
    need useradd passwd
}

need_cluster_tools() {
    need_host_tools
    need containerd containerd
    need runc runc
    need conntrack conntrack
    need patchelf patchelf
    [ -x /usr/lib/cni/bridge ] || need cni-plugins containernetworking-plugins
    command -v go >/dev/null || need_go
}

# What the tests need besides: a libvirt whose guests are compared with ours.
need_test_tools() {
    need_cluster_tools
    need_libvirt
}

# Debian 12's own Go is too old to fetch the one that Kubernetes asks for.
need_go() {
    say "installing Go"
    newer golang-go
}

build() { # [--release]
    need_rust
    if [ "${1:-}" = --release ]; then
        local target=x86_64-unknown-linux-gnu
        CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static" cargo build --release -p ostler --target $target
        local binary=$CARGO_TARGET_DIR/$target/release/ostler
        if ldd "$binary" 2>&1 | grep -qv 'statically linked'; then say "$binary is not static"; exit 1; fi
        say "$(du -h "$binary" | cut -f1) $binary (static)"
    else
        cargo build -p ostler
        say "$CARGO_TARGET_DIR/debug/ostler"
    fi
}
