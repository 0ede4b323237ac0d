//! `<interface>`: the host's side and the device.

mod netdev;
mod nic;

use ostler_conf::domain::{
    Address, Alias, Hostdev, HostdevSource, Interface, InterfaceBackendKind, InterfaceDriverName, InterfaceSource,
    PciAddress, Reconnect,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

pub(crate) use self::netdev::{Facts, TapNames, netdev};
pub(crate) use self::nic::{Seat, device};
use super::{Args, NetworkPort, Runtime, Setup, alias, chardev, hostdev};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for (at, interface) in setup.domain.devices.interfaces.iter().enumerate() {
        // What is a device of the host stands among those.
        if pci_device(interface, setup.runtime).is_some() {
            continue;
        }
        refuse_foreign_tap(interface)?;
        let name = alias(&interface.alias);
        if let Some((socket, is_server, reconnect)) = vhost_user_socket(setup, interface) {
            let backend = if is_server {
                chardev::Backend::serving(&socket)
            } else {
                chardev::Backend::connecting(&socket).reconnect(setup, reconnect)
            };
            chardev::write(setup, args, &format!("char{name}"), backend);
        }
        let mut facts = Facts::of(setup, interface);
        if let Some(fd) = netdev::vdpa(setup, interface) {
            facts.vdpa = Some(args.descriptor(fd, &format!("{name}-vdpa")));
        }
        args.netdev(setup, &netdev(interface, &facts));
        let loadparm = interface.boot.as_ref().and_then(|boot| boot.loadparm.as_deref());
        let seat =
            Seat { boot: setup.boot.interface(at), loadparm: loadparm.filter(|_| super::disk::has_loadparm(setup)) };
        args.zpci(setup, &interface.address, &interface.alias);
        let props = device(setup.domain, interface, &seat)?;
        if is_part_of_board(setup, interface) {
            args.option("-net", nic::of_board(interface));
            continue;
        }
        args.device(setup, props);
    }
    Ok(())
}

/// Interfaces that are devices of the host, as such.
pub(super) fn hostdevs(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for (at, interface) in setup.domain.devices.interfaces.iter().enumerate() {
        if let Some(address) = pci_device(interface, setup.runtime) {
            refuse_foreign_tap(interface)?;
            let mut device = as_hostdev(interface, address);
            if !matches!(interface.source, InterfaceSource::Hostdev(_)) {
                device.alias = Some(Alias { name: free_name(setup) });
            }
            hostdev::pci(setup, args, &device, setup.boot.interface(at))?;
        }
    }
    Ok(())
}

/// A tap device of the user's choice needs an interface that has one.
fn refuse_foreign_tap(interface: &Interface) -> Result<()> {
    let has_tap = matches!(
        interface.source,
        InterfaceSource::Network(_) | InterfaceSource::Bridge(_) | InterfaceSource::Ethernet(_)
    );
    if has_tap || interface.backend.as_ref().is_none_or(|backend| backend.tap.is_none()) {
        return Ok(());
    }
    let kind = ostler_conf::xml::Union::tag(&interface.source);
    let message = format!("an interface of the kind '{kind}' has no tap device, and so none that could be chosen");
    Err(Error::new(ErrorCode::ConfigUnsupported, message)
        .at(format!("devices.interfaces[{}].backend.tap", interface.name)))
}

/// Boards of ARM have their network cards soldered on: what sits on no bus is one of these.
fn is_part_of_board(setup: &Setup<'_>, interface: &Interface) -> bool {
    super::platform::is_arm(setup.domain) && !is_virtio(interface) && interface.address.is_none()
}

/// The device of the host that an interface is, by its own word or by its network's.
fn pci_device<'a>(interface: &'a Interface, runtime: &'a Runtime) -> Option<&'a PciAddress> {
    match (&interface.source, runtime.ports.get(alias(&interface.alias))) {
        (InterfaceSource::Hostdev(source), _) => match &source.address {
            ostler_conf::domain::HostAddress::Pci(address) => Some(address),
            ostler_conf::domain::HostAddress::Usb(_) => None,
        },
        (InterfaceSource::Network(_), Some(NetworkPort::Hostdev(address))) => Some(address),
        _ => None,
    }
}

/// The first name of a device of the host that none has: a network's choice of one comes after names were given.
fn free_name(setup: &Setup<'_>) -> String {
    let devices = &setup.domain.devices;
    let names = devices.hostdevs.iter().map(|hostdev| &hostdev.alias);
    let taken: Vec<&str> =
        names.chain(devices.interfaces.iter().map(|interface| &interface.alias)).map(alias).collect();
    let free = (0..).map(|number: u32| format!("hostdev{number}")).find(|name| !taken.contains(&name.as_str()));
    free.unwrap_or_default()
}

fn as_hostdev(interface: &Interface, address: &PciAddress) -> Hostdev {
    Hostdev {
        name: interface.name.clone(),
        mode: None,
        driver: None,
        source: HostdevSource::Pci(ostler_conf::domain::PciHostdev {
            write_filtering: None,
            address: address.clone(),
            original_states: None,
        }),
        managed: interface.managed,
        sgio: None,
        rawio: None,
        model: None,
        display: None,
        ramfb: None,
        teaming: interface.teaming.clone(),
        ips: Vec::new(),
        routes: Vec::new(),
        readonly: false,
        shareable: false,
        boot: None,
        alias: interface.alias.clone(),
        rom: interface.rom.clone(),
        acpi: interface.acpi.clone(),
        address: interface.address.clone(),
    }
}

/// The socket of the program that an interface is, whether QEMU listens, and when it connects again.
fn vhost_user_socket(setup: &Setup<'_>, interface: &Interface) -> Option<(String, bool, Option<u32>)> {
    let InterfaceSource::Vhostuser(source) = &interface.source else { return None };
    if is_passt(interface) {
        // passt may end and begin again: QEMU waits five seconds each time.
        return Some((passt_socket(setup, interface), false, Some(5)));
    }
    let is_server = source.mode == Some(ostler_conf::domain::SocketMode::Server);
    let reconnect = source.reconnect.as_ref().and_then(reconnect_seconds);
    Some((source.path.clone().unwrap_or_default(), is_server, reconnect))
}

/// After how many seconds a lost connection is made again: none said, none; 0, never.
pub(super) fn reconnect_seconds(reconnect: &Reconnect) -> Option<u32> {
    match reconnect.enabled {
        Some(enabled) if enabled.0 => reconnect.timeout,
        Some(_) => Some(0),
        None => None,
    }
}

fn is_passt(interface: &Interface) -> bool {
    interface.backend.as_ref().is_some_and(|backend| backend.r#type == Some(InterfaceBackendKind::Passt))
}

fn passt_socket(setup: &Setup<'_>, interface: &Interface) -> String {
    let file = format!("{}-{}.socket", setup.runtime.short_name, alias(&interface.alias));
    setup.settings.passt_dir.join(file).to_string_lossy().into_owned()
}

/// Whether an interface speaks virtio.
pub(crate) fn is_virtio(interface: &Interface) -> bool {
    interface.model.as_ref().is_some_and(|model| model.r#type.starts_with("virtio"))
}

/// Whether the kernel moves the packets of a tap interface: of virtio ones where nobody says otherwise.
pub fn wants_vhost(interface: &Interface) -> bool {
    let chosen = interface.driver.as_ref().and_then(|driver| driver.name);
    is_virtio(interface) && chosen != Some(InterfaceDriverName::Qemu)
}

/// How many queues an interface has.
pub fn queues(interface: &Interface) -> u32 {
    let queues = interface.driver.as_ref().and_then(|driver| driver.queues).unwrap_or(1).max(1);
    if is_virtio(interface) { queues } else { 1 }
}

/// Whether an address is one on s390's channels: such devices have no vectors.
fn is_ccw(address: &Option<Address>) -> bool {
    matches!(address, Some(Address::Ccw(_)))
}
