//! Character devices, and what else has a back end of theirs.

use ostler_conf::domain::{
    Channel, ChannelTargetKind, CharProtocol, CharSource, CharSourceFile, CharSourcePath, CharSourceTcp, Console,
    ConsoleTargetKind, Parallel, Serial, Smartcard, SmartcardMode,
};
use ostler_conf::xml::Union as _;

use super::{Problems, Says, camel_case};

pub(super) fn check(
    serials: &[Serial],
    parallels: &[Parallel],
    consoles: &[Console],
    channels: &[Channel],
    problems: &mut Problems,
) {
    for serial in serials {
        check_source(serial.source.as_ref(), &format!("devices.serials[{}]", serial.name), problems);
    }
    for parallel in parallels {
        check_source(parallel.source.as_ref(), &format!("devices.parallels[{}]", parallel.name), problems);
    }
    for console in consoles {
        let at = format!("devices.consoles[{}]", console.name);
        check_source(console.source.as_ref(), &at, problems);
        if let Some(kind) = console.target.as_ref().and_then(|target| target.r#type) {
            let is_known = matches!(
                kind,
                ConsoleTargetKind::Serial
                    | ConsoleTargetKind::Virtio
                    | ConsoleTargetKind::Sclp
                    | ConsoleTargetKind::Sclplm
            );
            let message = format!("consoles of the kind '{kind}' are not supported");
            problems.unless(is_known, format!("{at}.target.type"), message);
        }
    }
    for channel in channels {
        let at = format!("devices.channels[{}]", channel.name);
        check_source(channel.source.as_ref(), &at, problems);
        if let Some(kind) = channel.target.as_ref().map(|target| target.r#type) {
            let is_known = matches!(kind, ChannelTargetKind::Virtio | ChannelTargetKind::Guestfwd);
            let message = format!("channels of the kind '{kind}' are not supported");
            problems.unless(is_known, format!("{at}.target.type"), message);
        }
    }
}

pub(super) fn check_smartcards(cards: &[Smartcard], problems: &mut Problems) {
    for card in cards {
        let at = format!("devices.smartcards[{}]", card.name);
        match &card.mode {
            SmartcardMode::Passthrough(card) => check_source(Some(&card.source), &at, problems),
            SmartcardMode::Host(_) | SmartcardMode::HostCertificates(_) => {
                problems.unsupported(format!("{at}.mode"), "guests don't get the host's smart cards and certificates");
            }
        }
    }
}

pub(super) fn check_source(source: Option<&CharSource>, at: &str, problems: &mut Problems) {
    let Some(source) = source else { return };
    let what = format!("{at}.source.{}", source.tag());
    match source {
        CharSource::Null(_)
        | CharSource::Udp(_)
        | CharSource::Spicevmc(_)
        | CharSource::Spiceport(_)
        | CharSource::QemuVdagent(_) => {}
        CharSource::Pty(CharSourcePath { path: _, seclabels }) => {
            refuse!(problems, what, "character devices": seclabels);
        }
        CharSource::File(CharSourceFile { path: _, append: _, seclabels }) => {
            refuse!(problems, what, "character devices": seclabels);
        }
        CharSource::Unix(source) => {
            let seclabels = &source.seclabels;
            refuse!(problems, what, "character devices": seclabels);
        }
        CharSource::Tcp(CharSourceTcp { mode: _, host: _, service: _, tls, reconnect: _, protocol }) => {
            let is_plain = tls.is_none_or(|tls| !tls.0)
                && matches!(protocol, None | Some(CharProtocol::Raw | CharProtocol::Telnet));
            problems.unless(is_plain, what, "there are no certificates for encrypted connections");
        }
        CharSource::Vc(_)
        | CharSource::Dev(_)
        | CharSource::Pipe(_)
        | CharSource::Stdio(_)
        | CharSource::Nmdm(_)
        | CharSource::Dbus(_) => {
            let kind = source.tag();
            problems.unsupported(
                format!("{at}.source"),
                format!("character devices of the type '{kind}' are not supported"),
            );
        }
    }
}
