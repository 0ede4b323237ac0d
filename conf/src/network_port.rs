//! `<networkport>`: a guest's interface on a network. libvirt: formatnetworkport.html.

use ostler_conf_derive::{element, union};
use uuid::Uuid;

use crate::domain::Mac;
use crate::host_address::HostPciAddress;
use crate::network::{Bandwidth, DirectMode, HostdevDriver, MacTableManager, PortOptions, VirtualPort, Vlan};
use crate::values::YesNo;
use crate::{Invalid, Problem};

/// A port: what libvirt's `<networkport>` says.
#[element(root = "networkport", after_read)]
pub struct NetworkPort {
    /// The identity; chosen once.
    pub uuid: Option<Uuid>,
    /// Whose interface it is.
    pub owner: PortOwner,
    /// The network's group of ports that it belongs to.
    pub group: Option<String>,
    /// The interface's MAC address.
    pub mac: Mac,
    /// How a switch is told of it.
    pub virtualport: Option<VirtualPort>,
    /// Limits of its traffic.
    pub bandwidth: Option<Bandwidth>,
    /// The tags of its traffic.
    pub vlan: Option<Vlan>,
    /// How it is kept apart from others.
    pub port: Option<PortOptions>,
    /// Whether the guest chooses what it receives.
    pub rxfilters: Option<RxFilters>,
    /// What it is plugged in.
    pub plug: Option<Plug>,
}

/// `<owner>`: whose interface it is.
#[element]
pub struct PortOwner {
    /// The guest's name.
    pub name: String,
    /// The guest's identity.
    pub uuid: Uuid,
}

/// `<rxfilters trustGuest='yes'/>`: whether the guest chooses what it receives.
#[element]
pub struct RxFilters {
    /// Whether it does.
    #[xml(attr)]
    pub trust_guest: Option<YesNo>,
}

/// What a port is plugged in; `type=` on `<plug>` names it.
#[union(tag = "type")]
pub enum Plug {
    /// Nothing yet: the same as no plug.
    None(PlugNone),
    /// A network's bridge.
    Network(PlugBridge),
    /// A bridge of the host.
    Bridge(PlugBridge),
    /// A device of the host, by macvtap.
    Direct(PlugDirect),
    /// A PCI device of the host.
    HostdevPci(PlugHostdev),
}

/// Nothing.
#[element]
pub struct PlugNone {}

/// `<plug type='bridge' bridge='br0'/>`: a bridge.
#[element]
pub struct PlugBridge {
    /// Its name.
    #[xml(attr)]
    pub bridge: String,
    /// Who keeps its table of MAC addresses.
    #[xml(attr)]
    pub mac_table_manager: Option<MacTableManager>,
}

/// `<plug type='direct' dev='ens3' mode='vepa'/>`: a device of the host.
#[element]
pub struct PlugDirect {
    /// Its name.
    #[xml(attr)]
    pub dev: String,
    /// How it is shared.
    #[xml(attr)]
    pub mode: Option<DirectMode>,
}

/// `<plug type='hostdev-pci' managed='yes'>`: a PCI device of the host.
#[element]
pub struct PlugHostdev {
    /// Whether it is taken from the host's driver, and given back.
    #[xml(attr)]
    pub managed: Option<YesNo>,
    /// The host's driver for it meanwhile.
    pub driver: Option<HostdevDriver>,
    /// Where it sits.
    pub address: HostPciAddress,
}

impl NetworkPort {
    fn after_read(&mut self) {
        self.plug.take_if(|plug| matches!(plug, Plug::None(_)));
        if let Some(vlan) = &mut self.vlan {
            vlan.complete();
        }
        if let Some(Plug::HostdevPci(plug)) = &mut self.plug {
            plug.managed.get_or_insert(YesNo(false));
        }
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let vlan = self.vlan.iter().flat_map(|vlan| vlan.problems("vlan"));
        let bandwidth = self.bandwidth.iter().flat_map(|bandwidth| bandwidth.problems("bandwidth"));
        Invalid::check(vlan.chain(bandwidth).collect::<Vec<Problem>>())
    }
}
