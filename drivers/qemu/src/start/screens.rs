//! Sockets of screens that a definition names: QEMU makes each in the guest's own folder, for it may write in no other, and a
//! link leads there from the place that was named.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_conf::domain::{GraphicsKind, Listen};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::file::remove_durably;

use super::chardevs;

/// The sockets that screens listen at, as the definition names them, with the screen of each.
pub(super) fn sockets(domain: &Domain) -> impl Iterator<Item = (&str, &str)> {
    domain.devices.graphics.iter().filter_map(|screen| {
        let listens = match &screen.kind {
            GraphicsKind::Vnc(vnc) => &vnc.listens,
            GraphicsKind::Spice(spice) => &spice.listens,
            _ => return None,
        };
        match listens.0.first() {
            Some(Listen::Socket(listen)) => Some((listen.socket.as_deref()?, screen.name.as_str())),
            _ => None,
        }
    })
}

/// Leads from the places that the definition names to the guest's own folder; gives where QEMU is to listen, by these places.
///
/// # Errors
/// Something else is there.
pub(super) fn link(domain: &Domain, own: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut made = BTreeMap::new();
    for (number, (path, screen)) in sockets(domain).enumerate() {
        let socket = own.join(format!("screen{number}.sock"));
        link_one(Path::new(path), &socket).map_err(|error| {
            let field = format!("devices.graphics[{screen}].listens");
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    Error::new(ErrorCode::ResourceBusy, format!("{path} is something else's already")).at(field)
                }
                _ => Error::system(format!("make {path}"), error).at(field),
            }
        })?;
        made.insert(path.to_owned(), socket);
    }
    Ok(made)
}

/// A socket that nobody listens on any more gives way, and so does a link that leads where it is to lead.
fn link_one(path: &Path, socket: &Path) -> io::Result<()> {
    if leads_into(path, socket.parent().unwrap_or(socket)) || chardevs::is_left(path)? {
        remove_durably(path)?;
    }
    symlink(socket, path)
}

/// Whether a path is a link into a folder.
pub(crate) fn leads_into(path: &Path, folder: &Path) -> bool {
    fs::read_link(path).is_ok_and(|to| to.parent() == Some(folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_link_takes_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let socket = path("own/screen0.sock");
        for _ in 0..2 {
            link_one(&path("link"), &socket).unwrap();
            assert!(leads_into(&path("link"), &path("own")));
        }
        assert!(!leads_into(&path("link"), folder.path()));
        drop(UnixListener::bind(path("left")).unwrap());
        link_one(&path("left"), &socket).unwrap();
        let _listening = UnixListener::bind(path("used")).unwrap();
        fs::write(path("file"), "data").unwrap();
        symlink("/elsewhere", path("foreign")).unwrap();
        for taken in ["used", "file", "foreign"] {
            assert_eq!(link_one(&path(taken), &socket).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{taken}");
        }
    }
}
