//! Which firmware guests can begin with.

use ostler_conf::domain_capabilities::{Choice, LoaderSupport, OsSupport};
use ostler_conf::values::YesNo;

use super::choice;
use crate::complete::firmware::Descriptor;

/// The firmware that a host has for a machine.
#[derive(Clone, Debug, Default)]
pub struct LoaderFacts {
    /// The kinds, in libvirt's words: `bios`, `efi`.
    pub kinds: Vec<String>,
    /// The files.
    pub files: Vec<LoaderFile>,
    /// Whether one of them keeps the guest from changing what it begins with.
    pub has_secure: bool,
}

/// A file that guests can begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderFile {
    /// It.
    pub code: String,
    /// What their firmware's memory is at first, where they have one.
    pub template: Option<String>,
}

/// A descriptor's word for the kind, and libvirt's, in libvirt's order.
const KINDS: &[(&str, &str)] = &[("bios", "bios"), ("uefi", "efi")];

impl LoaderFacts {
    /// What installed firmware offers for a machine type.
    pub fn of(installed: &[Descriptor], arch: &str, machine: &str) -> Self {
        let fitting: Vec<&Descriptor> = installed.iter().filter(|known| known.is_for(arch, machine)).collect();
        let offers = |kind: &str| fitting.iter().any(|known| known.interfaces.iter().any(|known| known == kind));
        let kinds = KINDS.iter().filter(|(kind, _)| offers(kind)).map(|(_, libvirts)| (*libvirts).to_owned());
        let mut files: Vec<LoaderFile> = Vec::new();
        for known in &fitting {
            let (code, template) = known.mapping.files();
            let file = LoaderFile { code: code.to_owned(), template: template.map(str::to_owned) };
            if !files.contains(&file) {
                files.push(file);
            }
        }
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
                values: self.files.iter().map(|file| file.code.clone()).collect(),
                enums: vec![
                    Choice::of("type", ["rom", "pflash"]),
                    Choice::of("readonly", ["yes", "no"]),
                    choice("secure", [("yes", self.has_secure), ("no", true)]),
                ],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_counts_for_its_machines_only() {
        let text = r#"{"interface-types": ["uefi"], "mapping": {"device": "memory", "filename": "/x"},
            "features": ["acpi-s3", "requires-smm"], "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}]}"#;
        let installed = [Descriptor::read(text).unwrap(), Descriptor::read(text).unwrap()];
        let q35 = LoaderFacts::of(&installed, "x86_64", "pc-q35-10.0");
        assert_eq!((q35.kinds, q35.has_secure), (vec!["efi".to_owned()], true));
        assert_eq!(q35.files, [LoaderFile { code: "/x".to_owned(), template: None }]);
        let pc = LoaderFacts::of(&installed, "x86_64", "pc-i440fx-10.0");
        assert_eq!((pc.kinds, pc.files, pc.has_secure), (Vec::new(), Vec::new(), false));
    }
}
