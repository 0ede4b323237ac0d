//! Descriptors of installed firmware, as QEMU's `firmware.json` defines them.

use ostler_conf::domain::FirmwareFormat;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A firmware that is installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What it is to the guest: `bios`, `uefi`, …
    pub interfaces: Vec<String>,
    /// Where it is, and how it is mapped.
    pub mapping: Mapping,
    /// For which machines it is, by architecture; patterns with `*`.
    pub targets: Vec<(String, Vec<String>)>,
    /// What it can do.
    pub features: Vec<String>,
}

/// How a firmware gets into the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mapping {
    /// As a ROM.
    Memory {
        /// Its file.
        file: String,
    },
    /// As flash: code that all share, memory that each guest has.
    Split {
        /// The code.
        code: Image,
        /// What the memory is at first.
        template: Image,
    },
    /// As flash without memory.
    Stateless {
        /// The code.
        code: Image,
    },
    /// As flash with code and memory in one.
    Combined {
        /// Both.
        code: Image,
    },
}

/// A file with its format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Where it is.
    pub file: String,
    /// `raw` or `qcow2`.
    pub format: FirmwareFormat,
}

/// What firmware can be to a guest. A descriptor with another word is none.
const INTERFACES: &[&str] = &["bios", "openfirmware", "uboot", "uefi"];

/// What firmware can do. Other words don't count.
const FEATURES: &[&str] = &[
    "acpi-s3",
    "acpi-s4",
    "amd-sev",
    "amd-sev-es",
    "amd-sev-snp",
    "enrolled-keys",
    "requires-smm",
    "secure-boot",
    "verbose-dynamic",
    "verbose-static",
];

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    interface_types: Vec<String>,
    mapping: Value,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

impl Descriptor {
    /// Reads a descriptor; `None`: it is none, or of a kind that is not known.
    pub fn read(text: &str) -> Option<Self> {
        let Document { interface_types, mapping, targets, mut features } = serde_json::from_str(text).ok()?;
        if !interface_types.iter().all(|interface| INTERFACES.contains(&interface.as_str())) {
            return None;
        }
        features.retain(|feature| FEATURES.contains(&feature.as_str()));
        let targets = targets.into_iter().map(|target| (target.architecture, target.machines)).collect();
        Some(Descriptor { interfaces: interface_types, mapping: read_mapping(&mapping)?, targets, features })
    }

    /// The descriptor's document, but for what only people read.
    pub fn to_json(&self) -> Value {
        let targets = self.targets.iter();
        json!({
            "interface-types": self.interfaces,
            "mapping": self.mapping.to_json(),
            "targets": targets
                .map(|(arch, machines)| json!({ "architecture": arch, "machines": machines }))
                .collect::<Vec<_>>(),
            "features": self.features,
        })
    }

    /// Whether it is for a machine.
    pub(crate) fn is_for(&self, arch: &str, machine: &str) -> bool {
        let arch = match arch {
            "i686" => "i386",
            "armv7l" | "armv6l" => "arm",
            other => other,
        };
        let fits = |pattern: &String| matches(pattern, machine);
        self.targets.iter().any(|(of, machines)| of == arch && machines.iter().any(fits))
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

impl Mapping {
    /// The file that guests begin with, and that of their memory's first content.
    pub fn files(&self) -> (&str, Option<&str>) {
        match self {
            Mapping::Memory { file } => (file, None),
            Mapping::Split { code, template } => (&code.file, Some(&template.file)),
            Mapping::Stateless { code } | Mapping::Combined { code } => (&code.file, None),
        }
    }

    fn to_json(&self) -> Value {
        let flash = |mode: &str, code: &Image| json!({ "device": "flash", "mode": mode, "executable": code.to_json() });
        match self {
            Mapping::Memory { file } => json!({ "device": "memory", "filename": file }),
            Mapping::Split { code, template } => {
                let mut mapping = flash("split", code);
                mapping["nvram-template"] = template.to_json();
                mapping
            }
            Mapping::Stateless { code } => flash("stateless", code),
            Mapping::Combined { code } => flash("combined", code),
        }
    }
}

impl Image {
    fn to_json(&self) -> Value {
        json!({ "filename": self.file, "format": self.format })
    }
}

fn read_mapping(mapping: &Value) -> Option<Mapping> {
    match mapping["device"].as_str()? {
        "memory" => Some(Mapping::Memory { file: mapping["filename"].as_str()?.to_owned() }),
        "flash" => {
            let code = read_image(&mapping["executable"])?;
            match mapping["mode"].as_str().unwrap_or("split") {
                "split" => Some(Mapping::Split { code, template: read_image(&mapping["nvram-template"])? }),
                "stateless" => Some(Mapping::Stateless { code }),
                "combined" => Some(Mapping::Combined { code }),
                _ => None,
            }
        }
        _ => None,
    }
}

fn read_image(image: &Value) -> Option<Image> {
    let format = match image["format"].as_str()? {
        "raw" => FirmwareFormat::Raw,
        "qcow2" => FirmwareFormat::Qcow2,
        _ => return None,
    };
    Some(Image { file: image["filename"].as_str()?.to_owned(), format })
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
    fn what_counts_in_a_descriptor_is_written_again() {
        let descriptor = |features: &str, interface: &str| {
            json!({
                "description": "for people",
                "interface-types": [interface],
                "mapping": {
                    "device": "flash",
                    "executable": { "filename": "/code", "format": "raw" },
                    "nvram-template": { "filename": "/vars", "format": "qcow2" },
                },
                "targets": [{ "architecture": "x86_64", "machines": ["pc-q35-*"] }],
                "features": [features, "of-tomorrow"],
                "tags": [],
            })
        };
        let mut expected = descriptor("secure-boot", "uefi");
        let read = Descriptor::read(&expected.to_string()).unwrap();
        expected["mapping"]["mode"] = "split".into();
        expected["features"] = json!(["secure-boot"]);
        expected.as_object_mut().unwrap().retain(|key, _| key != "description" && key != "tags");
        assert_eq!(read.to_json(), expected);
        assert_eq!(Descriptor::read(&descriptor("secure-boot", "of-tomorrow").to_string()), None);
    }
}
