//! How many virtual processors there are, and how they are arranged.

use ostler_driver::Result;

use super::{Args, Setup};
use crate::probe::Flag;

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let domain = setup.domain;
    let most = domain.vcpus();
    // Those that can be taken out again are plugged in once QEMU runs.
    let at_boot = match &domain.vcpus {
        Some(vcpus) if !vcpus.vcpus.is_empty() => {
            let is_fixed =
                |vcpu: &&ostler_conf::domain::VcpuState| vcpu.enabled.0 && !vcpu.hotpluggable.is_some_and(|on| on.0);
            u32::try_from(vcpus.vcpus.iter().filter(is_fixed).count()).unwrap_or(most)
        }
        _ => domain.vcpu.as_ref().and_then(|vcpu| vcpu.current).unwrap_or(most),
    };
    let mut text = at_boot.to_string();
    if at_boot != most {
        text.push_str(&format!(",maxcpus={most}"));
    }
    match domain.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref()) {
        None => text.push_str(&format!(",sockets={most},cores=1,threads=1")),
        Some(topology) => {
            text.push_str(&format!(",sockets={}", topology.sockets));
            if setup.capabilities.has(Flag::SmpDies) {
                text.push_str(&format!(",dies={}", topology.dies.unwrap_or(1)));
            }
            if setup.capabilities.has(Flag::SmpClusters) {
                text.push_str(&format!(",clusters={}", topology.clusters.unwrap_or(1)));
            }
            text.push_str(&format!(",cores={},threads={}", topology.cores, topology.threads));
        }
    }
    args.option("-smp", text);
    Ok(())
}
