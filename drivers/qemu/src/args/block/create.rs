//! What `blockdev-create` is asked for a new image.

use ostler_conf::domain::{DiskSource, ImageFormatName as Format, NetworkProtocol as Protocol};
use ostler_conf::encryption::{Cipher, Encryption, EncryptionFormat, Ivgen};
use ostler_driver::Result;
use serde_json::{Value, json};

use super::{Layer, unsupported};
use crate::args::object;

/// A new image.
#[derive(Clone, Debug)]
pub struct NewImage<'a> {
    /// What it is and where.
    pub layer: &'a Layer,
    /// How it is encrypted, with all details.
    pub encryption: Option<&'a Encryption>,
    /// How many bytes the guest sees.
    pub capacity: u64,
    /// How many bytes its storage has at first.
    pub physical: u64,
    /// The image that it stands on.
    pub backing: Option<&'a Layer>,
}

impl NewImage<'_> {
    /// What makes its storage; `None` where that can't be made, but must be there.
    ///
    /// # Errors
    /// What QEMU has no way to reach.
    pub fn storage(&self) -> Result<Option<Value>> {
        let layer = self.layer;
        let size = ("size", json!(self.physical));
        let network = match &layer.source {
            DiskSource::File(source) => {
                return Ok(Some(object([("driver", json!("file")), ("filename", json!(source.file)), size])));
            }
            DiskSource::Network(source) => source,
            DiskSource::Block(_)
            | DiskSource::Dir(_)
            | DiskSource::Volume(_)
            | DiskSource::Nvme(_)
            | DiskSource::Vhostuser(_)
            | DiskSource::Vhostvdpa(_) => return Ok(None),
        };
        if !matches!(network.protocol, Protocol::Gluster | Protocol::Rbd | Protocol::Ssh) {
            return Ok(None);
        }
        let mut location = layer.place()?;
        if let Some(members) = location.as_object_mut() {
            members.shift_remove("driver");
        }
        Ok(Some(object([("driver", json!(network.protocol.word())), ("location", location), size])))
    }

    /// What makes its format; `None` for plain bytes, which need none.
    ///
    /// # Errors
    /// A format that QEMU can't make.
    pub fn format(&self) -> Result<Option<Value>> {
        let file = ("file", json!(self.layer.names.storage));
        let size = ("size", json!(self.capacity));
        let is_luks = |encryption: &Encryption| encryption.format == EncryptionFormat::Luks;
        let luks = self.encryption.filter(|encryption| is_luks(encryption)).map(|encryption| self.luks(encryption));
        let mut members = match (self.layer.format, luks) {
            (Format::Raw, Some(mut luks)) => {
                luks.extend([("driver", json!("luks")), file, size]);
                return Ok(Some(object(luks)));
            }
            (Format::Raw, None) => return Ok(None),
            (Format::Qcow2, luks) => {
                let version = json!(None::<&str>);
                let mut members = vec![("driver", json!("qcow2")), file, size, ("version", version)];
                members.extend(self.standing()?);
                if let Some(mut luks) = luks {
                    luks.push(("format", json!("luks")));
                    members.push(("encrypt", object(luks)));
                }
                return Ok(Some(object(members)));
            }
            (Format::Qcow, luks) => {
                let mut members = vec![("driver", json!("qcow")), file, size];
                if let Some(mut luks) = luks {
                    luks.push(("format", json!("luks")));
                    members.push(("encrypt", object(luks)));
                }
                members
            }
            (Format::Qed, _) => vec![("driver", json!("qed")), file, size],
            (Format::Vmdk, _) => vec![("driver", json!("vmdk")), file, size],
            (Format::Vdi, _) => vec![("driver", json!("vdi")), file, size],
            (Format::Vhd | Format::Vhdx, _) => vec![("driver", json!("vhdx")), file, size],
            (Format::Vpc, _) => vec![("driver", json!("vpc")), file, size],
            (Format::Ploop, _) => vec![("driver", json!("parallels")), file, size],
            (
                Format::Dir | Format::Bochs | Format::Cloop | Format::Dmg | Format::Fat | Format::Cow | Format::Iso,
                _,
            ) => {
                return Err(unsupported(format!("QEMU can't make an image of the format '{}'", self.layer.format)));
            }
        };
        if matches!(self.layer.format, Format::Qcow | Format::Qed | Format::Vmdk) {
            members.extend(self.standing()?);
        }
        Ok(Some(object(members)))
    }

    /// What it stands on.
    fn standing(&self) -> Result<Vec<(&'static str, Value)>> {
        let Some(backing) = self.backing else { return Ok(Vec::new()) };
        let is_luks = backing.format == Format::Raw && backing.encryption().is_some();
        let format = if is_luks { "luks" } else { backing.format.word() };
        let mut members = vec![("backing-file", json!(backing.backing_string()?))];
        if matches!(self.layer.format, Format::Qcow2 | Format::Qed) {
            members.push(("backing-fmt", json!(format)));
        }
        Ok(members)
    }

    /// How LUKS encrypts: the passphrase, and what differs from QEMU's own choice.
    fn luks(&self, encryption: &Encryption) -> Vec<(&'static str, Value)> {
        let mut members = vec![("key-secret", json!(self.layer.names.encryption.first()))];
        if let Some(Cipher { name, size, mode, hash, .. }) = &encryption.cipher {
            // XTS takes two keys, and its size counts both.
            let algorithm = format!("{name}-{size}");
            members.extend([("cipher-alg", json!(algorithm)), ("cipher-mode", json!(mode)), ("hash-alg", json!(hash))]);
        }
        if let Some(Ivgen { name, hash }) = &encryption.ivgen {
            members.extend([("ivgen-alg", json!(name)), ("ivgen-hash-alg", json!(hash))]);
        }
        members
    }
}
