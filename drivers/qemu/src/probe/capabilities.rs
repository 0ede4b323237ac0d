//! What an emulator can do.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use ostler_conf::domain::DomainType;
use ostler_driver::Result;
use serde::{Deserialize, Serialize};

use super::flags::{Flag, Flags};
use super::types::flag_of_type;
use crate::guest_cpu::Models;

/// What an emulator can do: by itself, and on the host where it was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The program.
    pub emulator: String,
    /// Of which moment and of whose the findings are; only libvirt's saved capabilities tell.
    pub stamp: Stamp,
    /// What it can do that needs no more than a word.
    pub flags: Flags,
    /// Its version: 10000002 is 10.0.2.
    pub version: u32,
    /// How its distribution names this build.
    pub package: String,
    /// The host CPU's microcode.
    pub microcode_version: u32,
    /// The architecture of its guests, as libvirt names it.
    pub arch: String,
    /// Its guests under KVM; empty where the host has none, or the emulator can't.
    pub kvm: Accelerated,
    /// Its guests under Apple's Hypervisor.framework.
    pub hvf: Accelerated,
    /// Its guests under its translator.
    pub tcg: Accelerated,
    /// The ARM interrupt controllers that guests can have.
    pub gic: Vec<Gic>,
    /// AMD's memory encryption.
    pub sev: Option<Sev>,
    /// Intel's enclaves.
    pub sgx: Option<Sgx>,
    /// What guests see of Hyper-V.
    pub hyperv: Option<Hyperv>,
    /// Types of its objects that no flag tells of; empty where saved capabilities were read, which don't tell.
    pub others: BTreeSet<String>,
}

/// Where saved capabilities come from, for whoever asks whether they still hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The emulator's time of change, in seconds.
    pub qemu_ctime: i64,
    /// The time of change of the folder of its modules.
    pub module_directory_mtime: Option<i64>,
    /// The time of change of what asked it.
    pub self_ctime: i64,
    /// The version of what asked it.
    pub self_version: u64,
    /// The host's CPU, in words.
    pub host_cpu_signature: Option<String>,
    /// The host's kernel.
    pub kernel_version: Option<String>,
    /// What the host's CPU says under KVM: the content of `<cpudata>`, as written.
    pub cpu_data: Option<CpuData>,
}

/// `<cpudata arch='x86'>`: what a CPU says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuData {
    /// The family of architectures.
    pub arch: String,
    /// Its elements, as written.
    pub content: String,
}

/// What runs a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Accelerator {
    /// Linux.
    Kvm,
    /// macOS.
    Hvf,
    /// QEMU's translator.
    Tcg,
}

/// What depends on what runs the instructions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accelerated {
    /// The host's CPU, as guests can see it.
    pub host_cpu: Option<HostCpu>,
    /// CPU models.
    pub cpus: Vec<Cpu>,
    /// Machine types, first the default.
    pub machines: Vec<Machine>,
    /// What the CPU tables make of it.
    #[serde(skip)]
    pub(crate) models: Derived<Models>,
}

/// What is worked out of the rest when it is first asked for: no part of what an emulator says. A copy, which may be
/// changed, begins without it.
#[derive(Debug)]
pub(crate) struct Derived<T>(OnceLock<Arc<T>>);

impl<T> Derived<T> {
    /// It; made now if it is not there yet.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        match self.0.get() {
            Some(made) => Ok(made.clone()),
            None => make().map(|made| self.0.get_or_init(|| Arc::new(made)).clone()),
        }
    }
}

impl<T> Default for Derived<T> {
    fn default() -> Self {
        Derived(OnceLock::new())
    }
}

impl<T> Clone for Derived<T> {
    fn clone(&self) -> Self {
        Derived::default()
    }
}

impl<T> PartialEq for Derived<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The host's CPU as a model and its properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostCpu {
    /// The model that the properties are of.
    pub model: String,
    /// Whether the properties tell what can migrate.
    pub tells_migratability: bool,
    /// All of them.
    pub properties: Vec<CpuProperty>,
    /// Features that are about to go.
    pub deprecated: Vec<String>,
}

/// A property of a CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CpuProperty {
    /// QEMU's name for it.
    pub name: String,
    /// Its value.
    pub value: CpuValue,
    /// Whether a guest that sees it can migrate, where that is known.
    pub migratable: Option<bool>,
}

/// A property's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CpuValue {
    /// On or off.
    Boolean(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A CPU model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Its name, as in `Skylake-Client`.
    pub name: String,
    /// QEMU's type, as in `Skylake-Client-x86_64-cpu`.
    pub type_name: Option<String>,
    /// Whether the host can give all of it, where that is known.
    pub usable: Option<bool>,
    /// The features that the host lacks for it.
    pub blockers: Vec<String>,
    /// Whether it is about to go.
    pub deprecated: bool,
}

/// A machine type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its canonical name, as in `pc-q35-10.0`.
    pub name: String,
    /// The name that stands for the newest of its family, as in `q35`.
    pub alias: Option<String>,
    /// Whether it is taken when none is named.
    pub is_default: bool,
    /// How many CPUs it has at most; 0 if it doesn't say.
    pub max_cpus: u32,
    /// Whether CPUs can be plugged.
    pub hotplug_cpus: bool,
    /// The type of CPU that it has where none is named, as in `qemu64-x86_64-cpu`.
    pub default_cpu: Option<String>,
    /// Whether `-numa` takes sizes instead of memory devices.
    pub numa_mem_supported: bool,
    /// The name of its main memory.
    pub default_ram_id: Option<String>,
    /// Whether it is about to go.
    pub deprecated: bool,
    /// Whether it has ACPI, where that is known.
    pub acpi: Option<bool>,
}

/// `<gic version='3' kernel='yes' emulated='yes'/>`: an interrupt controller of ARM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gic {
    /// Its version: 2 or 3.
    pub version: u8,
    /// Whether the kernel can be it.
    pub kernel: bool,
    /// Whether the emulator can be it.
    pub emulated: bool,
}

/// AMD's memory encryption, as its firmware tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sev {
    /// The bit of an address that means "encrypted".
    pub cbitpos: u32,
    /// How many address bits are lost.
    pub reduced_phys_bits: u32,
    /// The platform's Diffie-Hellman key, as base64.
    pub pdh: String,
    /// Its chain of certificates, as base64.
    pub cert_chain: String,
    /// The identity of the first CPU, as base64.
    pub cpu0_id: Option<String>,
    /// How many encrypted guests there may be; asked of the CPU, not of QEMU, and not saved.
    pub max_guests: u32,
    /// How many of them with encrypted registers.
    pub max_es_guests: u32,
}

/// Intel's enclaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sgx {
    /// Whether who may launch enclaves can be chosen.
    pub flc: bool,
    /// The first set of instructions.
    pub sgx1: bool,
    /// The second.
    pub sgx2: bool,
    /// All enclave memory, in KiB.
    pub section_size_kib: u64,
    /// By NUMA node: its number and KiB.
    pub sections: Vec<(u32, u64)>,
}

/// What guests see of Hyper-V.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hyperv {
    /// Whether anything.
    pub supported: bool,
    /// libvirt's words.
    pub features: Vec<String>,
}

impl Sev {
    /// Takes in what the CPU says in leaf 0x8000001f: how many keys there are (ecx), and the first of those that need not
    /// keep registers secret (edx).
    pub fn count_guests(&mut self, ecx: u32, edx: u32) {
        self.max_guests = (ecx + 1).saturating_sub(edx);
        self.max_es_guests = edx.saturating_sub(1);
    }
}

impl Accelerator {
    /// All, the best first.
    pub const ALL: [Accelerator; 3] = [Accelerator::Kvm, Accelerator::Hvf, Accelerator::Tcg];

    /// QEMU's word.
    pub const fn word(self) -> &'static str {
        match self {
            Accelerator::Kvm => "kvm",
            Accelerator::Hvf => "hvf",
            Accelerator::Tcg => "tcg",
        }
    }

    /// What guests of this type run under.
    pub fn of(r#type: DomainType) -> Accelerator {
        match r#type {
            DomainType::Kvm => Accelerator::Kvm,
            DomainType::Hvf => Accelerator::Hvf,
            _ => Accelerator::Tcg,
        }
    }
}

impl Accelerated {
    /// Whether there is nothing: no guest can run so.
    pub fn is_empty(&self) -> bool {
        self.host_cpu.is_none() && self.cpus.is_empty() && self.machines.is_empty()
    }

    /// The machine type with this name or alias; without one the default.
    pub fn machine(&self, name: Option<&str>) -> Option<&Machine> {
        match name {
            Some(name) => {
                let is_named = |machine: &&Machine| machine.name == name || machine.alias.as_deref() == Some(name);
                self.machines.iter().find(is_named)
            }
            None => self.machines.first(),
        }
    }

    /// The CPU model of that name.
    pub fn cpu(&self, name: &str) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.name == name)
    }
}

impl Capabilities {
    /// Whether it can do this.
    pub const fn has(&self, flag: Flag) -> bool {
        self.flags.contains(flag)
    }

    /// What depends on `accelerator`.
    pub const fn accelerated(&self, accelerator: Accelerator) -> &Accelerated {
        match accelerator {
            Accelerator::Kvm => &self.kvm,
            Accelerator::Hvf => &self.hvf,
            Accelerator::Tcg => &self.tcg,
        }
    }

    /// The same, to be changed.
    pub const fn accelerated_mut(&mut self, accelerator: Accelerator) -> &mut Accelerated {
        match accelerator {
            Accelerator::Kvm => &mut self.kvm,
            Accelerator::Hvf => &mut self.hvf,
            Accelerator::Tcg => &mut self.tcg,
        }
    }

    /// The best accelerator that it has here, by what it was found out with.
    pub fn best_accelerator(&self) -> Accelerator {
        Accelerator::ALL.into_iter().find(|it| !self.accelerated(*it).is_empty()).unwrap_or(Accelerator::Tcg)
    }

    /// The machine type with this name or alias under the best accelerator; without one the default. Machine types of the
    /// same name differ between accelerators in their default CPU only.
    pub fn machine(&self, name: Option<&str>) -> Option<&Machine> {
        self.accelerated(self.best_accelerator()).machine(name)
    }

    /// Whether there is a CPU model of that name, under any accelerator.
    pub fn has_cpu(&self, name: &str) -> bool {
        Accelerator::ALL.into_iter().any(|it| self.accelerated(it).cpu(name).is_some())
    }

    /// Whether a guest can have this device model. Where only flags are known, a device that none is of counts as there.
    pub fn has_device(&self, name: &str) -> bool {
        match flag_of_type(name) {
            Some(flag) => self.has(flag),
            None => self.others.is_empty() || self.others.contains(name),
        }
    }

    /// Its version, as in `10.0.2`.
    pub fn version_text(&self) -> String {
        format!("{}.{}.{}", self.version / 1_000_000, self.version / 1000 % 1000, self.version % 1000)
    }
}

impl Capabilities {
    /// Takes in the names of its types of objects.
    pub(super) fn add_types(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            match flag_of_type(&name) {
                Some(flag) => self.flags.insert(flag),
                None => drop(self.others.insert(name)),
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Enough of QEMU 10.0 for definitions of `pc` and `q35`.
    pub(crate) fn qemu_10() -> Capabilities {
        const DEVICES: &[&str] = &[
            "e1000",
            "e1000e",
            "floppy",
            "i6300esb",
            "ich9-ahci",
            "ich9-usb-ehci1",
            "ib700",
            "ide-cd",
            "ide-hd",
            "ioh3420",
            "isa-serial",
            "lsi53c895a",
            "pci-bridge",
            "pci-serial",
            "pcie-pci-bridge",
            "pcie-root-port",
            "piix3-usb-uhci",
            "qemu-xhci",
            "nec-usb-xhci",
            "rtl8139",
            "scsi-block",
            "scsi-cd",
            "scsi-hd",
            "usb-kbd",
            "usb-mouse",
            "usb-storage",
            "usb-tablet",
            "virtconsole",
            "virtio-balloon-pci",
            "virtio-blk-pci",
            "virtio-keyboard-pci",
            "virtio-mouse-pci",
            "virtio-net-pci",
            "virtio-rng-pci",
            "virtio-scsi-pci",
            "virtio-serial-pci",
            "virtio-tablet-pci",
            "virtserialport",
            "usb-serial",
        ];
        let machine = |name: &str, alias: Option<&str>, max_cpus| Machine {
            name: name.into(),
            alias: alias.map(Into::into),
            is_default: alias == Some("pc"),
            max_cpus,
            default_cpu: Some("qemu64-x86_64-cpu".into()),
            ..Machine::default()
        };
        let cpu = |name: &&str| Cpu { name: (*name).to_owned(), ..Cpu::default() };
        let mut found = Capabilities {
            version: 10_000_002,
            tcg: Accelerated {
                host_cpu: None,
                cpus: ["qemu64", "max", "host", "Skylake-Client"].iter().map(cpu).collect(),
                machines: vec![
                    machine("pc-i440fx-10.0", Some("pc"), 255),
                    machine("pc-i440fx-9.2", None, 255),
                    machine("pc-q35-10.0", Some("q35"), 4096),
                    machine("pc-q35-9.2", None, 4096),
                ],
                ..Accelerated::default()
            },
            ..Capabilities::default()
        };
        found.arch = "x86_64".into();
        found.add_types(DEVICES.iter().map(|name| (*name).to_owned()));
        found
    }

    #[test]
    fn a_machine_is_found_by_name_by_alias_and_as_default() {
        let found = qemu_10();
        assert_eq!(found.machine(None), found.machine(Some("pc")));
        assert_eq!(found.machine(Some("q35")), found.machine(Some("pc-q35-10.0")));
        assert_eq!(found.machine(Some("q36")), None);
        assert_eq!(found.version_text(), "10.0.2");
    }

    #[test]
    fn a_device_is_known_by_its_flag_or_by_name() {
        let mut found = qemu_10();
        assert!(found.has(Flag::VirtioNet) && found.has_device("virtio-net-pci"));
        assert!(found.has_device("usb-tablet") && !found.has_device("usb-wacom-tablet"));
        found.flags.remove(Flag::VirtioNet);
        assert!(!found.has_device("virtio-net-pci"));
        found.others.clear();
        assert!(found.has_device("usb-wacom-tablet"), "saved capabilities don't tell");
    }
}
