//! `<domain>`: a guest. libvirt: formatdomain.html.

mod address;
mod carry_over;
mod chardev;
mod complete;
mod controller;
mod cpu;
mod devices;
mod disk;
mod interface;
mod labels;
mod metadata;
mod os;
mod qemu;
mod small_devices;
mod time;
mod validate;

pub use address::{
    Address, CcidAddress, DriveAddress, IsaAddress, MmioAddress, PciAddress, UnassignedAddress, UsbAddress,
    VirtioSerialAddress,
};
pub use chardev::{
    Channel, ChannelTarget, ChannelTargetKind, CharSource, CharSourceFile, CharSourcePath, CharSourcePlain,
    CharSourceUnix, CharSourceUnixMode, Console, ConsoleTarget, ConsoleTargetKind, Log, Serial, SerialTarget,
    SerialTargetKind, SerialTargetModel, SerialTargetModelName,
};
pub use controller::{
    Controller, ControllerKind, ControllerModel, ControllerModelName, ControllerTarget, PciModelName,
};
pub use cpu::{Cpu, CpuCheck, CpuFeature, CpuFeaturePolicy, CpuMatch, CpuMode, CpuModel, CpuModelFallback, Topology};
pub use devices::Devices;
pub use disk::{
    BackingStore, BlockSource, Disk, DiskBus, DiskCache, DiskDetectZeroes, DiskDevice, DiskDiscard, DiskDriver,
    DiskErrorPolicy, DiskIo, DiskSource, DiskTarget, FileSource, ImageFormat, ImageFormatName, Tray, VolumeSource,
};
pub use interface::{
    BridgeSource, Interface, InterfaceModel, InterfaceSource, InterfaceTarget, Link, LinkState, Mac, Mtu,
    NetworkSource, UserSource,
};
pub use metadata::{DeviceLabel, Metadata, OstlerMark, Owner};
pub use os::{Apic, BootDevice, BootEntry, BootMenu, Features, Os, OsKind, OsType};
pub use qemu::{QemuArg, QemuCommandline, QemuEnv};
pub use small_devices::{
    Alias, Audio, AudioKind, Boot, Input, InputBus, InputKind, Memballoon, MemballoonModel, RandomBackend, Rng,
    RngBackend, RngModel, Watchdog, WatchdogAction, WatchdogModel,
};
pub use time::{Clock, ClockOffset, LifecycleAction, Pm, PmState, TickPolicy, Timer, TimerName};

use ostler_conf_derive::element;
use ostler_util::{CpuSet, Size};
use uuid::Uuid;

use crate::values::XmlText;
use crate::words;
use crate::xml::{Element, Reader, Value as _, Writer};
use crate::{Invalid, Problem};

/// A guest: what libvirt's `<domain>` says.
#[element(root = "domain", after_read, before_write)]
pub struct Domain {
    /// What runs the guest's code; absent in a manifest: KVM where it works, else QEMU's translator.
    #[xml(attr)]
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
    /// A title for people, on one line.
    pub title: Option<String>,
    /// A description for people.
    pub description: Option<String>,
    /// Other programs' XML, kept as it is, and our own mark.
    pub metadata: Option<Metadata>,
    /// Memory at boot.
    pub memory: Option<Memory>,
    /// Memory that the balloon leaves the guest; absent: all.
    pub current_memory: Option<CurrentMemory>,
    /// Virtual CPUs.
    pub vcpu: Option<Vcpu>,
    /// What is booted, on which machine.
    #[xml(default)]
    pub os: Os,
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
    /// Which sleep states the firmware offers.
    pub pm: Option<Pm>,
    /// The devices.
    #[xml(default)]
    pub devices: Devices,
    /// Arguments handed to QEMU as they are; needs a grant.
    #[xml(name = "qemu:commandline", bind)]
    pub qemu_commandline: Option<QemuCommandline>,
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

/// `<memory>`: an amount; any unit is read, KiB is written.
#[element]
pub struct Memory {
    /// The amount, rounded up to KiB.
    #[xml(flatten)]
    pub size: ScaledKib,
    /// Whether a core dump of the hypervisor holds the guest's memory.
    #[xml(attr)]
    pub dump_core: Option<crate::values::OnOff>,
}

/// `<currentMemory>`: an amount; any unit is read, KiB is written.
#[element]
pub struct CurrentMemory {
    /// The amount, rounded up to KiB.
    #[xml(flatten)]
    pub size: ScaledKib,
}

/// A size that XML has as `unit='KiB'` and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct ScaledKib(pub Size);

impl Element for ScaledKib {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        crate::xml::read_scaled(reader, "KiB").map(ScaledKib)
    }
    fn attrs(&self, writer: &mut Writer) {
        writer.attr_text("unit", "KiB");
    }
    fn body(&self, writer: &mut Writer) {
        writer.text(&self.0.kib().format());
    }
}

impl Domain {
    /// Settles what one element alone could not know: device names come from our metadata, or are made.
    fn after_read(&mut self) {
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

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
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
