//! The driver-independent defaults of a domain, as libvirt fills them in. What is set stays.

mod display;
mod machine;

use super::{
    Address, BootDevice, BootEntry, CharProtocol, CharSource, CharSourcePath, CharSourceUnixMode, Clock, ClockOffset,
    Console, ConsoleTarget, ConsoleTargetKind, Controller, ControllerKind, ControllerModel, CurrentMemory, Disk,
    DiskBus, DiskDevice, DiskSource, Domain, DriveAddress, FileSource, Filesystem, FilesystemAccess, FilesystemSource,
    LifecycleAction, OsKind, SerialTarget, Vcpu, VcpuPlacement, VirtioSerialAddress,
};

pub(super) fn complete(domain: &mut Domain) {
    complete_resources(domain);
    complete_boot(domain);
    domain.clock.get_or_insert_with(|| Clock::new(ClockOffset::Utc));
    domain.on_poweroff.get_or_insert(LifecycleAction::Destroy);
    domain.on_reboot.get_or_insert(LifecycleAction::Restart);
    domain.on_crash.get_or_insert(LifecycleAction::Destroy);
    for disk in &mut domain.devices.disks {
        complete_disk(disk);
    }
    for filesystem in &mut domain.devices.filesystems {
        complete_filesystem(filesystem);
    }
    machine::complete(domain);
    display::complete(&mut domain.devices.graphics, &mut domain.devices.videos);
    complete_chardevs(domain);
    complete_controllers(domain);
    domain.label_devices();
}

fn complete_resources(domain: &mut Domain) {
    if let Some(memory) = &domain.memory {
        let size = memory.size;
        let current = domain.current_memory.get_or_insert(CurrentMemory { size });
        // libvirt lowers what is more than there is.
        if current.size.0 > size.0 || current.size.0.bytes() == 0 {
            current.size = size;
        }
    }
    let vcpu = domain.vcpu.get_or_insert(Vcpu { placement: None, cpuset: None, current: None, count: 1 });
    vcpu.placement.get_or_insert(VcpuPlacement::Static);
}

/// Without any other word, a hardware-like guest boots from its hard disk.
fn complete_boot(domain: &mut Domain) {
    let kind = *domain.os.r#type.kind.get_or_insert(OsKind::Hvm);
    let has_order = domain.devices.disks.iter().any(|d| d.boot.is_some())
        || domain.devices.interfaces.iter().any(|i| i.boot.is_some());
    // libvirt says so beside a kernel that is booted directly, too.
    let boots_by_itself = domain.os.boot.is_empty() && !has_order;
    if kind == OsKind::Hvm && boots_by_itself {
        domain.os.boot.push(BootEntry { dev: BootDevice::Hd });
    }
}

/// Files have the guest's own owners, except where there is nobody to own them.
fn complete_filesystem(filesystem: &mut Filesystem) {
    if !matches!(filesystem.source, FilesystemSource::Ram(_) | FilesystemSource::Bind(_)) {
        filesystem.accessmode.get_or_insert(FilesystemAccess::Passthrough);
    }
}

fn complete_disk(disk: &mut Disk) {
    let device = *disk.device.get_or_insert(DiskDevice::Disk);
    let is_removable = matches!(device, DiskDevice::Cdrom | DiskDevice::Floppy);
    let is_empty = disk.source.as_ref().is_some_and(|source| match source {
        DiskSource::File(source) => source.file.as_deref().is_none_or(str::is_empty),
        DiskSource::Block(source) => source.dev.as_deref().is_none_or(str::is_empty),
        _ => false,
    });
    if is_removable && is_empty {
        // An empty drive is one without a file, whatever it held before.
        let common = disk.source.as_ref().map(|source| source.common().clone()).unwrap_or_default();
        disk.source = Some(DiskSource::File(FileSource { common, ..FileSource::default() }));
    }
    if disk.target.bus.is_none() {
        disk.target.bus = bus_of(&disk.name, device);
    }
    if device == DiskDevice::Cdrom {
        disk.readonly = true;
    }
    if disk.address.is_none() {
        disk.address = drive_address(&disk.name, disk.target.bus).map(Address::Drive);
    }
}

/// The bus that a target's name stands for.
fn bus_of(name: &str, device: DiskDevice) -> Option<DiskBus> {
    const PREFIXES: &[(&str, DiskBus)] = &[
        ("hd", DiskBus::Ide),
        ("sd", DiskBus::Scsi),
        ("vd", DiskBus::Virtio),
        ("xvd", DiskBus::Xen),
        ("ubd", DiskBus::Uml),
        ("nvme", DiskBus::Nvme),
    ];
    if device == DiskDevice::Floppy || name.starts_with("fd") {
        return Some(DiskBus::Fdc);
    }
    PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, bus)| *bus)
}

/// `vda` → 0, `vdz` → 25, `vdaa` → 26; numbers at the end (partitions) are refused.
pub(super) fn target_index(name: &str) -> Option<u32> {
    const PREFIXES: &[&str] = &["fd", "hd", "vd", "sd", "xvd", "ubd"];
    let letters = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    if letters.is_empty() || letters.len() > 5 || !letters.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let index = letters.bytes().fold(0_u32, |index, letter| index * 26 + u32::from(letter - b'a') + 1);
    Some(index - 1)
}

/// Where libvirt puts the disk with this target on a controller of its bus.
fn drive_address(name: &str, bus: Option<DiskBus>) -> Option<DriveAddress> {
    let index = target_index(name)?;
    let (controller, bus, unit) = match bus? {
        // Seven units a controller: the eighth is the controller's own.
        DiskBus::Scsi => (index / 7, 0, index % 7),
        DiskBus::Ide => (index / 4, (index % 4) / 2, index % 2),
        DiskBus::Sata => (index / 6, 0, index % 6),
        DiskBus::Fdc => (index / 2, 0, index % 2),
        DiskBus::Virtio | DiskBus::Xen | DiskBus::Usb | DiskBus::Uml | DiskBus::Sd | DiskBus::Nvme => return None,
    };
    Some(DriveAddress { controller: Some(controller), bus: Some(bus), target: Some(0), unit: Some(unit) })
}

/// Who calls whom, where it is not said.
fn complete_source(source: &mut CharSource) {
    if let CharSource::Tcp(tcp) = source {
        tcp.mode.get_or_insert(CharSourceUnixMode::Connect);
        tcp.protocol.get_or_insert(CharProtocol::Raw);
    }
}

fn complete_chardevs(domain: &mut Domain) {
    let devices = &mut domain.devices;
    let sources = devices.serials.iter_mut().filter_map(|device| device.source.as_mut());
    let sources = sources.chain(devices.parallels.iter_mut().filter_map(|device| device.source.as_mut()));
    let sources = sources.chain(devices.consoles.iter_mut().filter_map(|device| device.source.as_mut()));
    let sources = sources.chain(devices.channels.iter_mut().filter_map(|device| device.source.as_mut()));
    sources.chain(devices.redirdevs.iter_mut().map(|device| &mut device.source)).for_each(complete_source);
    for (port, parallel) in (0..).zip(&mut devices.parallels) {
        parallel.source.get_or_insert_with(pty);
        parallel.target.get_or_insert_default().port.get_or_insert(port);
    }
    for (port, serial) in (0..).zip(&mut devices.serials) {
        serial.source.get_or_insert_with(pty);
        serial.target.get_or_insert(SerialTarget { r#type: None, port: None, model: None }).port.get_or_insert(port);
    }
    for (port, console) in (0..).zip(&mut devices.consoles) {
        console.source.get_or_insert_with(pty);
        let target = console.target.get_or_insert(ConsoleTarget { r#type: None, port: None });
        target.r#type.get_or_insert(ConsoleTargetKind::Serial);
        target.port.get_or_insert(port);
    }
    // The first serial port of a hardware-like guest shows up as its first console, and the other way round.
    if domain.os.r#type.kind != Some(OsKind::Hvm) {
        return;
    }
    match (devices.serials.first(), devices.consoles.first()) {
        (Some(serial), None) => devices.consoles.push(Console {
            name: String::new(),
            tty: None,
            source: serial.source.clone(),
            log: serial.log.clone(),
            target: Some(ConsoleTarget { r#type: Some(ConsoleTargetKind::Serial), port: Some(0) }),
            alias: None,
            address: None,
        }),
        (None, Some(console))
            if console.target.as_ref().is_some_and(|t| t.r#type == Some(ConsoleTargetKind::Serial)) =>
        {
            devices.serials.push(super::Serial {
                name: String::new(),
                source: console.source.clone(),
                log: console.log.clone(),
                target: Some(SerialTarget { r#type: None, port: Some(0), model: None }),
                alias: None,
                address: None,
            });
        }
        (Some(serial), Some(_))
            if devices.consoles[0].target.as_ref().is_some_and(|t| t.r#type == Some(ConsoleTargetKind::Serial)) =>
        {
            // Said twice, the serial port is right.
            (devices.consoles[0].source, devices.consoles[0].log) = (serial.source.clone(), serial.log.clone());
        }
        (Some(_) | None, Some(_)) | (None, None) => {}
    }
}

fn pty() -> CharSource {
    CharSource::Pty(CharSourcePath::default())
}

/// Controllers that other devices need.
fn complete_controllers(domain: &mut Domain) {
    number_companions(&mut domain.devices.controllers);
    number_controllers(&mut domain.devices.controllers);
    let mut needed = Vec::new();
    for disk in &domain.devices.disks {
        let kind = match disk.target.bus {
            Some(DiskBus::Scsi) => ControllerKind::Scsi,
            Some(DiskBus::Ide) => ControllerKind::Ide,
            Some(DiskBus::Sata) => ControllerKind::Sata,
            Some(DiskBus::Fdc) => ControllerKind::Fdc,
            _ => continue,
        };
        if let Some(Address::Drive(DriveAddress { controller, .. })) = disk.address {
            needed.push((kind, controller.unwrap_or(0)));
        }
    }
    let mut ports = used_serial_ports(domain);
    for channel in &mut domain.devices.channels {
        if channel.address.is_none() {
            // Port 0 of a virtio serial controller is kept for a console.
            let port = (1..).find(|port| !ports.contains(port)).expect("there are more numbers than channels");
            ports.push(port);
            channel.address = Some(Address::VirtioSerial(VirtioSerialAddress {
                controller: Some(0),
                bus: Some(0),
                port: Some(port),
            }));
        }
        needed.push((ControllerKind::VirtioSerial, 0));
    }
    for smartcard in &domain.devices.smartcards {
        let controller = match &smartcard.address {
            Some(Address::Ccid(address)) => address.controller.unwrap_or(0),
            _ => 0,
        };
        needed.push((ControllerKind::Ccid, controller));
    }
    needed.sort_by_key(|(kind, index)| (rank(*kind), *index));
    for (kind, last) in needed {
        for index in 0..=last {
            let is_there = domain.devices.controllers.iter().any(|c| c.r#type == kind && c.index == Some(index));
            if !is_there {
                domain.devices.controllers.push(Controller::new(kind, index));
            }
        }
    }
}

fn used_serial_ports(domain: &Domain) -> Vec<u32> {
    let port = |address: &Option<Address>| match address {
        Some(Address::VirtioSerial(address)) => address.port,
        _ => None,
    };
    domain.devices.channels.iter().filter_map(|channel| port(&channel.address)).collect()
}

/// The order in which libvirt adds controllers.
const fn rank(kind: ControllerKind) -> u8 {
    match kind {
        ControllerKind::Scsi => 0,
        ControllerKind::Fdc => 1,
        ControllerKind::Ide => 2,
        ControllerKind::Sata => 3,
        ControllerKind::VirtioSerial => 4,
        ControllerKind::Ccid => 5,
        _ => 6,
    }
}

/// USB 1 controllers stand beside a USB 2 one, and have its number.
fn number_companions(controllers: &mut [Controller]) {
    let mut master = 0;
    for controller in controllers {
        match controller.model {
            Some(ControllerModel::Ich9Ehci1) => master = controller.index.unwrap_or(master),
            Some(ControllerModel::Ich9Uhci1 | ControllerModel::Ich9Uhci2 | ControllerModel::Ich9Uhci3) => {
                controller.index.get_or_insert(master);
            }
            _ => {}
        }
    }
}

pub(super) fn number_controllers(controllers: &mut [Controller]) {
    for at in 0..controllers.len() {
        if controllers[at].index.is_none() {
            let kind = controllers[at].r#type;
            let taken = |index| controllers.iter().any(|c| c.r#type == kind && c.index == Some(index));
            let next = (0..).find(|index| !taken(*index));
            controllers[at].index = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::target_index;

    #[test]
    fn targets_count_like_spreadsheet_columns() {
        for (name, index) in [
            ("vda", Some(0)),
            ("sdz", Some(25)),
            ("vdaa", Some(26)),
            ("vda1", None),
            ("vd", None),
            ("zzz", None),
            ("xvdb", Some(1)),
        ] {
            assert_eq!(target_index(name), index, "{name}");
        }
    }
}
