//! Descriptors of programs that speak vhost-user, as QEMU's `vhost-user.json` defines them.

use serde::Deserialize;
use serde_json::{Value, json};

/// A program that serves a device by vhost-user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VhostUserProgram {
    /// The kind of device: `gpu`, `fs`, …
    pub kind: String,
    /// The program.
    pub binary: String,
}

/// The kinds of devices that there are. A descriptor with another word is none.
const KINDS: &[&str] = &[
    "9p",
    "balloon",
    "block",
    "caif",
    "console",
    "crypto",
    "gpu",
    "input",
    "net",
    "rng",
    "rpmsg",
    "rproc-serial",
    "scsi",
    "vsock",
    "fs",
];

impl VhostUserProgram {
    /// Reads a descriptor; `None`: it is none, or of a kind that is not known.
    pub fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            r#type: String,
            binary: String,
        }
        let Document { r#type: kind, binary } = serde_json::from_str(text).ok()?;
        KINDS.contains(&kind.as_str()).then_some(VhostUserProgram { kind, binary })
    }

    /// The descriptor's document, but for what only people read.
    pub fn to_json(&self) -> Value {
        json!({ "type": self.kind, "binary": self.binary })
    }

    /// The first of these programs that serves a kind of device: descriptors come in the order of preference.
    pub fn find<'a>(programs: &'a [VhostUserProgram], kind: &str) -> Option<&'a VhostUserProgram> {
        programs.iter().find(|program| program.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_of_a_kind_is_taken() {
        let texts = [
            r#"{"description": "for people", "type": "gpu", "binary": "/a", "tags": []}"#,
            r#"{"type": "gpu", "binary": "/b"}"#,
            r#"{"type": "of-tomorrow", "binary": "/c"}"#,
            r#"{"type": "fs"}"#,
            "",
        ];
        let programs: Vec<VhostUserProgram> = texts.iter().filter_map(|text| VhostUserProgram::read(text)).collect();
        assert_eq!(programs.len(), 2);
        assert_eq!(VhostUserProgram::find(&programs, "gpu").unwrap().binary, "/a");
        assert_eq!(VhostUserProgram::find(&programs, "fs"), None);
    }
}
