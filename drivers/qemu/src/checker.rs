//! The driver's checks without its host: the same completion and the same rules, against facts that a host has told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::Domain;
use ostler_driver::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::check;
use crate::complete::{Host, complete};
use crate::driver::Core;
use crate::probe::{Capabilities, Machine};

/// Device models that completion or a check ask the emulator for, by name. A test holds it against the code.
const DEVICES: &[&str] = &[
    "ahci",
    "i82801b11-bridge",
    "ioh3420",
    "lsi53c895a",
    "nec-usb-xhci",
    "pci-bridge",
    "pcie-pci-bridge",
    "pcie-root-port",
    "piix3-usb-uhci",
    "piix4-usb-uhci",
    "qemu-xhci",
    "usb-ehci",
    "usb-kbd",
    "usb-mouse",
    "usb-tablet",
    "virtio-balloon-pci",
    "virtio-keyboard-pci",
    "virtio-mouse-pci",
    "virtio-scsi-pci",
    "virtio-serial-pci",
    "virtio-tablet-pci",
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
    version: String,
    kvm: bool,
    /// Name, most CPUs, and alias; the default comes first.
    machines: Vec<(String, u32, Option<String>)>,
    devices: BTreeSet<String>,
    cpus: BTreeSet<String>,
}

/// The form that is written and read.
const FORM: u32 = 1;

/// The driver's checks against one host's facts. Pure.
#[derive(Clone, Debug)]
pub struct Checker {
    host: Host,
    arch: String,
}

impl Checker {
    /// The checks of a host that told these facts; `None` if they are of a form that is not known.
    pub fn from_facts(facts: &Value) -> Option<Self> {
        let facts = Facts::deserialize(facts).ok().filter(|facts| facts.form == FORM)?;
        let Facts { form: _, arch, emulator, version, kvm, machines, devices, cpus } = facts;
        let machines = machines.into_iter().enumerate();
        let machines =
            machines.map(|(at, (name, cpu_max, alias))| Machine { name, alias, is_default: at == 0, cpu_max });
        let commands = BTreeSet::new();
        let capabilities = Arc::new(Capabilities { version, machines: machines.collect(), devices, commands, cpus });
        Some(Checker { host: Host { emulator, capabilities, kvm }, arch })
    }

    /// Whether the facts are about what `definition` would run with: the host's own architecture and default emulator.
    pub fn knows(&self, definition: &Domain) -> bool {
        let arch = definition.os.r#type.arch.as_ref();
        let emulator = definition.devices.emulator.as_ref();
        arch.is_none_or(|arch| *arch == self.arch)
            && emulator.is_none_or(|emulator| self.host.emulator.as_os_str() == emulator.as_str())
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
        check_definition(&definition, last, &self.host)
    }
}

/// The one way of every check: the definition's own rules, completion, the driver's rules.
pub(crate) fn check_definition(definition: &Domain, last: Option<&Domain>, host: &Host) -> Result<Domain> {
    let mut spec = definition.clone();
    spec.uuid.get_or_insert_with(Uuid::new_v4);
    spec.validate()?;
    let completed = complete(&spec, last, host)?;
    check::check(&completed, host)?;
    Ok(completed)
}

/// The facts of this host, with its default emulator.
pub(crate) async fn facts(core: &Core) -> Result<Value> {
    let emulator = core.default_emulator();
    let capabilities = core.probe.capabilities(&emulator).await?;
    let kvm = core.probe.kvm_works(&emulator).await;
    Ok(facts_of(&Host { emulator, capabilities, kvm }))
}

fn facts_of(host: &Host) -> Value {
    let Capabilities { version, machines, devices, commands: _, cpus } = &*host.capabilities;
    let is_asked_for = |name: &&String| {
        DEVICES.contains(&name.as_str()) || NETWORK_DEVICES.iter().any(|beginning| name.starts_with(beginning))
    };
    let mut machines: Vec<&Machine> = machines.iter().collect();
    machines.sort_by_key(|machine| !machine.is_default);
    let facts = Facts {
        form: FORM,
        arch: std::env::consts::ARCH.to_owned(),
        emulator: host.emulator.clone(),
        version: version.clone(),
        kvm: host.kvm,
        machines: machines
            .iter()
            .map(|machine| (machine.name.clone(), machine.cpu_max, machine.alias.clone()))
            .collect(),
        devices: devices.iter().filter(is_asked_for).cloned().collect(),
        cpus: cpus.clone(),
    };
    serde_json::to_value(facts).expect("the facts have only text keys")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ostler_conf::domain::{ControllerKind, ControllerModel, InputBus, InputKind};

    use super::*;
    use crate::args;
    use crate::probe::qemu_10;

    fn host() -> Host {
        Host { emulator: "/usr/bin/qemu-system-x86_64".into(), capabilities: Arc::new(qemu_10()), kvm: false }
    }

    fn guest(devices: &str) -> Domain {
        let text = format!(
            "<domain type='qemu'><name>g</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid><memory>65536</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{devices}</devices></domain>"
        );
        ostler_conf::parse::<Domain>(&text).unwrap().value
    }

    fn is_told(name: &str) -> bool {
        DEVICES.contains(&name) || NETWORK_DEVICES.iter().any(|beginning| name.starts_with(beginning))
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
            let (here, there) = (check_definition(&domain, None, &host()), checker.check(&domain, None));
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
        for machine in &expected.machines {
            assert_eq!(checker.host.capabilities.machine(Some(&machine.name)), Some(machine));
        }
    }

    #[test]
    fn every_device_that_completion_and_checks_ask_for_is_told() {
        let sources = ["complete", "check"]
            .iter()
            .flat_map(|folder| fs::read_dir(format!("{}/src/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap().flatten());
        let mut asked = 0;
        for source in sources.filter(|entry| entry.path().is_file()) {
            let text = fs::read_to_string(source.path()).unwrap();
            for name in text.split("has_device(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                asked += 1;
                assert!(is_told(name), "{name}");
            }
        }
        assert!(asked >= 4, "{asked}");
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
        capabilities.devices.extend((0..600).map(|at| format!("some-device-model-{at}")));
        capabilities.machines.extend((0..100).map(|at| Machine {
            name: format!("pc-i440fx-{at}.1"),
            cpu_max: 255,
            ..Machine::default()
        }));
        capabilities.cpus.extend((0..130).map(|at| format!("Cascadelake-Server-v{at}")));
        let size = facts_of(&Host { capabilities: Arc::new(capabilities), ..host() }).to_string().len();
        assert!(size < 8 << 10, "{size} bytes");
    }
}
