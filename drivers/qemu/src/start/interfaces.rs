//! The host's ends of a guest's network cables.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;

use ostler_conf::Domain;
use ostler_conf::domain::{DomainType, Interface, InterfaceSource, InterfaceTarget};
use ostler_conf::values::YesNo;
use ostler_driver::{Error, Port, PortRequest, Result};
use ostler_util::{ErrorCode, MacAddress, tap};
use uuid::Uuid;

use super::Descriptors;
use crate::args::interface::{queues, wants_vhost};
use crate::args::{Runtime, Tap};
use crate::driver::Core;

/// A tap device to be plugged in.
#[derive(Debug)]
pub(crate) enum Plug {
    /// Into a virtual network.
    Network(Box<Port>),
    /// Into a bridge of the host.
    Bridge {
        /// The device.
        tap: String,
        /// The bridge.
        bridge: String,
    },
    /// Into nothing of ours: it is brought up, and whoever wants it takes it from there.
    Loose {
        /// The device.
        tap: String,
    },
    /// It is somebody else's, and stays as it is.
    Foreign,
}

/// Makes the tap devices of all interfaces that have one; the definition learns their names.
pub(super) async fn open(
    core: &Core,
    uuid: Uuid,
    domain: &mut Domain,
    runtime: &mut Runtime,
    descriptors: &mut Descriptors,
) -> Result<Vec<Plug>> {
    let is_kvm = domain.r#type == Some(DomainType::Kvm);
    let owner_name = domain.name.clone();
    let mut plugs = Vec::new();
    for interface in &mut domain.devices.interfaces {
        let Some((fds, plug)) = open_one(core, uuid, &owner_name, interface).await? else { continue };
        let vhosts = fds.iter().filter_map(|_| vhost(interface, is_kvm)).map(|fd| descriptors.add(fd)).collect();
        let fds = fds.into_iter().map(|fd| descriptors.add(fd)).collect();
        let alias = interface.alias.as_ref().map(|alias| alias.name.clone()).unwrap_or_default();
        runtime.taps.insert(alias, Tap { fds, vhosts });
        plugs.push(plug);
    }
    Ok(plugs)
}

/// Makes the tap device of one interface, if it has one: a descriptor for each of its queues.
pub(crate) async fn open_one(
    core: &Core,
    owner: Uuid,
    owner_name: &str,
    interface: &mut Interface,
) -> Result<Option<(Vec<OwnedFd>, Plug)>> {
    let field = format!("devices.interfaces[{}].source", interface.name);
    let mac = interface.mac.as_ref().map(|mac| mac.address).expect("a completed interface has an address");
    let queues = queues(interface);
    let mtu = interface.mtu.as_ref().map(|mtu| mtu.size);
    let (name, plug) = match &mut interface.source {
        InterfaceSource::User(_)
        | InterfaceSource::Server(_)
        | InterfaceSource::Client(_)
        | InterfaceSource::Mcast(_)
        | InterfaceSource::Udp(_) => return Ok(None),
        InterfaceSource::Network(source) => {
            let request = PortRequest { owner, owner_name: owner_name.to_owned(), mac };
            let port =
                core.services.networks.create_port(&source.network, &request).await.map_err(|error| error.at(field))?;
            source.bridge = Some(port.bridge.clone());
            (port.tap.clone(), Plug::Network(Box::new(port)))
        }
        InterfaceSource::Bridge(source) => {
            let chosen = interface.target.as_ref().and_then(|target| target.dev.clone());
            let name = chosen.unwrap_or_else(|| tap_name(owner, mac));
            (name.clone(), Plug::Bridge { tap: name, bridge: source.bridge.clone() })
        }
        InterfaceSource::Ethernet(_) => match &interface.target {
            Some(InterfaceTarget { dev, managed: Some(YesNo(false)) }) => {
                let name = foreign(dev.as_deref(), &interface.name)?;
                (name, Plug::Foreign)
            }
            target => {
                let chosen = target.as_ref().and_then(|target| target.dev.clone());
                let name = chosen.unwrap_or_else(|| tap_name(owner, mac));
                (name.clone(), Plug::Loose { tap: name })
            }
        },
        // `check` refuses it.
        other => {
            let message = format!("interfaces of the kind '{}' are not supported", ostler_conf::xml::Union::tag(other));
            return Err(Error::new(ErrorCode::ConfigUnsupported, message).at(field));
        }
    };
    let open = || {
        let fds = tap::open_queues(&name, queues)?;
        if matches!(plug, Plug::Foreign) {
            return Ok(fds);
        }
        // The host's end has an address of its own, higher than any that a bridge would take over from it.
        let MacAddress(mut bytes) = mac;
        bytes[0] = 0xfe;
        tap::set_mac(&name, MacAddress(bytes))?;
        if let Some(mtu) = mtu {
            tap::set_mtu(&name, mtu)?;
        }
        Ok(fds)
    };
    let fds = open().map_err(|error| Error::system(format!("make the tap device {name}"), error))?;
    let managed = interface.target.as_ref().and_then(|target| target.managed);
    interface.target = Some(InterfaceTarget { dev: Some(name), managed });
    Ok(Some((fds, plug)))
}

/// The device that somebody else has made for an interface.
fn foreign(dev: Option<&str>, interface: &str) -> Result<String> {
    let error = |message: String| {
        Error::new(ErrorCode::InternalError, message).at(format!("devices.interfaces[{interface}].target.dev"))
    };
    let name = dev.ok_or_else(|| error("a device that is not made by us must be named".into()))?;
    if !tap::exists(name).map_err(|error| Error::system(format!("look for the device {name}"), error))? {
        return Err(error(format!("the device {name} is not made by us, and is not there")));
    }
    Ok(name.to_owned())
}

/// Plugs the tap devices in.
pub(super) async fn plug(core: &Core, plugs: &[Plug]) -> Result<()> {
    for one in plugs {
        plug_one(core, one).await?;
    }
    Ok(())
}

/// Plugs one tap device in.
pub(crate) async fn plug_one(core: &Core, plug: &Plug) -> Result<()> {
    match plug {
        Plug::Network(port) => core.services.networks.plug_port(port).await,
        Plug::Bridge { tap, bridge } => tap::join_bridge(tap, bridge)
            .map_err(|error| Error::system(format!("plug {tap} into the bridge {bridge}"), error)),
        Plug::Loose { tap } => {
            tap::bring_up(tap).map_err(|error| Error::system(format!("bring the device {tap} up"), error))
        }
        Plug::Foreign => Ok(()),
    }
}

/// The name of a tap device that no network names: the same for the same guest and interface.
fn tap_name(owner: Uuid, mac: MacAddress) -> String {
    let digest = Uuid::new_v5(&owner, mac.to_string().as_bytes());
    format!("ot{}", &digest.simple().to_string()[..12])
}

/// The kernel's back end, which saves a way through QEMU for guests that run under KVM.
pub(crate) fn vhost(interface: &Interface, is_kvm: bool) -> Option<OwnedFd> {
    let open = || OpenOptions::new().read(true).write(true).open("/dev/vhost-net").ok();
    (is_kvm && wants_vhost(interface)).then(open).flatten().map(OwnedFd::from)
}
