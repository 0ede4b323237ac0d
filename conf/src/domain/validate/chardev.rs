//! Rules of what character devices are connected to.

use std::fmt::Arguments;

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{CharSource, CharSourceUnixMode, Domain, Reconnect, RngBackend, SmartcardMode};

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let devices = &domain.devices;
    macro_rules! check_lists {
        ($($list:ident),*) => { $(for device in &devices.$list {
            if let Some(source) = &device.source {
                check_source(source, format_args!(concat!("devices.", stringify!($list), "[{}].source"), device.name), problems);
            }
        })* };
    }
    check_lists!(serials, parallels, consoles, channels);
    // A channel's socket may be the hypervisor's choice.
    macro_rules! check_paths {
        ($($list:ident),*) => { $(for device in &devices.$list {
            if let Some(source) = &device.source {
                check_path(source, format_args!(concat!("devices.", stringify!($list), "[{}].source"), device.name), problems);
            }
        })* };
    }
    check_paths!(serials, parallels, consoles);
    for device in &devices.redirdevs {
        let path = format_args!("devices.redirdevs[{}].source", device.name);
        check_source(&device.source, path, problems);
        check_path(&device.source, path, problems);
    }
    for rng in &devices.rngs {
        if let RngBackend::Egd(egd) = &rng.backend {
            let path = format_args!("devices.rngs[{}].backend.egd.source", rng.name);
            check_source(&egd.source, path, problems);
            check_path(&egd.source, path, problems);
        }
    }
    for smartcard in &devices.smartcards {
        if let SmartcardMode::Passthrough(card) = &smartcard.mode {
            let path = format_args!("devices.smartcards[{}].mode.passthrough.source", smartcard.name);
            check_source(&card.source, path, problems);
            check_path(&card.source, path, problems);
        }
    }
}

fn check_source(source: &CharSource, path: Arguments<'_>, problems: &mut Problems) {
    match source {
        CharSource::Tcp(tcp) => {
            for (field, _) in
                [("host", &tcp.host), ("service", &tcp.service)].into_iter().filter(|(_, text)| text.is_empty())
            {
                problems.add(
                    Code::InternalError,
                    format!("{path}.tcp.{field}"),
                    format!("a connection needs a {field}"),
                );
            }
            check_reconnect(tcp.reconnect.as_ref(), tcp.mode, format_args!("{path}.tcp"), problems)
        }
        CharSource::Nmdm(nmdm) if nmdm.master.is_some() != nmdm.slave.is_some() => {
            problems.add(Code::InternalError, format!("{path}.nmdm"), "give both ends, or none");
        }
        CharSource::Unix(unix) => {
            check_reconnect(unix.reconnect.as_ref(), unix.mode, format_args!("{path}.unix"), problems)
        }
        CharSource::Udp(udp) if udp.connect.as_ref().is_none_or(|end| end.service.is_none()) => {
            problems.add(Code::XmlError, format!("{path}.udp.connect.service"), "give the port that packets go to");
        }
        _ => {}
    }
}

fn check_reconnect(
    reconnect: Option<&Reconnect>,
    mode: Option<CharSourceUnixMode>,
    path: Arguments<'_>,
    problems: &mut Problems,
) {
    let Some(reconnect) = reconnect.filter(|reconnect| reconnect.enabled.is_some_and(|enabled| enabled.0)) else {
        return;
    };
    if reconnect.timeout == Some(0) {
        problems.add(Code::InvalidArg, format!("{path}.reconnect.timeout"), "wait 1 second at least");
    }
    if reconnect.timeout.is_none() {
        problems.add(Code::XmlError, format!("{path}.reconnect.timeout"), "say after how many seconds, 1 at least");
    }
    if mode == Some(CharSourceUnixMode::Bind) {
        problems.add(Code::ConfigUnsupported, format!("{path}.reconnect"), "only who connects can connect again");
    }
}

/// A socket that no driver has a place of its own for.
fn check_path(source: &CharSource, path: Arguments<'_>, problems: &mut Problems) {
    if matches!(source, CharSource::Unix(unix) if unix.path.is_none()) {
        problems.add(Code::InternalError, format!("{path}.unix.path"), "name the socket");
    }
}
