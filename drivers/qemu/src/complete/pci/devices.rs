//! Which devices sit on a PCI bus, and of which sort.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Controller, ControllerKind, ControllerModel as Model, Disk, DiskBus, Input, InputBus, Interface,
    MemballoonModel, Rng, Serial, SerialTargetKind, VirtioModel, Watchdog, WatchdogModel,
};

use super::Connection;

/// A device that sits on a PCI bus.
pub(super) struct Device<'a> {
    /// Where a bus must be of which sort.
    pub(super) connection: Connection,
    /// Its field, for messages.
    pub(super) path: String,
    /// Its address.
    pub(super) address: &'a mut Option<Address>,
}

/// Visits all PCI devices in the order in which libvirt gives them addresses.
pub(super) fn visit(domain: &mut Domain, visitor: &mut dyn FnMut(Device<'_>)) {
    let devices = &mut domain.devices;
    macro_rules! visit {
        ($list:ident, $connection:expr) => {
            for device in &mut devices.$list {
                if let Some(connection) = $connection(device) {
                    let path = format!(concat!("devices.", stringify!($list), "[{}].address"), device.name);
                    visitor(Device { connection, path, address: &mut device.address });
                }
            }
        };
    }
    macro_rules! visit_controllers {
        ($connection:expr) => {
            for device in &mut devices.controllers {
                if let Some(connection) = $connection(device) {
                    visitor(Device { connection, path: controller_path(device), address: &mut device.address });
                }
            }
        };
    }
    visit_controllers!(bridge_connection);
    visit!(interfaces, interface_connection);
    visit_controllers!(controller_connection);
    visit!(disks, disk_connection);
    if let Some(balloon) = devices.memballoon.as_mut().filter(|balloon| balloon.model == MemballoonModel::Virtio) {
        let path = "devices.memballoon.address".to_owned();
        visitor(Device { connection: Connection::Express, path, address: &mut balloon.address });
    }
    visit!(rngs, rng_connection);
    visit!(watchdogs, watchdog_connection);
    visit!(inputs, input_connection);
    visit!(serials, serial_connection);
}

/// A controller's field, for messages: it may not have its name yet.
pub(super) fn controller_path(controller: &Controller) -> String {
    let made = || format!("{}{}", controller.r#type, controller.index.unwrap_or(0));
    let name = Some(controller.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(made);
    format!("devices.controllers[{name}].address")
}

fn bridge_connection(controller: &Controller) -> Option<Connection> {
    match controller.model.filter(|_| controller.r#type == ControllerKind::Pci)? {
        Model::PcieRootPort => Some(Connection::RootPort),
        Model::PcieToPciBridge => Some(Connection::Express),
        Model::DmiToPciBridge => Some(Connection::Root),
        Model::PciBridge => Some(Connection::Conventional),
        _ => None,
    }
}

fn controller_connection(controller: &Controller) -> Option<Connection> {
    match (controller.r#type, controller.model) {
        (ControllerKind::Usb, Some(Model::QemuXhci | Model::NecXhci)) => Some(Connection::Express),
        (ControllerKind::Usb, Some(Model::None) | None) => None,
        (ControllerKind::Usb, Some(_)) => Some(Connection::Conventional),
        (ControllerKind::Scsi, Some(Model::VirtioScsi)) | (ControllerKind::VirtioSerial, _) => {
            Some(Connection::Express)
        }
        (ControllerKind::Scsi | ControllerKind::Ide | ControllerKind::Sata, _) => Some(Connection::Conventional),
        (
            ControllerKind::Pci
            | ControllerKind::Fdc
            | ControllerKind::Ccid
            | ControllerKind::Xenbus
            | ControllerKind::Isa
            | ControllerKind::Nvme,
            _,
        ) => None,
    }
}

/// Where an interface's model sits.
pub(crate) fn interface_connection(interface: &Interface) -> Option<Connection> {
    match interface.model.as_ref().map(|model| model.r#type.as_str()) {
        Some("virtio" | "virtio-non-transitional" | "e1000e" | "igb") => Some(Connection::Express),
        Some("usb-net") => None,
        _ => Some(Connection::Conventional),
    }
}

/// Where a disk sits, if it sits on PCI itself.
pub(crate) fn disk_connection(disk: &Disk) -> Option<Connection> {
    // One that is not completed yet says it by its name.
    let is_virtio = disk.target.bus.map_or(disk.name.starts_with("vd"), |bus| bus == DiskBus::Virtio);
    is_virtio.then_some(Connection::Express)
}

/// Where a source of random numbers sits.
fn rng_connection(rng: &Rng) -> Option<Connection> {
    (rng.model == VirtioModel::Virtio).then_some(Connection::Express)
}

/// Where a watchdog sits, if it sits on PCI.
fn watchdog_connection(watchdog: &Watchdog) -> Option<Connection> {
    (watchdog.model == WatchdogModel::I6300esb).then_some(Connection::Conventional)
}

fn input_connection(input: &Input) -> Option<Connection> {
    (input.bus == Some(InputBus::Virtio)).then_some(Connection::Express)
}

fn serial_connection(serial: &Serial) -> Option<Connection> {
    let kind = serial.target.as_ref().and_then(|target| target.r#type);
    (kind == Some(SerialTargetKind::PciSerial)).then_some(Connection::Conventional)
}
