//! What was found and opened for one run of a guest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ostler_conf::domain::{BlockSource, Cpu, DataStoreSource, DiskSource, FileSource, ImageFormatName, PciAddress};
use uuid::Uuid;

/// The facts of one run.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// The guest's folder.
    pub dir: PathBuf,
    /// What names the guest in folders that guests share.
    pub short_name: String,
    /// The key that secrets are handed over under, with the file that holds it.
    pub master_key: Option<MasterKey>,
    /// What the monitor is heard on.
    pub monitor: Monitor,
    /// The seconds since 1970 at which the guest starts.
    pub now: i64,
    /// How far the host's time zone is ahead of UTC then, in seconds.
    pub utc_offset: i64,
    /// The host's NUMA nodes for those guests that leave the choice to the host.
    pub auto_nodes: Vec<u32>,
    /// The values of secrets, by what names them.
    pub secrets: BTreeMap<SecretName, Vec<u8>>,
    /// Where a saved or migrating guest comes from.
    pub incoming: Option<String>,
    /// The image of each disk that has one, with the chain below it, by target.
    pub images: BTreeMap<String, Chain>,
    /// Transient disks over whose images an image of this run lies, by target.
    pub transient: BTreeSet<String>,
    /// The tap device of each interface that has one, by alias.
    pub taps: BTreeMap<String, Tap>,
    /// Disks that the guest can do without and whose sources are not there, by target.
    pub missing: BTreeSet<String>,
    /// The ports of interfaces whose networks make them something else than taps, by alias.
    pub ports: BTreeMap<String, NetworkPort>,
    /// Groups of descriptors that were handed over beforehand, by name.
    pub fd_groups: BTreeMap<String, FdGroup>,
    /// The open vDPA devices, by their paths.
    pub vdpa: BTreeMap<String, i32>,
    /// The kernel's back ends of SCSI controllers that are handed through, by alias.
    pub vhost_scsi: BTreeMap<String, i32>,
    /// The names of generic SCSI devices (`sg0`), by the alias of the device that is handed through.
    pub scsi_generic: BTreeMap<String, String>,
    /// Where USB devices were found, by alias: bus and number.
    pub usb: BTreeMap<String, (u32, u32)>,
    /// The protocols of disks that nbdkit speaks in QEMU's place.
    pub nbdkit: BTreeSet<String>,
    /// What character devices were opened for, by alias.
    pub chardevs: BTreeMap<String, CharFds>,
    /// What TPMs were opened for, by alias.
    pub tpms: BTreeMap<String, TpmFacts>,
    /// The open sockets of video devices that are programs of their own, by alias.
    pub videos: BTreeMap<String, i32>,
    /// What the vsock device was opened for.
    pub vsock: Option<VsockFacts>,
    /// Where QEMU makes sockets that are found elsewhere, by those paths.
    pub sockets: BTreeMap<String, PathBuf>,
    /// The addresses that graphics which listen on a network have there, by the network.
    pub listen_addresses: BTreeMap<String, String>,
    /// The guest's processor as it is on this host, where the definition leaves that to the host.
    pub cpu: Option<Cpu>,
    /// The host's first graphics processor.
    pub render_node: Option<String>,
}

/// The key under which secrets are handed to QEMU.
#[derive(Clone, Debug)]
pub struct MasterKey {
    /// The file that QEMU reads it from.
    pub file: PathBuf,
    /// The key.
    pub key: [u8; 32],
    /// Makes the initial vector of the next secret: one that repeats is for tests only.
    pub iv: fn() -> [u8; 16],
}

/// What the monitor is heard on.
#[derive(Clone, Debug)]
pub enum Monitor {
    /// A listening socket that QEMU inherits.
    Descriptor(i32),
    /// A socket that QEMU makes.
    Path(PathBuf),
}

impl Default for Monitor {
    fn default() -> Self {
        Monitor::Descriptor(-1)
    }
}

/// What names a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretName {
    /// Its identity.
    Uuid(Uuid),
    /// What it is used for.
    Usage(String),
}

/// An image with those that it stands on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    /// The images, top first.
    pub images: Vec<Image>,
    /// Whether these are all: then QEMU is not to follow what an image says.
    pub is_whole: bool,
}

/// An image as QEMU opens it.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// What holds it; no volume of a pool, but what that is.
    pub source: DiskSource,
    /// Its format.
    pub format: ImageFormatName,
    /// How much of its tables is kept in memory, in bytes.
    pub metadata_cache: Option<u64>,
    /// Whether the block device is the host's drive for CDs.
    pub is_host_cdrom: bool,
}

impl Image {
    /// A file or a block device.
    pub fn new(path: &Path, format: ImageFormatName, is_block: bool) -> Self {
        let path = Some(path.to_string_lossy().into_owned());
        let source = if is_block {
            DiskSource::Block(BlockSource { dev: path, ..BlockSource::default() })
        } else {
            DiskSource::File(FileSource { file: path, ..FileSource::default() })
        };
        Image { source, format, metadata_cache: None, is_host_cdrom: false }
    }

    /// The path on the host, where it is one.
    pub fn path(&self) -> Option<&Path> {
        self.source.path().map(Path::new)
    }

    /// The path of what keeps its data, if that is not the image itself.
    pub fn data_path(&self) -> Option<&Path> {
        Some(Path::new(match self.source.common().data_store.as_ref()?.source.as_ref()? {
            DataStoreSource::File(file) => &file.file,
            DataStoreSource::Block(block) => &block.dev,
        }))
    }
}

/// An open tap device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tap {
    /// The device, once for each queue.
    pub fds: Vec<i32>,
    /// The kernel's virtio back end for it, once for each queue.
    pub vhosts: Vec<i32>,
}

/// What a network makes of an interface.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkPort {
    /// A device of the host, on PCI.
    Hostdev(PciAddress),
}

/// Descriptors that were handed over beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FdGroup {
    /// QEMU's numbers of them.
    pub fds: Vec<i32>,
    /// Whether the file may be written by them.
    pub is_writable: bool,
}

/// What was opened for a character device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CharFds {
    /// A listening socket.
    pub socket: Option<i32>,
    /// A file that output goes to.
    pub file: Option<i32>,
    /// A file that output goes to as well.
    pub log: Option<i32>,
}

/// What was opened for a TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TpmFacts {
    /// The host's device and the file that cancels its commands.
    Passthrough {
        /// The device.
        device: i32,
        /// The file.
        cancel: i32,
    },
    /// The socket of the program that plays one.
    Emulator(PathBuf),
}

/// What a vsock device was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VsockFacts {
    /// The kernel's back end.
    pub fd: i32,
    /// The number that was chosen where the guest names none.
    pub cid: u32,
}
