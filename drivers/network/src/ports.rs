//! Guests' places on networks: remembered for as long as the boot lasts.

use std::io;
use std::path::{Path, PathBuf};

use ostler_conf::MacAddress;
use ostler_driver::Port;
use ostler_util::file;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The name of the tap device of a guest's interface: the same on every run, at most 15 bytes.
pub(crate) fn tap_name(owner: Uuid, mac: MacAddress) -> String {
    let digest = Sha256::digest([owner.as_bytes().as_slice(), &mac.0].concat());
    let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("ot{digits}")
}

fn path(directory: &Path, port: &Port) -> PathBuf {
    directory.join(format!("{}.json", port.tap))
}

/// Remembers a port.
pub(crate) fn put(directory: &Path, port: &Port) -> io::Result<()> {
    file::create_directory(directory, 0o700)?;
    let text = serde_json::to_vec(port).expect("a port has only text keys");
    file::write_atomic(&path(directory, port), &text, 0o600)
}

/// Forgets a port.
pub(crate) fn remove(directory: &Path, port: &Port) -> io::Result<()> {
    file::remove_durably(&path(directory, port))
}

/// All ports. One whose file can't be read names a device that its guest holds anyway.
pub(crate) fn all(directory: &Path) -> io::Result<Vec<Port>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut ports = Vec::new();
    for entry in entries {
        let text = std::fs::read(entry?.path())?;
        ports.extend(serde_json::from_slice::<Port>(&text).ok());
    }
    ports.sort_by(|one, other| one.tap.cmp(&other.tap));
    Ok(ports)
}
