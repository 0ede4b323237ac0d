//! What an emulator says about itself, from one short-lived process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::passwd::Credentials;
use ostler_util::run::Run;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an emulator can do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    /// Its version, as in `10.0.2`.
    pub(crate) version: String,
    /// Its machine types.
    pub(crate) machines: Vec<Machine>,
    /// Device models that a guest can have.
    pub(crate) devices: BTreeSet<String>,
    /// Commands that its monitor knows.
    pub(crate) commands: BTreeSet<String>,
    /// CPU models.
    pub(crate) cpus: BTreeSet<String>,
}

/// A machine type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Machine {
    /// Its canonical name, as in `pc-q35-10.0`.
    pub(crate) name: String,
    /// The name that stands for the newest of its family, as in `q35`.
    pub(crate) alias: Option<String>,
    /// Whether it is taken when none is named.
    #[serde(default)]
    pub(crate) is_default: bool,
    /// How many CPUs it has at most.
    #[serde(default)]
    pub(crate) cpu_max: u32,
}

impl Capabilities {
    /// The machine type with this name or alias; without one the default.
    pub(crate) fn machine(&self, name: Option<&str>) -> Option<&Machine> {
        match name {
            Some(name) => {
                let is_named = |machine: &&Machine| machine.name == name || machine.alias.as_deref() == Some(name);
                self.machines.iter().find(is_named)
            }
            None => self.machines.iter().find(|machine| machine.is_default),
        }
    }

    /// Whether a guest can have this device model.
    pub(crate) fn has_device(&self, name: &str) -> bool {
        self.devices.contains(name)
    }
}

/// What is asked, by the number of its answer.
const QUESTIONS: &str = r#"{"execute":"qmp_capabilities"}
{"execute":"query-version","id":1}
{"execute":"query-machines","id":2}
{"execute":"qom-list-types","arguments":{"implements":"device","abstract":false},"id":3}
{"execute":"query-commands","id":4}
{"execute":"query-cpu-definitions","id":5}
{"execute":"quit"}
"#;

/// Asks `emulator`. It runs for a moment, as `credentials` says, with no machine and no device.
pub(super) fn ask(emulator: &Path, credentials: Option<Credentials>) -> Result<Capabilities> {
    let run = Run::new(emulator)
        .args([
            "-S",
            "-no-user-config",
            "-nodefaults",
            "-display",
            "none",
            "-machine",
            "none,accel=tcg",
            "-qmp",
            "stdio",
        ])
        .input(QUESTIONS)
        .timeout(Duration::from_secs(60))
        .bound_to_us();
    let run = match credentials {
        Some(credentials) => run.credentials(credentials),
        None => run,
    };
    let wrong =
        |what: &str| Error::new(ErrorCode::InternalError, format!("ask {} what it can do: {what}", emulator.display()));
    let output = run.output().map_err(|error| wrong(&error.to_string()).with_source(error))?;
    parse(&output.stdout).ok_or_else(|| wrong(&format!("no whole answer ({})", output.error_text())))
}

fn parse(text: &[u8]) -> Option<Capabilities> {
    let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut answers: BTreeMap<u64, Value> =
        lines.filter_map(|mut line| Some((line.get("id")?.as_u64()?, line.get_mut("return")?.take()))).collect();
    let version = answers.remove(&1)?;
    let part = |name: &str| version["qemu"][name].as_u64();
    let mut machines: Vec<Machine> = serde_json::from_value(answers.remove(&2)?).ok()?;
    machines.sort_by(|one, other| one.name.cmp(&other.name));
    let names = |list: Value| -> Option<BTreeSet<String>> {
        list.as_array()?.iter().map(|item| item.get("name")?.as_str().map(str::to_owned)).collect()
    };
    Some(Capabilities {
        version: format!("{}.{}.{}", part("major")?, part("minor")?, part("micro")?),
        machines,
        devices: names(answers.remove(&3)?)?,
        commands: names(answers.remove(&4)?)?,
        cpus: names(answers.remove(&5)?)?,
    })
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
        let machine = |name: &str, alias: Option<&str>, cpu_max| Machine {
            name: name.into(),
            alias: alias.map(Into::into),
            is_default: alias == Some("pc"),
            cpu_max,
        };
        let set = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Capabilities {
            version: "10.0.2".into(),
            machines: vec![
                machine("pc-i440fx-10.0", Some("pc"), 255),
                machine("pc-i440fx-9.2", None, 255),
                machine("pc-q35-10.0", Some("q35"), 4096),
                machine("pc-q35-9.2", None, 4096),
            ],
            devices: set(DEVICES),
            commands: set(&["set-action"]),
            cpus: set(&["qemu64", "max", "host", "Skylake-Client"]),
        }
    }

    #[test]
    fn reads_answers_in_any_order() {
        let text = br#"{"QMP": {}}
{"return": {}}
{"return": [{"name": "x-cpu"}], "id": 5}
{"return": {"qemu": {"micro": 2, "minor": 0, "major": 10}}, "id": 1}
{"return": [{"name": "b", "cpu-max": 4, "alias": "a", "is-default": true}, {"name": "a-1", "cpu-max": 1}], "id": 2}
{"return": [{"name": "e1000", "parent": "x"}], "id": 3}
{"return": [{"name": "stop"}], "id": 4}
{"event": "SHUTDOWN"}
"#;
        let found = parse(text).unwrap();
        assert_eq!((found.version.as_str(), found.has_device("e1000"), found.cpus.len()), ("10.0.2", true, 1));
        assert_eq!(found.machine(None).unwrap().cpu_max, 4);
        assert_eq!(found.machine(Some("a")), found.machine(Some("b")));
        assert_eq!(found.machine(Some("c")), None);
        assert!(parse(b"{\"return\": {}, \"id\": 1}").is_none());
    }
}
