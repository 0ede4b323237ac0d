//! `<domain>`: a guest. libvirt: formatdomain.html.

mod abi;
mod address;
mod audio;
mod backing;
mod backing_string;
mod carry_over;
mod char_source;
mod chardev;
mod complete;
mod confidential;
mod controller;
mod cpu;
mod device;
mod devices;
mod disk;
mod disk_source;
mod features;
mod filesystem;
mod graphics;
mod hostdev;
mod input;
mod interface;
mod labels;
mod launch_security;
mod live;
mod memballoon;
mod memory;
mod memory_device;
mod metadata;
mod namespaces;
mod netparts;
mod numa;
mod os;
mod other_devices;
mod private;
mod qemu;
mod redirdev;
mod rng;
mod seclabel;
mod smartcard;
mod sound;
mod sysinfo;
#[cfg(test)]
mod tests;
mod time;
mod tpm;
mod tune;
mod validate;
mod video;
mod watchdog;

pub use address::{
    Address, CcidAddress, CcwAddress, DimmAddress, DriveAddress, IsaAddress, MmioAddress, PciAddress, PlainAddress,
    SpaprVioAddress, UnassignedAddress, UsbAddress, VirtioSerialAddress, ZpciAddress,
};
pub use audio::{
    AlsaAudio, AlsaStream, Audio, AudioFormat, AudioKind, AudioSettings, AudioStream, CoreAudio, CoreStream, FileAudio,
    JackAudio, JackStream, OssAudio, OssStream, PipewireAudio, PipewireStream, PlainAudio, PlainStream, PulseAudio,
    PulseStream, SdlAudio, SdlDriver, SdlStream,
};
pub use backing::{BackingChain, BackingImage, ImageFormat, MetadataCache, Mirror, MirrorJob, MirrorReady};
pub use backing_string::{BackingString, BackingStringError};
pub use char_source::{
    CharProtocol, CharSource, CharSourceChannel, CharSourceDevice, CharSourceEnd, CharSourceFile, CharSourceNmdm,
    CharSourcePath, CharSourcePlain, CharSourceTcp, CharSourceUdp, CharSourceUnix, CharSourceUnixMode,
    CharSourceVdagent, Clipboard, MouseMode, MouseOwner, Reconnect,
};
pub use chardev::{
    Channel, ChannelState, ChannelTarget, ChannelTargetKind, Console, ConsoleTarget, ConsoleTargetKind, Log, Parallel,
    ParallelTarget, Serial, SerialTarget, SerialTargetKind, SerialTargetModel, SerialTargetModelName,
};
pub use controller::{
    Controller, ControllerDriver, ControllerKind, ControllerMaster, ControllerModel, ControllerModelName,
    ControllerTarget, PciModelName,
};
pub use cpu::{
    Cpu, CpuCache, CpuCacheMode, CpuCheck, CpuFeature, CpuFeaturePolicy, CpuMatch, CpuMode, CpuModel, CpuModelFallback,
    MaxPhysAddr, MaxPhysAddrMode, Topology,
};
pub use device::{AcpiIndex, Alias, AudioRef, Boot, Rom, VirtioModel, VirtioOptions};
pub use devices::Devices;
pub use disk::{
    BlockIo, Disk, DiskBus, DiskCache, DiskDetectZeroes, DiskDevice, DiskDiscard, DiskDriver, DiskErrorPolicy, DiskIo,
    DiskIothread, DiskIothreads, DiskQueue, DiskSnapshot, DiskTarget, Geometry, GeometryTranslation, ImageFormatName,
    IoTune, Sgio, ThrottleFilter, ThrottleFilters, Transient, Tray,
};
pub use disk_source::{
    Auth, AuthSecret, AuthSecretKind, BlockSource, Cookie, Cookies, DataStore, DataStoreBlock, DataStoreFile,
    DataStoreSource, DirSource, DiskSource, Encryption, EncryptionEngine, EncryptionFormat, EncryptionSecret,
    EncryptionSecretKind, FileSource, HostTransport, Identity, Initiator, NetworkDiskSource, NetworkHost,
    NetworkProtocol, NvmeSource, NvmeSourceKind, ReconnectDelay, Reservations, ReservationsSource, Slice, SliceKind,
    Slices, SocketKind, SocketMode, SourceCommon, Ssl, StartupPolicy, VhostuserSource, VhostvdpaSource, VolumeMode,
    VolumeSource,
};
pub use features::{
    Aia, Apic, Capabilities, Capability, CapabilityName, CapabilityPolicy, DirtyRing, FeatureState, Features, Gic, Hpt,
    HptResizing, HypervFeatures, HypervMode, IndirectBranchSpeculation, IoapicDriver, KvmFeatures, Smm, Spinlocks,
    Stimer, TcgFeatures, Tlbflush, UnknownMsrs, VendorId, Workaround, XenFeatures, XenPassthrough, XenPassthroughMode,
};
pub use filesystem::{
    Filesystem, FilesystemAccess, FilesystemBinary, FilesystemBind, FilesystemBlock, FilesystemCache, FilesystemDriver,
    FilesystemDriverKind, FilesystemFile, FilesystemLock, FilesystemMount, FilesystemMultidevs, FilesystemRam,
    FilesystemSandbox, FilesystemSource, FilesystemTarget, FilesystemTemplate, FilesystemVolume, FilesystemWritePolicy,
    RamUsage,
};
pub use graphics::{
    ChannelMode, Connected, DbusDisplay, Desktop, EglHeadless, Gl, Graphics, GraphicsKind, ImageCompression, Listen,
    ListenAddress, ListenNetwork, ListenNone, ListenSocket, Listens, LossyCompression, Rdp, Sdl, SharePolicy, Spice,
    SpiceChannel, SpiceChannelName, Streaming, Vnc,
};
pub use hostdev::{
    GuestReset, HostAddress, Hostdev, HostdevMode, HostdevSource, MdevHostdev, MiscHostdev, NetHostdev, PciHostdev,
    ScsiHostAddress, ScsiHostHostdev, ScsiHostProtocol, ScsiHostdev, ScsiProtocol, StorageHostdev, UsbHostAddress,
    UsbHostdev,
};
pub use input::{Input, InputBus, InputGrab, InputGrabToggle, InputKind, InputSource};
pub use interface::{
    BridgeSource, DirectSource, EthernetSource, ForwardProtocol, GuestOffloads, HostOffloads, HostdevNicSource,
    Interface, InterfaceBackend, InterfaceBackendKind, InterfaceDriver, InterfaceDriverName, InterfaceGuest,
    InterfaceModel, InterfacePort, InterfaceSource, InterfaceTarget, InternalSource, Link, LinkState, Mac, MacKind,
    Mtu, NetworkSource, PlainSource, PortForward, PortRange, SocketSource, TxMode, UdpSource, UserSource, VdpaSource,
    VdsSource, VhostuserNicSource,
};
pub use launch_security::{Keywrap, KeywrapCipher, KeywrapCipherName, LaunchSecurity, S390Pv, Sev, SevSnp};
pub use memballoon::{Memballoon, MemballoonModel, MemballoonStats};
pub use memory::{
    Allocation, AllocationMode, CurrentMemory, Hugepage, Hugepages, MaxMemory, Memory, MemoryAccessMode, MemoryBacking,
    MemorySourceKind, MemoryTune, PageSize,
};
pub use memory_device::{MemoryDevice, MemoryLabel, MemoryModel, MemorySource, MemoryTarget};
pub use metadata::{DeviceLabel, Metadata, OstlerMark, Owner};
pub use namespaces::{BhyveCommandline, LxcNamespace, LxcShare, LxcShareKind, PlainArg, XenCommandline};
pub use netparts::{Coalesce, CoalesceRx, IpAddress, PersistentTeaming, Teaming, TransientTeaming};
pub use numa::{
    AccessKind, Associativity, BandwidthAmount, CacheAmount, CachePolicy, CellMemory, Distances, Interconnects,
    Latency, LineAmount, LinkBandwidth, Numa, NumaCache, NumaCell, Sibling,
};
pub use os::{
    AcpiTable, AcpiTableKind, AcpiTables, Bios, BootDevice, BootEntry, BootMenu, FirmwareFeature, FirmwareFeatureName,
    FirmwareFeatures, FirmwareFormat, FirmwareKind, InitEnv, Loader, LoaderKind, Nvram, Os, OsKind, OsType, SmbiosMode,
};
pub use other_devices::{
    Crypto, CryptoBackend, CryptoKind, CryptoModel, CryptoQueues, Hub, HubKind, Iommu, IommuDriver, IommuModel, Lease,
    LeaseTarget, NvramDevice, Panic, PanicModel, Pstore, PstoreBackend, Shmem, ShmemModel, ShmemMsi, ShmemRole, Vsock,
    VsockCid,
};
pub use private::{
    ActualBlock, ActualBridge, ActualDir, ActualFile, ActualInterface, ActualNetworkImage, ActualSource, ActualVolume,
    DiskPrivate, FdSet, FdSetKind, FdSets, NbdkitProcess, NodeKind, NodeName, NodeNames, OriginalStates,
    SecretsPlacement, SourceObjects, SourcePrivate, SourceSecret, SourceSecretKind,
};
pub use qemu::{
    QemuArg, QemuCapabilities, QemuCapability, QemuCommandline, QemuDeprecation, QemuEnv, QemuFrontend, QemuOverride,
    QemuOverrideDevice, QemuProperty, QemuPropertyKind,
};
pub use redirdev::{Redirdev, RedirdevBus, Redirfilter, RedirfilterRule};
pub use rng::{BuiltinBackend, EgdBackend, RandomBackend, Rng, RngBackend, RngRate};
pub use seclabel::{DeviceSeclabel, Seclabel, SeclabelKind};
pub use smartcard::{Smartcard, SmartcardCertificates, SmartcardHost, SmartcardMode, SmartcardPassthrough};
pub use sound::{Codec, CodecKind, Sound, SoundModel};
pub use sysinfo::{FirmwareConfig, FirmwareConfigEntry, OemStrings, SmbiosEntry, SmbiosInfo, SmbiosTable, Sysinfo};
pub use time::{
    Catchup, Clock, ClockBasis, ClockOffset, LifecycleAction, LockFailureAction, Pm, PmState, TickPolicy, Timer,
    TimerMode, TimerName, TimerTrack,
};
pub use tpm::{
    PcrBanks, RemoveDisabled, Tpm, TpmBackend, TpmEmulator, TpmExternal, TpmExternalSource, TpmModel, TpmPassthrough,
    TpmProfile, TpmState, TpmStateKind, TpmVersion,
};
pub use tune::{
    BandwidthMonitor, BlkioDevice, BlkioTune, CacheContent, CacheMonitor, CachePart, CacheSize, CacheTune, CpuTune,
    DefaultIothread, EmulatorSched, IdMap, IdRange, IothreadId, IothreadIds, IothreadPin, IothreadPoll, IothreadSched,
    MemoryBandwidthTune, NodeBandwidth, NumaMemnode, NumaMemory, NumaMode, NumaTune, Perf, PerfEvent, PerfEventName,
    Resource, Scheduler, ThrottleGroup, ThrottleGroups, VcpuPin, VcpuSched, VcpuState, Vcpus,
};
pub use video::{Acceleration, Resolution, VgaConf, Video, VideoDriver, VideoDriverName, VideoKind, VideoModel};
pub use watchdog::{Watchdog, WatchdogAction, WatchdogModel};

pub use crate::filter_ref::{FilterRef, Parameters};
pub use crate::network::{
    Bandwidth, DirectMode, HostdevDriver, HostdevDriverName, IpFamily, NativeMode, Rate, Route, VirtualPort,
    VirtualPortParameters, VirtualPortType, Vlan, VlanTag,
};
use ostler_conf_derive::element;
use ostler_util::CpuSet;
use uuid::Uuid;

use crate::Invalid;
pub use crate::values::ScaledKib;
use crate::values::XmlText;
use crate::words;

/// A guest: what libvirt's `<domain>` says.
#[element(root = "domain", after_read, before_write)]
pub struct Domain {
    /// What runs the guest's code; absent in a manifest: KVM where it works, else QEMU's translator.
    #[xml(attr, required, code = "InternalError")]
    pub r#type: Option<DomainType>,
    /// The running guest's number; never in a definition.
    #[xml(attr)]
    #[serde(skip)]
    pub id: Option<i32>,
    /// The name on the host. In a manifest it comes from the object's namespace and name; giving it needs a grant.
    #[xml(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The identity. In a manifest it is chosen once and kept in `status.resolved`.
    pub uuid: Option<Uuid>,
    /// The generation, which changes when the guest is taken back to an older state.
    #[xml(keep)]
    pub genid: Option<GenerationId>,
    /// A title for people, on one line.
    pub title: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// Other programs' XML, kept as it is, and our own mark.
    pub metadata: Option<Metadata>,
    /// How much memory there can be with memory devices.
    pub max_memory: Option<MaxMemory>,
    /// Memory at boot.
    pub memory: Option<Memory>,
    /// Memory that the balloon leaves the guest; absent: all.
    pub current_memory: Option<CurrentMemory>,
    /// How much of the host's disks the guest gets.
    pub blkiotune: Option<BlkioTune>,
    /// How much of the host's memory the guest may use.
    pub memtune: Option<MemoryTune>,
    /// What is behind the guest's memory.
    pub memory_backing: Option<MemoryBacking>,
    /// Virtual CPUs.
    pub vcpu: Option<Vcpu>,
    /// Virtual CPUs one by one.
    pub vcpus: Option<Vcpus>,
    /// How many I/O threads there are.
    #[xml(name = "iothreads")]
    pub iothreads: Option<u32>,
    /// The numbers of I/O threads.
    pub iothreadids: Option<IothreadIds>,
    /// The hypervisor's main loop.
    pub defaultiothread: Option<DefaultIothread>,
    /// Limits that disks share.
    pub throttlegroups: Option<ThrottleGroups>,
    /// How much of the host's processors the guest gets, and which.
    pub cputune: Option<CpuTune>,
    /// Which of the host's NUMA nodes the guest's memory comes from.
    pub numatune: Option<NumaTune>,
    /// The group of guests that this one shares the host with.
    pub resource: Option<Resource>,
    /// What the firmware tells about the machine.
    pub sysinfo: Vec<Sysinfo>,
    /// A program of the host that finds the guest's kernel. Needs a grant.
    pub bootloader: Option<String>,
    /// Its arguments.
    #[xml(name = "bootloader_args")]
    pub bootloader_args: Option<String>,
    /// What is booted, on which machine.
    #[xml(default)]
    pub os: Os,
    /// How a container's users and groups are the host's.
    pub idmap: Option<IdMap>,
    /// Features of the machine.
    pub features: Option<Features>,
    /// The virtual CPU's model.
    pub cpu: Option<Cpu>,
    /// The guest's clock.
    pub clock: Option<Clock>,
    /// What happens when the guest powers off.
    #[xml(name = "on_poweroff")]
    pub on_poweroff: Option<LifecycleAction>,
    /// What happens when the guest reboots.
    #[xml(name = "on_reboot")]
    pub on_reboot: Option<LifecycleAction>,
    /// What happens when the guest crashes.
    #[xml(name = "on_crash")]
    pub on_crash: Option<LifecycleAction>,
    /// What happens when a lock on a disk is lost.
    #[xml(name = "on_lockfailure")]
    pub on_lockfailure: Option<LockFailureAction>,
    /// Which sleep states the firmware offers.
    pub pm: Option<Pm>,
    /// Events of the host's processors that are counted.
    pub perf: Option<Perf>,
    /// The devices.
    #[xml(default, keep)]
    pub devices: Devices,
    /// Security labels, one for each model.
    #[xml(name = "seclabel")]
    pub seclabels: Vec<Seclabel>,
    /// Whether the guest's keys are wrapped.
    pub keywrap: Option<Keywrap>,
    /// How the host is kept from looking into the guest.
    pub launch_security: Option<LaunchSecurity>,
    /// Arguments handed to QEMU as they are; needs a grant.
    #[xml(name = "qemu:commandline", bind)]
    pub qemu_commandline: Option<QemuCommandline>,
    /// What we believe of QEMU, whatever it says.
    #[xml(name = "qemu:capabilities", bind)]
    pub qemu_capabilities: Option<QemuCapabilities>,
    /// What QEMU does where something deprecated is used.
    #[xml(name = "qemu:deprecation", bind)]
    pub qemu_deprecation: Option<QemuDeprecation>,
    /// Properties of QEMU's devices, set by hand; needs a grant.
    #[xml(name = "qemu:override", bind)]
    pub qemu_override: Option<QemuOverride>,
    /// Namespaces that a container shares.
    #[xml(name = "lxc:namespace", bind)]
    pub lxc_namespace: Option<LxcNamespace>,
    /// Arguments handed to Xen's device model as they are; needs a grant.
    #[xml(name = "xen:commandline", bind)]
    pub xen_commandline: Option<XenCommandline>,
    /// Arguments handed to bhyve as they are; needs a grant.
    #[xml(name = "bhyve:commandline", bind)]
    pub bhyve_commandline: Option<BhyveCommandline>,
    /// VMware: the path of the data center.
    #[xml(name = "vmware:datacenterpath", bind)]
    pub vmware_datacenterpath: Option<String>,
}

words! {
    /// What runs a guest's code.
    pub enum DomainType {
        /// Hardware virtualization by the kernel.
        Kvm = "kvm",
        /// QEMU's translator.
        Qemu = "qemu",
        /// The in-memory mock.
        Test = "test",
        /// An accelerator of old.
        Kqemu = "kqemu",
        /// Xen.
        Xen = "xen",
        /// Linux containers.
        Lxc = "lxc",
        /// User Mode Linux.
        Uml = "uml",
        /// OpenVZ.
        Openvz = "openvz",
        /// VMware.
        Vmware = "vmware",
        /// Hyper-V.
        Hyperv = "hyperv",
        /// VirtualBox.
        Vbox = "vbox",
        /// PowerVM.
        Phyp = "phyp",
        /// Parallels.
        Parallels = "parallels",
        /// bhyve.
        Bhyve = "bhyve",
        /// Virtuozzo.
        Vz = "vz",
        /// macOS.
        Hvf = "hvf",
    }

    /// How virtual CPUs are placed on the host's.
    pub enum VcpuPlacement {
        /// As given.
        Static = "static",
        /// As the host's NUMA adviser says.
        Auto = "auto",
    }
}

/// `<vcpu>`: how many virtual CPUs.
#[element]
pub struct Vcpu {
    /// How they are placed.
    #[xml(attr)]
    pub placement: Option<VcpuPlacement>,
    /// The host CPUs that they may use.
    #[xml(attr)]
    pub cpuset: Option<CpuSet>,
    /// How many are there at boot; absent: all.
    #[xml(attr)]
    pub current: Option<u32>,
    /// How many at most.
    #[xml(text)]
    pub count: u32,
}

/// `<genid>`: a guest's generation; empty: made at define.
#[element]
pub struct GenerationId {
    /// The generation.
    #[xml(text)]
    pub id: Option<Uuid>,
}

impl Domain {
    /// Settles what one element alone could not know: device names come from our metadata, or are made.
    fn after_read(&mut self) {
        if let Some(filter) = &mut self.devices.redirfilter {
            filter.usbdevs.iter_mut().for_each(RedirfilterRule::forget_any);
        }
        self.label_devices();
    }

    /// Device names travel in our metadata.
    fn before_write(&self) -> Option<Self> {
        self.with_labels()
    }

    /// Memory at boot, in KiB.
    pub fn memory_kib(&self) -> u64 {
        self.memory.as_ref().map_or(0, |memory| memory.size.0.kib())
    }

    /// Virtual CPUs at most; libvirt's default is 1.
    pub fn vcpus(&self) -> u32 {
        self.vcpu.as_ref().map_or(1, |vcpu| vcpu.count)
    }

    /// Fills in the driver-independent defaults, as libvirt does. What is set stays.
    pub fn complete(&mut self) {
        complete::complete(self);
    }

    /// The guest's identity: its own, or the one that its firmware tells.
    pub fn identity(&self) -> Option<Uuid> {
        self.uuid.or_else(|| complete::told_uuid(&self.sysinfo))
    }

    /// Gives controllers without a number one, as completion does: drivers look for some by number.
    pub fn number_controllers(&mut self) {
        complete::number_controllers(&mut self.devices.controllers);
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
    }

    /// The file system that the guest mounts at a place, exactly there.
    pub fn filesystem_at(&self, path: &str) -> Option<&Filesystem> {
        self.devices.filesystems.iter().find(|filesystem| filesystem.target.as_ref().is_some_and(|t| t.dir == path))
    }

    /// Our mark in the metadata.
    pub fn mark(&self) -> Option<&OstlerMark> {
        self.metadata.as_ref().and_then(|metadata| metadata.ostler.as_ref())
    }

    /// Other programs' metadata.
    pub fn foreign_metadata(&self) -> Option<&XmlText> {
        self.metadata.as_ref().map(|metadata| &metadata.foreign)
    }
}
