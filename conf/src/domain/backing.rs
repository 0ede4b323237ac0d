//! `<backingStore>` and `<mirror>`: the images below a disk's, and the one that it is copied to.

use std::borrow::Cow;

use ostler_conf_derive::element;
use serde::{Deserialize, Serialize};

use super::{DiskSource, ImageFormatName};
use crate::Problem;
use crate::values::ScaledBytes;
use crate::words;
use crate::xml::{Element, Reader, Writer};

/// The images below, from the top: XML nests them, YAML lists them. An empty chain: there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct BackingChain(pub Vec<BackingImage>);

/// `<backingStore type='file'>`: an image below another.
#[element]
pub struct BackingImage {
    /// Its format.
    pub format: Option<ImageFormat>,
    /// What holds it.
    #[xml(choice = "type", absent = "file")]
    pub source: Option<DiskSource>,
    /// The image is the last that is given, and those below it are found out.
    #[xml(skip)]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detect_below: bool,
}

/// `<format type='qcow2'>`: an image's format.
#[element]
pub struct ImageFormat {
    /// Its name.
    #[xml(attr)]
    pub r#type: Option<ImageFormatName>,
    /// How much of a qcow2 image's tables is kept in memory.
    #[xml(name = "metadata_cache")]
    pub metadata_cache: Option<MetadataCache>,
}

/// `<metadata_cache>`: how much of a qcow2 image's tables is kept in memory.
#[element]
pub struct MetadataCache {
    /// At most.
    #[xml(name = "max_size")]
    pub max_size: Option<ScaledBytes>,
}

/// `<mirror>`: what a running guest's data is copied to.
#[element]
pub struct Mirror {
    /// The copy's format.
    pub format: Option<ImageFormat>,
    /// What holds the copy.
    #[xml(choice = "type")]
    pub source: Option<DiskSource>,
    /// The copy's file, as older programs look for it.
    #[xml(attr)]
    pub file: Option<String>,
    /// The copy's format, as older programs look for it.
    #[xml(attr, name = "format")]
    pub format_name: Option<String>,
    /// What copies.
    #[xml(attr)]
    pub job: Option<MirrorJob>,
    /// Whether all is copied.
    #[xml(attr)]
    pub ready: Option<MirrorReady>,
    /// The images below the copy.
    #[xml(name = "backingStore", keep)]
    pub backing_chain: Option<BackingChain>,
}

words! {
    /// What copies a disk.
    pub enum MirrorJob { Copy = "copy", ActiveCommit = "active-commit", }

    /// How far a copy is.
    pub enum MirrorReady { Yes = "yes", Abort = "abort", Pivot = "pivot", }
}

impl Element for BackingChain {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut images = Vec::new();
        let mut next = Some(*reader);
        while let Some(reader) = next {
            if reader.attr_text("type").is_none() && reader.all_children().next().is_none() {
                return Ok(BackingChain(images));
            }
            let index: Option<u32> = reader.attr("index")?;
            let mut image = BackingImage::read(&reader)?;
            if let (Some(source), Some(_)) = (&mut image.source, index) {
                let common = source.common_mut();
                common.index = common.index.or(index);
            }
            images.push(image);
            next = reader.child("backingStore");
        }
        if let Some(last) = images.last_mut() {
            last.detect_below = true;
        }
        Ok(BackingChain(images))
    }

    fn attrs(&self, writer: &mut Writer) {
        if let Some(image) = self.0.first() {
            number(image, writer);
        }
    }

    fn body(&self, writer: &mut Writer) {
        below(&self.0, writer);
    }
}

/// The attributes of an image's element: a running guest's number stands there, and not on the source.
fn number(image: &BackingImage, writer: &mut Writer) {
    image.attrs(writer);
    if let Some(index) = image.source.as_ref().and_then(|source| source.common().index) {
        writer.attr("index", &index);
    }
}

/// The content of the first image's element, and in it the rest of the chain.
fn below(images: &[BackingImage], writer: &mut Writer) {
    let Some((image, rest)) = images.split_first() else { return };
    let mut unnumbered = Cow::Borrowed(image);
    if image.source.as_ref().is_some_and(|source| source.common().index.is_some()) {
        unnumbered.to_mut().source.iter_mut().for_each(|source| source.common_mut().index = None);
    }
    unnumbered.body(writer);
    if rest.is_empty() && image.detect_below {
        return;
    }
    writer.element("backingStore", true, |writer| {
        if let Some(next) = rest.first() {
            number(next, writer);
        }
        below(rest, writer);
    });
}

impl BackingImage {
    /// The path on the host, where it is one.
    pub fn path(&self) -> Option<&str> {
        self.source.as_ref().and_then(DiskSource::path)
    }
}
