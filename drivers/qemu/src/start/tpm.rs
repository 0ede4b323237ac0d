//! Emulated TPMs: swtpm, a program beside QEMU in the guest's control group, on state that stays with the guest.

use std::fs;
use std::io;
use std::os::unix::fs::{chown, lchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_conf::domain::{TpmBackend, TpmVersion};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::file::create_directory;
use ostler_util::spawn::{FIRST_FD, Spawn};
use uuid::Uuid;

use super::folders;
use crate::args::{Runtime, TpmFacts};
use crate::driver::Core;
use crate::log;

/// The program, as distributions install it.
const PROGRAM: &str = "/usr/bin/swtpm";

/// The state of a guest's TPM.
pub(crate) fn state(state_dir: &Path, uuid: Uuid) -> PathBuf {
    state_dir.join("qemu/tpm").join(uuid.to_string())
}

/// Removes a guest's state for good.
pub(crate) fn remove(state_dir: &Path, uuid: Uuid) -> Result<()> {
    let folder = state(state_dir, uuid);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system(format!("remove {}", folder.display()), error))
        }
        _ => Ok(()),
    }
}

/// Starts a program for each TPM, as the guests' user; each ends when QEMU lets go of it, or with the control group.
///
/// # Errors
/// swtpm is not installed.
pub(super) fn start(core: &Core, uuid: Uuid, domain: &Domain, runtime: &mut Runtime) -> Result<()> {
    for tpm in &domain.devices.tpms {
        let TpmBackend::Emulator(emulator) = &tpm.backend else { continue };
        let alias = tpm.alias.as_ref().map(|alias| alias.name.clone()).unwrap_or_default();
        let field = format!("devices.tpms[{}].backend", tpm.name);
        if !Path::new(PROGRAM).is_file() {
            let message = format!("{PROGRAM} plays a guest's TPM, and is not installed on this host");
            return Err(Error::new(ErrorCode::ConfigUnsupported, message).at(field));
        }
        let version = emulator.version.unwrap_or(TpmVersion::V20);
        let socket = folders::own(core, uuid).join(format!("{alias}.sock"));
        let state = state(&core.config.state_dir, uuid).join(format!("tpm{version}"));
        let listener = prepare(core, &state, &socket)
            .map_err(|error| Error::system(format!("prepare the TPM's state in {}", state.display()), error))?;
        let mut args = vec!["socket".to_owned()];
        args.extend((version == TpmVersion::V20).then(|| "--tpm2".to_owned()));
        let options = [
            ("--tpmstate", format!("dir={},mode=0600", state.display())),
            ("--ctrl", format!("type=unixio,fd={FIRST_FD}")),
        ];
        args.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        args.push("--terminate".to_owned());
        let path = core.running.log(uuid);
        let prepared = log::open(&path).and_then(|output| Ok((output, core.cgroup(uuid).entrances()?)));
        let (output, cgroups) = prepared.map_err(|error| Error::system("start swtpm", error))?;
        let spawn = Spawn {
            program: PROGRAM.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: vec!["LC_ALL=C".into(), "PATH=/usr/bin:/bin".into()],
            directory: "/".into(),
            credentials: core.credentials.clone(),
            cgroups,
            output,
            fds: vec![listener.into()],
        };
        spawn.detached().map_err(|error| {
            Error::new(ErrorCode::InternalError, format!("start {PROGRAM}: {error}")).with_source(error).at(field)
        })?;
        runtime.tpms.insert(alias, TpmFacts::Emulator(socket));
    }
    Ok(())
}

/// The folder of the state, the guests' user's own, and the socket: who connects before swtpm listens has to wait only.
fn prepare(core: &Core, state: &Path, socket: &Path) -> io::Result<UnixListener> {
    let owner = core.credentials.as_ref().map(|owner| (owner.uid, owner.gid));
    let guest = state.parent().unwrap_or(state);
    for folder in guest.parent().into_iter().chain([guest]) {
        create_directory(folder, 0o711)?;
    }
    create_directory(state, 0o700)?;
    let listener = UnixListener::bind(socket)?;
    if let Some((uid, gid)) = owner {
        chown(state, Some(uid), Some(gid))?;
        lchown(socket, Some(uid), Some(gid))?;
    }
    Ok(listener)
}
