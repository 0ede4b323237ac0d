//! How long it takes to read, complete, check and write a guest's document, beside libvirt's own way with the same documents
//! and beside libxml2's parser alone, in the same run.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ostler_conf::{Domain, format, parse};

use crate::reference::Reference;
use crate::report::{Goal, Report};

/// Rounds of each; the fastest counts.
const ROUNDS: u32 = 15;

/// Where a corpus's domains are that people and libvirt's tests define.
const FOLDERS: &[&str] = &["qemuxmlconfdata", "genericxml2xmlindata", "real/domain/test-in"];

pub(crate) fn measure(_binary: &str, report: &mut Report) {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let data = std::env::var_os("OSTLER_CORPUS").map_or(default, PathBuf::from).join("data");
    if !data.is_dir() {
        return eprintln!("  not measured: the corpus of libvirt's cases is not at hand");
    }
    let Some(reference) = Reference::build("libvirt", &["-l:libvirt.so.0", "-l:libxml2.so.2"]) else {
        return eprintln!("  not measured: install libvirt0 and libxml2, and a C compiler");
    };
    let all: Vec<String> = FOLDERS.iter().flat_map(|folder| files(&data.join(folder))).collect();
    let accepted = reference.ask(&["accept"], &all);
    let (paths, texts): (Vec<String>, Vec<String>) = accepted
        .lines()
        .map(|path| (path.to_owned(), std::fs::read_to_string(path).unwrap()))
        .filter(|(_, text)| settle(text).is_some())
        .unzip();
    let theirs = reference.ask(&["time", &ROUNDS.to_string()], &paths);
    let (libvirt, libxml2) = theirs.trim().split_once(' ').unwrap();
    let a_document = |nanoseconds: f64| nanoseconds / 1000.0 / texts.len() as f64;
    let ours = (0..ROUNDS).map(|_| once(&texts)).min().unwrap();
    let ours = a_document(ours.as_nanos() as f64);
    let what =
        format!("{} documents of {} bytes", texts.len(), texts.iter().map(String::len).sum::<usize>() / texts.len());
    let of = |text: &str| Some(a_document(text.parse().unwrap()));
    let name = "domain: read, complete, check, write";
    report.add(name, "us", ours, of(libvirt), format!("libvirt's define and dump, {what}"), Goal::Ratio(0.125));
    report.add(name, "us", ours, of(libxml2), format!("libxml2's parser alone, {what}"), Goal::Ratio(1.0));
}

fn once(texts: &[String]) -> Duration {
    let start = Instant::now();
    texts.iter().for_each(|text| drop(black_box(settle(text))));
    start.elapsed()
}

/// As libvirt's define and dump; `None`: it is refused.
fn settle(text: &str) -> Option<String> {
    let mut domain = parse::<Domain>(text).ok()?.value;
    domain.forget_live();
    domain.complete();
    domain.validate().ok()?;
    Some(format(&domain))
}

fn files(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xml"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    files
}
