//! The hypervisor that the agent's image carries, laid down on the host: guests outlive the pod, so what they run must.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use ostler_util::{file, tree};
use tracing::info;

/// A runtime on the host.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    /// Its programs, by a path that stays the same from one digest to the next: definitions may name it.
    programs: PathBuf,
}

impl Runtime {
    /// Lays `image` down below `state_dir`, makes it the one that new guests start from, and removes those that nobody uses.
    ///
    /// # Guarantees
    /// A runtime is there whole or not at all. One that a process runs from stays.
    ///
    /// # Errors
    /// An image without a runtime; the operating system's.
    pub(super) fn lay_down(image: &Path, state_dir: &Path) -> io::Result<Self> {
        let all = state_dir.join("runtime");
        let digest = digest_of(image)?;
        file::create_directory(&all, 0o755)?;
        let place = all.join(&digest);
        if !place.exists() {
            info!(digest, "laying the runtime down");
            tree::copy(&image.join("runtime"), &place)?;
        }
        tree::point(&all.join(CURRENT), Path::new(&digest))?;
        remove_unused(&all, &digest)?;
        Ok(Runtime { programs: all.join(CURRENT).join("bin") })
    }

    /// One of its programs, if it has it.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.programs.join(name)).filter(|path| path.exists())
    }
}

/// The link to the runtime that new guests start from.
const CURRENT: &str = "current";

fn digest_of(image: &Path) -> io::Result<String> {
    let path = image.join("digest");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let digest = text.trim().replace(':', "-");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if digest.is_empty() || digest.starts_with('-') || digest == CURRENT || !digest.chars().all(is_name) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: '{digest}' is no digest", path.display())));
    }
    Ok(digest)
}

fn remove_unused(all: &Path, digest: &str) -> io::Result<()> {
    let used = in_use(all)?;
    for entry in std::fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == digest || name == CURRENT || used.contains(&name) {
            continue;
        }
        info!(digest = name, "removing a runtime that nobody uses");
        tree::remove(&entry.path())?;
    }
    Ok(())
}

/// The digests that processes run from.
fn in_use(all: &Path) -> io::Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let Ok(program) = std::fs::read_link(entry?.path().join("exe")) else { continue };
        let digest = program.strip_prefix(all).ok().and_then(|below| below.components().next());
        used.extend(digest.map(|digest| digest.as_os_str().to_string_lossy().into_owned()));
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::Runtime;

    fn image(directory: &Path, digest: &str) {
        fs::create_dir_all(directory.join("runtime/bin")).unwrap();
        fs::create_dir_all(directory.join("runtime/share/qemu")).unwrap();
        fs::write(directory.join("digest"), format!("{digest}\n")).unwrap();
        fs::copy("/bin/sleep", directory.join("runtime/bin/qemu-system-x86_64")).unwrap();
        fs::write(directory.join("runtime/share/qemu/bios.bin"), digest).unwrap();
        let _ = fs::remove_file(directory.join("runtime/bin/link"));
        symlink("qemu-system-x86_64", directory.join("runtime/bin/link")).unwrap();
    }

    fn digests(state: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(state.join("runtime"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_newest_is_current_and_one_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (from, state) = (directory.path().join("image"), directory.path().join("state"));
        image(&from, "sha256:one");
        let runtime = Runtime::lay_down(&from, &state).unwrap();
        let qemu = runtime.program("qemu-system-x86_64").unwrap();
        assert_eq!(qemu, state.join("runtime/current/bin/qemu-system-x86_64"));
        assert_eq!(fs::metadata(&qemu).unwrap().permissions().mode() & 0o111, 0o111);
        assert_eq!(runtime.program("dnsmasq"), None);
        assert_eq!(fs::read_link(state.join("runtime/current/bin/link")).unwrap(), Path::new("qemu-system-x86_64"));
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let guest = ostler_util::spawn::Spawn {
            program: qemu,
            args: vec!["1000".into()],
            env: Vec::new(),
            directory: "/".into(),
            credentials: None,
            cgroups: ostler_util::cgroup::Entrances::default(),
            output: log,
            fds: Vec::new(),
        };
        let guest = guest.detached().unwrap().open().unwrap().unwrap();
        image(&from, "sha256:two");
        Runtime::lay_down(&from, &state).unwrap();
        assert_eq!(digests(&state), ["current", "sha256-one", "sha256-two"]);
        guest.kill().unwrap();
        assert!(guest.wait(std::time::Duration::from_secs(60)));
        Runtime::lay_down(&from, &state).unwrap();
        assert_eq!(digests(&state), ["current", "sha256-two"]);
        assert_eq!(fs::read_to_string(state.join("runtime/current/share/qemu/bios.bin")).unwrap(), "sha256:two");
    }

    #[test]
    fn a_digest_that_leads_elsewhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for digest in ["../../etc", "", "current", "a/b"] {
            image(directory.path(), digest);
            Runtime::lay_down(directory.path(), &directory.path().join("state")).unwrap_err();
        }
    }
}
