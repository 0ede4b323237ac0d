//! Whether a guest really runs under KVM on this host: by running one.

use std::path::Path;
use std::time::Duration;

use ostler_util::file::write_atomic;
use ostler_util::passwd::Credentials;
use ostler_util::run::Run;

/// The guest's code; `kvm_guest.S` says what it does.
const CODE: &[u8] = include_bytes!("kvm_guest.bin");
/// The size of its ROM: one segment.
const ROM_LENGTH: usize = 0x1_0000;
/// Where the CPU begins, and what stands there: `ljmp $0xf000, $0`.
const RESET: (usize, [u8; 5]) = (0xfff0, [0xea, 0x00, 0x00, 0x00, 0xf0]);
/// The guest writes 0x2a to isa-debug-exit, which makes that `(0x2a << 1) | 1`.
const SUCCESS: i32 = 85;
/// It needs less than a tenth of a second, and QEMU's start as much.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Whether the guest reaches its end under KVM in time.
pub(super) fn works(emulator: &Path, scratch: &Path, credentials: Option<Credentials>) -> bool {
    if !Path::new("/dev/kvm").exists() {
        return false;
    }
    let works = run(emulator, "kvm", scratch, credentials, TIMEOUT);
    tracing::info!(works, "tried a guest under KVM");
    works
}

fn run(
    emulator: &Path,
    accelerator: &str,
    scratch: &Path,
    credentials: Option<Credentials>,
    timeout: Duration,
) -> bool {
    let mut rom = vec![0; ROM_LENGTH];
    rom[..CODE.len()].copy_from_slice(CODE);
    let (at, jump) = RESET;
    rom[at..at + jump.len()].copy_from_slice(&jump);
    let path = scratch.join(format!("kvm-probe-{}.bin", std::process::id()));
    if let Err(error) = write_atomic(&path, &rom, 0o644) {
        tracing::warn!(%error, path = %path.display(), "write the guest that tries KVM");
        return false;
    }
    let run = Run::new(emulator)
        .args(["-accel", accelerator, "-machine", "pc", "-cpu", "qemu64", "-m", "16", "-no-user-config", "-nodefaults"])
        .args([
            "-display",
            "none",
            "-serial",
            "null",
            "-no-reboot",
            "-device",
            "isa-debug-exit,iobase=0x501,iosize=2",
            "-bios",
        ])
        .args([&path])
        .timeout(timeout)
        .bound_to_us();
    let run = match credentials {
        Some(credentials) => run.credentials(credentials),
        None => run,
    };
    let output = run.output();
    // It lies in a folder of this boot; a leftover is replaced.
    let _ = std::fs::remove_file(&path);
    output.is_ok_and(|output| output.status.code() == Some(SUCCESS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: &str = "/usr/bin/qemu-system-x86_64";

    /// The guest is right: QEMU's translator runs it to its end.
    #[test]
    fn the_guest_runs_under_tcg() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(run(Path::new(QEMU), "tcg", scratch.path(), None, Duration::from_secs(600)));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
