//! Which devices sit on a PCI bus, and of which sort.

use ostler_conf::Domain;
use ostler_conf::domain::{
    Address, Controller, ControllerKind, ControllerModel as Model, Crypto, Disk, DiskBus, Filesystem,
    FilesystemDriverKind, FilesystemSource, Hostdev, HostdevSource, Input, InputBus, Interface, InterfaceSource,
    Memballoon, MemballoonModel, MemoryDevice, MemoryModel, Panic, PanicModel, Pstore, Rng, Serial, SerialTargetKind,
    Shmem, Sound, SoundModel, Video, VideoKind, VirtioModel, Vsock, Watchdog, WatchdogModel,
};

use super::Connection;
use crate::complete::Settings;

/// A device that sits on a PCI bus.
pub(super) struct Device<'a> {
    /// Where a bus must be of which sort.
    pub(super) connection: Connection,
    /// Its field, for messages.
    pub(super) path: String,
    /// Its address.
    pub(super) address: &'a mut Option<Address>,
    /// For a USB controller that stands beside others: their number, and its own model.
    pub(super) companion: Option<(u32, Model)>,
    /// The host's devices that may share a bus with it have the same number.
    pub(super) group: u32,
}

/// Visits all PCI devices in the order in which libvirt gives them addresses.
pub(super) fn visit(domain: &mut Domain, settings: &Settings, visitor: &mut dyn FnMut(Device<'_>)) {
    let devices = &mut domain.devices;
    macro_rules! visit {
        ($list:ident, $connection:expr) => {
            for device in &mut devices.$list {
                if let Some(connection) = $connection(device) {
                    let path = format!(concat!("devices.", stringify!($list), "[{}].address"), device.name);
                    visitor(Device { connection, path, address: &mut device.address, companion: None, group: 0 });
                }
            }
        };
    }
    macro_rules! visit_one {
        ($field:ident, $connection:expr) => {
            if let Some(device) = &mut devices.$field {
                if let Some(connection) = $connection(device) {
                    let path = concat!("devices.", stringify!($field), ".address").to_owned();
                    visitor(Device { connection, path, address: &mut device.address, companion: None, group: 0 });
                }
            }
        };
    }
    for device in &mut devices.controllers {
        if let Some(connection) = bridge_connection(device) {
            let path = controller_path(device);
            visitor(Device { connection, path, address: &mut device.address, companion: None, group: 0 });
        }
    }
    visit!(filesystems, filesystem_connection);
    for device in &mut devices.interfaces {
        let (connection, group) = match &device.source {
            InterfaceSource::Hostdev(source) => match &source.address {
                ostler_conf::domain::HostAddress::Pci(address) => {
                    (Some(settings.connection_of(address)), settings.group_of(address))
                }
                ostler_conf::domain::HostAddress::Usb(_) => (None, 0),
            },
            _ => (interface_connection(device), 0),
        };
        if let Some(connection) = connection {
            let path = format!("devices.interfaces[{}].address", device.name);
            visitor(Device { connection, path, address: &mut device.address, companion: None, group });
        }
    }
    visit!(sounds, sound_connection);
    for device in &mut devices.controllers {
        if let Some(connection) = controller_connection(device) {
            let path = controller_path(device);
            let companion = companion(device);
            visitor(Device { connection, path, address: &mut device.address, companion, group: 0 });
        }
    }
    visit!(disks, disk_connection);
    for device in &mut devices.hostdevs {
        if let Some((connection, group)) = hostdev_connection(device, settings) {
            let path = format!("devices.hostdevs[{}].address", device.name);
            visitor(Device { connection, path, address: &mut device.address, companion: None, group });
        }
    }
    visit_one!(memballoon, memballoon_connection);
    visit!(rngs, rng_connection);
    visit!(watchdogs, watchdog_connection);
    visit!(videos, video_connection);
    visit!(shmems, shmem_connection);
    visit!(inputs, input_connection);
    visit!(serials, serial_connection);
    visit!(panics, panic_connection);
    visit_one!(vsock, vsock_connection);
    if let Some(iommu) = &mut devices.iommu
        && iommu.model == ostler_conf::domain::IommuModel::Virtio
    {
        let path = "devices.iommu.address".to_owned();
        let connection = Connection::Root;
        visitor(Device { connection, path, address: &mut iommu.address, companion: None, group: 0 });
    }
    visit!(memories, memory_connection);
    visit!(cryptos, crypto_connection);
    visit_one!(pstore, pstore_connection);
}

/// A controller's field, for messages: it may not have its name yet.
pub(super) fn controller_path(controller: &Controller) -> String {
    let made = || format!("{}{}", controller.r#type, controller.index.unwrap_or(0));
    let name = Some(controller.name.clone()).filter(|name| !name.is_empty()).unwrap_or_else(made);
    format!("devices.controllers[{name}].address")
}

/// USB 1 and 2 controllers of one number share a slot.
fn companion(controller: &Controller) -> Option<(u32, Model)> {
    let model = controller.model?;
    let is_companion = matches!(model, Model::Ich9Ehci1 | Model::Ich9Uhci1 | Model::Ich9Uhci2 | Model::Ich9Uhci3);
    (controller.r#type == ControllerKind::Usb && is_companion).then_some((controller.index?, model))
}

/// virtio devices are of the newer kind unless they are to be of the older one too, which only conventional PCI can.
fn virtio(model: Option<VirtioModel>) -> Connection {
    match model {
        Some(VirtioModel::Transitional) => Connection::Conventional,
        None | Some(VirtioModel::Virtio | VirtioModel::NonTransitional) => Connection::Express,
    }
}

fn bridge_connection(controller: &Controller) -> Option<Connection> {
    match controller.model.filter(|_| controller.r#type == ControllerKind::Pci)? {
        Model::PciRoot | Model::PcieRoot => None,
        model => Some(Connection::Bridge(model)),
    }
}

fn controller_connection(controller: &Controller) -> Option<Connection> {
    match (controller.r#type, controller.model) {
        (ControllerKind::Usb, Some(Model::QemuXhci | Model::NecXhci)) => Some(Connection::Express),
        (ControllerKind::Usb, Some(Model::None)) => None,
        (ControllerKind::Usb, _) => Some(Connection::Conventional),
        (ControllerKind::Scsi | ControllerKind::VirtioSerial, Some(Model::VirtioTransitional)) => {
            Some(Connection::Conventional)
        }
        (ControllerKind::Scsi, Some(Model::VirtioScsi | Model::VirtioNonTransitional))
        | (ControllerKind::VirtioSerial, _) => Some(Connection::Express),
        (ControllerKind::Scsi, Some(Model::Ncr53c90 | Model::Ibmvscsi)) => None,
        (ControllerKind::Scsi | ControllerKind::Ide | ControllerKind::Sata | ControllerKind::Nvme, _) => {
            Some(Connection::Conventional)
        }
        (
            ControllerKind::Pci
            | ControllerKind::Fdc
            | ControllerKind::Ccid
            | ControllerKind::Xenbus
            | ControllerKind::Isa,
            _,
        ) => None,
    }
}

/// Where an interface's model sits.
pub(crate) fn interface_connection(interface: &Interface) -> Option<Connection> {
    match interface.model.as_ref().map(|model| model.r#type.as_str()) {
        // libvirt knows nothing of the last two, and puts them where most devices go.
        Some("virtio" | "virtio-non-transitional" | "e1000e" | "igb" | "ne2k_pci" | "pcnet") => {
            Some(Connection::Express)
        }
        Some("usb-net" | "spapr-vlan" | "smc91c111" | "lan9118") => None,
        _ => Some(Connection::Conventional),
    }
}

/// Where a disk sits, if it sits on PCI itself.
pub(crate) fn disk_connection(disk: &Disk) -> Option<Connection> {
    // One that is not completed yet says it by its name.
    let is_virtio = disk.target.bus.map_or(disk.name.starts_with("vd"), |bus| bus == DiskBus::Virtio);
    is_virtio.then(|| virtio(disk.model))
}

fn filesystem_connection(filesystem: &Filesystem) -> Option<Connection> {
    let is_shared = matches!(filesystem.source, FilesystemSource::Mount(_) | FilesystemSource::Volume(_));
    let kind = filesystem.driver.as_ref().and_then(|driver| driver.r#type);
    (is_shared && kind != Some(FilesystemDriverKind::Mtp)).then(|| virtio(filesystem.model))
}

fn sound_connection(sound: &Sound) -> Option<Connection> {
    match sound.model {
        SoundModel::Es1370 | SoundModel::Ac97 | SoundModel::Ich6 | SoundModel::Ich9 | SoundModel::Ich7 => {
            Some(Connection::Conventional)
        }
        SoundModel::Virtio => Some(Connection::Express),
        SoundModel::Sb16 | SoundModel::Pcspk | SoundModel::Usb => None,
    }
}

fn hostdev_connection(hostdev: &Hostdev, settings: &Settings) -> Option<(Connection, u32)> {
    match &hostdev.source {
        HostdevSource::Pci(source) => {
            Some((settings.connection_of(&source.address), settings.group_of(&source.address)))
        }
        HostdevSource::Mdev(_) if hostdev.model.as_deref() == Some("vfio-pci") => Some((Connection::Express, 0)),
        HostdevSource::ScsiHost(_) => Some(match hostdev.model.as_deref() {
            Some("virtio-transitional") => (Connection::Conventional, 0),
            _ => (Connection::Express, 0),
        }),
        _ => None,
    }
}

fn memballoon_connection(balloon: &Memballoon) -> Option<Connection> {
    match balloon.model {
        MemballoonModel::Virtio | MemballoonModel::VirtioNonTransitional => Some(Connection::Express),
        MemballoonModel::VirtioTransitional => Some(Connection::Conventional),
        MemballoonModel::Xen | MemballoonModel::None => None,
    }
}

/// Where a source of random numbers sits.
fn rng_connection(rng: &Rng) -> Option<Connection> {
    Some(virtio(Some(rng.model)))
}

/// Where a watchdog sits, if it sits on PCI.
fn watchdog_connection(watchdog: &Watchdog) -> Option<Connection> {
    (watchdog.model == WatchdogModel::I6300esb).then_some(Connection::Conventional)
}

fn video_connection(video: &Video) -> Option<Connection> {
    match video.model.as_ref()?.r#type {
        VideoKind::Virtio | VideoKind::Bochs => Some(Connection::Express),
        VideoKind::Vga | VideoKind::Cirrus | VideoKind::Vmvga | VideoKind::Qxl => Some(Connection::Conventional),
        VideoKind::Xen
        | VideoKind::Vbox
        | VideoKind::Parallels
        | VideoKind::Gop
        | VideoKind::None
        | VideoKind::Ramfb => None,
    }
}

fn shmem_connection(_: &Shmem) -> Option<Connection> {
    Some(Connection::Conventional)
}

fn input_connection(input: &Input) -> Option<Connection> {
    (input.bus == Some(InputBus::Virtio)).then(|| virtio(input.model))
}

fn serial_connection(serial: &Serial) -> Option<Connection> {
    let kind = serial.target.as_ref().and_then(|target| target.r#type);
    (kind == Some(SerialTargetKind::PciSerial)).then_some(Connection::Conventional)
}

fn panic_connection(panic: &Panic) -> Option<Connection> {
    (panic.model == Some(PanicModel::Pvpanic)).then_some(Connection::Root)
}

fn vsock_connection(vsock: &Vsock) -> Option<Connection> {
    Some(virtio(vsock.model))
}

fn memory_connection(memory: &MemoryDevice) -> Option<Connection> {
    matches!(memory.model, MemoryModel::VirtioMem | MemoryModel::VirtioPmem).then_some(Connection::Express)
}

fn crypto_connection(_: &Crypto) -> Option<Connection> {
    Some(Connection::Conventional)
}

fn pstore_connection(_: &Pstore) -> Option<Connection> {
    Some(Connection::Conventional)
}
