//! What a cluster needs of this machine.

use std::path::Path;

use anyhow::{Result, bail};

/// Programs and the Debian packages that have them.
const NEEDS: &[(&str, &str)] = &[
    ("/usr/bin/containerd", "containerd"),
    ("/usr/bin/containerd-shim-runc-v2", "containerd"),
    ("/usr/bin/ctr", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/lib/cni/host-local", "containernetworking-plugins"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/bin/busybox", "busybox-static"),
    ("/bin/ip", "iproute2"),
    ("/usr/bin/nsenter", "util-linux"),
    ("/usr/bin/unshare", "util-linux"),
];

/// Sees whether a cluster can be on this machine.
///
/// # Errors
/// All that is missing, with what would mend it.
pub fn check() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a cluster makes namespaces and control groups: run this as root");
    }
    let missing: Vec<_> = NEEDS.iter().filter(|(program, _)| !Path::new(program).exists()).collect();
    if !missing.is_empty() {
        let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
        let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        bail!("missing: {}\ninstall: apt-get install {}", programs.join(", "), packages.join(" "));
    }
    Ok(())
}
