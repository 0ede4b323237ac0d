//! The processors of this machine.

use ostler_driver::{HostCpu, Result};

use super::data::CpuData;
use super::decode::{Purpose, decode};

/// What this machine's processors say of themselves.
///
/// # Errors
/// `NoSupport`: they are no x86 ones.
#[cfg(target_arch = "x86_64")]
pub fn dump() -> Result<CpuData> {
    use std::arch::x86_64::__cpuid_count;
    let highest = |range: u32| __cpuid_count(range, 0).eax;
    let highest = [highest(0), highest(0x8000_0000)];
    let cpuid = |leaf: u32, subleaf: u32| {
        let is_there = leaf <= highest[(leaf >> 31) as usize];
        let answer = is_there.then(|| __cpuid_count(leaf, subleaf));
        answer.map(|answer| [answer.eax, answer.ebx, answer.ecx, answer.edx])
    };
    Ok(CpuData::from_registers(cpuid, read_msr))
}

/// An MSR, where the kernel lets us see it: `/dev/cpu/0/msr` needs the module `msr` and root.
#[cfg(target_arch = "x86_64")]
fn read_msr(index: u32) -> Option<u64> {
    use std::os::unix::fs::FileExt as _;
    let mut value = [0; 8];
    let file = std::fs::File::open("/dev/cpu/0/msr").ok()?;
    file.read_exact_at(&mut value, index.into()).ok()?;
    Some(u64::from_le_bytes(value))
}

/// What this machine's processors say of themselves.
///
/// # Errors
/// `NoSupport`: they are no x86 ones.
#[cfg(not(target_arch = "x86_64"))]
pub fn dump() -> Result<CpuData> {
    Err(ostler_driver::Error::no_support("cpu", "asking these processors what they are"))
}

/// This machine's processors as the nearest model and what they have besides.
///
/// # Errors
/// As [`dump`]; `InternalError` where they are like no model.
pub fn probe() -> Result<HostCpu> {
    describe(&dump()?)
}

/// The host that says this of itself.
///
/// # Errors
/// `InternalError`: it is like no model.
pub fn describe(data: &CpuData) -> Result<HostCpu> {
    let decoded = decode(data, Purpose { is_host: true, ..Purpose::default() })?;
    Ok(HostCpu {
        arch: "x86_64".to_owned(),
        model: Some(decoded.model.to_owned()),
        vendor: decoded.vendor.map(str::to_owned),
        signature: data.signature(),
        features: decoded.features.iter().map(|(name, _)| (*name).to_owned()).collect(),
    })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn this_machines_processors_are_like_a_model() {
        let host = probe().unwrap();
        assert!(host.signature.is_some());
        assert!(super::super::has_feature(&host, "sse2").unwrap(), "{host:?}");
    }
}
