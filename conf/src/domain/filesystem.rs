//! `<filesystem>`

use ostler_conf_derive::{element, union};

use super::{Address, Alias, Boot, IdMap, VirtioModel, VirtioOptions};
use crate::values::{OnOff, ScaledBytes};
use crate::words;

/// A directory of the host, or something like one, that the guest mounts.
#[element]
pub struct Filesystem {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// How it is done.
    pub driver: Option<FilesystemDriver>,
    /// The virtiofs daemon.
    pub binary: Option<FilesystemBinary>,
    /// How users and groups are mapped.
    pub idmap: Option<IdMap>,
    /// What is mounted.
    #[xml(choice = "type", absent = "mount")]
    pub source: FilesystemSource,
    /// Whose files they are.
    #[xml(attr)]
    pub accessmode: Option<FilesystemAccess>,
    /// What happens where files come from several devices.
    #[xml(attr)]
    pub multidevs: Option<FilesystemMultidevs>,
    /// The mode of new files, in octal.
    #[xml(attr)]
    pub fmode: Option<String>,
    /// The mode of new directories, in octal.
    #[xml(attr)]
    pub dmode: Option<String>,
    /// Which virtio it speaks.
    #[xml(attr)]
    pub model: Option<VirtioModel>,
    /// Where the guest finds it.
    pub target: Option<FilesystemTarget>,
    /// The guest can't write.
    #[xml(flag)]
    pub readonly: bool,
    /// How much it holds, whatever happens.
    #[xml(name = "space_hard_limit")]
    pub space_hard_limit: Option<ScaledBytes>,
    /// How much it should hold.
    #[xml(name = "space_soft_limit")]
    pub space_soft_limit: Option<ScaledBytes>,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// What is mounted; `type=` on `<filesystem>` names it.
#[union]
pub enum FilesystemSource {
    /// A directory of the host. Needs a grant.
    Mount(FilesystemMount),
    /// A block device of the host. Needs a grant.
    Block(FilesystemBlock),
    /// An image file of the host. Needs a grant.
    File(FilesystemFile),
    /// A template of OpenVZ.
    Template(FilesystemTemplate),
    /// Memory.
    Ram(FilesystemRam),
    /// Another directory of the container.
    Bind(FilesystemBind),
    /// A volume of a storage pool.
    Volume(FilesystemVolume),
}

/// `<source dir='/x'/>`: a directory of the host.
#[element]
pub struct FilesystemMount {
    /// Its path.
    #[xml(attr)]
    pub dir: Option<String>,
    /// The socket of a virtiofs daemon that runs already.
    #[xml(attr)]
    pub socket: Option<String>,
}

/// `<source dev='/dev/x'/>`: a block device of the host.
#[element]
pub struct FilesystemBlock {
    /// Its path.
    #[xml(attr)]
    pub dev: String,
}

/// `<source file='/x.img'/>`: an image file of the host.
#[element]
pub struct FilesystemFile {
    /// Its path.
    #[xml(attr)]
    pub file: String,
}

/// `<source name='x'/>`: a template of OpenVZ.
#[element]
pub struct FilesystemTemplate {
    /// Its name.
    #[xml(attr)]
    pub name: String,
}

crate::scaled_attrs! {
    /// An amount of memory.
    pub struct RamUsage("usage", "units", "KiB", |size| (size.kib(), "KiB"));
}

/// `<source usage='1024' units='KiB'/>`: memory.
#[element]
pub struct FilesystemRam {
    /// How much.
    #[xml(flatten)]
    pub usage: RamUsage,
}

/// `<source dir='/x'/>`: another directory of the container.
#[element]
pub struct FilesystemBind {
    /// Its path.
    #[xml(attr)]
    pub dir: String,
}

/// `<source pool='x' volume='y'/>`: a volume of a storage pool.
#[element]
pub struct FilesystemVolume {
    /// The pool.
    #[xml(attr)]
    pub pool: String,
    /// The volume.
    #[xml(attr)]
    pub volume: String,
}

/// `<driver type='virtiofs'/>`: how it is done.
#[element]
pub struct FilesystemDriver {
    /// What does it.
    #[xml(attr)]
    pub r#type: Option<FilesystemDriverKind>,
    /// An image's format.
    #[xml(attr)]
    pub format: Option<String>,
    /// When writes reach the host's disk.
    #[xml(attr)]
    pub wrpolicy: Option<FilesystemWritePolicy>,
    /// How long the virtio queue is.
    #[xml(attr)]
    pub queue: Option<u64>,
    /// How virtio is spoken.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub virtio: VirtioOptions,
}

/// `<binary path='/usr/libexec/virtiofsd'>`: the virtiofs daemon.
#[element]
pub struct FilesystemBinary {
    /// The program. Needs a grant.
    #[xml(attr)]
    pub path: Option<String>,
    /// Whether extended attributes are offered.
    #[xml(attr)]
    pub xattr: Option<OnOff>,
    /// How much the guest may cache.
    #[xml(attr, name = "mode", on = "cache")]
    pub cache: Option<FilesystemCache>,
    /// How the daemon is locked up.
    #[xml(attr, name = "mode", on = "sandbox")]
    pub sandbox: Option<FilesystemSandbox>,
    /// Which locks are offered.
    pub lock: Option<FilesystemLock>,
    /// How many threads it has.
    #[xml(attr, name = "size", on = "thread_pool")]
    pub thread_pool: Option<u32>,
    /// How many files it may have open.
    #[xml(attr, name = "max", on = "openfiles")]
    pub openfiles: Option<u32>,
}

/// `<lock posix='on' flock='on'/>`: which locks are offered.
#[element]
pub struct FilesystemLock {
    /// POSIX's.
    #[xml(attr)]
    pub posix: Option<OnOff>,
    /// BSD's.
    #[xml(attr)]
    pub flock: Option<OnOff>,
}

/// `<target dir='tag'/>`: where the guest finds it.
#[element]
pub struct FilesystemTarget {
    /// A path in a container; a tag to mount in a machine.
    #[xml(attr)]
    pub dir: String,
}

impl Default for FilesystemSource {
    fn default() -> Self {
        FilesystemSource::Mount(FilesystemMount::default())
    }
}

words! {
    /// Whose files they are.
    pub enum FilesystemAccess { Passthrough = "passthrough", Mapped = "mapped", Squash = "squash", }

    /// What happens where files come from several devices.
    pub enum FilesystemMultidevs { Remap = "remap", Forbid = "forbid", Warn = "warn", }

    /// What does a file system.
    pub enum FilesystemDriverKind {
        Path = "path", Handle = "handle", Loop = "loop", Nbd = "nbd", Ploop = "ploop", Virtiofs = "virtiofs", Mtp = "mtp",
    }

    /// When writes reach the host's disk.
    pub enum FilesystemWritePolicy { Immediate = "immediate", }

    /// How much a guest may cache.
    pub enum FilesystemCache { None = "none", Always = "always", }

    /// How a daemon is locked up.
    pub enum FilesystemSandbox { Namespace = "namespace", Chroot = "chroot", }
}
