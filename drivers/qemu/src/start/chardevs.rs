//! What character devices stand on: listening sockets, files, and the terminals that QEMU makes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_conf::domain::{Alias, CharSource, CharSourceUnixMode, ConsoleTargetKind, Log, RngBackend, SmartcardMode};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use rustix::fs::OFlags;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::Descriptors;
use crate::args::{CharFds, Runtime};
use crate::monitor::Monitor;
use crate::store::Running;

/// Character devices with a back end of their own: alias, source and log. A serial console shares its port's.
fn devices(domain: &Domain) -> impl Iterator<Item = (&Option<Alias>, Option<&CharSource>, Option<&Log>)> {
    let devices = &domain.devices;
    let consoles = devices.consoles.iter().filter(|console| {
        console.target.as_ref().is_some_and(|target| target.r#type == Some(ConsoleTargetKind::Virtio))
    });
    macro_rules! of {
        ($devices:expr) => {
            $devices.map(|device| (&device.alias, device.source.as_ref(), device.log.as_ref()))
        };
    }
    let ports = of!(devices.serials.iter()).chain(of!(devices.parallels.iter()));
    let ports = ports.chain(of!(devices.channels.iter())).chain(of!(consoles));
    // Not only character devices have such a back end.
    let redirected = devices.redirdevs.iter().map(|device| (&device.alias, Some(&device.source), None));
    let cards = devices.smartcards.iter().filter_map(|card| match &card.mode {
        SmartcardMode::Passthrough(through) => Some((&card.alias, Some(&through.source), None)),
        SmartcardMode::Host(_) | SmartcardMode::HostCertificates(_) => None,
    });
    let rngs = devices.rngs.iter().filter_map(|rng| match &rng.backend {
        RngBackend::Egd(egd) => Some((&rng.alias, Some(&egd.source), None)),
        RngBackend::Random(_) | RngBackend::Builtin(_) => None,
    });
    ports.chain(redirected).chain(cards).chain(rngs)
}

fn name(alias: &Option<Alias>) -> &str {
    alias.as_ref().map_or("", |alias| &alias.name)
}

/// The socket of a device that listens: the one that its definition names, else one in the guest's folder.
pub(crate) fn socket(running: &Running, uuid: Uuid, alias: &str, source: Option<&CharSource>) -> Option<PathBuf> {
    match source {
        Some(CharSource::Unix(unix)) if unix.mode != Some(CharSourceUnixMode::Connect) => {
            Some(unix.path.as_ref().map_or_else(|| running.file(uuid, &format!("{alias}.sock")), PathBuf::from))
        }
        _ => None,
    }
}

/// Sockets that will be made outside the guest's folder.
pub(super) fn outside_sockets(domain: &Domain, running: &Running) -> Vec<PathBuf> {
    let sockets = devices(domain).filter_map(|(_, source, _)| match source {
        Some(CharSource::Unix(unix)) if unix.mode != Some(CharSourceUnixMode::Connect) => {
            unix.path.as_ref().map(PathBuf::from)
        }
        _ => None,
    });
    sockets.filter(|path| !path.starts_with(running.path())).collect()
}

/// Opens what the guest's character devices stand on.
pub(super) fn open(
    running: &Running,
    uuid: Uuid,
    domain: &Domain,
    runtime: &mut Runtime,
    descriptors: &mut Descriptors,
) -> Result<()> {
    for (alias, source, log) in devices(domain) {
        let alias = name(alias);
        let mut fds = CharFds::default();
        if let Some(path) = socket(running, uuid, alias, source) {
            fds.socket = Some(descriptors.add(listen(&path)?));
        }
        if let Some(CharSource::File(file)) = source {
            fds.file = Some(descriptors.add(append_to(&file.path, file.append.is_some_and(|on| on.0))?));
        }
        if let Some(log) = log {
            fds.log = Some(descriptors.add(append_to(&log.file, log.append.is_some_and(|on| on.0))?));
        }
        runtime.chardevs.insert(alias.to_owned(), fds);
    }
    Ok(())
}

/// Whether a socket is there that nobody listens on any more.
pub(crate) fn is_left(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(UnixStream::connect(path).is_err()),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Listens at `path`. A socket that nobody listens on any more gives way; anything else does not.
fn listen(path: &Path) -> Result<UnixListener> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let is_left = is_left(path).map_err(|error| Error::system(format!("look at {}", path.display()), error))?;
    if is_socket && !is_left {
        return Err(Error::new(ErrorCode::ResourceBusy, format!("somebody listens on {} already", path.display())));
    }
    if is_left {
        ostler_util::file::remove_durably(path)
            .map_err(|error| Error::system(format!("remove {}", path.display()), error))?;
    }
    UnixListener::bind(path).map_err(|error| Error::system(format!("listen on {}", path.display()), error))
}

fn append_to(path: &str, append: bool) -> Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag");
    let open = || {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        if !append {
            file.set_len(0)?;
        }
        Ok(file)
    };
    open().map_err(|error| Error::system(format!("open {path}"), error))
}

/// Writes down which terminals QEMU has made.
pub(super) async fn learn_terminals(monitor: &Monitor, domain: &mut Domain) -> Result<()> {
    #[derive(Deserialize)]
    struct Chardev {
        label: String,
        filename: String,
    }
    let is_terminal = |source: Option<&CharSource>| matches!(source, Some(CharSource::Pty(_)) | None);
    if !devices(domain).any(|(_, source, _)| is_terminal(source)) {
        return Ok(());
    }
    let list: Vec<Chardev> = monitor.execute("query-chardev", Value::Null).await?;
    let terminals: BTreeMap<String, String> = list
        .into_iter()
        .filter_map(|chardev| Some((chardev.label, chardev.filename.strip_prefix("pty:")?.to_owned())))
        .collect();
    let learn = |alias: &Option<Alias>, source: &mut Option<CharSource>| {
        let path = terminals.get(&format!("char{}", name(alias))).cloned();
        if let Some(CharSource::Pty(source)) = source {
            source.path.clone_from(&path);
        }
        path
    };
    let devices = &mut domain.devices;
    for serial in &mut devices.serials {
        learn(&serial.alias, &mut serial.source);
    }
    for parallel in &mut devices.parallels {
        learn(&parallel.alias, &mut parallel.source);
    }
    for channel in &mut devices.channels {
        learn(&channel.alias, &mut channel.source);
    }
    for console in &mut devices.consoles {
        console.tty = learn(&console.alias, &mut console.source);
    }
    Ok(())
}
