//! The node of an image's format.

use ostler_conf::domain::{EncryptionFormat, ImageFormatName as Format};
use ostler_driver::Result;
use serde_json::{Value, json};

use super::{Below, Layer, cache, unsupported};
use crate::args::object;

/// QEMU's driver for each format, and whether its images can stand on others.
const DRIVERS: &[(Format, &str, bool)] = &[
    (Format::Raw, "raw", false),
    // The storage makes the file system; the format is what comes of it.
    (Format::Fat, "raw", false),
    (Format::Bochs, "bochs", false),
    (Format::Cloop, "cloop", false),
    (Format::Dmg, "dmg", false),
    (Format::Ploop, "parallels", false),
    (Format::Vdi, "vdi", false),
    (Format::Vhd, "vhdx", false),
    (Format::Vhdx, "vhdx", false),
    (Format::Vpc, "vpc", false),
    (Format::Qcow, "qcow", true),
    (Format::Qcow2, "qcow2", true),
    (Format::Qed, "qed", true),
    (Format::Vmdk, "vmdk", true),
];

pub(super) fn node(layer: &Layer, name: &str, below: &Below<'_>) -> Result<Value> {
    let Some((_, driver, can_stand_on)) = DRIVERS.iter().find(|(format, ..)| *format == layer.format) else {
        return Err(unsupported(format!("QEMU can't run a disk of the format '{}'", layer.format)));
    };
    let mut members = vec![("node-name", json!(name))];
    members.extend(layer.common());
    members.push(("cache", cache(layer.access.cache)));
    let encryption =
        layer.encryption().filter(|_| !layer.is_decrypted_by_library()).map(|encryption| encryption.format);
    let key = json!(layer.names.encryption.first());
    match (layer.format, encryption) {
        (Format::Raw, Some(EncryptionFormat::Luks | EncryptionFormat::Luks2 | EncryptionFormat::LuksAny)) => {
            members.extend([("driver", json!("luks")), ("key-secret", key)]);
        }
        (Format::Qcow | Format::Qcow2, Some(encryption)) => {
            let word = if encryption == EncryptionFormat::Luks { "luks" } else { "aes" };
            members.extend([("driver", json!(driver)), ("encrypt", json!({ "format": word, "key-secret": key }))]);
        }
        _ => members.push(("driver", json!(driver))),
    }
    if layer.format == Format::Qcow2 {
        members.push(("cache-size", json!(layer.access.metadata_cache)));
        members.push(("discard-no-unref", json!(layer.access.discard_no_unref)));
    }
    if let Some(data) = &layer.data {
        members.push(("data-file", json!(data.top())));
    }
    members.push(("file", json!(layer.names.slice.as_ref().unwrap_or(&layer.names.storage))));
    let mut node = object(members);
    match below {
        Below::Node(below) if *can_stand_on => node["backing"] = json!(below),
        Below::Nothing if *can_stand_on => node["backing"] = Value::Null,
        _ => {}
    }
    Ok(node)
}
