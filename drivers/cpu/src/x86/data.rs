//! What a processor, or a hypervisor about one, says: bits, maker and signature.

use ostler_driver::{CpuSignature, Property};

use super::bits::Bits;
use super::tables::{Register, TABLES};

/// What is known of one CPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuData {
    /// Its features.
    pub(super) bits: Bits,
    /// Its maker, of those that the tables know.
    pub(super) vendor: Option<&'static str>,
    /// Which of its maker's it is.
    pub(super) signature: Option<CpuSignature>,
}

impl CpuData {
    /// What CPUID answers (by leaf and subleaf: eax, ebx, ecx, edx) and the values of MSRs; what has none is 0.
    pub fn from_registers(cpuid: impl Fn(u32, u32) -> Option<[u32; 4]>, msr: impl Fn(u32) -> Option<u64>) -> CpuData {
        let mut data = CpuData::default();
        for (word, register) in TABLES.registers.iter().enumerate() {
            data.bits.0[word] = match *register {
                Register::Cpuid(leaf, subleaf, register) => cpuid(leaf, subleaf).unwrap_or_default()[register],
                Register::Msr(index, half) => (msr(index).unwrap_or_default() >> if half == 0 { 0 } else { 32 }) as u32,
            };
        }
        if let Some([_, ebx, ecx, edx]) = cpuid(0, 0) {
            let string: Vec<u8> = [ebx, edx, ecx].into_iter().flat_map(u32::to_le_bytes).collect();
            data.vendor = vendor_of(&string);
        }
        data.signature = cpuid(1, 0).map(|[eax, ..]| eax).filter(|eax| *eax != 0).map(signature_of);
        data
    }

    /// What a hypervisor's properties say; a name that is unknown says nothing.
    pub fn from_properties(properties: &[Property<'_>]) -> CpuData {
        let mut data = CpuData::default();
        for property in properties {
            match *property {
                Property::Feature(name) => {
                    if let Some(feature) = TABLES.feature(name) {
                        data.bits.add(&feature.bits);
                    }
                }
                Property::Vendor(string) => data.vendor = vendor_of(string.as_bytes()),
                Property::Signature(signature) => data.signature = Some(signature),
            }
        }
        data
    }

    /// The features, in the tables' order.
    pub fn features(&self) -> impl Iterator<Item = &'static str> {
        TABLES.names_in(self.bits)
    }

    /// Which of its maker's it is.
    pub fn signature(&self) -> Option<CpuSignature> {
        self.signature
    }
}

fn vendor_of(string: &[u8]) -> Option<&'static str> {
    TABLES.vendors.iter().find(|vendor| vendor.string.as_bytes() == string).map(|vendor| vendor.name)
}

/// Leaf 1's eax: stepping in 4 bits, model in 4, family in 4; 4 more for the model and 8 for the family from bit 16 on.
fn signature_of(eax: u32) -> CpuSignature {
    CpuSignature {
        family: (eax >> 20 & 0xff) + (eax >> 8 & 0xf),
        model: (eax >> 12 & 0xf0) + (eax >> 4 & 0xf),
        stepping: eax & 0xf,
    }
}
