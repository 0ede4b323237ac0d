//! An image with all that it stands on.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ostler_conf::domain::{
    BackingString, BackingStringError, BlockSource, DirSource, DiskSource, FileSource, ImageFormatName as Format,
    NetworkProtocol,
};
use rustix::fs::OFlags;

use super::{Backing, Header, header, probe};

/// An image with all that it stands on, from the top.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    /// The images.
    pub layers: Vec<Layer>,
    /// Whether the last one stands on nothing: else it is where none of our eyes reach, on another machine.
    pub is_whole: bool,
}

/// One image of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What holds it.
    pub source: DiskSource,
    /// Its format.
    pub format: Format,
    /// Its place as the image above tells it, where that is relative to that image.
    pub relative: Option<String>,
    /// What its own bytes say.
    pub header: Header,
    /// What holds its data in its place, as it is.
    pub data_file: Option<DiskSource>,
}

/// Why images can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It can't be opened.
    #[error("open the image {path}")]
    Open {
        /// The image.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no file.
    #[error("{0} is neither a file nor a block device")]
    Kind(PathBuf),
    /// Its header can't be read.
    #[error("read the header of the {format} image {path}")]
    Header {
        /// The image.
        path: PathBuf,
        /// What it should be.
        format: Format,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it stands on is no place.
    #[error("follow the image {path}")]
    Below {
        /// The image.
        path: PathBuf,
        /// Why.
        #[source]
        source: BackingStringError,
    },
    /// Nobody said the format of an image below, and it can't be guessed without danger.
    #[error(
        "the image {path} says that it stands on '{name}', but not of which format that is: record it with qemu-img \
         rebase -u -F FORMAT"
    )]
    FormatUnsaid {
        /// The image.
        path: PathBuf,
        /// What it stands on.
        name: String,
    },
    /// A format that nobody knows.
    #[error("the image {path} says that it stands on an image of the format '{format}', which is unknown")]
    FormatUnknown {
        /// The image.
        path: PathBuf,
        /// The format.
        format: String,
    },
    /// Data in another file that is none on this host.
    #[error("the image {path} says that its data is in '{name}', which is no path")]
    DataFile {
        /// The image.
        path: PathBuf,
        /// Where.
        name: String,
    },
    /// The chain leads back into itself.
    #[error("the image {0} stands on itself")]
    Endless(PathBuf),
    /// The chain is too long.
    #[error("more than {max_depth} images stand below {path}")]
    TooDeep {
        /// The topmost image.
        path: PathBuf,
        /// How many may.
        max_depth: usize,
    },
}

type Result<T> = std::result::Result<T, ImageError>;

/// What can be told without reading: the kind of file, and which one it is.
enum Opened {
    Directory,
    Image { file: File, is_block: bool, identity: (u64, u64) },
}

impl Chain {
    /// Finds the images below the one at `path`, of the format that its definition says; unsaid, it is raw (or a directory).
    /// At most `max_depth` images may stand below it.
    ///
    /// # Guarantees
    /// A format is never guessed but where an image tells no format of the one below it; and what is taken for a format by
    /// its bytes then may neither stand on another image nor keep its data in another file. So no guest leads to a file that
    /// its definition, or who made its images, did not name. Only files and block devices are opened, without waiting.
    ///
    /// # Errors
    /// What is missing, unsound, unsaid, or without end.
    pub fn detect(path: &Path, format: Option<Format>, max_depth: usize) -> Result<Chain> {
        let mut chain = Chain { layers: Vec::new(), is_whole: true };
        let mut seen = Vec::new();
        let mut next = Some(Next { path: path.to_owned(), format: Known::Said(format), relative: None });
        while let Some(Next { path, format, relative }) = next.take() {
            let (layer, identity) = look(&path, format, relative, chain.layers.last())?;
            if identity.is_some_and(|identity| seen.contains(&identity)) {
                return Err(ImageError::Endless(path));
            }
            seen.extend(identity);
            let below = layer.header.backing.clone();
            chain.layers.push(layer);
            let Some(backing) = below else { break };
            if chain.layers.len() > max_depth {
                let path = chain.layers[0].source.path().map(PathBuf::from).unwrap_or_default();
                return Err(ImageError::TooDeep { path, max_depth });
            }
            next = chain.below(&path, &backing)?;
        }
        Ok(chain)
    }

    /// What stands below the image at `path`: a path that is looked at next, or a last layer that can't be.
    fn below(&mut self, path: &Path, backing: &Backing) -> Result<Option<Next>> {
        let said = match &backing.format {
            None => None,
            Some(word) => Some(
                format_of_header(word)
                    .ok_or_else(|| ImageError::FormatUnknown { path: path.to_owned(), format: word.clone() })?,
            ),
        };
        let parsed = BackingString::parse(&backing.name)
            .map_err(|source| ImageError::Below { path: path.to_owned(), source })?;
        let said = parsed.format.or(said);
        let Some(name) = parsed.source.path() else {
            let unsaid = || ImageError::FormatUnsaid { path: path.to_owned(), name: backing.name.clone() };
            let format = said.ok_or_else(unsaid)?;
            // What only QEMU can open may stand on more, where its format allows that.
            self.is_whole = format == Format::Raw;
            self.layers.push(Layer { format, ..Layer::of(parsed.source) });
            return Ok(None);
        };
        let relative = (!name.starts_with('/')).then(|| name.to_owned());
        let format = said.map_or(Known::Unsaid, |format| Known::Said(Some(format)));
        Ok(Some(Next { path: beside(path, name), format, relative }))
    }
}

/// An image that is to be looked at.
struct Next {
    path: PathBuf,
    format: Known,
    relative: Option<String>,
}

/// What is known of a format before an image is read.
enum Known {
    /// A definition or a header says it; a definition that doesn't means raw.
    Said(Option<Format>),
    /// The header of the image above does not say it.
    Unsaid,
}

/// A relative name means a place beside the image that tells it, whatever that image's name is a link to.
fn beside(image: &Path, name: &str) -> PathBuf {
    image.parent().unwrap_or(Path::new("/")).join(name)
}

fn look(
    path: &Path,
    known: Known,
    relative: Option<String>,
    above: Option<&Layer>,
) -> Result<(Layer, Option<(u64, u64)>)> {
    let text = path.to_string_lossy().into_owned();
    let (file, is_block, identity) = match open(path)? {
        Opened::Directory => {
            let format = match known {
                Known::Said(Some(format)) => format,
                Known::Said(None) | Known::Unsaid => Format::Dir,
            };
            let source = DiskSource::Dir(DirSource { dir: Some(text), ..DirSource::default() });
            return Ok((Layer { format, relative, ..Layer::of(source) }, None));
        }
        Opened::Image { file, is_block, identity } => (file, is_block, identity),
    };
    let wrong = |format| move |source| ImageError::Header { path: path.to_owned(), format, source };
    let (format, is_guess) = match known {
        Known::Said(format) => (format.unwrap_or(Format::Raw), false),
        Known::Unsaid => (probe(&file).map_err(wrong(Format::Raw))?, true),
    };
    let header = header(&file, format).map_err(wrong(format))?;
    if is_guess && (header.backing.is_some() || header.data_file.is_some()) {
        let above = above.and_then(|above| above.source.path()).unwrap_or_default();
        return Err(ImageError::FormatUnsaid { path: above.into(), name: text });
    }
    let data_file = header.data_file.as_deref().map(|name| data_file(path, name)).transpose()?;
    Ok((Layer { format, relative, header, data_file, ..Layer::of(place(text, is_block)) }, Some(identity)))
}

/// What holds the data of the image at `path`. Only a path is taken: QEMU's notations could lead a guest anywhere.
fn data_file(path: &Path, name: &str) -> Result<DiskSource> {
    let refused = || ImageError::DataFile { path: path.to_owned(), name: name.to_owned() };
    if name.split('/').next().is_some_and(|first| first.contains(':')) {
        return Err(refused());
    }
    let place_of_data = beside(path, name);
    match open(&place_of_data)? {
        Opened::Image { is_block, .. } => Ok(place(place_of_data.to_string_lossy().into_owned(), is_block)),
        Opened::Directory => Err(refused()),
    }
}

fn place(path: String, is_block: bool) -> DiskSource {
    match is_block {
        true => DiskSource::Block(BlockSource { dev: Some(path), ..BlockSource::default() }),
        false => DiskSource::File(FileSource { file: Some(path), ..FileSource::default() }),
    }
}

fn open(path: &Path) -> Result<Opened> {
    let failed = |source| ImageError::Open { path: path.to_owned(), source };
    // A pipe or a terminal in an image's place must not hold us up.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = File::options().read(true).custom_flags(flags as i32).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Ok(Opened::Directory);
    }
    if !kind.is_file() && !kind.is_block_device() {
        return Err(ImageError::Kind(path.to_owned()));
    }
    let identity = if kind.is_block_device() { (u64::MAX, metadata.rdev()) } else { (metadata.dev(), metadata.ino()) };
    Ok(Opened::Image { file, is_block: kind.is_block_device(), identity })
}

/// The format that a header means by a word: QEMU takes the names of its protocols as well, for the bytes as they are.
pub(super) fn format_of_header(word: &str) -> Option<Format> {
    const PLAIN: &[&str] = &["file", "host_device", "host_cdrom", "nvme", "luks"];
    if PLAIN.contains(&word) || NetworkProtocol::ALL.iter().any(|protocol| protocol.word() == word) {
        return Some(Format::Raw);
    }
    match word {
        "parallels" => Some(Format::Ploop),
        _ => Format::ALL.iter().copied().find(|format| format.word() == word),
    }
}

impl Layer {
    /// A raw image that nothing more is known of.
    pub fn of(source: DiskSource) -> Layer {
        Layer { source, format: Format::Raw, relative: None, header: Header::default(), data_file: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::samples;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn qcow2(&self, name: &str, backing: Option<(&str, &str)>) -> &Self {
            samples::qcow2(&self.path(name), backing.map(|(name, format)| (name, Some(format))));
            self
        }

        fn raw(&self, name: &str) -> &Self {
            std::fs::write(self.path(name), [0; 1024]).unwrap();
            self
        }

        fn chain(&self, name: &str) -> Result<Chain> {
            Chain::detect(&self.path(name), Some(Format::Qcow2), 3)
        }

        fn formats(&self, name: &str) -> Vec<Format> {
            self.chain(name).unwrap().layers.iter().map(|layer| layer.format).collect()
        }
    }

    #[test]
    fn recorded_formats_are_followed() {
        let folder = Folder::new();
        folder.raw("base").qcow2("middle", Some(("base", "raw"))).qcow2("top", Some(("./middle", "qcow2")));
        assert_eq!(folder.formats("top"), [Format::Qcow2, Format::Qcow2, Format::Raw]);
        // The same bytes as raw are just bytes.
        let chain = Chain::detect(&folder.path("top"), None, 3).unwrap();
        assert_eq!((chain.layers.len(), chain.layers[0].format), (1, Format::Raw));
    }

    #[test]
    fn a_format_is_guessed_only_for_what_stands_on_nothing() {
        let folder = Folder::new();
        folder.raw("base").qcow2("alone", None).qcow2("on-base", Some(("base", "raw")));
        for (name, below) in [("a", "base"), ("b", "alone"), ("c", "on-base")] {
            samples::qcow2(&folder.path(name), Some((below, None)));
        }
        assert_eq!(folder.formats("a"), [Format::Qcow2, Format::Raw]);
        assert_eq!(folder.formats("b"), [Format::Qcow2, Format::Qcow2]);
        assert!(matches!(folder.chain("c"), Err(ImageError::FormatUnsaid { .. })));
    }

    #[test]
    fn a_chain_has_an_end() {
        let folder = Folder::new();
        folder.qcow2("self", Some(("self", "qcow2")));
        folder.qcow2("a", Some(("b", "qcow2"))).qcow2("b", Some(("link/a", "qcow2")));
        std::os::unix::fs::symlink(".", folder.path("link")).unwrap();
        assert!(matches!(folder.chain("self"), Err(ImageError::Endless(_))));
        assert!(matches!(folder.chain("a"), Err(ImageError::Endless(_))));
        folder.raw("0");
        for depth in 1..=4 {
            let below = (depth - 1).to_string();
            folder.qcow2(&depth.to_string(), Some((&below, if depth == 1 { "raw" } else { "qcow2" })));
        }
        assert_eq!(folder.formats("3").len(), 4);
        assert!(matches!(folder.chain("4"), Err(ImageError::TooDeep { .. })));
    }

    #[test]
    fn what_is_elsewhere_ends_the_chain() {
        let folder = Folder::new();
        folder.qcow2("raw", Some(("nbd://host/x", "raw"))).qcow2("qcow2", Some(("nbd://host/x", "qcow2")));
        let (raw, qcow2) = (folder.chain("raw").unwrap(), folder.chain("qcow2").unwrap());
        assert_eq!((raw.layers.len(), raw.is_whole), (2, true));
        assert_eq!((qcow2.layers.len(), qcow2.is_whole), (2, false));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let folder = Folder::new();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path("pipe"), rustix::fs::Mode::RUSR).unwrap();
        folder.qcow2("on-pipe", Some(("pipe", "raw"))).qcow2("on-nothing", Some(("nowhere", "raw")));
        folder.raw("base").qcow2("unknown", Some(("base", "zip"))).qcow2("nonsense", Some(("zip:x", "raw")));
        assert!(matches!(folder.chain("on-pipe"), Err(ImageError::Kind(_))));
        assert!(matches!(folder.chain("on-nothing"), Err(ImageError::Open { .. })));
        assert!(matches!(folder.chain("unknown"), Err(ImageError::FormatUnknown { .. })));
        assert!(matches!(folder.chain("nonsense"), Err(ImageError::Below { .. })));
        assert!(matches!(folder.chain("base"), Err(ImageError::Header { .. })));
    }

    #[test]
    fn data_elsewhere_is_a_path() {
        let folder = Folder::new();
        folder.raw("image").raw("data");
        samples::qcow2_with_data_in(&folder.path("elsewhere"), "data");
        let layer = folder.chain("elsewhere").unwrap().layers.remove(0);
        assert_eq!(layer.data_file.unwrap().path(), folder.path("data").to_str());
        assert_eq!(data_file(&folder.path("image"), "data").unwrap().path(), folder.path("data").to_str());
        for name in ["json:{}", "nbd://host/x", "file:data"] {
            assert!(matches!(data_file(&folder.path("image"), name), Err(ImageError::DataFile { .. })), "{name}");
        }
        assert!(matches!(data_file(&folder.path("image"), "nowhere"), Err(ImageError::Open { .. })));
    }
}
