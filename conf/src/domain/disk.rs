//! `<disk>`

use ostler_conf_derive::element;

use super::{
    AcpiIndex, Address, Alias, Auth, BackingChain, Boot, DiskPrivate, DiskSource, Encryption, MetadataCache, Mirror,
    SecretsPlacement, VirtioModel, VirtioOptions,
};
use crate::values::{OnOff, Rare, YesNo};
use crate::words;

/// A disk, CD-ROM or floppy drive. Its name is its target.
#[element]
pub struct Disk {
    /// The target, which names the disk: `vda`, `sdb`, `hdc`. The guest may call it otherwise.
    #[xml(attr, name = "dev", on = "target", blank)]
    pub name: String,
    /// What the guest sees.
    #[xml(attr)]
    pub device: Option<DiskDevice>,
    /// Which virtio it speaks.
    #[xml(attr)]
    pub model: Option<VirtioModel>,
    /// Whether a `lun` may send raw SCSI commands.
    #[xml(attr)]
    pub rawio: Option<YesNo>,
    /// Which SCSI commands a `lun` may send.
    #[xml(attr)]
    pub sgio: Option<Sgio>,
    /// How snapshots treat it.
    #[xml(attr)]
    pub snapshot: Option<DiskSnapshot>,
    /// How the image is used.
    pub driver: Option<DiskDriver>,
    /// Who asks.
    pub auth: Option<Auth>,
    /// What holds the data; absent: an empty drive.
    #[xml(choice = "type", absent = "file", empty = "DiskSource::says_nothing")]
    pub source: Option<DiskSource>,
    /// The images below, from the top; absent: found out, empty: none.
    #[xml(name = "backingStore", keep)]
    pub backing_chain: Option<BackingChain>,
    /// The Xen domain that holds the data.
    #[xml(attr, name = "name", on = "backenddomain")]
    pub backend_domain: Option<String>,
    /// How the disk pretends to be built.
    pub geometry: Option<Geometry>,
    /// The sizes of its blocks.
    pub blockio: Option<BlockIo>,
    /// What the running guest's data is copied to; never in a definition.
    #[serde(skip)]
    pub mirror: Option<Mirror>,
    /// Where the guest sees it.
    #[xml(default)]
    pub target: DiskTarget,
    /// How fast it may be.
    pub iotune: Option<IoTune>,
    /// The groups that it shares limits with, from the first asked.
    pub throttlefilters: Option<ThrottleFilters>,
    /// The guest can't write.
    #[xml(flag)]
    pub readonly: bool,
    /// Others may write at the same time.
    #[xml(flag)]
    pub shareable: bool,
    /// What the guest writes is lost at its end.
    #[xml(keep)]
    pub transient: Option<Transient>,
    /// The serial number that the guest sees.
    pub serial: Option<String>,
    /// The world wide name that the guest sees, 16 hexadecimal digits.
    pub wwn: Option<String>,
    /// The vendor that the guest sees.
    pub vendor: Option<String>,
    /// The product's name that the guest sees.
    pub product: Option<String>,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
    /// Its place in the boot order.
    pub boot: Option<Boot>,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Its place in ACPI's numbering.
    pub acpi: Option<AcpiIndex>,
    /// Where it sits.
    pub address: Option<Address>,
    /// What QEMU's driver remembers of it while it runs.
    #[xml(live, default)]
    pub private_data: Rare<DiskPrivate>,
    /// Which secrets stood on the disk and not on its source.
    #[xml(live, name = "diskSecretsPlacement")]
    pub secrets_placement: Option<SecretsPlacement>,
}

impl Disk {
    /// What holds its data, and that of the images below, from the bottom.
    pub fn sources_mut(&mut self) -> impl Iterator<Item = &mut DiskSource> {
        let images = self.backing_chain.iter_mut().flat_map(|chain| chain.0.iter_mut().rev());
        images.filter_map(|image| image.source.as_mut()).chain(&mut self.source)
    }
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
        /// A directory shown as a disk.
        Dir = "dir",
        /// Bochs'.
        Bochs = "bochs",
        /// A compressed loop image.
        Cloop = "cloop",
        /// macOS' disk image.
        Dmg = "dmg",
        /// A FAT file system made from a directory.
        Fat = "fat",
        /// Virtual PC's.
        Vhd = "vhd",
        /// Virtuozzo's.
        Ploop = "ploop",
        /// User Mode Linux's.
        Cow = "cow",
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
    /// Whether the guest's notifications are handled apart.
    #[xml(attr)]
    pub ioeventfd: Option<OnOff>,
    /// Whether interrupts are limited by the guest.
    #[xml(attr, name = "event_idx")]
    pub event_idx: Option<OnOff>,
    /// Whether what is read is kept in the top image.
    #[xml(attr, name = "copy_on_read")]
    pub copy_on_read: Option<OnOff>,
    /// Whether discards reach the image.
    #[xml(attr)]
    pub discard: Option<DiskDiscard>,
    /// The I/O thread that it uses.
    #[xml(attr)]
    pub iothread: Option<u32>,
    /// Whether zeroes are looked for in writes.
    #[xml(attr, name = "detect_zeroes")]
    pub detect_zeroes: Option<DiskDetectZeroes>,
    /// Whether discarded clusters of a qcow2 image stay its own.
    #[xml(attr, name = "discard_no_unref")]
    pub discard_no_unref: Option<OnOff>,
    /// How many virtio queues.
    #[xml(attr)]
    pub queues: Option<u32>,
    /// How long each virtio queue is.
    #[xml(attr, name = "queue_size")]
    pub queue_size: Option<u32>,
    /// How virtio is spoken.
    #[xml(flatten, default)]
    #[serde(flatten)]
    pub virtio: VirtioOptions,
    /// The I/O threads that its queues are spread over.
    pub iothreads: Option<DiskIothreads>,
    /// How much of a qcow2 image's tables is kept in memory.
    #[xml(name = "metadata_cache")]
    pub metadata_cache: Option<MetadataCache>,
}

/// `<iothreads>`: I/O threads that queues are spread over.
#[element]
pub struct DiskIothreads {
    /// They.
    #[xml(name = "iothread")]
    pub iothreads: Vec<DiskIothread>,
}

/// `<iothread id='1'>`: an I/O thread.
#[element]
pub struct DiskIothread {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
    /// The queues that it serves; none given: they are spread evenly.
    #[xml(name = "queue")]
    pub queues: Vec<DiskQueue>,
}

/// `<queue id='0'/>`: a virtio queue.
#[element]
pub struct DiskQueue {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
}

/// `<geometry cyls='1024' heads='255' secs='63'/>`: how a disk pretends to be built.
#[element]
pub struct Geometry {
    /// Cylinders.
    #[xml(attr)]
    pub cyls: u32,
    /// Heads.
    #[xml(attr)]
    pub heads: u32,
    /// Sectors.
    #[xml(attr)]
    pub secs: u32,
    /// How the firmware translates it.
    #[xml(attr)]
    pub trans: Option<GeometryTranslation>,
}

/// `<blockio logical_block_size='512'/>`: the sizes of a disk's blocks.
#[element]
pub struct BlockIo {
    /// What can be addressed, in bytes.
    #[xml(attr, name = "logical_block_size")]
    pub logical_block_size: Option<u32>,
    /// What is written at once, in bytes.
    #[xml(attr, name = "physical_block_size")]
    pub physical_block_size: Option<u32>,
    /// What can be discarded, in bytes.
    #[xml(attr, name = "discard_granularity")]
    pub discard_granularity: Option<u32>,
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
    /// Whether the guest may ask for writes past the disk's cache.
    #[xml(attr)]
    pub dpofua: Option<OnOff>,
}

/// `<transient shareBacking='yes'/>`: what the guest writes is lost at its end.
#[element]
pub struct Transient {
    /// Whether guests share the image below.
    #[xml(attr)]
    pub share_backing: Option<YesNo>,
}

/// `<throttlefilters>`: groups that a disk shares limits with.
#[element]
pub struct ThrottleFilters {
    /// They.
    #[xml(name = "throttlefilter")]
    pub filters: Vec<ThrottleFilter>,
}

/// `<throttlefilter group='limit0'/>`: a group that a disk shares limits with.
#[element]
pub struct ThrottleFilter {
    /// Its name.
    #[xml(attr)]
    pub group: String,
}

/// `<iotune>`: how fast a disk may be.
#[element]
pub struct IoTune {
    /// All: bytes a second.
    #[xml(name = "total_bytes_sec")]
    pub total_bytes_sec: Option<u64>,
    /// Read: bytes a second.
    #[xml(name = "read_bytes_sec")]
    pub read_bytes_sec: Option<u64>,
    /// Written: bytes a second.
    #[xml(name = "write_bytes_sec")]
    pub write_bytes_sec: Option<u64>,
    /// All: operations a second.
    #[xml(name = "total_iops_sec")]
    pub total_iops_sec: Option<u64>,
    /// Read: operations a second.
    #[xml(name = "read_iops_sec")]
    pub read_iops_sec: Option<u64>,
    /// Written: operations a second.
    #[xml(name = "write_iops_sec")]
    pub write_iops_sec: Option<u64>,
    /// All: bytes a second in a burst.
    #[xml(name = "total_bytes_sec_max")]
    pub total_bytes_sec_max: Option<u64>,
    /// Read: bytes a second in a burst.
    #[xml(name = "read_bytes_sec_max")]
    pub read_bytes_sec_max: Option<u64>,
    /// Written: bytes a second in a burst.
    #[xml(name = "write_bytes_sec_max")]
    pub write_bytes_sec_max: Option<u64>,
    /// All: operations a second in a burst.
    #[xml(name = "total_iops_sec_max")]
    pub total_iops_sec_max: Option<u64>,
    /// Read: operations a second in a burst.
    #[xml(name = "read_iops_sec_max")]
    pub read_iops_sec_max: Option<u64>,
    /// Written: operations a second in a burst.
    #[xml(name = "write_iops_sec_max")]
    pub write_iops_sec_max: Option<u64>,
    /// How many bytes count as one operation.
    #[xml(name = "size_iops_sec")]
    pub size_iops_sec: Option<u64>,
    /// The group that shares the limits.
    #[xml(name = "group_name")]
    pub group_name: Option<String>,
    /// All: how long a burst of bytes a second may take, in seconds.
    #[xml(name = "total_bytes_sec_max_length")]
    pub total_bytes_sec_max_length: Option<u64>,
    /// Read: how long a burst of bytes a second may take, in seconds.
    #[xml(name = "read_bytes_sec_max_length")]
    pub read_bytes_sec_max_length: Option<u64>,
    /// Written: how long a burst of bytes a second may take, in seconds.
    #[xml(name = "write_bytes_sec_max_length")]
    pub write_bytes_sec_max_length: Option<u64>,
    /// All: how long a burst of operations a second may take, in seconds.
    #[xml(name = "total_iops_sec_max_length")]
    pub total_iops_sec_max_length: Option<u64>,
    /// Read: how long a burst of operations a second may take, in seconds.
    #[xml(name = "read_iops_sec_max_length")]
    pub read_iops_sec_max_length: Option<u64>,
    /// Written: how long a burst of operations a second may take, in seconds.
    #[xml(name = "write_iops_sec_max_length")]
    pub write_iops_sec_max_length: Option<u64>,
}

words! {
    /// A removable drive's tray.
    pub enum Tray {
        /// It is in.
        Closed = "closed",
        /// It is out.
        Open = "open",
    }

    /// Which SCSI commands may be sent.
    pub enum Sgio { Filtered = "filtered", Unfiltered = "unfiltered", }

    /// How snapshots treat a disk.
    pub enum DiskSnapshot { No = "no", Internal = "internal", External = "external", Manual = "manual", }

    /// How the firmware translates a disk's geometry.
    pub enum GeometryTranslation { None = "none", Auto = "auto", Lba = "lba", }
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
