//! The processors of this machine, of whatever architecture.

use ostler_driver::{Error, HostCpu, Result};

use crate::arch::Family;
use crate::{named, x86};

/// Where the kernel tells an arm processor's main ID register.
const MIDR: &str = "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1";

/// Asks this machine's processors, or the kernel about them, what they are.
///
/// # Errors
/// `NoSupport` where nobody knows.
pub(crate) fn probe() -> Result<HostCpu> {
    let arch = std::env::consts::ARCH;
    let found = match Family::of(if arch == "powerpc64" { "ppc64" } else { arch }) {
        Some(Family::X86) => return x86::probe(),
        Some(Family::Ppc64) => {
            std::fs::read_to_string("/proc/cpuinfo").ok().as_deref().and_then(pvr).and_then(named::ppc64_host)
        }
        Some(Family::Arm) => std::fs::read_to_string(MIDR).ok().as_deref().and_then(hexadecimal).map(named::arm_host),
        Some(Family::S390 | Family::Riscv | Family::Loongarch) | None => None,
    };
    found.ok_or_else(|| Error::no_support("cpu", &format!("asking {arch} processors what they are")))
}

/// The version register in `revision : 2.0 (pvr 004d 0200)`.
fn pvr(cpuinfo: &str) -> Option<u32> {
    let (_, rest) = cpuinfo.split_once("(pvr ")?;
    let (digits, _) = rest.split_once(')')?;
    u32::from_str_radix(&digits.replace(' ', ""), 16).ok()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_register_is_found_in_what_the_kernel_says() {
        let text = "processor\t: 0\ncpu\t\t: POWER8 (raw)\nrevision\t: 2.0 (pvr 004d 0200)\n";
        assert_eq!(pvr(text), Some(0x004d_0200));
        assert_eq!(hexadecimal("0x00000000410fd083\n"), Some(0x410f_d083));
    }
}
