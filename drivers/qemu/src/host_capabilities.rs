//! What this host is and which guests it can have, in libvirt's form.

use std::path::Path;

use ostler_conf::Capabilities;
use ostler_conf::capabilities::{BaseLabel, HostCpu, HostPages, SecurityModel};
use ostler_driver::Result;
use ostler_driver::host::{host, node_memory};

use crate::driver::{Core, blocking};
use crate::guest_capabilities::guest_capabilities;

/// Types of guests that have a label of their own where they say nothing.
const LABELLED: &[&str] = &["kvm", "qemu"];

/// What the host is, and what the default emulator runs.
pub(crate) async fn capabilities(core: &Core) -> Result<Capabilities> {
    let emulator = core.default_emulator();
    let capabilities = core.probe.capabilities(&emulator).await?;
    let has_kvm = core.probe.kvm_works(&emulator).await;
    // Guests are not moved to other hosts yet: nothing is said of it.
    let mut found = blocking(|| Ok(host(Path::new("/"), host_cpu(Path::new("/"))))).await?;
    let (uid, gid) = core.ids();
    let label = |r#type: &&str| BaseLabel { r#type: (*r#type).to_owned(), label: format!("+{uid}:+{gid}") };
    found.secmodels = vec![
        SecurityModel { model: "none".to_owned(), doi: "0".to_owned(), baselabels: Vec::new() },
        SecurityModel {
            model: "dac".to_owned(),
            doi: "0".to_owned(),
            baselabels: LABELLED.iter().map(label).collect(),
        },
    ];
    let mut guest = guest_capabilities(&capabilities, has_kvm);
    guest.arch.emulator = Some(emulator.display().to_string());
    Ok(Capabilities { host: found, guests: vec![guest] })
}

/// The host's processors, of which only architecture and pages are known here.
fn host_cpu(root: &Path) -> HostCpu {
    let page = |(size, _)| HostPages { unit: "KiB".to_owned(), size, count: None };
    HostCpu {
        arch: std::env::consts::ARCH.to_owned(),
        pages: node_memory(root, 0).pages.into_iter().map(page).collect(),
        ..HostCpu::default()
    }
}
