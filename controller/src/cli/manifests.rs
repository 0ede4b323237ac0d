//! `ostler validate`, and reading manifests for other commands.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ostler::admission;
use ostler_conf::save_image;
use ostler_conf::xml::MAX_LENGTH;
use ostler_crds::manifest::{self, ManifestProblem, Manifests};
use serde_json::json;

use super::{Format, Outcome, documents, exit, out};

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Manifests, documents of libvirt's, or directories of them; "-": standard input
    #[arg(value_name = "FILE", required_unless_present = "file")]
    files: Vec<PathBuf>,
    /// The same
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Hold documents of libvirt's against its schema, as its own flag to validate does, and not against its rules
    #[arg(long)]
    schema: bool,
    /// Problems as data
    #[arg(short, long)]
    output: Option<Format>,
}

pub(super) fn validate(args: &ValidateArgs) -> Outcome {
    let mut found = Vec::new();
    let mut count = 0;
    let paths = args.files.iter().chain(&args.file);
    let files: Vec<_> = paths.map(|path| read_files(path, WITH_DOCUMENTS)).collect::<Result<_, _>>()?;
    for (file, text) in files.into_iter().flatten() {
        if documents::is_xml(&text) {
            let problems = if args.schema { documents::check_schema(&text) } else { documents::check(&text) };
            count += usize::from(problems.is_empty());
            found.extend(problems.into_iter().map(|problem| (file.clone(), text.clone(), in_manifest_form(problem))));
            continue;
        }
        match check(&text) {
            Ok(read) => count += read.manifests.len() + read.secrets.len(),
            Err(problems) => found.extend(problems.into_iter().map(|problem| (file.clone(), text.clone(), problem))),
        }
    }
    match args.output {
        Some(format) => {
            let list: Vec<_> = found
                .iter()
                .map(|(file, _, p)| json!({ "file": file, "line": p.line, "column": p.column, "path": p.path, "message": p.message }))
                .collect();
            let value = json!({ "objects": count, "problems": list });
            out::print(&if format == Format::Json { out::json(&value)? } else { out::yaml(&value)? })?;
        }
        None => {
            let shown: Vec<String> = found.iter().map(|(file, text, problem)| problem.render(file, text)).collect();
            out::print(&shown.join("\n"))?;
            let objects =
                if count == 1 { "1 object is valid".to_owned() } else { format!("{count} objects are valid") };
            out::note(&if found.is_empty() { objects } else { format!("{} problems", found.len()) });
        }
    }
    Ok(if found.is_empty() { 0 } else { exit::FAILED })
}

/// A problem of a document of libvirt's; one of its rules has no place in the text, and stands at its start.
fn in_manifest_form(problem: ostler_conf::Problem) -> ManifestProblem {
    let (line, column) = problem.position.map_or((1, 1), |at| (at.line as usize, at.column as usize));
    ManifestProblem { line, column, path: problem.path, message: problem.message }
}

/// Everything that is wrong with a text: its form, its schema, and libvirt's rules.
pub(super) fn check(text: &str) -> Result<Manifests, Vec<ManifestProblem>> {
    let read = manifest::read_all(text)?;
    let problems: Vec<ManifestProblem> = read
        .manifests
        .iter()
        .flat_map(|manifest| {
            admission::validate(&manifest.object).into_iter().map(|p| manifest.positions.problem(&p.path, p.message))
        })
        .collect();
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

/// How the names of manifests end.
const MANIFESTS: &[&str] = &["yaml", "yml", "json"];

/// And those of libvirt's documents.
const WITH_DOCUMENTS: &[&str] = &["yaml", "yml", "json", "xml"];

/// The texts of a file, of a directory's manifests, or of standard input.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    read_files(path, MANIFESTS)
}

/// A file's text. What is too long for any reader is not read whole.
pub(super) fn read_text(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::File::open(file).map_err(anyhow::Error::from).and_then(text_of);
    text.with_context(|| format!("read {}", file.display()))
}

fn text_of(mut source: impl Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    source.by_ref().take(save_image::HEADER as u64).read_to_end(&mut bytes)?;
    // Of a saved guest, the document that it begins with.
    if let Some(memory) = save_image::memory_at(&bytes)? {
        source.take((memory - bytes.len()) as u64).read_to_end(&mut bytes)?;
        return Ok(save_image::document(&bytes)?.to_owned());
    }
    source.take((MAX_LENGTH + 1 - bytes.len()) as u64).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() <= MAX_LENGTH, "it has more than {MAX_LENGTH} bytes");
    Ok(String::from_utf8(bytes)?)
}

/// As [`read`]; of a directory the files whose names end in one of `extensions`.
fn read_files(path: &Path, extensions: &[&str]) -> anyhow::Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        return Ok(vec![("-".to_owned(), text_of(std::io::stdin())?)]);
    }
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)) {
                files.push(path);
            }
        }
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    files
        .into_iter()
        .map(|file| {
            let text = read_text(&file)?;
            Ok((file.display().to_string(), text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_guest_is_read_as_its_document() {
        let mut saved = include_bytes!("../../../conf/src/save_image/libvirt.save").to_vec();
        // Room behind the documents, and memory.
        saved.resize(200_000, 0);
        let text = text_of(&saved[..]).unwrap();
        assert!(text.starts_with("<domain type='qemu'>") && text.trim_end().ends_with("</domain>"), "{text}");
        assert_eq!(documents::kind_of(&text).ok().unwrap().root, "domain");
        assert!(text_of(&saved[..4000]).is_err());
        assert!(text_of(&b"<network/>"[..]).is_ok_and(|text| text == "<network/>"));
    }
}
