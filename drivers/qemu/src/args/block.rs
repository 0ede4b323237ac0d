//! What holds a guest's data, as nodes of QEMU's block layer.
//!
//! An image is up to three nodes: its storage, the slice of it that is used, and its format; the topmost that it has is the
//! one that others name. All here is pure: what was opened or looked up stands in [`Layer`].

pub mod bitmaps;
pub mod create;
mod format;
mod network;
mod storage;
mod uri;

use ostler_conf::domain::{
    DiskCache, DiskDetectZeroes, DiskDiscard, DiskIo, DiskSource, Encryption, EncryptionEngine, ImageFormatName, Slice,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

pub(super) use self::network::cookie_text;
use super::object;

/// QEMU's longest name of a node.
const MAX_NAME: usize = 31;

/// An image: what it is, how it is used, and by which names QEMU knows it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What holds it; a volume of a pool was resolved before.
    pub source: DiskSource,
    /// Its format.
    pub format: ImageFormatName,
    /// How it is used.
    pub access: Access,
    /// QEMU's names.
    pub names: Names,
    /// Where a qcow2 image keeps its data, if not in itself.
    pub data: Option<Box<Layer>>,
}

/// How an image is used.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// It is not written.
    pub read_only: bool,
    /// How writes pass the host's cache.
    pub cache: Option<DiskCache>,
    /// How I/O is submitted.
    pub io: Option<DiskIo>,
    /// Whether discards reach it.
    pub discard: Option<DiskDiscard>,
    /// Whether zeroes are looked for in writes.
    pub detect_zeroes: Option<DiskDetectZeroes>,
    /// Whether discarded clusters of a qcow2 image stay its own.
    pub discard_no_unref: Option<bool>,
    /// How much of its tables is kept in memory, in bytes.
    pub metadata_cache: Option<u64>,
    /// A directory is shown as a floppy disk.
    pub is_floppy: bool,
    /// The block device is the host's CD-ROM drive.
    pub is_host_cdrom: bool,
    /// The descriptors that it is opened by.
    pub descriptors: Option<Descriptors>,
    /// How much GlusterFS's library says.
    pub gluster_debug: Option<u32>,
    /// The socket of the program that reaches it in QEMU's place, by the protocol of NBD.
    pub socket: Option<String>,
}

/// Descriptors that were handed over beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// The path of their set.
    pub path: String,
    /// Whether there are several: one to read and one to write.
    pub are_several: bool,
    /// Whether the image may be written by them though its disk is read only.
    pub are_writable: bool,
}

/// QEMU's names of an image's nodes, and of the objects that they need. Who has none has no such node or object.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The node of the storage.
    pub storage: String,
    /// The node of the part of it that is used.
    pub slice: Option<String>,
    /// The node of the format.
    pub format: Option<String>,
    /// The password for the other machine.
    pub auth: Option<String>,
    /// The HTTP cookies.
    pub cookies: Option<String>,
    /// The passphrases.
    pub encryption: Vec<String>,
    /// The certificates.
    pub tls: Option<String>,
    /// SCSI's persistent reservations.
    pub reservations: Option<String>,
}

/// What a format node knows of the image below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Below<'a> {
    /// Nothing: QEMU looks what the image says.
    Unsaid,
    /// There is none.
    Nothing,
    /// It is this node.
    Node(&'a str),
}

impl Layer {
    /// The node that others name.
    pub fn top(&self) -> &str {
        self.names.format.as_deref().or(self.names.slice.as_deref()).unwrap_or(&self.names.storage)
    }

    /// The slice that is used, if not all.
    pub fn slice(&self) -> Option<&Slice> {
        self.source.common().slices.as_ref().and_then(|slices| slices.slices.first())
    }

    /// How QEMU decrypts it.
    pub fn encryption(&self) -> Option<&Encryption> {
        self.source.common().encryption.as_ref()
    }

    /// Whether the library that reaches it decrypts it, and no node of ours.
    pub fn is_decrypted_by_library(&self) -> bool {
        self.encryption().is_some_and(|encryption| encryption.engine == Some(EncryptionEngine::Librbd))
    }

    /// Its nodes in the order in which they are made: storage, slice, format.
    ///
    /// # Errors
    /// What QEMU has no way to reach or read; names that are too long.
    pub fn nodes(&self, below: &Below<'_>) -> Result<Vec<Value>> {
        let mut nodes = vec![self.storage_node()?];
        nodes.extend(self.slice_node()?);
        if let Some(name) = &self.names.format {
            checked(name)?;
            nodes.push(format::node(self, name, below)?);
        }
        Ok(nodes)
    }

    /// The node of its storage.
    ///
    /// # Errors
    /// See [`Layer::nodes`].
    pub fn storage_node(&self) -> Result<Value> {
        checked(&self.names.storage)?;
        let mut members = storage::members(self, storage::Purpose::Run)?;
        members.push(("node-name", json!(self.names.storage)));
        let is_top = self.names.slice.is_none() && self.names.format.is_none();
        members.extend(self.use_of(is_top));
        members.push(("cache", cache(self.access.cache)));
        Ok(object(members))
    }

    fn slice_node(&self) -> Result<Option<Value>> {
        let (Some(name), Some(slice)) = (&self.names.slice, self.slice()) else { return Ok(None) };
        checked(name)?;
        let mut members = vec![
            ("driver", json!("raw")),
            ("file", json!(self.names.storage)),
            ("offset", json!(slice.offset)),
            ("size", json!(slice.size)),
            ("node-name", json!(name)),
        ];
        members.extend(self.use_of(self.names.format.is_none()));
        members.push(("cache", cache(self.access.cache)));
        Ok(Some(object(members)))
    }

    /// What a node below the format says: the topmost says how the image is used, the others leave it to that.
    fn use_of(&self, is_top: bool) -> Vec<(&'static str, Value)> {
        if is_top {
            return self.common();
        }
        let single = self.access.descriptors.as_ref().filter(|descriptors| !descriptors.are_several);
        let writes = match single {
            // One descriptor can't be opened again for writing.
            Some(only) => ("read-only", json!(self.access.read_only && !only.are_writable)),
            None => ("auto-read-only", json!(true)),
        };
        vec![writes, ("discard", json!("unmap"))]
    }

    /// How the image is used, as its topmost node says it.
    fn common(&self) -> Vec<(&'static str, Value)> {
        let Access { read_only, discard, detect_zeroes, .. } = &self.access;
        let unmaps = *discard == Some(DiskDiscard::Unmap);
        // Zeroes can be discarded only where discards reach the image.
        let detect = detect_zeroes.map(|wanted| match wanted {
            DiskDetectZeroes::Unmap if !unmaps => DiskDetectZeroes::On.word(),
            wanted => wanted.word(),
        });
        vec![
            ("read-only", json!(read_only)),
            ("discard", json!(discard.map(DiskDiscard::word))),
            ("detect-zeroes", json!(detect)),
        ]
    }

    /// What reaches its storage, without the names of nodes: for QEMU's older notation of drives.
    ///
    /// # Errors
    /// What QEMU has no way to reach.
    pub fn drive_place(&self) -> Result<Value> {
        Ok(object(storage::members(self, storage::Purpose::Run)?))
    }

    /// What says where the image is and no more: no secrets, no ways of use.
    ///
    /// # Errors
    /// What QEMU has no way to reach.
    pub fn place(&self) -> Result<Value> {
        Ok(object(storage::members(self, storage::Purpose::Place)?))
    }

    /// What an image that stands on this one has in its header: a path, a URI, or JSON.
    ///
    /// # Errors
    /// What QEMU has no way to reach.
    pub fn backing_string(&self) -> Result<String> {
        if self.slice().is_none()
            && let Some(text) = uri::backing_string(&self.source)
        {
            return Ok(text);
        }
        Ok(format!("json:{}", json!({ "file": self.sliced_place()? })))
    }

    /// What says where the image is: the used part of it, where that is not all.
    ///
    /// # Errors
    /// What QEMU has no way to reach.
    pub fn sliced_place(&self) -> Result<Value> {
        let place = self.place()?;
        Ok(match self.slice() {
            Some(slice) => json!({ "driver": "raw", "offset": slice.offset, "size": slice.size, "file": place }),
            None => place,
        })
    }
}

/// The nodes of a chain in the order in which they are made, from the bottom; each image with its own.
///
/// # Errors
/// See [`Layer::nodes`].
pub fn chain(layers: &[Layer], is_whole: bool) -> Result<Vec<Vec<Value>>> {
    let mut all = Vec::new();
    for (depth, layer) in layers.iter().enumerate().rev() {
        let below = match layers.get(depth + 1) {
            Some(below) => Below::Node(below.top()),
            None if is_whole => Below::Nothing,
            None => Below::Unsaid,
        };
        all.push(layer.nodes(&below)?);
    }
    Ok(all)
}

fn cache(mode: Option<DiskCache>) -> Value {
    let Some(mode) = mode.filter(|mode| *mode != DiskCache::Default) else { return Value::Null };
    let direct = matches!(mode, DiskCache::None | DiskCache::Directsync);
    json!({ "direct": direct, "no-flush": mode == DiskCache::Unsafe })
}

fn checked(name: &str) -> Result<()> {
    if name.len() > MAX_NAME {
        let message = format!("the node's name '{name}' has {} bytes; QEMU takes {MAX_NAME}", name.len());
        return Err(Error::new(ErrorCode::InternalError, message));
    }
    Ok(())
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::ConfigUnsupported, message)
}

#[cfg(test)]
mod tests {
    use ostler_conf::domain::{FileSource, SliceKind, Slices};

    use super::*;

    fn layer(format: ImageFormatName, slice: bool) -> Layer {
        let mut source = DiskSource::File(FileSource { file: Some("/i".into()), ..FileSource::default() });
        if slice {
            let slice = Slice { r#type: SliceKind::Storage, offset: 1, size: 2 };
            source.common_mut().slices = Some(Slices { slices: vec![slice] });
        }
        let names = Names {
            storage: "s".into(),
            slice: slice.then(|| "p".into()),
            format: (format != ImageFormatName::Raw).then(|| "f".into()),
            ..Names::default()
        };
        let access = Access { cache: Some(DiskCache::None), discard: Some(DiskDiscard::Unmap), ..Access::default() };
        Layer { source, format, access, names, data: None }
    }

    fn check(layer: &Layer, below: &Below<'_>, expected: &[&str]) {
        let nodes: Vec<String> = layer.nodes(below).unwrap().iter().map(Value::to_string).collect();
        assert_eq!(nodes, expected);
    }

    #[test]
    fn only_the_topmost_node_says_how_the_image_is_used() {
        const CACHE: &str = r#""cache":{"direct":true,"no-flush":false}"#;
        check(
            &layer(ImageFormatName::Raw, false),
            &Below::Nothing,
            &[&format!(
                r#"{{"driver":"file","filename":"/i","node-name":"s","read-only":false,"discard":"unmap",{CACHE}}}"#
            )],
        );
        let below = [
            format!(
                r#"{{"driver":"file","filename":"/i","node-name":"s","auto-read-only":true,"discard":"unmap",{CACHE}}}"#
            ),
            format!(
                r#"{{"driver":"raw","file":"s","offset":1,"size":2,"node-name":"p","auto-read-only":true,"discard":"unmap",{CACHE}}}"#
            ),
        ];
        let top = |backing: &str| {
            format!(
                r#"{{"node-name":"f","read-only":false,"discard":"unmap",{CACHE},"driver":"qcow2","file":"p"{backing}}}"#
            )
        };
        for (given, backing) in
            [(Below::Unsaid, ""), (Below::Nothing, r#","backing":null"#), (Below::Node("b"), r#","backing":"b""#)]
        {
            check(&layer(ImageFormatName::Qcow2, true), &given, &[&below[0], &below[1], &top(backing)]);
        }
    }

    #[test]
    fn a_header_names_a_slice_by_json() {
        assert_eq!(layer(ImageFormatName::Raw, false).backing_string().unwrap(), "/i");
        let text = layer(ImageFormatName::Raw, true).backing_string().unwrap();
        assert_eq!(
            text,
            r#"json:{"file":{"driver":"raw","offset":1,"size":2,"file":{"driver":"file","filename":"/i"}}}"#
        );
        let parsed = ostler_conf::domain::BackingString::parse(&text).unwrap().source;
        assert_eq!(parsed, layer(ImageFormatName::Raw, true).source);
    }

    #[test]
    fn names_that_qemu_would_not_take_are_refused() {
        let mut long = layer(ImageFormatName::Raw, false);
        long.names.storage = "x".repeat(MAX_NAME + 1);
        assert_eq!(long.nodes(&Below::Nothing).unwrap_err().code, ErrorCode::InternalError);
    }
}
