//! Images: their chains, the names of images in a chain, and what headers say of the image below.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use ostler_conf::domain::{BackingString, DiskSource, FileSource, ImageFormatName};
use ostler_conf::{Domain, format, parse};
use ostler_driver::image::{Chain, Layer};
use ostler_driver_storage::create_qcow2;
use ostler_util::run::Run;
use serde_json::{Value, json};

use super::case::{Case, Outcome, Verdict};
use super::compare::same_text;

/// libvirt's numbers of formats, which it prints.
const FORMATS: &[&str] = &[
    "none", "raw", "dir", "bochs", "cloop", "dmg", "iso", "vpc", "vdi", "fat", "vhd", "ploop", "cow", "qcow", "qcow2",
    "qed", "vmdk",
];

pub(super) fn judge(case: &Case) -> Verdict {
    match case.param("kind").as_str().unwrap_or_default() {
        "metadata-chain" => metadata(case),
        "chain-lookup" => lookup(case),
        "relative-backing-path" => relative_name(case),
        "backing-store-string-to-xml" => backing_string(case),
        kind => Err(format!("cases of the kind '{kind}' are not served")),
    }
}

fn error(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn text<'a>(case: &'a Case, name: &str) -> Result<&'a str, String> {
    case.param(name).as_str().ok_or_else(|| format!("the case has no '{name}'"))
}

fn same_value(expected: &Value, produced: &Value) -> Verdict {
    if expected == produced { Ok(None) } else { Err(format!("expected {expected}, got {produced}")) }
}

fn metadata(case: &Case) -> Verdict {
    let max_depth = case.param("max_depth").as_u64().unwrap_or_default() as usize;
    let chosen = text(case, "format")?;
    let format = ImageFormatName::ALL.iter().copied().find(|format| format.word() == chosen);
    let scratch = Scratch::new()?;
    let start = scratch.start(case)?;
    match (case.outcome(), Chain::detect(&start, format, max_depth)) {
        (Outcome::Refused, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Err(refusal)) => Err(format!("refused: {refusal}")),
        (_, Ok(chain)) => {
            let printed: Vec<String> = chain.layers.iter().map(layer).collect();
            let expected = case.expected_file("out")?.ok_or("the case expects nothing")?;
            let expected = expected.replace("ABS_SRCDIR", "").replace("ABS_BUILDDIR", "");
            same_text(&expected, &printed.join("\n").replace(&scratch.text(), ""))
        }
    }
}

fn layer(layer: &Layer) -> String {
    let or_null = |text: Option<&str>| text.unwrap_or("<null>").to_owned();
    let header = &layer.header;
    let backing_format = match &header.backing {
        None => "none(0)".to_owned(),
        Some(backing) => match backing.format.as_deref().map(format_word) {
            None => "<null>(-1)".to_owned(),
            Some(word) => {
                format!("{word}({})", FORMATS.iter().position(|format| *format == word).unwrap_or_default())
            }
        },
    };
    let network = match &layer.source {
        DiskSource::Network(source) => Some(source),
        _ => None,
    };
    let path = network.map_or(layer.source.path(), |source| source.name.as_deref());
    let mut printed = format!(
        "path:{}\nbackingStoreRaw: {}\nbackingStoreRawFormat: {backing_format}\ncapacity: {}\nencryption: {}\nrelPath:{}\n\
         type:{}\nformat:{}\nprotocol:{}\nhostname:{}\n",
        or_null(path),
        or_null(header.backing.as_ref().map(|backing| backing.name.as_str())),
        header.capacity.unwrap_or_default(),
        i32::from(header.encryption.is_some()),
        or_null(layer.relative.as_deref()),
        kind(&layer.source),
        layer.format.word(),
        network.map_or("none", |source| source.protocol.word()),
        or_null(network.and_then(|source| source.hosts.first()).and_then(|host| host.name.as_deref())),
    );
    // libvirt doesn't look for the data of an image that stands on another, and fails to start its guest. We do look.
    let is_looked_for = header.backing.is_none();
    if let (Some(name), Some(data), true) = (&header.data_file, &layer.data_file, is_looked_for) {
        let path = or_null(data.path());
        printed += &format!(
            "\ndataFileRaw: {name}\n\n\ndataFileStoreSource:\npath: {path}\ncapacity: 0\nencryption: 0\ntype:{}\nformat:raw\n",
            kind(data)
        );
    }
    printed
}

/// Protocols that are given for a format mean the bytes as they are.
fn format_word(word: &str) -> &str {
    if FORMATS.contains(&word) { word } else { "raw" }
}

fn kind(source: &DiskSource) -> &'static str {
    ostler_conf::xml::Union::tag(source)
}

/// What a case finds on its host.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Result<Scratch, String> {
        tempfile::tempdir().map(Scratch).map_err(error)
    }

    fn text(&self) -> String {
        self.0.path().display().to_string()
    }

    /// The image that a case starts from.
    fn start(&self, case: &Case) -> Result<PathBuf, String> {
        let start = text(case, "start")?;
        if let Some(name) = start.strip_prefix("$IMAGES/") {
            let images = text(case, "images_dir")?;
            let folder = self.0.path().join(images);
            mirror(&case.data_file(images), &folder).map_err(error)?;
            // A path joined by text keeps its last slash.
            return Ok(format!("{}/{name}", folder.display()).into());
        }
        if start.starts_with("created by qemu-img") {
            return self.made_by_qemu();
        }
        Ok(self.0.path().join("bogus"))
    }

    /// `raw`, on it `qcow2` of the second version, on that `wrap` of the third.
    fn made_by_qemu(&self) -> Result<PathBuf, String> {
        let folder = self.0.path().join("virstoragedata");
        fs::create_dir(&folder).map_err(error)?;
        let path = |name: &str| folder.join(name);
        fs::write(path("raw"), [0; 1024]).map_err(error)?;
        let backing = |name: &str, format: &str| format!("backing_file={},backing_fmt={format}", path(name).display());
        let options = format!("compat=0.10,{}", backing("raw", "raw"));
        let made = Run::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-o", &options])
            .args([path("qcow2")])
            .output()
            .map_err(|error| format!("qemu-img: {error}"))?;
        if !made.status.success() {
            return Err(made.error_text());
        }
        let wrap = File::options().read(true).write(true).create_new(true).open(path("wrap")).map_err(error)?;
        let below = path("qcow2");
        let backing = Some((below.to_str().unwrap_or_default(), "qcow2"));
        let layout = ostler_driver_storage::Layout { virtual_size: 1024, backing, lazy_refcounts: false };
        create_qcow2(&wrap, &layout).map_err(error)?;
        Ok(path("wrap"))
    }
}

/// Makes `to` look like the corpus' folder `from`, in which a link is a file that holds its target.
fn mirror(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, place) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            mirror(&entry, &place)?;
            continue;
        }
        let content =
            if entry.metadata()?.len() < 256 { fs::read_to_string(&entry).unwrap_or_default() } else { String::new() };
        let is_link = !content.is_empty() && entry.parent().is_some_and(|folder| folder.join(&content).exists());
        symlink(if is_link { PathBuf::from(content) } else { entry }, place)?;
    }
    Ok(())
}

/// The case's chain, of which nothing but names is known. `$LOOKUP` is the folder.
fn chain(case: &Case, folder: &str) -> Result<Chain, String> {
    let named = |image: &Value| {
        let path = image["path"].as_str().ok_or("an image of the chain has no path")?.replace("$LOOKUP", folder);
        let source = DiskSource::File(FileSource { file: Some(path), ..FileSource::default() });
        Ok(Layer { relative: image["relPath"].as_str().map(str::to_owned), ..Layer::of(source) })
    };
    let images = case.param("chain").as_array().ok_or("the case has no chain")?;
    Ok(Chain { layers: images.iter().map(named).collect::<Result<_, String>>()?, is_whole: true })
}

fn lookup(case: &Case) -> Verdict {
    let scratch = Scratch::new()?;
    let lookup = text(case, "cwd_lookup_dir")?;
    let folder = scratch.0.path().join(lookup);
    mirror(&case.data_file(lookup), &folder).map_err(error)?;
    let folder_text = folder.display().to_string();
    let name = case.param("name").as_str().map(|name| name.replace("$LOOKUP", &folder_text));
    let target = case.param("target").as_str().unwrap_or_default();
    let below = case.param("from").as_u64().map(|from| from as usize);
    let found = chain(case, &folder_text)?.find(name.as_deref(), target, below, &folder);
    let produced = json!({
        "found": found.map(|found| found.place),
        "parent": found.and_then(|found| found.place.checked_sub(1)),
        "index": found.filter(|found| found.by_place).map(|found| found.place),
    });
    same_value(case.expected_value(), &produced)
}

fn relative_name(case: &Case) -> Verdict {
    let place = |name: &str| case.param(name).as_u64().map(|place| place as usize).ok_or(format!("no '{name}'"));
    let name = chain(case, "")?.relative_name(place("top")?, place("base")?);
    same_value(case.expected_value(), &json!(name))
}

fn backing_string(case: &Case) -> Verdict {
    let parsed = BackingString::parse(text(case, "text")?);
    match (case.outcome(), parsed) {
        (Outcome::Refused, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Err(refusal)) => Err(format!("refused: {refusal}")),
        (_, Ok(parsed)) => {
            let value = case.expected_value();
            same_value(&value["rc"], &json!(i32::from(parsed.is_partial)))?;
            same_text(value["xml"].as_str().unwrap_or_default(), &source_xml(parsed.source)?)
        }
    }
}

/// `<source>` as a disk has it.
fn source_xml(source: DiskSource) -> Result<String, String> {
    let text =
        "<domain type='kvm'><name>x</name><devices><disk type='file'><target dev='vda'/></disk></devices></domain>";
    let mut domain = parse::<Domain>(text).map_err(error)?.value;
    domain.devices.disks[0].source = Some(source);
    const INDENT: &str = "      ";
    let text = format(&domain);
    let lines =
        text.lines().filter_map(|line| line.strip_prefix(INDENT)).skip_while(|line| !line.starts_with("<source"));
    let mut xml = String::new();
    for line in lines {
        xml += line;
        xml.push('\n');
        if line == "</source>" || (line.starts_with("<source") && line.ends_with("/>")) {
            break;
        }
    }
    Ok(xml)
}
