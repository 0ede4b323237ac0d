//! Which firmware guests can begin with.

use ostler_conf::domain_capabilities::{Choice, LoaderSupport, OsSupport};
use ostler_conf::values::YesNo;

use serde::Deserialize;

use super::choice;

/// The firmware that a host has for a machine.
#[derive(Clone, Debug, Default)]
pub struct LoaderFacts {
    /// The kinds, in libvirt's words: `bios`, `efi`.
    pub kinds: Vec<String>,
    /// The files.
    pub files: Vec<String>,
    /// Whether one of them keeps the guest from changing what it begins with.
    pub has_secure: bool,
}

/// A firmware descriptor of QEMU's: what decides here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    interface_types: Vec<String>,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// A descriptor's word for the kind, and libvirt's, in libvirt's order.
const KINDS: &[(&str, &str)] = &[("bios", "bios"), ("uefi", "efi")];

impl LoaderFacts {
    /// What firmware descriptors (their texts) offer for a machine type, and `files`. What is no descriptor offers nothing.
    pub fn of<'a>(
        descriptors: impl IntoIterator<Item = &'a str>,
        arch: &str,
        machine: &str,
        files: Vec<String>,
    ) -> Self {
        let is_for = |target: &Target| {
            target.architecture == arch && target.machines.iter().any(|pattern| matches(pattern, machine))
        };
        let descriptors = descriptors.into_iter().filter_map(|text| serde_json::from_str::<Descriptor>(text).ok());
        let fitting: Vec<Descriptor> = descriptors.filter(|known| known.targets.iter().any(is_for)).collect();
        let offers = |kind: &str| fitting.iter().any(|known| known.interface_types.iter().any(|known| known == kind));
        let kinds = KINDS.iter().filter(|(kind, _)| offers(kind)).map(|(_, libvirts)| (*libvirts).to_owned());
        LoaderFacts {
            kinds: kinds.collect(),
            files,
            has_secure: fitting.iter().any(|known| known.features.iter().any(|feature| feature == "requires-smm")),
        }
    }

    pub(super) fn support(&self) -> OsSupport {
        OsSupport {
            supported: YesNo(true),
            enums: vec![Choice::of("firmware", &self.kinds)],
            loader: LoaderSupport {
                supported: YesNo(true),
                values: self.files.clone(),
                enums: vec![
                    Choice::of("type", ["rom", "pflash"]),
                    Choice::of("readonly", ["yes", "no"]),
                    choice("secure", [("yes", self.has_secure), ("no", true)]),
                ],
            },
        }
    }
}

/// Whether a pattern, in which `*` stands for anything, fits.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(after, &rest[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("pc-q35-*", "pc-q35-10.0") && matches("*-10.*", "pc-q35-10.0") && matches("virt", "virt"));
        assert!(!matches("pc-q35-*", "pc-i440fx-10.0") && !matches("virt", "virt-8.2"));
    }

    #[test]
    fn firmware_counts_for_its_machines_only() {
        let text = r#"{"interface-types": ["uefi"], "mapping": {}, "features": ["acpi-s3", "requires-smm"],
            "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}]}"#;
        let q35 = LoaderFacts::of([text, "{"], "x86_64", "pc-q35-10.0", Vec::new());
        assert_eq!((q35.kinds, q35.has_secure), (vec!["efi".to_owned()], true));
        let pc = LoaderFacts::of([text], "x86_64", "pc-i440fx-10.0", Vec::new());
        assert_eq!((pc.kinds, pc.has_secure), (Vec::new(), false));
    }
}
