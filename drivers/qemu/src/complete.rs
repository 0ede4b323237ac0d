//! What QEMU's driver fills in: machine, emulator, implied devices, models, MACs, addresses. As libvirt 11.3 does it, for a
//! new definition; what was completed once stays.

mod chardev;
mod controller;
mod disk;
mod interface;
mod machine;
pub(crate) mod pci;
mod small_devices;
pub(crate) mod usb;

use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::Domain;
use ostler_driver::Result;

pub(crate) use machine::{MachineFamily, default_emulator, family};

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
    forget_live_values(&mut domain);
    forget_made_names(&mut domain);
    if let Some(last) = last {
        domain.carry_over(last);
        forget_made_names(&mut domain);
    }
    machine::complete(&mut domain, host)?;
    disk::sort(&mut domain.devices.disks, last.map(|last| last.devices.disks.as_slice()).unwrap_or_default());
    chardev::complete_before(&mut domain);
    controller::complete_before(&mut domain, host);
    domain.complete();
    forget_made_names(&mut domain);
    controller::complete(&mut domain, host);
    disk::complete(&mut domain);
    interface::complete(&mut domain, host);
    chardev::complete(&mut domain);
    small_devices::complete(&mut domain, host);
    usb::assign(&mut domain)?;
    pci::assign(&mut domain, last.is_none())?;
    domain.label_devices();
    Ok(domain)
}

/// What only a running guest has: people paste live definitions.
fn forget_live_values(domain: &mut Domain) {
    domain.id = None;
    let devices = &mut domain.devices;
    macro_rules! forget_aliases {
        ($($list:ident),*) => { $(for device in &mut devices.$list {
            // Names that users chose begin with "ua-"; all others are made at each start.
            device.alias.take_if(|alias| !alias.name.starts_with("ua-"));
        })* };
    }
    forget_aliases!(disks, controllers, interfaces, serials, consoles, channels, inputs, watchdogs, rngs);
    if let Some(balloon) = &mut devices.memballoon {
        balloon.alias.take_if(|alias| !alias.name.starts_with("ua-"));
    }
    chardev::forget_live_values(devices);
    interface::forget_live_values(&mut devices.interfaces);
    disk::forget_live_values(&mut devices.disks);
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
