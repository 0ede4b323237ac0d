//! The tables of x86 CPUs, from `data/x86.txt`.
//!
//! | line | meaning |
//! |---|---|
//! | `vendor NAME STRING` | a maker, and the 12 characters in leaf 0 |
//! | `feature NAME LEAF/SUBLEAF/REGISTER=MASK… msr/INDEX/REGISTER=MASK… unmigratable alias=NAME…` | hexadecimal |
//! | `model NAME vendor=NAME host guest compat of=BASE sig=FAMILY/MODEL/STEPPINGS… : like=MODEL !NOT… FEATURE… +ADDED… -REMOVED…` | |
//!
//! `host` and `guest` say for which a model is found by its features; `compat` that comparing decides about a partial
//! check; `of` whose versioned name it is. An added feature came into the hypervisor's model later and is not counted to the model; a removed one has gone.

use std::collections::HashMap;
use std::sync::LazyLock;

use ostler_driver::CpuSignature;

use super::bits::{Bits, WORDS};

/// The tables, read when first needed.
pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables::read(include_str!("../../data/x86.txt")));

/// All that is known of x86 CPUs.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) vendors: Vec<Vendor>,
    /// In the order of leaves and bits, in which descriptions name them.
    pub(super) features: Vec<Feature>,
    /// From old to new.
    pub(super) models: Vec<Model>,
    /// Which word of [`Bits`] is what.
    pub(super) registers: Vec<Register>,
    features_by_name: HashMap<&'static str, usize>,
    models_by_name: HashMap<&'static str, usize>,
}

/// A maker.
#[derive(Debug)]
pub(super) struct Vendor {
    pub(super) name: &'static str,
    /// What leaf 0 says.
    pub(super) string: &'static str,
}

/// A feature.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) bits: Bits,
    /// The words of its bits that hold any, with their numbers: most have one.
    words: Vec<(usize, u32)>,
    pub(super) is_migratable: bool,
}

/// A named model.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) name: &'static str,
    pub(super) vendor: Option<&'static str>,
    pub(super) bits: Bits,
    /// What went from it later, by name.
    pub(super) removed: Vec<&'static str>,
    pub(super) signatures: Vec<SignaturePattern>,
    pub(super) is_for_host: bool,
    pub(super) is_for_guest: bool,
    pub(super) is_compared: bool,
    /// The model that this is the versioned name of.
    pub(super) is_version_of: Option<&'static str>,
}

/// Processors of one family and model.
#[derive(Clone, Debug)]
pub(super) struct SignaturePattern {
    pub(super) family: u32,
    pub(super) model: u32,
    /// Which steppings, a bit for each of the 16.
    steppings: u16,
}

/// One register of what a processor says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// Of a CPUID leaf and subleaf: 0 to 3 for eax, ebx, ecx, edx.
    Cpuid(u32, u32, usize),
    /// The lower (0) or upper (3) half of an MSR.
    Msr(u32, usize),
}

impl SignaturePattern {
    fn matches(&self, signature: CpuSignature) -> bool {
        let is_stepping = signature.stepping < 16 && self.steppings >> signature.stepping & 1 == 1;
        self.family == signature.family && self.model == signature.model && is_stepping
    }

    /// One processor that it is met by: the lowest stepping.
    pub(super) fn example(&self) -> CpuSignature {
        CpuSignature { family: self.family, model: self.model, stepping: self.steppings.trailing_zeros() }
    }
}

impl Model {
    /// Whether it is the model of processors with this signature.
    pub(super) fn has_signature(&self, signature: CpuSignature) -> bool {
        self.signatures.iter().any(|pattern| pattern.matches(signature))
    }
}

impl Tables {
    /// A feature by its name, ours or the hypervisor's.
    pub(super) fn feature(&self, name: &str) -> Option<&Feature> {
        self.features_by_name.get(name).map(|index| &self.features[*index])
    }

    /// A model by its name.
    pub(super) fn model(&self, name: &str) -> Option<&Model> {
        self.models_by_name.get(name).map(|index| &self.models[*index])
    }

    /// The features that are whole in `bits`, each bit taken once.
    pub(super) fn names_in(&self, mut bits: Bits) -> impl Iterator<Item = &'static str> {
        self.features.iter().filter_map(move |feature| {
            let is_in = feature.words.iter().all(|(word, mask)| bits.0[*word] & mask == *mask);
            if is_in {
                feature.words.iter().for_each(|(word, mask)| bits.0[*word] &= !mask);
            }
            is_in.then_some(feature.name)
        })
    }

    fn read(text: &'static str) -> Tables {
        let mut tables = Tables::default();
        for line in text.lines() {
            let mut words = line.split(' ').filter(|word| !word.is_empty());
            let (kind, name) = (words.next(), words.next().unwrap_or_default());
            match kind {
                Some("vendor") => tables.vendors.push(Vendor { name, string: words.next().unwrap_or_default() }),
                Some("feature") => tables.read_feature(name, words),
                Some("model") => tables.read_model(name, words),
                _ => {}
            }
        }
        tables
    }

    fn read_feature(&mut self, name: &'static str, words: impl Iterator<Item = &'static str>) {
        let index = self.features.len();
        let mut feature = Feature { name, bits: Bits::default(), words: Vec::new(), is_migratable: true };
        self.features_by_name.insert(name, index);
        for word in words {
            match word.split_once('=') {
                None => feature.is_migratable = word != "unmigratable",
                Some(("alias", alias)) => drop(self.features_by_name.insert(alias, index)),
                Some((register, mask)) => {
                    let word = self.word_of(read_register(register).expect("the tables are well-formed"));
                    feature.bits.0[word] |= hexadecimal(mask);
                }
            }
        }
        feature.words = feature.bits.0.into_iter().enumerate().filter(|(_, mask)| *mask != 0).collect();
        self.features.push(feature);
    }

    fn word_of(&mut self, register: Register) -> usize {
        let known = self.registers.iter().position(|known| *known == register);
        known.unwrap_or_else(|| {
            self.registers.push(register);
            assert!(self.registers.len() <= WORDS, "the tables name more registers than a set of bits holds");
            self.registers.len() - 1
        })
    }

    fn read_model(&mut self, name: &'static str, words: impl Iterator<Item = &'static str>) {
        let mut model = Model {
            name,
            vendor: None,
            bits: Bits::default(),
            removed: Vec::new(),
            signatures: Vec::new(),
            is_for_host: false,
            is_for_guest: false,
            is_compared: false,
            is_version_of: None,
        };
        let bits = |tables: &Tables, name: &str| tables.feature(name).expect("the tables name their features").bits;
        for word in words {
            match (word, word.split_once('=')) {
                ("host", _) => model.is_for_host = true,
                ("guest", _) => model.is_for_guest = true,
                ("compat", _) => model.is_compared = true,
                (":", _) => {}
                (_, Some(("vendor", vendor))) => model.vendor = Some(vendor),
                (_, Some(("of", base))) => model.is_version_of = Some(base),
                (_, Some(("sig", pattern))) => model.signatures.push(read_pattern(pattern)),
                (_, Some(("like", other))) => {
                    let other = self.model(other).expect("the tables name earlier models");
                    (model.bits, model.removed) = (other.bits, other.removed.clone());
                }
                _ => match word.split_at(1) {
                    // What came into the hypervisor's model later is no part of ours.
                    ("+", _) => {}
                    ("-", removed) => model.removed.push(removed),
                    ("!", not) => match not.split_at(1) {
                        ("+", _) => {}
                        ("-", removed) => model.removed.retain(|name| *name != removed),
                        _ => model.bits.remove(&bits(self, not)),
                    },
                    _ => model.bits.add(&bits(self, word)),
                },
            }
        }
        model.removed.sort_unstable();
        self.models_by_name.insert(name, self.models.len());
        self.models.push(model);
    }
}

fn read_register(text: &str) -> Option<Register> {
    let mut parts = text.split('/');
    let (leaf, second) = (parts.next()?, parts.next()?);
    let register = ["eax", "ebx", "ecx", "edx"].iter().position(|name| Some(*name) == text.rsplit('/').next())?;
    Some(match leaf {
        "msr" => Register::Msr(hexadecimal(second), register),
        _ => Register::Cpuid(hexadecimal(leaf), hexadecimal(second), register),
    })
}

/// `FAMILY/MODEL/STEPPINGS`; the last as `0-4,7`, absent: all.
fn read_pattern(text: &str) -> SignaturePattern {
    let mut parts = text.split('/');
    let mut decimal = || parts.next().and_then(|part| part.parse().ok()).expect("the tables' signatures are numbers");
    let (family, model) = (decimal(), decimal());
    let mut steppings = 0;
    for range in parts.next().unwrap_or("0-15").split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u32>().expect("the tables' steppings are numbers");
        (number(first)..=number(last)).for_each(|stepping| steppings |= 1 << stepping);
    }
    SignaturePattern { family, model, steppings }
}

fn hexadecimal(text: &str) -> u32 {
    u32::from_str_radix(text, 16).expect("the tables' masks are hexadecimal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!(TABLES.models.len(), TABLES.models_by_name.len(), "no model stands there twice");
        assert!(TABLES.features.len() > 300 && TABLES.models.len() > 100);
        assert!(TABLES.features.iter().all(|feature| !feature.bits.is_empty()));
        for model in &TABLES.models {
            assert!(model.removed.iter().all(|name| TABLES.feature(name).is_some()), "{}", model.name);
            let is_vendor = |name| TABLES.vendors.iter().any(|vendor| vendor.name == name);
            assert!(model.vendor.is_none_or(is_vendor), "{}", model.name);
        }
    }

    #[test]
    fn a_hypervisors_name_for_a_feature_is_known() {
        assert_eq!(TABLES.feature("pclmulqdq").unwrap().name, "pclmuldq");
    }

    #[test]
    fn steppings_choose_between_models() {
        let at = |stepping| CpuSignature { family: 6, model: 85, stepping };
        assert!(TABLES.model("Skylake-Server").unwrap().has_signature(at(4)));
        assert!(!TABLES.model("Skylake-Server").unwrap().has_signature(at(7)));
        assert!(TABLES.model("Cascadelake-Server").unwrap().has_signature(at(7)));
    }
}
