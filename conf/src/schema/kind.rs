//! Every kind of document, by its root element.

use std::sync::OnceLock;

use super::rules::Rules;
use crate::domain::{self, Cpu};
use crate::xml::{Element, Reader, Root};
use crate::{
    Backup, Checkpoint, Domain, HostInterface, Network, NetworkPort, NodeDevice, Nwfilter, NwfilterBinding, Problem,
    Secret, Snapshot, StoragePool, StoragePoolCapabilities, StorageVolume,
};

/// A kind of document.
pub(super) struct Kind {
    root: &'static str,
    /// Reads it by its type, to find what the type does not know.
    pub(super) read: fn(&Reader<'_>) -> Result<(), Problem>,
    rules: &'static Tables,
    /// Whether it has no type, and the tables know it whole.
    pub(super) is_whole: bool,
}

/// Tables that are read when they are needed.
struct Tables(&'static [&'static str], OnceLock<Rules>);

macro_rules! tables {
    ($($name:ident: $($file:literal)+;)+) => {
        $(static $name: Tables = Tables(&[$(include_str!(concat!("rules/", $file, ".rules"))),+], OnceLock::new());)+

        #[cfg(test)]
        const ALL_TABLES: &[&Tables] = &[$(&$name),+];
    };
}

tables! {
    DOMAIN: "shared" "domain" "cpu" "devices" "disk" "moment";
    DEVICE: "shared" "domain" "cpu" "devices" "disk" "device";
    CPU: "cpu";
    CAPABILITIES: "cpu" "capabilities";
    DOMAIN_CAPABILITIES: "domain_capabilities";
    NETWORK: "shared" "network";
    NWFILTER: "nwfilter";
    INTERFACE: "interface";
    NODE_DEVICE: "node_device";
    STORAGE: "shared" "storage";
    SECRET: "secret";
}

fn read<T: Element>(reader: &Reader<'_>) -> Result<(), Problem> {
    T::read(reader).map(drop)
}

/// Reads a CPU: one with an architecture is a host's, which the tables know whole.
fn read_cpu(reader: &Reader<'_>) -> Result<(), Problem> {
    let is_of_host = reader.all_children().any(|child| child.is_named("arch"));
    if is_of_host { read_nothing(reader) } else { read::<Cpu>(reader) }
}

fn read_cpus(reader: &Reader<'_>) -> Result<(), Problem> {
    reader.children("cpu").try_for_each(|cpu| read_cpu(&cpu))
}

/// For what the tables know whole.
fn read_nothing(reader: &Reader<'_>) -> Result<(), Problem> {
    reader.take_content();
    Ok(())
}

/// Reads a moment of a guest, and the guest's own definition in it, which the moment's type keeps as it is.
fn read_moment<T: Root>(reader: &Reader<'_>) -> Result<(), Problem> {
    read::<T>(reader)?;
    for name in ["domain", "inactiveDomain"] {
        // A name alone says that the definition is not told.
        for domain in reader.children(name).filter(|domain| domain.all_children().any(|child| child.is_named("name"))) {
            domain.reopen();
            read::<Domain>(&domain)?;
        }
    }
    Ok(())
}

const fn moment<T: Root>() -> Kind {
    Kind { root: T::NAME, read: read_moment::<T>, rules: &DOMAIN, is_whole: false }
}

const fn document<T: Root>(rules: &'static Tables) -> Kind {
    Kind { root: T::NAME, read: read::<T>, rules, is_whole: false }
}

const fn device<T: Element>(root: &'static str) -> Kind {
    Kind { root, read: read::<T>, rules: &DEVICE, is_whole: false }
}

const fn without_type(root: &'static str, rules: &'static Tables) -> Kind {
    Kind { root, read: read_nothing, rules, is_whole: true }
}

static KINDS: &[Kind] = &[
    document::<Domain>(&DOMAIN),
    moment::<Snapshot>(),
    moment::<Checkpoint>(),
    document::<Backup>(&DOMAIN),
    document::<Network>(&NETWORK),
    document::<NetworkPort>(&NETWORK),
    document::<Nwfilter>(&NWFILTER),
    document::<NwfilterBinding>(&NWFILTER),
    document::<HostInterface>(&INTERFACE),
    document::<NodeDevice>(&NODE_DEVICE),
    document::<StoragePool>(&STORAGE),
    document::<StoragePoolCapabilities>(&STORAGE),
    document::<StorageVolume>(&STORAGE),
    document::<Secret>(&SECRET),
    without_type("capabilities", &CAPABILITIES),
    without_type("domainCapabilities", &DOMAIN_CAPABILITIES),
    without_type("cpudata", &CPU),
    Kind { root: "cpu", read: read_cpu, rules: &CPU, is_whole: false },
    Kind { root: "cpuTest", read: read_cpus, rules: &CPU, is_whole: false },
    device::<domain::Disk>("disk"),
    device::<domain::Controller>("controller"),
    device::<domain::Lease>("lease"),
    device::<domain::Filesystem>("filesystem"),
    device::<domain::Input>("input"),
    device::<domain::Sound>("sound"),
    device::<domain::Audio>("audio"),
    device::<domain::Hostdev>("hostdev"),
    device::<domain::Graphics>("graphics"),
    device::<domain::Video>("video"),
    device::<domain::Console>("console"),
    device::<domain::Parallel>("parallel"),
    device::<domain::Serial>("serial"),
    device::<domain::Channel>("channel"),
    device::<domain::Smartcard>("smartcard"),
    device::<domain::Hub>("hub"),
    device::<domain::Redirdev>("redirdev"),
    device::<domain::Redirfilter>("redirfilter"),
    device::<domain::Rng>("rng"),
    device::<domain::Tpm>("tpm"),
    device::<domain::Shmem>("shmem"),
    device::<domain::MemoryDevice>("memory"),
    device::<domain::Watchdog>("watchdog"),
    device::<domain::Memballoon>("memballoon"),
    device::<domain::NvramDevice>("nvram"),
    device::<domain::Panic>("panic"),
    device::<domain::Iommu>("iommu"),
    device::<domain::Vsock>("vsock"),
];

impl Kind {
    /// The kind that an element is the root of.
    pub(super) fn of(root: &Reader<'_>) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| root.is_named(kind.root))
    }

    /// The names of all roots.
    pub(super) fn roots() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.root)
    }

    pub(super) fn rules(&self) -> &'static Rules {
        let Tables(tables, rules) = self.rules;
        rules.get_or_init(|| Rules::parse(tables).expect("the tables are read by a test"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tables_can_be_read() {
        for Tables(tables, _) in ALL_TABLES {
            assert_eq!(Rules::parse(tables).err(), None);
        }
    }
}
