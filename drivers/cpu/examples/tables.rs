//! Writes the tables of this crate's `data/` from libvirt's CPU map, the folder that is the first argument. Only facts are
//! taken: names, bits, signatures and which model has what. `x86/tables.rs` and `named.rs` tell the formats.

#![allow(clippy::print_stdout, reason = "a tool says what it did")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ostler_conf::xml::{Document, Reader};

const REGISTERS: [&str; 4] = ["eax", "ebx", "ecx", "edx"];

fn main() -> Result<()> {
    let map = PathBuf::from(std::env::args().nth(1).context("usage: tables CPU_MAP_DIR")?);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let index = read(&map, "index.xml")?;
    let index = Document::parse(&index)?;
    for arch in Reader::root(&index).children("arch") {
        let arch_name = arch.attr_text("name").context("an architecture without a name")?;
        let groups = arch.children("group").flat_map(|group| includes(&group)).collect::<Vec<_>>();
        let files: Vec<String> = includes(&arch).into_iter().chain(groups).collect();
        let text = match arch_name {
            "x86" => x86(&map, &files)?,
            _ => named(&map, &files)?,
        };
        let path = data.join(format!("{arch_name}.txt"));
        let text =
            format!("# Made by `cargo run -p ostler-driver-cpu --example tables`; not to be changed by hand.\n{text}");
        ostler_util::file::write_atomic(&path, text.as_bytes(), 0o644)?;
        println!("{}: {} bytes", path.display(), text.len());
    }
    Ok(())
}

fn includes(reader: &Reader<'_>) -> Vec<String> {
    reader.children("include").filter_map(|include| include.attr_text("filename").map(str::to_owned)).collect()
}

fn read(map: &Path, file: &str) -> Result<String> {
    std::fs::read_to_string(map.join(file)).with_context(|| format!("read {}", map.join(file).display()))
}

fn number(text: &str) -> Result<u32> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.with_context(|| format!("'{text}' is no number"))
}

fn name<'d>(reader: &Reader<'d>) -> Result<&'d str> {
    reader.attr_text("name").context("an element without a name")
}

/// A model as its file says, without the models that it builds upon.
#[derive(Clone, Default)]
struct Model {
    header: String,
    vendor: Option<String>,
    signatures: String,
    /// Each feature with its mark: none for one that it has, `+` for one added later, `-` for one removed later.
    features: BTreeSet<String>,
}

fn x86(map: &Path, files: &[String]) -> Result<String> {
    let mut out = String::new();
    let mut models: Vec<(String, Model)> = Vec::new();
    for file in files {
        let text = read(map, file)?;
        let document = Document::parse(&text)?;
        for item in Reader::root(&document).all_children() {
            match item.name() {
                "vendor" => {
                    let string = item.attr_text("string").context("a vendor without a string")?;
                    writeln!(out, "vendor {} {string}", name(&item)?)?;
                }
                "feature" => x86_feature(&item, &mut out)?,
                "model" => {
                    let model = x86_model(&item, &models)?;
                    write_model(&mut out, name(&item)?, &model, &models)?;
                    models.push((name(&item)?.to_owned(), model));
                }
                other => anyhow::bail!("{file}: <{other}> is not known"),
            }
        }
    }
    Ok(out)
}

fn x86_feature(item: &Reader<'_>, out: &mut String) -> Result<()> {
    write!(out, "feature {}", name(item)?)?;
    for bits in item.children("cpuid") {
        let leaf = number(bits.attr_text("eax_in").context("no eax_in")?)?;
        let subleaf = bits.attr_text("ecx_in").map_or(Ok(0), number)?;
        for register in REGISTERS {
            let mask = bits.attr_text(register).map_or(Ok(0), number)?;
            if mask != 0 {
                write!(out, " {leaf:x}/{subleaf:x}/{register}={mask:x}")?;
            }
        }
    }
    for bits in item.children("msr") {
        let index = number(bits.attr_text("index").context("no index")?)?;
        for register in ["eax", "edx"] {
            let mask = bits.attr_text(register).map_or(Ok(0), number)?;
            if mask != 0 {
                write!(out, " msr/{index:x}/{register}={mask:x}")?;
            }
        }
    }
    if item.attr_text("migratable") == Some("no") {
        out.push_str(" unmigratable");
    }
    for alias in item.children("alias").filter(|alias| alias.attr_text("source") == Some("qemu")) {
        write!(out, " alias={}", name(&alias)?)?;
    }
    out.push('\n');
    Ok(())
}

fn x86_model(item: &Reader<'_>, models: &[(String, Model)]) -> Result<Model> {
    let mut model = Model::default();
    if let Some(base) = item.child("model") {
        let base = name(&base)?;
        let found = models.iter().find(|(known, _)| known == base);
        model = found.with_context(|| format!("the model '{base}' is not known yet"))?.1.clone();
    }
    let decode = item.child("decode");
    let says = |attr: &str| decode.as_ref().and_then(|decode| decode.attr_text(attr)) != Some("off");
    model.header.clear();
    for (is_so, word) in [(says("host"), " host"), (says("guest"), " guest")] {
        model.header.push_str(if is_so { word } else { "" });
    }
    if item.child("check").is_some_and(|check| check.attr_text("partial") == Some("compat")) {
        model.header.push_str(" compat");
    }
    if let Some(base) = item.child("model")
        && item.child("feature").is_none()
    {
        write!(model.header, " of={}", name(&base)?)?;
    }
    if let Some(vendor) = item.child("vendor") {
        model.vendor = Some(name(&vendor)?.to_owned());
    }
    let mut signatures = Vec::new();
    for signature in item.children("signature") {
        let part = |attr: &str| signature.attr_text(attr).unwrap_or_default().to_owned();
        let stepping = signature.attr_text("stepping").map_or(String::new(), |text| format!("/{text}"));
        signatures.push(format!(" sig={}/{}{stepping}", part("family"), part("model")));
    }
    if !signatures.is_empty() {
        model.signatures = signatures.concat();
    }
    for feature in item.children("feature") {
        let is = |attr: &str| feature.attr_text(attr) == Some("yes");
        let mark = if is("removed") {
            "-"
        } else if is("added") {
            "+"
        } else {
            ""
        };
        model.features.insert(format!("{mark}{}", name(&feature)?));
    }
    Ok(model)
}

/// A model is written as what it has more (and, with `!`, less) than the earlier one that makes this shortest.
fn write_model(out: &mut String, name: &str, model: &Model, earlier: &[(String, Model)]) -> Result<()> {
    let distance = |other: &Model| model.features.symmetric_difference(&other.features).count();
    let nearest = earlier.iter().min_by_key(|(_, other)| distance(other));
    let nearest = nearest.filter(|(_, other)| distance(other) < model.features.len());
    let vendor = model.vendor.as_ref().map_or(String::new(), |vendor| format!(" vendor={vendor}"));
    write!(out, "model {name}{vendor}{}{} :", model.header, model.signatures)?;
    let empty = BTreeSet::new();
    if let Some((base, _)) = nearest {
        write!(out, " like={base}")?;
    }
    let base = nearest.map_or(&empty, |(_, other)| &other.features);
    for feature in base.difference(&model.features) {
        write!(out, " !{feature}")?;
    }
    for feature in model.features.difference(base) {
        write!(out, " {feature}")?;
    }
    out.push('\n');
    Ok(())
}

/// Architectures whose models are a vendor and the values that a processor's version register may have.
fn named(map: &Path, files: &[String]) -> Result<String> {
    let mut lines: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = read(map, file)?;
        let document = Document::parse(&text)?;
        for item in Reader::root(&document).all_children() {
            let (order, mut line) = match item.name() {
                "vendor" => (0, format!("vendor\t{}", name(&item)?)),
                "feature" => (1, format!("feature\t{}", name(&item)?)),
                "model" => (2, format!("model\t{}", name(&item)?)),
                other => anyhow::bail!("{file}: <{other}> is not known"),
            };
            if let Some(value) = item.attr_text("value") {
                write!(line, "\t{:x}", number(value)?)?;
            }
            if let Some(vendor) = item.child("vendor") {
                write!(line, "\tvendor={}", name(&vendor)?)?;
            }
            for pvr in item.children("pvr") {
                let value = number(pvr.attr_text("value").context("a pvr without a value")?)?;
                let mask = pvr.attr_text("mask").map_or(Ok(u32::MAX), number)?;
                write!(line, "\t{value:x}/{mask:x}")?;
            }
            lines.entry(order).or_default().push(line);
        }
    }
    Ok(lines.into_values().flatten().map(|line| line + "\n").collect())
}
