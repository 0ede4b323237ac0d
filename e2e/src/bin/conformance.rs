//! Counts how many of the cases taken from libvirt's own tests hold, suite by suite.
//!
//! The corpus is found by `OSTLER_CORPUS`; its README tells how cases are read. `--ratchet` fails where fewer hold than
//! `e2e/conformance.json` says; `--write` brings that file up to date; `--failed` names what does not hold.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ostler_conf::xml::Root;
use ostler_conf::{Domain, Network, StoragePool, StorageVolume, format, parse};
use serde_json::Value;

/// A suite: its manifest's name, and how one of its cases is judged.
type Suite = (&'static str, fn(&Path, &Value) -> anyhow::Result<bool>);

const SUITES: &[Suite] = &[
    ("networkxml2xml", |data, case| document::<Network>(data, case, Network::complete)),
    ("storagepoolxml2xml", |data, case| document::<StoragePool>(data, case, |_| {})),
    ("storagevolxml2xml", |data, case| document::<StorageVolume>(data, case, |_| {})),
    ("genericxml2xml", |data, case| canonical::<Domain>(data, case)),
    ("qemuxmlconf", |data, case| canonical::<Domain>(data, case)),
    ("real-bridge-network", |data, case| canonical::<Network>(data, case)),
    ("real-storage-pool", |data, case| canonical::<StoragePool>(data, case)),
    ("real-qemu-domain", |data, case| canonical::<Domain>(data, case)),
];

fn main() -> anyhow::Result<()> {
    let corpus = PathBuf::from(std::env::var_os("OSTLER_CORPUS").context("set OSTLER_CORPUS to the corpus's folder")?);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let ratchet_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance.json");
    let ratchet: BTreeMap<String, usize> =
        std::fs::read(&ratchet_path).ok().map(|text| serde_json::from_slice(&text)).transpose()?.unwrap_or_default();
    let mut passed = BTreeMap::new();
    let mut lost = Vec::new();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<24} {:>7} {:>7}", "suite", "passed", "total")?;
    for (suite, judge) in SUITES {
        let manifest = corpus.join("manifest").join(format!("{suite}.jsonl"));
        let text = std::fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
        let (mut held, mut total) = (0, 0);
        for line in text.lines() {
            let case: Value = serde_json::from_str(line)?;
            total += 1;
            let holds = judge(&corpus.join("data"), &case).unwrap_or(false);
            held += usize::from(holds);
            if !holds && has("--failed") {
                writeln!(out, "  {suite}: {}", case["case"].as_str().unwrap_or_default())?;
            }
        }
        writeln!(out, "{suite:<24} {held:>7} {total:>7}")?;
        if held < ratchet.get(*suite).copied().unwrap_or(0) {
            lost.push(format!("{suite}: {held} hold, {} did", ratchet[*suite]));
        }
        passed.insert((*suite).to_owned(), held);
    }
    if has("--write") {
        std::fs::write(&ratchet_path, serde_json::to_string_pretty(&passed)? + "\n")?;
    }
    if has("--ratchet") && !lost.is_empty() {
        bail!("{}", lost.join("; "));
    }
    Ok(())
}

fn read(data: &Path, name: &Value) -> anyhow::Result<Option<String>> {
    let Some(name) = name.as_str() else { return Ok(None) };
    Ok(Some(std::fs::read_to_string(data.join(name))?.replace("\\\n", "")))
}

/// The input, read and completed, is written as expected; or it is refused, where that is expected.
fn document<T: Root>(data: &Path, case: &Value, complete: fn(&mut T)) -> anyhow::Result<bool> {
    let input = read(data, &case["input"])?.context("no input")?;
    let parsed = parse::<T>(&input);
    let is_refusal = case["expect"]["outcome"] == "parse-error" || case["expect"]["outcome"] == "failure";
    let Some(expected) = read(data, &case["expect"]["xml"])?.filter(|_| !is_refusal) else {
        return Ok(is_refusal && parsed.is_err());
    };
    let mut value = parsed.map_err(|error| anyhow::anyhow!("{error}"))?.value;
    complete(&mut value);
    Ok(format(&value).trim_end() == expected.trim_end())
}

/// The expected document, read and written again, is itself; cases without one are not judged here and don't hold.
fn canonical<T: Root>(data: &Path, case: &Value) -> anyhow::Result<bool> {
    let Some(expected) = read(data, &case["expect"]["xml"])? else { return Ok(false) };
    let value = parse::<T>(&expected).map_err(|error| anyhow::anyhow!("{error}"))?.value;
    Ok(format(&value).trim_end() == expected.trim_end())
}
