//! Suites of what emulators can do.

use std::io;

use ostler_conf::capabilities::{CapableHost, HostCpu, Iommu, PowerManagement};
use ostler_conf::format;
use ostler_conf::values::YesNo;
use ostler_driver_qemu::{Accelerated, Capabilities, Flag, Flags, Link, guest_capabilities};
use serde_json::Value;
use serde_json::value::RawValue;

use super::case::{Case, Verdict};
use super::compare::same_text;

/// Saved capabilities are read and written the same; a recorded conversation gives the saved capabilities.
pub(super) fn of_emulator(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let input = case.input()?;
    let found = match case.param("mode").as_str() {
        Some(_) => Capabilities::from_saved(&input).map_err(|error| error.to_string())?.clone(),
        None => replay(case, &input)?,
    };
    same_text(&expected, &found.to_saved())
}

/// The guests of an emulator of which only the flags are known, on a host with KVM of which nothing is known.
pub(super) fn of_host(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let mut emulator = Capabilities::from_saved(&case.input()?).map_err(|error| error.to_string())?;
    for accelerated in [&mut emulator.kvm, &mut emulator.hvf, &mut emulator.tcg] {
        *accelerated = Accelerated::default();
    }
    emulator.emulator = case.param("binary").as_str().unwrap_or_default().to_owned();
    let host = CapableHost {
        uuid: None,
        cpu: host_cpu(&emulator.arch),
        power_management: Some(PowerManagement::default()),
        iommu: Some(Iommu { support: YesNo(false) }),
        migration_features: None,
        netprefix: None,
        topology: None,
        cache: None,
        memory_bandwidth: None,
        secmodels: Vec::new(),
    };
    let guests = vec![guest_capabilities(&emulator, true)];
    same_text(&expected, &format(&ostler_conf::Capabilities { host, guests }))
}

pub(super) fn host_cpu(arch: &str) -> HostCpu {
    HostCpu { arch: arch.to_owned(), ..HostCpu::default() }
}

/// The emulator is asked, and the recorded one answers. Files' times and our own version count as nothing.
fn replay(case: &Case, text: &str) -> Result<Capabilities, String> {
    let mut recorded = Recorded::read(text).map_err(|error| error.to_string())?;
    let has_hvf = case.param("hvf_probe_result").as_bool() == Some(true);
    let known: Flags = has_hvf.then_some(Flag::Hvf).into_iter().collect();
    let wrong = |error: ostler_driver_qemu::AskError| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    let mut found = Capabilities::ask(&mut recorded, known).map_err(wrong)?;
    if found.has_translator_besides() {
        found.ask_translator(&mut recorded).map_err(wrong)?;
        let microcode = case.param("fake_microcode_version_if_accel_and_tcg").as_u64();
        found.microcode_version = microcode.and_then(|version| u32::try_from(version).ok()).unwrap_or_default();
    }
    found.emulator = case.param("binary").as_str().unwrap_or_default().to_owned();
    match recorded.rest.next() {
        Some((question, _)) => Err(format!("not asked: {question}")),
        None => Ok(found),
    }
}

/// A conversation: question, answer, question, answer. Questions must come as they were recorded, but for their numbers.
struct Recorded {
    rest: std::vec::IntoIter<(Value, String)>,
}

impl Recorded {
    fn read(text: &str) -> serde_json::Result<Self> {
        let documents: Vec<Box<RawValue>> =
            serde_json::Deserializer::from_str(text).into_iter().collect::<serde_json::Result<_>>()?;
        let mut pairs = Vec::new();
        for pair in documents.chunks_exact(2) {
            let mut question: Value = serde_json::from_str(pair[0].get())?;
            if let Some(question) = question.as_object_mut() {
                question.remove("id");
            }
            pairs.push((question, pair[1].get().to_owned()));
        }
        Ok(Recorded { rest: pairs.into_iter() })
    }
}

impl Link for Recorded {
    fn exchange(&mut self, question: &str) -> io::Result<String> {
        let mut asked: Value = serde_json::from_str(question)?;
        if let Some(asked) = asked.as_object_mut() {
            asked.remove("id");
        }
        match self.rest.next() {
            Some((expected, answer)) if expected == asked => Ok(answer),
            Some((expected, _)) => Err(io::Error::other(format!("asked {asked}, recorded is {expected}"))),
            None => Err(io::Error::other(format!("asked {asked}, nothing more is recorded"))),
        }
    }
}
