//! Descriptors of installed firmware, as QEMU's `firmware.json` defines them.

use ostler_conf::domain::FirmwareFormat;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
        let Document { interface_types, mapping, targets, features } = serde_json::from_str(text).ok()?;
        let targets = targets.into_iter().map(|target| (target.architecture, target.machines)).collect();
        Some(Descriptor { interfaces: interface_types, mapping: read_mapping(&mapping)?, targets, features })
    }

    /// Whether it is for a machine.
    pub(super) fn is_for(&self, arch: &str, machine: &str) -> bool {
        let arch = match arch {
            "i686" => "i386",
            "armv7l" | "armv6l" => "arm",
            other => other,
        };
        let fits = |pattern: &String| match pattern.split_once('*') {
            Some((beginning, "")) => machine.starts_with(beginning),
            Some((beginning, end)) => machine.starts_with(beginning) && machine.ends_with(end),
            None => pattern == machine,
        };
        self.targets.iter().any(|(of, machines)| of == arch && machines.iter().any(fits))
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
