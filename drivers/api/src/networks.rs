//! Virtual networks.

use std::net::IpAddr;

use async_trait::async_trait;
use ostler_conf::{MacAddress, Network};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Result;

/// Virtual networks of a host, by their name on the host. Every call may be repeated after a crash and then converges.
#[async_trait]
pub trait Networks: Send + Sync {
    /// What [`define`](Self::define) would store: completed and checked. Changes nothing.
    async fn check(&self, definition: &Network) -> Result<Network>;

    /// Checks, then stores durably. Names, bridge and MAC that were completed once stay. An active network keeps running
    /// with what it has; returns the stored definition.
    ///
    /// # Errors
    /// `XmlError`, `ConfigUnsupported`, `NetworkExist` (name held by another uuid), with nothing stored.
    async fn define(&self, definition: &Network) -> Result<Network>;

    /// Forgets the definition. `OperationInvalid` while active.
    async fn undefine(&self, name: &str) -> Result<()>;

    /// All networks, by name.
    async fn list(&self) -> Result<Vec<NetworkSummary>>;

    /// One network. `NoNetwork` if there is none.
    async fn get(&self, name: &str) -> Result<NetworkSummary>;

    /// The stored definition.
    async fn definition(&self, name: &str) -> Result<Network>;

    /// Brings the network up, or heals one that is up; what is right already is left as it is.
    ///
    /// # Errors
    /// `OperationFailed` for a subnet that the host already routes; what failed was undone.
    async fn start(&self, name: &str) -> Result<()>;

    /// Takes the network down. `ResourceBusy` while it has ports, naming their owners.
    async fn stop(&self, name: &str) -> Result<()>;

    /// The DHCP leases.
    async fn leases(&self, name: &str) -> Result<Vec<Lease>>;

    /// Gives the addresses of a guest that is gone back to the network's range. One without a lease is no error.
    async fn release_leases(&self, name: &str, mac: MacAddress) -> Result<()>;

    /// Reserves a port, durably, and names the tap device for it. The same owner and MAC get the same port.
    ///
    /// # Errors
    /// `NoNetwork`; `OperationInvalid` if the network is not active.
    async fn create_port(&self, network: &str, request: &PortRequest) -> Result<Port>;

    /// Plugs the port's tap device, which now exists, into the network and brings it up. Repeated when the bridge was lost.
    async fn plug_port(&self, port: &Port) -> Result<()>;

    /// Forgets the ports of `owner` (all, or the one with this MAC). Its tap devices end with the process that holds them.
    async fn delete_ports(&self, owner: Uuid, mac: Option<MacAddress>) -> Result<()>;

    /// All ports of all networks.
    async fn ports(&self) -> Result<Vec<Port>>;
}

/// A network in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSummary {
    /// Its identity.
    pub uuid: Uuid,
    /// Its name on the host.
    pub name: String,
    /// Whether it is up.
    pub active: bool,
    /// Its bridge, once chosen.
    pub bridge: Option<String>,
    /// What is wrong with it now, as a CamelCase reason and a sentence.
    pub problem: Option<(String, String)>,
}

/// A DHCP lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Whose.
    pub mac: MacAddress,
    /// Which address.
    pub address: IpAddr,
    /// Length of the network's prefix in bits.
    pub prefix: u8,
    /// The name that the guest gave.
    pub hostname: Option<String>,
    /// End of the lease in seconds since the epoch; 0: never.
    pub expires: u64,
}

/// What a port is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// The domain.
    pub owner: Uuid,
    /// The domain's name, for messages.
    pub owner_name: String,
    /// The interface's address.
    pub mac: MacAddress,
}

/// A guest's place on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// The network's name on the host.
    pub network: String,
    /// The domain.
    pub owner: Uuid,
    /// The domain's name, for messages.
    pub owner_name: String,
    /// The interface's address.
    pub mac: MacAddress,
    /// The bridge it belongs to.
    pub bridge: String,
    /// Name of the tap device (at most 15 bytes, from a hash of owner and MAC).
    pub tap: String,
    /// The network's MTU, where it is not the default.
    pub mtu: Option<u32>,
}
