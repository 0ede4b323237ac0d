//! A running guest's record: a JSON document with what is our own, and in it the status document, which is libvirt's form.
//!
//! Format 1 had the live definition alone in its place, and no flags of the emulator; it is read all the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ostler_conf::status::{DomainStatus, MonitorKind, MonitorPlace, StatusFlag, StatusFlags};
use ostler_conf::xml::{Parsed, Root};
use ostler_conf::{Domain, format, parse};
use ostler_driver::{DomainState, ShutoffReason};
use ostler_util::pidfd::Process;
use serde::{Deserialize, Serialize};

use super::running::{Phase, Status};
use super::state;
use crate::probe::{Flag, Flags};

/// Raised when an older version would misread what we write.
const FORMAT: u32 = 2;

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record<'a> {
    format: u32,
    phase: Phase,
    process: Option<Process>,
    paused: bool,
    reboots: bool,
    sockets: Cow<'a, [PathBuf]>,
    nodes: Cow<'a, BTreeMap<String, Vec<String>>>,
    status: String,
}

/// A record of format 1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct First {
    #[serde(rename = "format")]
    _format: u32,
    phase: Phase,
    process: Option<Process>,
    paused: bool,
    reboots: bool,
    sockets: Vec<PathBuf>,
    nodes: BTreeMap<String, Vec<String>>,
    definition: String,
}

/// The record of a guest whose monitor listens at `monitor`.
pub(super) fn write(status: &Status, monitor: &Path) -> String {
    let Status { phase, process, paused, reboots, sockets, nodes, state, flags, definition } = status;
    let pid = process.as_ref().and_then(|process| u32::try_from(process.pid).ok()).unwrap_or_default();
    let words = |flags: &Flags| flags.iter().map(|flag| StatusFlag { name: flag.word().to_owned() }).collect();
    let document = DomainStatus {
        monitor: Some(MonitorPlace { path: monitor.display().to_string(), r#type: MonitorKind::Unix }),
        qemu_caps: flags.as_ref().map(|flags| StatusFlags { flags: words(flags) }),
        fake_reboot: *reboots,
        lib_dir: monitor.parent().map(|folder| folder.display().to_string()),
        ..DomainStatus::new(state::written(*state), pid, definition.clone())
    };
    let record = Record {
        format: FORMAT,
        phase: *phase,
        process: process.clone(),
        paused: *paused,
        reboots: *reboots,
        sockets: Cow::Borrowed(sockets),
        nodes: Cow::Borrowed(nodes),
        status: format(&document),
    };
    serde_json::to_string(&record).expect("a plain struct")
}

/// Reads a record.
///
/// # Errors
/// Why it can't be used, to stand behind its name.
pub(super) fn read(text: &str) -> Result<Status, String> {
    let unreadable = |error: serde_json::Error| format!("can't be read whole: {error}");
    match serde_json::from_str(text).map_err(unreadable)? {
        Version { format } if format > FORMAT => Err(format!("was written by a newer version (format {format})")),
        Version { format: FORMAT } => serde_json::from_str(text).map_err(unreadable).and_then(current),
        Version { .. } => serde_json::from_str(text).map_err(unreadable).and_then(first),
    }
}

fn current(record: Record<'_>) -> Result<Status, String> {
    let Record { format: _, phase, process, paused, reboots, sockets, nodes, status } = record;
    let DomainStatus { state, qemu_caps, domain, .. } = whole(&status)?;
    // One that is not known is a newer agent's, which may use what we can't.
    let known = |caps: StatusFlags| caps.flags.iter().filter_map(|flag| Flag::from_word(&flag.name)).collect();
    Ok(Status {
        phase,
        process,
        paused,
        reboots,
        sockets: sockets.into_owned(),
        nodes: nodes.into_owned(),
        state: state::read(state),
        flags: qemu_caps.map(known),
        definition: domain,
    })
}

fn first(record: First) -> Result<Status, String> {
    let First { _format: _, phase, process, paused, reboots, sockets, nodes, definition } = record;
    let definition: Domain = whole(&definition)?;
    let state = DomainState::Shutoff(ShutoffReason::Unknown);
    Ok(Status { phase, process, paused, reboots, sockets, nodes, state, flags: None, definition })
}

fn whole<T: Root>(text: &str) -> Result<T, String> {
    parse::<T>(text).and_then(Parsed::strict).map_err(|invalid| format!("can't be read whole: {invalid}"))
}

#[cfg(test)]
mod tests {
    use ostler_driver::{PausedReason, RunningReason};

    use super::*;

    /// A record as the last version with the first format wrote it.
    const FIRST: &str = include_str!("first_record.json");

    fn status() -> Status {
        let mut status = read(FIRST).unwrap();
        status.flags = Some([Flag::Kvm, Flag::BlockdevSetActive].into_iter().collect());
        status.state = DomainState::Paused(PausedReason::IoError);
        status
    }

    #[test]
    fn a_record_of_the_first_format_loses_nothing() {
        let status = read(FIRST).unwrap();
        assert_eq!((status.phase, status.paused, status.reboots), (Phase::Running, false, true));
        let process = Process { pid: 4711, start_time: 99, boot_id: "5c3b1ff0-8a50-4e0c-9d2c-0a3b0f6d1f11".to_owned() };
        assert_eq!(status.process, Some(process));
        assert_eq!(status.sockets, [PathBuf::from("/run/other.sock")]);
        assert_eq!(status.nodes["virtio-disk0"], ["libvirt-1-format", "libvirt-1-storage"]);
        assert_eq!((status.definition.name.as_str(), status.definition.id), ("a", Some(3)));
        assert_eq!(status.definition.devices.disks[0].alias.as_ref().unwrap().name, "virtio-disk0");
        assert_eq!(status.flags, None);
    }

    #[test]
    fn what_is_written_is_read_the_same() {
        let status = status();
        let text = write(&status, Path::new("/run/ostler/qemu/x/monitor.sock"));
        assert_eq!(read(&text).unwrap(), status);
        assert!(text.contains("<domstatus state='paused' reason='ioerror' pid='4711'>"), "{text}");
        assert!(text.contains("<flag name='blockdev-set-active'/>"), "{text}");
    }

    #[test]
    fn a_flag_of_a_newer_agent_is_no_damage() {
        let text = write(&status(), Path::new("/m")).replace("blockdev-set-active", "of-tomorrow");
        assert_eq!(read(&text).unwrap().flags, Some([Flag::Kvm].into_iter().collect()));
    }

    #[test]
    fn what_is_damaged_or_newer_is_not_used() {
        let good = write(&Status { state: DomainState::Running(RunningReason::Booted), ..status() }, Path::new("/m"));
        let damages = [
            (good.replace("\"format\":2", "\"format\":3"), "newer version (format 3)"),
            (good[..good.len() / 2].to_owned(), "can't be read whole"),
            (good.replace("\"phase\"", "\"stage\""), "can't be read whole"),
            (good.replace("<qemuCaps>", "<qemuCaps><from-the-future/>"), "from-the-future"),
            (good.replace("reason='booted'", "reason='whim'"), "'whim' is not one of unknown, booted"),
            (FIRST.replace("<name>a</name>", "<nom>a</nom>"), "nom"),
            (String::new(), "can't be read whole"),
        ];
        for (text, reason) in damages {
            let error = read(&text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
