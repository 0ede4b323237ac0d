//! What QEMU's driver fills in: machine, emulator, implied devices, models, MACs, addresses. As libvirt 11.3 does it, for a
//! new definition; what was completed once stays.

mod audio;
mod chardev;
mod controller;
mod cpu;
mod disk;
mod features;
pub(crate) mod firmware;
mod interface;
mod machine;
mod memory;
pub(crate) mod pci;
mod settings;
mod small_devices;
mod spapr_vio;
mod tpm;
pub(crate) mod usb;
mod video;
mod virtio;
mod virtio_serial;
mod zpci;

use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::Domain;
use ostler_conf::domain::{Seclabel, SeclabelKind};
use ostler_driver::Result;

pub(crate) use machine::{Arch, MachineFamily, arch, default_emulator, family, machine, runs};
pub use settings::{HostAudio, HostPci, Settings};

use crate::probe::Capabilities;

/// What a completion depends on besides the definition.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The emulator that the definition uses.
    pub(crate) emulator: PathBuf,
    /// What it can do.
    pub(crate) capabilities: Arc<Capabilities>,
    /// Whether a guest really runs under KVM here.
    pub(crate) kvm: bool,
    /// Whether what a definition leaves open takes today's defaults; else those of the time before they changed.
    pub(crate) is_new: bool,
    /// What else of the host, and of the driver on it, counts.
    pub(crate) settings: Arc<Settings>,
}

impl Host {
    /// A host that takes definitions as new ones: what was completed before is laid under them.
    pub(crate) fn new(emulator: PathBuf, capabilities: Arc<Capabilities>, kvm: bool) -> Self {
        Host { emulator, capabilities, kvm, is_new: true, settings: Arc::default() }
    }
}

/// `spec` as it will be stored: laid over `last`, the definition stored before, and completed.
///
/// # Guarantees
/// Pure. Completing what was completed changes nothing. A device of `last` that `spec` still has keeps what was completed,
/// in the same bytes, whatever else comes, goes or changes its place in a list.
///
/// # Errors
/// What can't be completed: an unknown machine type, no room for a device.
pub(crate) fn complete(spec: &Domain, last: Option<&Domain>, host: &Host) -> Result<Domain> {
    let mut domain = spec.clone();
    domain.forget_live();
    forget_made_names(&mut domain);
    if let Some(last) = last {
        domain.carry_over(last);
        forget_made_names(&mut domain);
    }
    chardev::forget_made(&mut domain);
    complete_as_it_is(domain, last, host)
}

/// What a running guest's document leaves open, filled in; what only runs is kept.
///
/// # Errors
/// As [`complete`].
pub(crate) fn complete_live(live: &Domain, host: &Host) -> Result<Domain> {
    let mut domain = live.clone();
    forget_made_names(&mut domain);
    complete_as_it_is(domain, None, host)
}

/// The parts that need no emulator: those of a running guest, whose emulator may not be there any more.
pub(crate) fn complete_running(live: &mut Domain, settings: &Settings) {
    live.complete();
    disk::complete(live);
    audio::complete(live, settings);
}

fn complete_as_it_is(mut domain: Domain, last: Option<&Domain>, host: &Host) -> Result<Domain> {
    machine::complete(&mut domain, host)?;
    disk::sort(&mut domain.devices.disks, last.map(|last| last.devices.disks.as_slice()).unwrap_or_default());
    domain.number_controllers();
    firmware::complete(&mut domain, last, host)?;
    features::complete(&mut domain, host);
    cpu::complete(&mut domain, host);
    chardev::complete_before(&mut domain);
    chardev::complete_serials(&mut domain);
    controller::complete_before(&mut domain, host)?;
    small_devices::complete(&mut domain, host);
    video::complete_before(&mut domain, host);
    domain.complete();
    forget_made_names(&mut domain);
    // A console may have brought a serial port.
    chardev::complete_serials(&mut domain);
    memory::complete(&mut domain, host);
    controller::complete(&mut domain, host);
    disk::complete(&mut domain);
    interface::complete(&mut domain, host);
    tpm::complete(&mut domain);
    audio::complete(&mut domain, &host.settings);
    video::complete(&mut domain);
    assign_addresses(&mut domain, host)?;
    chardev::repeat_first_serial(&mut domain);
    complete_labels(&mut domain);
    domain.label_devices();
    Ok(domain)
}

/// Labels that name no security model are of none: ownership alone is not one.
fn complete_labels(domain: &mut Domain) {
    for label in domain.seclabels.iter_mut().filter(|label| label.model.is_none()) {
        if matches!(label.r#type, Some(SeclabelKind::Dynamic | SeclabelKind::None)) {
            let (r#type, model) = (Some(SeclabelKind::None), Some("none".to_owned()));
            *label = Seclabel { r#type, model, ..Seclabel::default() };
        }
    }
}

/// Gives addresses to devices without one, bus by bus: what a machine's own bus takes is not PCI's any more.
fn assign_addresses(domain: &mut Domain, host: &Host) -> Result<()> {
    virtio_serial::assign(domain);
    spapr_vio::assign(domain)?;
    virtio::assign(domain, host)?;
    controller::complete_bridges(domain, host);
    pci::assign(domain, host)?;
    zpci::assign(domain, host)?;
    virtio::assign_mmio(domain, host);
    memory::assign(domain);
    usb::complete(domain, host)
}

/// Names that would be made from a device's place in its list are made again at the end, when places have changed.
fn forget_made_names(domain: &mut Domain) {
    macro_rules! forget {
        ($($list:ident: $prefix:literal),*) => { $(for (at, device) in domain.devices.$list.iter_mut().enumerate() {
            if device.name == format!(concat!($prefix, "{}"), at) {
                device.name.clear();
            }
        })* };
    }
    // The lists into which devices are put before others.
    forget!(controllers: "controller", consoles: "console");
}

#[cfg(test)]
pub(crate) mod tests;
