//! What was completed once stays: a new definition takes over what an older one had been given, device by device.

use ostler_conf::Domain;
use ostler_conf::domain::{Controller, Interface, RngBackend, Serial, WatchdogModel};

use super::family;
use crate::probe::Capabilities;

/// Fills what `domain` leaves open with what `last` has. A device is known by its key: a disk by its target, a controller
/// by kind and index, an interface by its MAC or else its name, any other by its name.
pub(super) fn lay_over(domain: &mut Domain, last: &Domain, capabilities: &Capabilities) {
    domain.uuid = domain.uuid.or(last.uuid);
    fill(&mut domain.r#type, &last.r#type);
    fill(&mut domain.os.r#type.arch, &last.os.r#type.arch);
    fill(&mut domain.devices.emulator, &last.devices.emulator);
    fill(&mut domain.cpu, &last.cpu);
    keep_machine(domain, last, capabilities);
    let same_machine = machine_family(domain) == machine_family(last) && domain.os.r#type.arch == last.os.r#type.arch;
    keep_macs(&mut domain.devices.interfaces, &last.devices.interfaces);
    keep_models(domain, last);
    // On another kind of machine the old places mean nothing.
    if same_machine {
        keep_controllers(domain, last);
        keep_addresses(domain, last);
    }
}

fn fill<T: Clone>(value: &mut Option<T>, last: &Option<T>) {
    if value.is_none() {
        value.clone_from(last);
    }
}

fn machine_family(domain: &Domain) -> Option<super::MachineFamily> {
    domain.os.r#type.machine.as_deref().and_then(family)
}

/// An alias (`q35`), or no word at all, means the version that it stood for the first time.
fn keep_machine(domain: &mut Domain, last: &Domain, capabilities: &Capabilities) {
    let Some(kept) = &last.os.r#type.machine else { return };
    let wanted = domain.os.r#type.machine.as_deref();
    let is_open = match wanted {
        None => true,
        Some(alias) => {
            capabilities.machines.iter().any(|m| m.alias.as_deref() == Some(alias) && family(&m.name) == family(kept))
        }
    };
    if is_open {
        domain.os.r#type.machine = Some(kept.clone());
    }
}

fn keep_macs(interfaces: &mut [Interface], last: &[Interface]) {
    let has = |list: &[Interface], mac: &ostler_conf::domain::Mac| {
        list.iter().any(|interface| interface.mac.as_ref() == Some(mac))
    };
    for at in 0..interfaces.len() {
        if interfaces[at].mac.is_none() {
            let old = last.iter().find(|old| old.name == interfaces[at].name).and_then(|old| old.mac.clone());
            // Not one that another interface was given by its definition.
            interfaces[at].mac = old.filter(|mac| !has(interfaces, mac));
        }
    }
}

/// The old device for each new one: by MAC, else by name.
fn old_interface<'a>(interface: &Interface, last: &'a [Interface]) -> Option<&'a Interface> {
    let by_mac = last.iter().find(|old| old.mac.is_some() && old.mac == interface.mac);
    by_mac.or_else(|| last.iter().find(|old| old.name == interface.name && interface.mac.is_none()))
}

/// Calls `$visit` for each device beside its old self.
macro_rules! paired {
    ($domain:expr, $last:expr, $list:ident, |$new:ident, $old:ident| $visit:block) => {
        for $new in &mut $domain.devices.$list {
            if let Some($old) = $last.devices.$list.iter().find(|old| old.name == $new.name) $visit
        }
    };
}

fn keep_models(domain: &mut Domain, last: &Domain) {
    paired!(domain, last, disks, |new, old| {
        fill(&mut new.target.bus, &old.target.bus);
    });
    for interface in &mut domain.devices.interfaces {
        if let Some(old) = old_interface(interface, &last.devices.interfaces) {
            fill(&mut interface.model, &old.model);
        }
    }
    paired!(domain, last, serials, |new, old| {
        fill(&mut new.target, &old.target);
    });
    paired!(domain, last, inputs, |new, old| {
        if new.r#type == old.r#type {
            fill(&mut new.bus, &old.bus);
        }
    });
    paired!(domain, last, rngs, |new, old| {
        let RngBackend::Random(backend) = &mut new.backend;
        let RngBackend::Random(old) = &old.backend;
        fill(&mut backend.path, &old.path);
    });
    fill(&mut domain.devices.memballoon, &last.devices.memballoon);
    for old in &last.devices.watchdogs {
        let is_part_of_the_machine = old.model == WatchdogModel::Itco;
        if is_part_of_the_machine && !domain.devices.watchdogs.iter().any(|new| new.model == old.model) {
            domain.devices.watchdogs.push(old.clone());
        }
    }
}

/// Every controller stays, wanted or not: others may sit behind it, and a bus that vanishes moves the rest.
fn keep_controllers(domain: &mut Domain, last: &Domain) {
    let list = &mut domain.devices.controllers;
    number(list);
    for (at, old) in last.devices.controllers.iter().enumerate() {
        let is_old = |new: &&mut Controller| new.r#type == old.r#type && new.index == old.index;
        if let Some(new) = list.iter_mut().find(is_old) {
            let same_model = new.model.is_none() || new.model == old.model;
            fill(&mut new.model, &old.model);
            if same_model {
                fill(&mut new.ports, &old.ports);
                fill(&mut new.model_name, &old.model_name);
                fill(&mut new.target, &old.target);
                fill(&mut new.address, &old.address);
            }
            continue;
        }
        let mut kept = old.clone();
        if kept.name == format!("controller{at}") {
            kept.name.clear();
        }
        list.push(kept);
    }
    // As they stood; new ones find their places later.
    let place = |controller: &Controller| {
        let is_it = |old: &Controller| old.r#type == controller.r#type && old.index == controller.index;
        last.devices.controllers.iter().position(is_it)
    };
    let (mut sorted, new): (Vec<_>, Vec<_>) =
        std::mem::take(list).into_iter().partition(|controller| place(controller).is_some());
    sorted.sort_by_key(place);
    for controller in new {
        super::controller::insert(&mut sorted, controller);
    }
    *list = sorted;
}

/// A controller without a number is the next of its kind, as in `Domain::complete`.
fn number(list: &mut [Controller]) {
    for at in 0..list.len() {
        if list[at].index.is_none() {
            let is_taken =
                |index| list.iter().any(|other| other.r#type == list[at].r#type && other.index == Some(index));
            list[at].index = (0..).find(|index| !is_taken(*index));
        }
    }
}

fn keep_addresses(domain: &mut Domain, last: &Domain) {
    use super::pci::{interface_connection, rng_connection, watchdog_connection};
    paired!(domain, last, disks, |new, old| {
        if new.target.bus.is_none() || new.target.bus == old.target.bus {
            fill(&mut new.address, &old.address);
        }
    });
    for interface in &mut domain.devices.interfaces {
        if let Some(old) = old_interface(interface, &last.devices.interfaces) {
            if interface_connection(interface) == interface_connection(old) {
                fill(&mut interface.address, &old.address);
            }
        }
    }
    paired!(domain, last, channels, |new, old| {
        fill(&mut new.address, &old.address);
    });
    paired!(domain, last, serials, |new, old| {
        let kind = |serial: &Serial| serial.target.as_ref().and_then(|target| target.r#type);
        if kind(new) == kind(old) {
            fill(&mut new.address, &old.address);
        }
    });
    paired!(domain, last, inputs, |new, old| {
        if new.bus == old.bus {
            fill(&mut new.address, &old.address);
        }
    });
    paired!(domain, last, rngs, |new, old| {
        if rng_connection(new) == rng_connection(old) {
            fill(&mut new.address, &old.address);
        }
    });
    paired!(domain, last, watchdogs, |new, old| {
        if watchdog_connection(new) == watchdog_connection(old) {
            fill(&mut new.address, &old.address);
        }
    });
    if let (Some(new), Some(old)) = (&mut domain.devices.memballoon, &last.devices.memballoon) {
        if new.model == old.model {
            fill(&mut new.address, &old.address);
        }
    }
}
