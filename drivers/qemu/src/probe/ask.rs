//! What an emulator says about itself, from one short-lived process.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::passwd::Credentials;
use ostler_util::run::Run;
use serde_json::Value;

use super::capabilities::{Capabilities, Cpu, Machine};

/// What is asked, by the number of its answer.
const QUESTIONS: &str = r#"{"execute":"qmp_capabilities"}
{"execute":"query-version","id":1}
{"execute":"query-machines","id":2}
{"execute":"qom-list-types","arguments":{"implements":"device","abstract":false},"id":3}
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
    let part = |name: &str| u32::try_from(version["qemu"][name].as_u64()?).ok();
    let machine = |machine: &Value| {
        Some(Machine {
            name: machine["name"].as_str()?.to_owned(),
            alias: machine["alias"].as_str().map(str::to_owned),
            is_default: machine["is-default"].as_bool().unwrap_or_default(),
            max_cpus: u32::try_from(machine["cpu-max"].as_u64()?).ok()?,
            ..Machine::default()
        })
    };
    let names = |list: Value| -> Option<Vec<String>> {
        list.as_array()?.iter().map(|item| item.get("name")?.as_str().map(str::to_owned)).collect()
    };
    let mut found = Capabilities {
        version: part("major")? * 1_000_000 + part("minor")? * 1000 + part("micro")?,
        ..Capabilities::default()
    };
    found.tcg.machines = answers.remove(&2)?.as_array()?.iter().map(machine).collect::<Option<_>>()?;
    found.tcg.machines.sort_by(|one, other| one.name.cmp(&other.name));
    found.add_types(names(answers.remove(&3)?)?);
    let cpu = |name| Cpu { name, ..Cpu::default() };
    found.tcg.cpus = names(answers.remove(&5)?)?.into_iter().map(cpu).collect();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((found.version, found.has_device("e1000"), found.tcg.cpus.len()), (10_000_002, true, 1));
        assert_eq!(found.machine(None).unwrap().max_cpus, 4);
        assert_eq!(found.machine(Some("a")), found.machine(Some("b")));
        assert_eq!(found.machine(Some("c")), None);
        assert!(parse(b"{\"return\": {}, \"id\": 1}").is_none());
    }

    #[test]
    fn a_real_emulator_answers() {
        let emulator = Path::new("/usr/bin/qemu-system-x86_64");
        if !emulator.exists() {
            return;
        }
        let found = ask(emulator, None).unwrap();
        assert!(found.machine(Some("q35")).is_some() && found.has_cpu("qemu64"));
        let expected = super::super::qemu_10();
        let lacking: Vec<_> = expected.flags.iter().filter(|flag| !found.has(*flag)).collect();
        assert!(lacking.is_empty() && expected.others.is_subset(&found.others), "{lacking:?}");
    }
}
