//! Users and groups of this host, read from its files: a static program has no name service to ask.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::Run;

/// As whom a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
}

/// The user `name` with its group and the further groups that list it, if it exists.
///
/// # Errors
/// The operating system's.
pub fn find(name: &str) -> io::Result<Option<Credentials>> {
    let Some((uid, gid)) = parse_passwd(&fs::read_to_string("/etc/passwd")?, name) else { return Ok(None) };
    let groups =
        parse_groups(&fs::read_to_string("/etc/group")?, name).into_iter().filter(|group| *group != gid).collect();
    Ok(Some(Credentials { uid, gid, groups }))
}

/// The system user `name`, made with a group of its own if it is missing. It has no home, no shell and no password.
///
/// # Errors
/// The operating system's; `useradd`'s message.
pub fn find_or_create(name: &str) -> io::Result<Credentials> {
    if let Some(found) = find(name)? {
        return Ok(found);
    }
    let output = Run::new("useradd")
        .args(["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"])
        .args(["--shell", "/usr/sbin/nologin", "--comment", "Ostler", name])
        .timeout(Duration::from_secs(30))
        .output()?;
    // Another process may have made it at the same time.
    find(name)?.ok_or_else(|| io::Error::other(format!("useradd made no user '{name}': {}", output.error_text())))
}

/// The group that may open the character device `path`, where others than its group may not.
pub fn device_group(path: &Path) -> Option<u32> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.file_type().is_char_device())?;
    let (others, group) = (metadata.mode() & 0o006 == 0o006, metadata.mode() & 0o060 == 0o060);
    Some(metadata.gid()).filter(|gid| group && !others && *gid != 0)
}

fn parse_passwd(text: &str, name: &str) -> Option<(u32, u32)> {
    let fields =
        text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&name))?;
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

fn parse_groups(text: &str, member: &str) -> Vec<u32> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        fields.get(3)?.split(',').any(|name| name == member).then(|| fields[2].parse().ok())?
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_users_and_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nguest:x:64055:993:Guests,,,:/nonexistent:/bin/false\nbad:x\n";
        assert_eq!(parse_passwd(passwd, "guest"), Some((64055, 993)));
        assert_eq!(parse_passwd(passwd, "bad"), None);
        assert_eq!(parse_passwd(passwd, "gues"), None);
        assert_eq!(parse_groups("kvm:x:104:guest,other\nroot:x:0:\nbad\nx:x:7:guest\n", "guest"), [104, 7]);
    }

    #[test]
    fn root_is_there() {
        assert_eq!(find("root").unwrap().unwrap().uid, 0);
        assert_eq!(find("there is no such user").unwrap(), None);
    }

    #[test]
    fn a_device_for_everybody_needs_no_group() {
        assert_eq!(device_group(Path::new("/dev/null")), None);
        assert_eq!(device_group(Path::new("/nonexistent")), None);
    }
}
