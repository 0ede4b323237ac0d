//! Suites of QEMU's block layer.

use ostler_conf::domain::{BackingImage, BackingString, Disk, DiskDevice, DiskSource, ImageFormatName};
use ostler_conf::encryption::Encryption;
use ostler_conf::{Domain, StorageVolume, format, parse};
use ostler_driver_qemu::block::bitmaps::AllContents;
use ostler_driver_qemu::block::create::NewImage;
use ostler_driver_qemu::block::{self, Access, Layer, Names};
use serde_json::Value;

use super::case::{Case, Outcome, Verdict};
use super::compare::same_text;

/// Each kind of case, and what it prints.
pub(super) fn judge(case: &Case) -> Verdict {
    let result = match case.param("kind").as_str().unwrap_or_default() {
        "source-xml-json-xml" => source_there_and_back(case),
        "json-pseudo-uri-to-props" => header_to_properties(case),
        "disk-xml-to-blockdev-props" => nodes(case),
        "blockdev-create-props" => creation(case),
        "bitmap-detect" => detected(case),
        "bitmap-validate" => valid(case),
        "backup-incremental-bitmap" => backup(case),
        "checkpoint-delete" => removal(case),
        "bitmap-blockcopy" => copied(case),
        "bitmap-blockcommit" => committed(case),
        kind => return Err(format!("cases of the kind '{kind}' are not served")),
    };
    match (case.outcome(), result) {
        (Outcome::Refused, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Err(error)) => Err(error),
        (_, Ok(printed)) => printed.iter().try_fold(None, |_, (expected, produced)| same_text(expected, produced)),
    }
}

/// What is expected, and what was printed.
type Printed = Result<Vec<(String, String)>, String>;

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn expected(case: &Case, name: &str) -> Result<String, String> {
    case.expected_file(name)?.ok_or_else(|| format!("the case expects no '{name}'"))
}

fn error(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A source of a definition as one of a layer that nothing else is known of.
fn bare(source: DiskSource) -> Layer {
    Layer { source, format: ImageFormatName::Raw, access: Access::default(), names: Names::default(), data: None }
}

fn source_there_and_back(case: &Case) -> Printed {
    let kind = case.param("storage_type").as_str().unwrap_or_default();
    let xml = case.param("xml").as_str().unwrap_or_default();
    let source = disk(&format!("<disk type='{kind}' device='disk'>{xml}<target dev='vda'/></disk>"))?.source;
    let place = bare(source.ok_or("the case has no source")?).sliced_place().map_err(error)?;
    let parsed = BackingString::of_json(&serde_json::json!({ "file": place })).map_err(error)?;
    let expected = case.expected_value().as_str().unwrap_or_default().to_owned();
    Ok(vec![(expected, source_text(parsed.source)?)])
}

/// `<source>` as a disk has it.
fn source_text(source: DiskSource) -> Result<String, String> {
    let text = "<domain type='kvm'><name>x</name><devices><disk type='file' device='disk'><target dev='vda'/></disk></devices></domain>";
    let mut domain = parse::<Domain>(text).map_err(error)?.value;
    domain.devices.disks[0].source = Some(source);
    let text = format(&domain);
    let lines = text.lines().skip_while(|line| !line.trim_start().starts_with("<source"));
    let mut source = String::new();
    for line in lines {
        let is_end = line == "      </source>" || (source.is_empty() && line.ends_with("/>"));
        source.push_str(line.get(6..).unwrap_or_default());
        source.push('\n');
        if is_end {
            break;
        }
    }
    Ok(source)
}

fn header_to_properties(case: &Case) -> Printed {
    let parsed = BackingString::parse(case.input()?.trim_end()).map_err(error)?;
    Ok(vec![(expected(case, "json")?, pretty(&bare(parsed.source).place().map_err(error)?))])
}

fn disk(xml: &str) -> Result<Disk, String> {
    let text = format!("<domain type='kvm'><name>x</name><devices>{xml}</devices></domain>");
    let mut domain = parse::<Domain>(&text).map_err(error)?.value;
    domain.complete();
    domain.devices.disks.pop().ok_or_else(|| "the case has no disk".to_owned())
}

/// What libvirt keeps to itself in a source: the names of its nodes and objects.
fn private_names(text: &str) -> Vec<Names> {
    let value = |part: &str, before: &str| {
        part.split_once(before).and_then(|(_, rest)| rest.split_once('\'')).map(|(value, _)| value.to_owned())
    };
    let parts = text.split("<privateData>").skip(1).filter_map(|part| part.split_once("</privateData>"));
    parts
        .map(|(part, _)| {
            let storage = value(part, "type='storage' name='").unwrap_or_default();
            let format = value(part, "type='format' name='");
            Names {
                auth: Some(format!("{storage}-secalias")),
                encryption: vec![format!("{}-encalias", format.as_ref().unwrap_or(&storage))],
                tls: value(part, "TLSx509 alias='"),
                reservations: value(part, "mgralias='"),
                storage,
                format,
                ..Names::default()
            }
        })
        .collect()
}

/// The chain of a case's disk; its names are those in the file.
fn layers(text: &str) -> Result<(Vec<Layer>, bool), String> {
    let target = if text.contains("<target") { "</disk>" } else { "<target dev='vda'/></disk>" };
    let mut disk = disk(&text.replace("</disk>", target))?;
    let encryption = disk.encryption.take();
    let mut source = disk.source.clone().ok_or("the case has no source")?;
    source.common_mut().encryption = source.common_mut().encryption.take().or(encryption);
    let mut names = private_names(text).into_iter();
    let mut layers = Vec::new();
    let chain = disk.backing_chain.clone();
    let top = (source, disk.format());
    let images = chain.iter().flat_map(|chain| &chain.0);
    let below = images.filter_map(|image: &BackingImage| {
        let format = image.format.as_ref().and_then(|format| format.r#type);
        Some((image.source.clone()?, format.unwrap_or(ImageFormatName::Raw)))
    });
    for (depth, (source, format)) in std::iter::once(top).chain(below).enumerate() {
        let driver = disk.driver.as_ref();
        let mut names = names.next().unwrap_or_default();
        if source.common().slices.is_some() {
            names.slice = Some(format!("{}-slice", names.storage));
        }
        let access = Access {
            read_only: disk.readonly || depth > 0,
            cache: driver.and_then(|driver| driver.cache),
            io: driver.and_then(|driver| driver.io),
            discard: driver.and_then(|driver| driver.discard),
            detect_zeroes: driver.and_then(|driver| driver.detect_zeroes).filter(|_| depth == 0),
            is_floppy: disk.device() == DiskDevice::Floppy,
            ..Access::default()
        };
        layers.push(Layer { source, format, access, names, data: None });
    }
    let is_whole = chain.as_ref().is_some_and(|chain| chain.0.last().is_none_or(|last| !last.detect_below));
    Ok((layers, is_whole))
}

fn nodes(case: &Case) -> Printed {
    let (layers, is_whole) = layers(&case.input()?)?;
    let all = block::chain(&layers, is_whole).map_err(error)?;
    let nodes = all.iter().rev().flat_map(|nodes| nodes.iter().rev());
    let nodes: Vec<String> = nodes.map(pretty).collect();
    let mut places = String::new();
    for layer in &layers {
        let place = pretty(&layer.place().map_err(error)?);
        let header = layer.backing_string().map_err(error)?;
        let header = match header.strip_prefix("json:") {
            Some(_) => format!("json:{{\"file\":{place}\n}}"),
            None => header,
        };
        let block = format!("source only properties:\n{place}\nbacking store string:\n{header}\n");
        let indented: String = block.lines().map(|line| format!("  {line}\n")).collect();
        places.push_str(&format!("(\n{indented})\n"));
    }
    Ok(vec![(expected(case, "json")?, nodes.join("\n")), (expected(case, "srconly_json")?, places)])
}

fn creation(case: &Case) -> Printed {
    let text = case.input()?;
    let layer = layers(&text)?.0.swap_remove(0);
    let backing = match case.further_input("backing") {
        Ok(text) => Some(layers(&text)?.0.swap_remove(0)),
        Err(_) => None,
    };
    let encryption = encryption(&text)?;
    let image = NewImage {
        layer: &layer,
        encryption: encryption.as_ref(),
        capacity: case.param("fake_capacity").as_u64().unwrap_or_default(),
        physical: case.param("fake_physical").as_u64().unwrap_or_default(),
        backing: backing.as_ref(),
    };
    let shown = |value: Option<Value>| value.as_ref().map_or_else(|| "<null>".to_owned(), pretty);
    let storage = shown(image.storage().map_err(error)?);
    let separator = if storage == "<null>" { "\n" } else { "\n\n" };
    let format = shown(image.format().map_err(error)?);
    Ok(vec![(expected(case, "json")?, format!("protocol:\n{storage}{separator}format:\n{format}\n"))])
}

/// How a disk's file is encrypted, with the details that only volumes have.
fn encryption(text: &str) -> Result<Option<Encryption>, String> {
    let Some((_, rest)) = text.split_once("<encryption") else { return Ok(None) };
    let (content, _) = rest.split_once("</encryption>").ok_or("an encryption without an end")?;
    let text = format!("<volume><name>x</name><target><encryption{content}</encryption></target></volume>");
    Ok(parse::<StorageVolume>(&text).map_err(error)?.value.target.and_then(|target| target.encryption))
}

/// The nodes of the formats of the images, top first, on which the cases' bitmaps lie.
const CHAIN: [&str; 5] =
    ["libvirt-1-format", "libvirt-2-format", "libvirt-3-format", "libvirt-4-format", "libvirt-5-format"];

fn contents(case: &Case) -> Result<AllContents, String> {
    Ok(AllContents::read(&serde_json::from_str(&case.input()?).map_err(error)?))
}

fn detected(case: &Case) -> Printed {
    let all = contents(case)?;
    let mut text = String::new();
    for number in 1.. {
        let node = format!("libvirt-{number}-format");
        let Some(contents) = all.of(&node) else { break };
        text.push_str(&format!("{node}:\n"));
        for bitmap in &contents.bitmaps {
            text.push_str(&format!(
                "{:>9}: record:{} busy:{} persist:{} inconsist:{} gran:{} dirty:{}\n",
                bitmap.name,
                u8::from(bitmap.recording),
                u8::from(bitmap.busy),
                u8::from(bitmap.persistent),
                u8::from(bitmap.inconsistent),
                bitmap.granularity,
                bitmap.dirty_bytes,
            ));
        }
        if !contents.snapshots.is_empty() {
            let shown =
                |(name, has_memory): &(String, bool)| format!(" '{name}'{}", if *has_memory { "(*)" } else { "" });
            let names: String = contents.snapshots.iter().map(shown).collect();
            text.push_str(&format!(" internal snapshots:{names}\n"));
        }
    }
    Ok(vec![(expected(case, "out")?, text)])
}

fn valid(case: &Case) -> Printed {
    let name = case.param("bitmap").as_str().unwrap_or_default();
    let found = contents(case)?.is_valid(&CHAIN, name);
    Ok(vec![(case.expected_value().to_string(), found.to_string())])
}

fn backup(case: &Case) -> Printed {
    let param = |name: &str| case.param(name).as_str().unwrap_or_default();
    let actions = contents(case)?.backup(&CHAIN, param("incremental"), param("target_node"), param("target_bitmap"));
    let text = pretty(&Value::from(actions.unwrap_or_default()));
    Ok(vec![(expected(case, "json")?, text)])
}

fn removal(case: &Case) -> Printed {
    let removal = contents(case)?.remove(&CHAIN, case.param("delete_bitmap").as_str().unwrap_or_default());
    let mut text =
        if removal.actions.is_empty() { "NULL\n".to_owned() } else { pretty(&Value::from(removal.actions)) + "\n" };
    if !removal.reopened.is_empty() {
        text.push_str(&format!("reopen nodes:\n{}\n", removal.reopened.join("\n")));
    }
    Ok(vec![(expected(case, "json")?, text)])
}

fn copied(case: &Case) -> Printed {
    let is_shallow = case.param("shallow").as_bool().unwrap_or_default();
    let mirror = case.param("mirror_node").as_str().unwrap_or_default();
    Ok(vec![(expected(case, "json")?, pretty(&Value::from(contents(case)?.copy(&CHAIN, is_shallow, mirror))))])
}

fn committed(case: &Case) -> Printed {
    let number = |name: &str| usize::try_from(case.param(name).as_u64().unwrap_or_default()).unwrap_or_default();
    let (top, base) = (number("top"), number("base"));
    let chain = CHAIN.get(top.saturating_sub(1)..base).ok_or("images that are none of the chain's")?;
    let actions = contents(case)?.commit(chain, top == 1);
    // (The heading is spelt as the files have it.)
    let list = if actions.is_empty() { String::new() } else { pretty(&Value::from(actions)) + "\n" };
    Ok(vec![(expected(case, "out")?, format!("merge bitmpas:\n{list}"))])
}
