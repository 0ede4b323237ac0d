//! Rules of controllers, and of what sits on them.

use std::fmt::Arguments;

use ostler_util::ErrorCode as Code;

use super::super::complete::MAX_INDEX;
use super::Problems;
use crate::domain::{
    Address, Controller, ControllerKind, ControllerModel, Domain, DomainType, HostdevSource, HubKind, InputBus,
    PciModelName,
};

/// The highest number of a POWER host bridge.
const MAX_HOST_BRIDGE: u32 = 30;

/// How deep USB hubs may be nested.
const USB_DEPTH: usize = 4;

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let controllers = &domain.devices.controllers;
    for (at, controller) in controllers.iter().enumerate() {
        let path = format_args!("devices.controllers[{}]", controller.name);
        // USB 1 controllers share the number of the USB 2 one that they stand beside.
        let is_twin = |other: &&Controller| {
            controller.index.is_some()
                && controller.r#type != ControllerKind::Usb
                && (other.r#type, other.index) == (controller.r#type, controller.index)
        };
        if controllers[..at].iter().any(|other| is_twin(&other)) {
            problems.add(Code::ConfigUnsupported, path, "there is a controller of this kind and number already");
        }
        check_host_bridge(controller, path, problems);
        let is_root = matches!(controller.model, Some(ControllerModel::PciRoot | ControllerModel::PcieRoot));
        if is_root && controller.address.is_some() {
            let path = format_args!("{path}.address");
            problems.add(Code::ConfigUnsupported, path, "the first bus is the machine's: it has no address");
        }
    }
    let disks = domain.devices.disks.iter().map(|disk| ("disks", &disk.name, &disk.address));
    let hostdevs = domain.devices.hostdevs.iter().map(|hostdev| ("hostdevs", &hostdev.name, &hostdev.address));
    for (list, name, address) in disks.chain(hostdevs) {
        if let Some(Address::Drive(address)) = address
            && let Some(controller) = address.controller.filter(|controller| *controller > MAX_INDEX)
        {
            problems.add(
                Code::XmlError,
                format!("devices.{list}[{name}].address.drive.controller"),
                format!("{controller} is too large: {MAX_INDEX} at most"),
            );
        }
    }
    check_usb(domain, problems);
    check_usb_ports(domain, problems);
}

fn check_host_bridge(controller: &Controller, path: Arguments<'_>, problems: &mut Problems) {
    let is_root = controller.r#type == ControllerKind::Pci && controller.model == Some(ControllerModel::PciRoot);
    let Some(target) = controller.target.as_ref().filter(|_| is_root) else { return };
    let is_power = target.index.is_some()
        || controller.model_name.as_ref().is_some_and(|model| model.name == PciModelName::SpaprPciHostBridge);
    if !is_power {
        return;
    }
    if let Some(index) = target.index {
        if index > MAX_HOST_BRIDGE {
            problems.add(
                Code::ConfigUnsupported,
                format!("{path}.target.index"),
                format!("{index} is too large: {MAX_HOST_BRIDGE} at most"),
            );
        } else if controller.index.is_some_and(|number| (number == 0) != (index == 0)) {
            problems.add(
                Code::ConfigUnsupported,
                format!("{path}.target.index"),
                "0 is for controller 0, and for no other",
            );
        }
    }
    if controller.index == Some(0) && target.node.is_some() {
        problems.add(Code::ConfigUnsupported, format!("{path}.target.node"), "controller 0 belongs to no NUMA node");
    }
}

/// Whether the driver's machines have USB where nothing is said.
const fn adds_usb(r#type: Option<DomainType>) -> bool {
    matches!(r#type, None | Some(DomainType::Kvm | DomainType::Qemu | DomainType::Hvf))
}

/// A guest without USB has nothing that sits on it.
fn check_usb(domain: &Domain, problems: &mut Problems) {
    let devices = &domain.devices;
    let usb = || devices.controllers.iter().filter(|controller| controller.r#type == ControllerKind::Usb);
    let is_companion = |controller: &Controller| controller.master.is_some();
    let is_master = |controller: &Controller| controller.model == Some(ControllerModel::Ich9Ehci1);
    for companion in usb().filter(|controller| is_companion(controller)) {
        if !usb().any(|other| is_master(other) && (other.index == companion.index || companion.index.is_none())) {
            problems.add(
                Code::XmlDetail,
                format!("devices.controllers[{}].master", companion.name),
                "the controller that it stands beside is missing: model 'ich9-ehci1' of the same number",
            );
        }
    }
    let is_refused = usb().any(|controller| controller.model == Some(ControllerModel::None));
    if !is_refused && usb().next().is_none() && !adds_usb(domain.r#type) {
        for redirdev in &devices.redirdevs {
            let path = format_args!("devices.redirdevs[{}]", redirdev.name);
            problems.add(Code::ConfigUnsupported, path, "the guest has no USB: give it a controller");
        }
    }
    if !is_refused {
        return;
    }
    const NONE: &str = "the guest has no USB: its controller's model is 'none'";
    if usb().any(|controller| controller.model != Some(ControllerModel::None)) {
        problems.add(Code::XmlDetail, "devices.controllers", NONE);
    }
    let mut refuse = |list: &str, name: &str| {
        problems.add(Code::ConfigUnsupported, format!("devices.{list}[{name}]"), NONE);
    };
    devices.hubs.iter().filter(|hub| hub.r#type == HubKind::Usb).for_each(|hub| refuse("hubs", &hub.name));
    devices.redirdevs.iter().for_each(|redirdev| refuse("redirdevs", &redirdev.name));
    for hostdev in devices.hostdevs.iter().filter(|hostdev| matches!(hostdev.source, HostdevSource::Usb(_))) {
        refuse("hostdevs", &hostdev.name);
    }
    for input in devices.inputs.iter().filter(|input| input.bus == Some(InputBus::Usb)) {
        refuse("inputs", &input.name);
    }
}

fn check_usb_ports(domain: &Domain, problems: &mut Problems) {
    let devices = &domain.devices;
    macro_rules! check_all {
        ($($list:ident),*) => { $(for device in &devices.$list {
            if let Some(Address::Usb(address)) = &device.address && let Some(port) = &address.port {
                check_usb_port(port, format_args!(concat!("devices.", stringify!($list), "[{}].address"), device.name), problems);
            }
        })* };
    }
    check_all!(disks, interfaces, serials, inputs, sounds, hostdevs, redirdevs, hubs, smartcards);
}

/// `1.2.3`: a port of the controller, and of the hubs behind it.
fn check_usb_port(port: &str, path: Arguments<'_>, problems: &mut Problems) {
    let parts: Vec<&str> = port.split('.').collect();
    if parts.len() > USB_DEPTH || parts.iter().any(|part| part.parse::<u32>().is_err()) {
        problems.add(
            Code::InternalError,
            format!("{path}.usb.port"),
            format!("'{port}' is no port: up to {USB_DEPTH} numbers with dots are expected, as in 1.2"),
        );
    }
}
