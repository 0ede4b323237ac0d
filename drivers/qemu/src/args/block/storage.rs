//! The node of an image's storage: what reaches its bytes.

use ostler_conf::domain::{DiskIo, DiskSource};
use ostler_driver::Result;
use serde_json::{Value, json};

use super::{Layer, network, unsupported};

/// What properties are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A node that a guest runs on: secrets, certificates and ways of use belong to it.
    Run,
    /// Only to say where the image is.
    Place,
}

pub(super) type Members = Vec<(&'static str, Value)>;

pub(super) fn members(layer: &Layer, purpose: Purpose) -> Result<Members> {
    let runs = purpose == Purpose::Run;
    let file = |driver: &'static str, path: &Option<String>| {
        let given = layer.access.descriptors.as_ref().map(|descriptors| &descriptors.path).or(path.as_ref());
        let aio = layer.access.io.filter(|_| runs).map(|io| match io {
            DiskIo::Native => "native",
            DiskIo::Threads => "threads",
            DiskIo::IoUring => "io_uring",
        });
        vec![
            ("driver", json!(driver)),
            ("filename", json!(given)),
            ("aio", json!(aio)),
            ("pr-manager", json!(layer.names.reservations.as_ref().filter(|_| runs))),
        ]
    };
    if let Some(socket) = layer.access.socket.as_ref().filter(|_| runs) {
        return Ok(vec![("driver", json!("nbd")), ("server", json!({ "type": "unix", "path": socket }))]);
    }
    Ok(match &layer.source {
        DiskSource::File(source) => file("file", &source.file),
        DiskSource::Block(source) => {
            file(if layer.access.is_host_cdrom { "host_cdrom" } else { "host_device" }, &source.dev)
        }
        DiskSource::Dir(source) => vec![
            ("driver", json!("vvfat")),
            ("dir", json!(source.dir)),
            ("floppy", json!(layer.access.is_floppy)),
            ("rw", json!(runs.then_some(!layer.access.read_only))),
        ],
        DiskSource::Nvme(source) => {
            let (domain, bus, slot, function) = source.address.key();
            vec![
                ("driver", json!("nvme")),
                ("device", json!(format!("{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"))),
                ("namespace", json!(source.namespace)),
            ]
        }
        DiskSource::Vhostvdpa(source) => {
            let path = layer.access.descriptors.as_ref().map_or(&source.dev, |descriptors| &descriptors.path);
            vec![("driver", json!("virtio-blk-vhost-vdpa")), ("path", json!(path))]
        }
        DiskSource::Network(source) => network::members(layer, source, purpose)?,
        DiskSource::Vhostuser(_) => return Err(unsupported("a vhost-user disk is no node of the block layer")),
        DiskSource::Volume(source) => {
            return Err(unsupported(format!(
                "the volume '{}' of the pool '{}' was not found",
                source.volume, source.pool
            )));
        }
    })
}
