//! An emulator that runs only to be asked.

use std::path::Path;
use std::time::Duration;

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::passwd::Credentials;
use ostler_util::run::{Run, Talk};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::capabilities::{Accelerator, Capabilities};
use super::flags::Flags;
use super::host::microcode;
use super::link::{AskError, Link};

/// Asks `emulator`. It runs for a moment, as `credentials` says, with no machine and no device; twice where guests could run
/// under its translator too.
pub(super) fn ask(emulator: &Path, credentials: Option<&Credentials>) -> Result<Capabilities> {
    let mut found = talk(emulator, "kvm:tcg", credentials, |link| Capabilities::ask(link, Flags::default()))?;
    if found.has_translator_besides() {
        let tcg = Accelerator::Tcg.word();
        found = talk(emulator, tcg, credentials, |link| {
            found.ask_translator(link)?;
            Ok(found)
        })?;
    }
    found.emulator = emulator.to_string_lossy().into_owned();
    found.microcode_version = microcode();
    #[cfg(target_arch = "x86_64")]
    if let Some(sev) = &mut found.sev {
        const ENCRYPTION: u32 = 0x8000_001f;
        let leaf = std::arch::x86_64::__cpuid(ENCRYPTION);
        sev.count_guests(leaf.ecx, leaf.edx);
    }
    Ok(found)
}

fn talk<T>(
    emulator: &Path,
    accelerators: &str,
    credentials: Option<&Credentials>,
    ask: impl FnOnce(&mut dyn Link) -> Result<T, AskError>,
) -> Result<T> {
    let machine = format!("none,accel={accelerators}");
    let run = Run::new(emulator)
        .args(["-S", "-no-user-config", "-nodefaults", "-display", "none", "-machine", &machine, "-qmp", "stdio"])
        .timeout(Duration::from_secs(60))
        .bound_to_us();
    let run = match credentials {
        Some(credentials) => run.credentials(credentials.clone()),
        None => run,
    };
    let wrong = |error: &dyn std::error::Error| {
        let mut message = format!("find out what {} can do: {error}", emulator.display());
        let mut source = error.source();
        while let Some(error) = source {
            message = format!("{message}: {error}");
            source = error.source();
        }
        Error::new(ErrorCode::InternalError, message)
    };
    let asked = run.talk(|talk| ask(&mut Process(talk)));
    asked.map_err(|error| wrong(&error))?.map_err(|error| wrong(&error))
}

struct Process<'a>(&'a mut Talk);

impl Link for Process<'_> {
    fn exchange(&mut self, question: &str) -> std::io::Result<String> {
        self.0.say(question)?;
        loop {
            let line = self.0.hear()?;
            if is_answer(&line) {
                return Ok(line);
            }
        }
    }
}

/// Its greeting, and events, answer nothing. They are short.
fn is_answer(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Unasked {
        #[serde(rename = "QMP")]
        greeting: Option<IgnoredAny>,
        event: Option<IgnoredAny>,
    }
    const LONGEST: usize = 4096;
    let unasked = (line.len() <= LONGEST).then(|| serde_json::from_str::<Unasked>(line).ok()).flatten();
    unasked.is_none_or(|unasked| unasked.greeting.is_none() && unasked.event.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_and_an_event_are_no_answers() {
        assert!(
            is_answer(r#"{"return": {"event": 1}, "id": 1}"#) && is_answer(r#"{"id": 1, "error": {"desc": "no"}}"#)
        );
        assert!(!is_answer(r#"{"QMP": {"version": {}}}"#) && !is_answer(r#"{"timestamp": {}, "event": "STOP"}"#));
    }

    #[test]
    fn a_real_emulator_answers() {
        let found = ask(Path::new("/usr/bin/qemu-system-x86_64"), None).unwrap();
        assert!(found.machine(Some("q35")).is_some() && found.tcg.cpu("qemu64").is_some());
        assert!(found.tcg.host_cpu.is_some() || found.kvm.host_cpu.is_some(), "the CPU as guests see it");
        let expected = super::super::qemu_10();
        let lacking: Vec<_> = expected.flags.iter().filter(|flag| !found.has(*flag)).collect();
        assert!(lacking.is_empty() && expected.others.is_subset(&found.others), "{lacking:?}");
        assert_eq!(Capabilities::from_saved(&found.to_saved()).unwrap().to_saved(), found.to_saved());
    }
}
