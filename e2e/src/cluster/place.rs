//! What a cluster is called: its number decides every name and address, so that several stand side by side.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::control_plane::ControlPlane;

/// A cluster's number: 0 to 99 are a person's, the rest are tests'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u8);

impl Place {
    /// The network namespace of the control plane, and the beginning of its nodes'.
    pub fn namespace(self) -> String {
        format!("ostler-c{}", self.0)
    }

    /// The control group of everything that runs.
    pub fn cgroup(self) -> String {
        self.namespace()
    }

    /// All files. Not below /var/lib, which each node has of its own.
    pub fn directory(self) -> PathBuf {
        Path::new("/var/tmp/ostler-cluster").join(self.0.to_string())
    }

    /// The host's end of the way into the cluster.
    pub fn host_link(self) -> String {
        format!("oc{}", self.0)
    }

    /// The network of control plane, nodes and host.
    pub fn subnet(self) -> String {
        format!("10.99.{}.0/24", self.0)
    }

    /// An address in it: 1 is the control plane's, 254 the host's.
    pub fn address(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, self.0, host)
    }

    /// The control plane here.
    pub fn control_plane(self) -> ControlPlane {
        ControlPlane {
            directory: self.directory(),
            address: self.address(1),
            port: 6443,
            etcd_ports: [2379, 2380],
            has_nodes: true,
        }
    }
}
