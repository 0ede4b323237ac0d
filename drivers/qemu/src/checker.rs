//! The driver's checks without its host: the same completion and the same rules, against facts that a host has told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::Domain;
use ostler_driver::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::complete::firmware::Descriptor;
use crate::complete::{Host, Settings, complete};
use crate::driver::{Core, blocking};
use crate::probe::{Accelerated, Accelerator, Capabilities, Cpu, Flags, Machine};
use crate::{check, firmware};

/// Device models of which no flag tells and that completion or a check ask the emulator for, by name. A test holds it
/// against the code.
const DEVICES: &[&str] = &[
    "ich9-usb-uhci1",
    "ich9-usb-uhci2",
    "ich9-usb-uhci3",
    "spapr-vscsi",
    "usb-ccid",
    "usb-mouse",
    "usb-tablet",
    "virtio-balloon-pci",
    "virtio-input-host-pci",
    "virtio-scsi-pci-non-transitional",
    "virtio-scsi-pci-transitional",
    "virtio-serial-pci",
];

/// How the names of QEMU's network devices begin: an interface may name any of them as its model.
const NETWORK_DEVICES: &[&str] = &[
    "e1000",
    "i8255",
    "i8280",
    "igb",
    "lan9118",
    "ne2k",
    "pcnet",
    "rocker",
    "rtl8139",
    "spapr-vlan",
    "sungem",
    "sunhme",
    "tulip",
    "usb-net",
    "virtio-net",
    "vmxnet",
];

/// What completion and checks ask of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    /// The form of these facts: one that is not known is not read.
    form: u32,
    arch: String,
    emulator: PathBuf,
    version: u32,
    kvm: bool,
    flags: Flags,
    /// By what machine types have in common: most differ in name, alias and age only.
    machines: Vec<(MachineShape, Vec<MachineName>)>,
    devices: BTreeSet<String>,
    cpus: Vec<String>,
    /// The firmware that is installed, the preferred first; agents did not always tell.
    #[serde(default)]
    firmware: Option<Vec<Descriptor>>,
}

/// What many machine types have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MachineShape {
    max_cpus: u32,
    hotplug_cpus: bool,
    default_cpu: Option<String>,
    numa_mem_supported: bool,
    default_ram_id: Option<String>,
    acpi: Option<bool>,
}

/// What each has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MachineName {
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    is_default: bool,
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
}

/// The form that is written and read.
const FORM: u32 = 2;

/// The driver's checks against one host's facts. Pure.
#[derive(Clone, Debug)]
pub struct Checker {
    host: Host,
    arch: String,
    tells_firmware: bool,
}

impl Checker {
    /// The checks of a host that told these facts; `None` if they are of a form that is not known.
    pub fn from_facts(facts: &Value) -> Option<Self> {
        let facts = Facts::deserialize(facts).ok().filter(|facts| facts.form == FORM)?;
        let Facts { form: _, arch, emulator, version, kvm, flags, machines, devices: others, cpus, firmware } = facts;
        let machines =
            machines.into_iter().flat_map(|(shape, names)| names.into_iter().map(move |name| shape.with(name)));
        let cpus = cpus.into_iter().map(|name| Cpu { name, ..Cpu::default() });
        let accelerated = Accelerated { cpus: cpus.collect(), machines: machines.collect(), ..Accelerated::default() };
        let mut capabilities =
            Capabilities { version, flags, arch: arch.clone(), others, tcg: accelerated, ..Capabilities::default() };
        if kvm {
            capabilities.kvm = capabilities.tcg.clone();
        }
        let tells_firmware = firmware.is_some();
        let firmware = firmware.unwrap_or_default();
        let settings = Settings { arch: arch.clone(), firmware, ..Settings::default() };
        let host = Host { settings: Arc::new(settings), ..Host::new(emulator, Arc::new(capabilities), kvm) };
        Some(Checker { host, arch, tells_firmware })
    }

    /// Whether the facts are about what `definition` would run with: the host's own architecture and default emulator.
    pub fn knows(&self, definition: &Domain) -> bool {
        let arch = definition.os.r#type.arch.as_ref();
        let emulator = definition.devices.emulator.as_ref();
        arch.is_none_or(|arch| *arch == self.arch)
            && emulator.is_none_or(|emulator| self.host.emulator.as_os_str() == emulator.as_str())
            && (self.tells_firmware || !firmware::concerns(definition))
    }

    /// What the host would make of `definition`, laid over `last`.
    ///
    /// # Errors
    /// What [`ostler_driver::Domains::check`] refuses there.
    pub fn check(&self, definition: &Domain, last: Option<&Domain>) -> Result<Domain> {
        let mut definition = definition.clone();
        // Completion would take the architecture of the machine that it runs on, which is another one here.
        if last.is_none_or(|last| last.os.r#type.arch.is_none()) {
            definition.os.r#type.arch.get_or_insert_with(|| self.arch.clone());
        }
        let completed = check_definition(&definition, last, &self.host)?;
        check::check_supported(&completed, &self.host)?;
        Ok(completed)
    }
}

/// The one way of every check: the definition's own rules, completion, the driver's rules.
pub(crate) fn check_definition(definition: &Domain, last: Option<&Domain>, host: &Host) -> Result<Domain> {
    let mut spec = definition.clone();
    spec.uuid = Some(spec.identity().unwrap_or_else(Uuid::new_v4));
    // A guest without a word about its memory may have that of its NUMA nodes.
    if spec.memory_kib() > 0 {
        spec.validate()?;
    }
    let completed = complete(&spec, last, host)?;
    check::check(&completed, host)?;
    Ok(completed)
}

/// The facts of this host, with its default emulator.
pub(crate) async fn facts(core: &Core) -> Result<Value> {
    let emulator = core.default_emulator();
    let capabilities = core.probe.capabilities(&emulator).await?;
    let kvm = core.probe.kvm_works(&emulator).await;
    let settings = Settings { firmware: blocking(|| Ok(firmware::installed())).await?, ..Settings::default() };
    Ok(facts_of(&Host { settings: Arc::new(settings), ..Host::new(emulator, capabilities, kvm) }))
}

fn facts_of(host: &Host) -> Value {
    let capabilities = &*host.capabilities;
    let accelerator = if host.kvm { capabilities.best_accelerator() } else { Accelerator::Tcg };
    let Accelerated { host_cpu: _, cpus, machines, models: _ } = capabilities.accelerated(accelerator);
    let is_asked_for = |name: &&String| {
        DEVICES.contains(&name.as_str()) || NETWORK_DEVICES.iter().any(|beginning| name.starts_with(beginning))
    };
    let mut by_shape: Vec<(MachineShape, Vec<MachineName>)> = Vec::new();
    for machine in machines {
        let (shape, name) = split(machine.clone());
        match by_shape.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, names)) => names.push(name),
            None => by_shape.push((shape, vec![name])),
        }
    }
    let facts = Facts {
        form: FORM,
        arch: std::env::consts::ARCH.to_owned(),
        emulator: host.emulator.clone(),
        version: capabilities.version,
        kvm: host.kvm,
        flags: capabilities.flags,
        machines: by_shape,
        devices: capabilities.others.iter().filter(is_asked_for).cloned().collect(),
        cpus: cpus.iter().map(|cpu| cpu.name.clone()).collect(),
        firmware: Some(host.settings.firmware.clone()),
    };
    serde_json::to_value(facts).expect("the facts have only text keys")
}

fn split(machine: Machine) -> (MachineShape, MachineName) {
    let Machine { name, alias, is_default, deprecated, .. } = machine;
    let Machine { max_cpus, hotplug_cpus, default_cpu, numa_mem_supported, default_ram_id, acpi, .. } = machine;
    let shape = MachineShape { max_cpus, hotplug_cpus, default_cpu, numa_mem_supported, default_ram_id, acpi };
    (shape, MachineName { name, alias, is_default, deprecated })
}

impl MachineShape {
    fn with(&self, name: MachineName) -> Machine {
        let MachineShape { max_cpus, hotplug_cpus, default_cpu, numa_mem_supported, default_ram_id, acpi } =
            self.clone();
        let MachineName { name, alias, is_default, deprecated } = name;
        Machine {
            name,
            alias,
            is_default,
            max_cpus,
            hotplug_cpus,
            default_cpu,
            numa_mem_supported,
            default_ram_id,
            deprecated,
            acpi,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ostler_conf::domain::{ControllerKind, ControllerModel, InputBus, InputKind};

    use super::*;
    use crate::args;
    use crate::probe::{flag_of_type, qemu_10};

    fn host() -> Host {
        Host::new("/usr/bin/qemu-system-x86_64".into(), Arc::new(qemu_10()), false)
    }

    fn guest(devices: &str) -> Domain {
        let text = format!(
            "<domain type='qemu'><name>g</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><memory>65536</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
        );
        ostler_conf::parse::<Domain>(&text).unwrap().value
    }

    fn is_told(name: &str) -> bool {
        let is_named = DEVICES.contains(&name) || flag_of_type(name).is_some();
        is_named || NETWORK_DEVICES.iter().any(|beginning| name.starts_with(beginning))
    }

    #[test]
    fn a_check_by_facts_says_what_a_check_on_the_host_says() {
        let checker = Checker::from_facts(&facts_of(&host())).unwrap();
        let cases = [
            "<disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk>",
            "<disk type='file' device='lun'><source file='/a'/><target dev='sda' bus='scsi'/></disk>",
            "<interface type='user'><model type='e1000'/></interface>",
            "<interface type='user'><model type='vmxnet3'/></interface>",
            "<input type='tablet' bus='usb'/>",
            "<controller type='usb' model='piix4-uhci'/>",
            "<controller type='scsi' model='lsilogic'/>",
        ];
        let mut refused = 0;
        for case in cases {
            let domain = guest(case);
            let here = check_definition(&domain, None, &host()).and_then(|completed| {
                check::check_supported(&completed, &host())?;
                Ok(completed)
            });
            let there = checker.check(&domain, None);
            refused += usize::from(here.is_err());
            // A MAC is made at random.
            let text = |result: Result<Domain>| {
                let without_macs = |mut domain: Domain| {
                    domain.devices.interfaces.iter_mut().for_each(|interface| interface.mac = None);
                    ostler_conf::format(&domain)
                };
                result.map(without_macs).map_err(|error| error.to_string())
            };
            assert_eq!(text(here), text(there), "{case}");
        }
        assert!((2..cases.len()).contains(&refused), "{refused} refused");
    }

    #[test]
    fn what_was_completed_before_stays() {
        let checker = Checker::from_facts(&facts_of(&host())).unwrap();
        let first = checker.check(&guest("<interface type='user'/>"), None).unwrap();
        let again = checker.check(&guest("<interface type='user'/>"), Some(&first)).unwrap();
        assert_eq!(first.devices.interfaces, again.devices.interfaces);
    }

    #[test]
    fn facts_of_another_form_or_about_another_emulator_say_nothing() {
        let mut facts = facts_of(&host());
        let checker = Checker::from_facts(&facts).unwrap();
        let mut domain = guest("");
        assert_eq!(checker.knows(&domain), std::env::consts::ARCH == "x86_64");
        domain.devices.emulator = Some("/opt/qemu".into());
        assert!(!checker.knows(&domain));
        facts["form"] = (FORM + 1).into();
        assert!(Checker::from_facts(&facts).is_none());
    }

    #[test]
    fn the_default_machine_is_the_default_there_too() {
        let checker = Checker::from_facts(&facts_of(&host())).unwrap();
        let expected = qemu_10();
        assert_eq!(checker.host.capabilities.machine(None), expected.machine(None));
        for machine in &expected.tcg.machines {
            assert_eq!(checker.host.capabilities.machine(Some(&machine.name)), Some(machine));
        }
    }

    #[test]
    fn every_device_that_completion_and_checks_ask_for_is_told() {
        let sources = ["complete", "check"]
            .iter()
            .flat_map(|folder| fs::read_dir(format!("{}/src/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap().flatten());
        for source in sources.filter(|entry| entry.path().is_file()) {
            let text = fs::read_to_string(source.path()).unwrap();
            for name in text.split("has_device(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(is_told(name), "{name}");
            }
        }
        for kind in [InputKind::Mouse, InputKind::Tablet, InputKind::Keyboard] {
            for bus in [InputBus::Ps2, InputBus::Usb, InputBus::Virtio] {
                let input = guest(&format!("<input type='{kind}' bus='{bus}'/>")).devices.inputs.remove(0);
                assert!(args::input_driver(&input).is_none_or(is_told), "{kind} {bus}");
            }
        }
        for kind in ControllerKind::ALL {
            for model in ControllerModel::ALL {
                let text = format!("<controller type='{kind}' index='1' model='{model}'/>");
                let controller = guest(&text).devices.controllers.remove(0);
                let name =
                    args::controller_driver(&controller).map(|name| if name == "lsi" { "lsi53c895a" } else { name });
                assert!(name.is_none_or(is_told), "{text}");
            }
        }
        for bridge in ["pcie-root-port", "ioh3420", "pci-bridge", "i82801b11-bridge", "pcie-pci-bridge"] {
            assert!(is_told(bridge));
        }
    }

    #[test]
    fn facts_are_a_few_kilobytes() {
        let mut capabilities = qemu_10();
        // As many as QEMU 10 has for x86_64, with names as long.
        capabilities.others.extend((0..600).map(|at| format!("some-device-model-{at}")));
        capabilities.tcg.machines.extend((0..100).map(|at| Machine {
            name: format!("pc-i440fx-{at}.1"),
            max_cpus: 255,
            ..Machine::default()
        }));
        let cpu = |at| Cpu { name: format!("Cascadelake-Server-v{at}"), ..Cpu::default() };
        capabilities.tcg.cpus.extend((0..130).map(cpu));
        let size = facts_of(&Host { capabilities: Arc::new(capabilities), ..host() }).to_string().len();
        assert!(size < 8 << 10, "{size} bytes");
    }
}
