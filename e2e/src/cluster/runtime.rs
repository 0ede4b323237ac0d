//! The runtime image's tree: QEMU with its firmware, dnsmasq and nft, taken from Debian's packages, for hosts that have none.
//!
//! It is `/runtime` of the image. An agent copies it to `/var/lib/ostler/runtime/DIGEST/`, where `DIGEST` is what the
//! image's file `/digest` says, and starts `bin/qemu-system-x86_64`, `bin/qemu-img`, `bin/dnsmasq` and `bin/nft` there.
//! Every program finds its loader by that path and its libraries beside itself, so nothing of the host is used. QEMU is
//! started by way of a launcher that tells it where its firmware and modules are.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::programs::{cache, hex};

/// Where agents lay runtimes down.
pub const PLACE: &str = "/var/lib/ostler/runtime";

/// Where programs are on this machine, and where in the tree.
const PROGRAMS: &[(&str, &str)] = &[
    ("/usr/bin/qemu-system-x86_64", "libexec/qemu-system-x86_64"),
    ("/usr/bin/qemu-img", "bin/qemu-img"),
    ("/usr/sbin/dnsmasq", "bin/dnsmasq"),
    ("/usr/sbin/nft", "bin/nft"),
];

/// Loaded by QEMU on demand; those for sound, keyboards and screens on the host are left out.
const MODULES: &[&str] = &[
    "hw-display-virtio-gpu-pci.so",
    "hw-display-virtio-gpu.so",
    "hw-display-virtio-vga.so",
    "hw-uefi-vars.so",
    "hw-usb-host.so",
    "hw-usb-redirect.so",
];

/// Firmware and tables: where Debian has them, and where in the tree. QEMU looks for the first three in one list of folders.
const FOLDERS: &[(&str, &str)] = &[
    ("/usr/share/qemu", "share/qemu"),
    ("/usr/share/seabios", "share/qemu"),
    ("/usr/lib/ipxe/qemu", "share/qemu"),
    ("/usr/share/OVMF", "share/OVMF"),
];

/// The launcher's source.
const LAUNCHER: &str = include_str!("../../cluster/launcher.rs");

/// Debian's folder of libraries below /usr; QEMU's modules are in it too.
const LIBRARIES: &str = "lib/x86_64-linux-gnu";

const LOADER: &str = "ld-linux-x86-64.so.2";

/// A folder with `runtime/` and `digest`, made once for each state of the packages. `release` makes it another one.
///
/// # Errors
/// A program or package is missing; patchelf's words.
pub fn tree(release: &str) -> Result<PathBuf> {
    let cache = cache()?.join("runtime");
    fs::create_dir_all(&cache)?;
    let unfinished = tempfile::Builder::new().prefix("build").tempdir_in(&cache)?;
    fs::set_permissions(unfinished.path(), fs::Permissions::from_mode(0o755))?;
    let tree = unfinished.path().join("runtime");
    let digest = collect(&tree, release)?;
    let built = cache.join(&digest);
    if !built.exists() {
        relocate(&tree, &Path::new(PLACE).join(&digest))?;
        fs::write(unfinished.path().join("digest"), &digest)?;
        fs::rename(unfinished.keep(), &built)?;
    }
    Ok(built)
}

/// Copies everything as the packages have it; gives the digest of what and where.
fn collect(tree: &Path, release: &str) -> Result<String> {
    let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
    files.extend(PROGRAMS.iter().map(|(from, to)| (from.into(), to.into())));
    for module in MODULES {
        let place = Path::new(LIBRARIES).join("qemu").join(module);
        files.push((Path::new("/usr").join(&place), place));
    }
    let mut libraries = BTreeSet::new();
    for (file, _) in &files {
        libraries.extend(needed(file)?);
    }
    for library in libraries {
        let name = library.file_name().context("a library has a name")?.to_owned();
        files.push((library, Path::new("lib").join(name)));
    }
    for (from, to) in FOLDERS {
        add_folder(Path::new(from), Path::new(to), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    // How it is made counts as well.
    digest.update(release);
    digest.update(LAUNCHER);
    digest.update(include_str!("runtime.rs"));
    for (from, to) in &files {
        let target = tree.join(to);
        fs::create_dir_all(target.parent().context("a file is in a folder")?)?;
        fs::copy(from, &target).with_context(|| format!("copy {}", from.display()))?;
        digest.update(to.as_os_str().as_encoded_bytes());
        digest.update(fs::read(&target)?);
    }
    Ok(hex(&digest.finalize()[..16]))
}

/// Files of a folder and below; what a link stands for takes its place.
fn add_folder(folder: &Path, place: &Path, files: &mut Vec<(PathBuf, PathBuf)>) -> Result<()> {
    // Firmware for UEFI is a package of its own.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let (path, place) = (entry.path(), place.join(entry.file_name()));
        if path.is_dir() {
            add_folder(&path, &place, files)?;
        } else if path.exists() {
            // Some links lead into packages that are not there.
            files.push((path, place));
        }
    }
    Ok(())
}

/// The shared libraries that a program or module is linked with, its loader among them; none if it is static.
pub(crate) fn needed(file: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(file).output().context("run ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("statically linked")
        || String::from_utf8_lossy(&output.stderr).contains("not a dynamic executable")
    {
        return Ok(BTreeSet::new());
    }
    if !output.status.success() || text.contains("not found") {
        bail!("ldd {}: {text}{}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
    // `name => path (address)`, or for the loader `path (address)`.
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(PathBuf::from).collect())
}

/// Tells programs and modules where their loader and libraries will be.
fn relocate(tree: &Path, place: &Path) -> Result<()> {
    let loader = place.join("lib").join(LOADER);
    for (_, program) in PROGRAMS {
        let program = tree.join(program);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        // An rpath, unlike a runpath, is also for the libraries of libraries and of modules.
        patch(
            &["--set-interpreter", &loader.display().to_string(), "--force-rpath", "--set-rpath", "$ORIGIN/../lib"],
            &program,
        )?;
    }
    launcher(&tree.join("bin/qemu-system-x86_64"))
}

fn launcher(program: &Path) -> Result<()> {
    let source = program.with_extension("rs");
    fs::write(&source, LAUNCHER)?;
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "-C", "opt-level=s", "-C", "strip=symbols", "-C", "panic=abort"]);
    let output = rustc.args(["-C", "target-feature=+crt-static", "-o"]).arg(program).arg(&source).output()?;
    if !output.status.success() {
        bail!("build QEMU's launcher: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(fs::remove_file(source)?)
}

fn patch(args: &[&str], file: &Path) -> Result<()> {
    let output = Command::new("patchelf").args(args).arg(file).output().context("run patchelf: install patchelf")?;
    if !output.status.success() {
        bail!("patchelf {}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
