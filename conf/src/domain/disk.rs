//! `<disk>`

use ostler_conf_derive::{element, union};

use super::{Address, Alias, Boot};
use crate::values::OnOff;
use crate::words;

/// A disk, CD-ROM or floppy drive. Its name is its target.
#[element]
pub struct Disk {
    /// The target, which names the disk: `vda`, `sdb`, `hdc`. The guest may call it otherwise.
    #[xml(attr, name = "dev", on = "target")]
    pub name: String,
    /// What the guest sees.
    #[xml(attr)]
    pub device: Option<DiskDevice>,
    /// How the image is used.
    pub driver: Option<DiskDriver>,
    /// What holds the data; absent: an empty drive.
    #[xml(choice = "type", absent = "file")]
    pub source: Option<DiskSource>,
    /// The image below; absent: found out, empty: none.
    #[xml(keep)]
    pub backing_store: Option<BackingStore>,
    /// Where the guest sees it.
    #[xml(default)]
    pub target: DiskTarget,
    /// The guest can't write.
    #[xml(flag)]
    pub readonly: bool,
    /// Others may write at the same time.
    #[xml(flag)]
    pub shareable: bool,
    /// What the guest writes is lost at its end.
    #[xml(flag)]
    pub transient: bool,
    /// The serial number that the guest sees.
    pub serial: Option<String>,
    /// The world wide name that the guest sees, 16 hexadecimal digits.
    pub wwn: Option<String>,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the running device; never in a definition.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

words! {
    /// What a guest sees a disk as.
    pub enum DiskDevice {
        /// A hard disk.
        Disk = "disk",
        /// A CD-ROM drive.
        Cdrom = "cdrom",
        /// A floppy drive.
        Floppy = "floppy",
        /// A SCSI device handed through with its commands; its source must be a block device or a network LUN.
        Lun = "lun",
    }

    /// The bus that a disk sits on.
    pub enum DiskBus {
        /// IDE.
        Ide = "ide",
        /// The floppy controller.
        Fdc = "fdc",
        /// SCSI.
        Scsi = "scsi",
        /// virtio.
        Virtio = "virtio",
        /// Xen.
        Xen = "xen",
        /// USB.
        Usb = "usb",
        /// User Mode Linux.
        Uml = "uml",
        /// SATA.
        Sata = "sata",
        /// An SD card.
        Sd = "sd",
        /// NVMe.
        Nvme = "nvme",
    }

    /// How writes pass the host's cache.
    pub enum DiskCache {
        /// The hypervisor's default.
        Default = "default",
        /// Around the host's cache.
        None = "none",
        /// Through the host's cache, to the disk at once.
        Writethrough = "writethrough",
        /// Into the host's cache.
        Writeback = "writeback",
        /// Around the host's cache, to the disk at once.
        Directsync = "directsync",
        /// Into the host's cache, and flushes are ignored.
        Unsafe = "unsafe",
    }

    /// How I/O is submitted.
    pub enum DiskIo {
        /// Linux native asynchronous I/O.
        Native = "native",
        /// Threads.
        Threads = "threads",
        /// io_uring.
        IoUring = "io_uring",
    }

    /// What happens at an I/O error.
    pub enum DiskErrorPolicy {
        /// The guest is paused.
        Stop = "stop",
        /// The guest is told.
        Report = "report",
        /// Nothing.
        Ignore = "ignore",
        /// The guest is paused when the host's disk is full, else told.
        Enospace = "enospace",
    }

    /// Whether discards reach the image.
    pub enum DiskDiscard {
        /// They do.
        Unmap = "unmap",
        /// They don't.
        Ignore = "ignore",
    }

    /// Whether zeroes are looked for in writes.
    pub enum DiskDetectZeroes {
        /// They aren't.
        Off = "off",
        /// They are, and written efficiently.
        On = "on",
        /// They are, and discarded.
        Unmap = "unmap",
    }

    /// The format of an image.
    pub enum ImageFormatName {
        /// None: the bytes as they are.
        Raw = "raw",
        /// QEMU's copy-on-write format, version 2 and 3.
        Qcow2 = "qcow2",
        /// VMware's.
        Vmdk = "vmdk",
        /// VirtualBox's.
        Vdi = "vdi",
        /// Hyper-V's first.
        Vpc = "vpc",
        /// Hyper-V's second.
        Vhdx = "vhdx",
        /// QEMU's copy-on-write format, version 1.
        Qcow = "qcow",
        /// QEMU's enhanced disk.
        Qed = "qed",
        /// A CD image.
        Iso = "iso",
    }
}

/// `<driver name='qemu' type='qcow2'/>`: how the image is used.
#[element]
pub struct DiskDriver {
    /// The hypervisor's back end; absent: its own default.
    #[xml(attr)]
    pub name: Option<String>,
    /// The image's format; never guessed from the image.
    #[xml(attr, name = "type")]
    pub r#type: Option<ImageFormatName>,
    /// How writes pass the host's cache.
    #[xml(attr)]
    pub cache: Option<DiskCache>,
    /// What happens at an error while writing.
    #[xml(attr, name = "error_policy")]
    pub error_policy: Option<DiskErrorPolicy>,
    /// What happens at an error while reading.
    #[xml(attr, name = "rerror_policy")]
    pub rerror_policy: Option<DiskErrorPolicy>,
    /// How I/O is submitted.
    #[xml(attr)]
    pub io: Option<DiskIo>,
    /// Whether discards reach the image.
    #[xml(attr)]
    pub discard: Option<DiskDiscard>,
    /// Whether zeroes are looked for in writes.
    #[xml(attr, name = "detect_zeroes")]
    pub detect_zeroes: Option<DiskDetectZeroes>,
    /// How many virtio queues.
    #[xml(attr)]
    pub queues: Option<u32>,
}

/// What holds a disk's data; `type=` on `<disk>` names it.
#[union]
pub enum DiskSource {
    /// A file on the host. Needs a grant.
    File(FileSource),
    /// A block device of the host. Needs a grant.
    Block(BlockSource),
    /// A volume of a storage pool.
    Volume(VolumeSource),
}

/// `<source file='…'/>`: a file on the host.
#[element]
pub struct FileSource {
    /// Its path; absent: an empty drive.
    #[xml(attr)]
    pub file: Option<String>,
    /// The running guest's number for the image; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
}

/// `<source dev='…'/>`: a block device of the host.
#[element]
pub struct BlockSource {
    /// Its path.
    #[xml(attr)]
    pub dev: Option<String>,
    /// The running guest's number for the image; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
}

/// `<source pool='…' volume='…'/>`: a volume of a storage pool.
#[element]
pub struct VolumeSource {
    /// The pool.
    #[xml(attr)]
    pub pool: String,
    /// The volume.
    #[xml(attr)]
    pub volume: String,
    /// The running guest's number for the image; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub index: Option<u32>,
}

/// `<backingStore type='file'>`: the image below; empty: none.
#[element]
pub struct BackingStore {
    /// Its format.
    pub format: Option<ImageFormat>,
    /// What holds it.
    #[xml(choice = "type")]
    pub source: Option<DiskSource>,
}

/// `<format type='qcow2'/>`: an image's format.
#[element]
pub struct ImageFormat {
    /// Its name.
    #[xml(attr)]
    pub r#type: ImageFormatName,
}

/// `<target dev='vda' bus='virtio'/>`: where the guest sees the disk.
#[element]
pub struct DiskTarget {
    /// The bus; absent: by the disk's name.
    #[xml(attr)]
    pub bus: Option<DiskBus>,
    /// A removable drive's tray.
    #[xml(attr)]
    pub tray: Option<Tray>,
    /// Whether the guest sees the medium as removable.
    #[xml(attr)]
    pub removable: Option<OnOff>,
    /// The guest's rotation rate in rounds a minute; 1: no rotation.
    #[xml(attr, name = "rotation_rate")]
    pub rotation_rate: Option<u32>,
}

words! {
    /// A removable drive's tray.
    pub enum Tray {
        /// It is in.
        Closed = "closed",
        /// It is out.
        Open = "open",
    }
}

impl DiskSource {
    /// The path on the host, where it is one.
    pub fn path(&self) -> Option<&str> {
        match self {
            DiskSource::File(file) => file.file.as_deref(),
            DiskSource::Block(block) => block.dev.as_deref(),
            DiskSource::Volume(_) => None,
        }
    }
}

impl Disk {
    /// What the guest sees; libvirt's default is a hard disk.
    pub fn device(&self) -> DiskDevice {
        self.device.unwrap_or(DiskDevice::Disk)
    }

    /// The image's format; libvirt's default, which never looks into the image, is `raw`.
    pub fn format(&self) -> ImageFormatName {
        self.driver.as_ref().and_then(|driver| driver.r#type).unwrap_or(ImageFormatName::Raw)
    }
}
