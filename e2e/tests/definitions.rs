//! The definitions of e2e/definitions, each started with its CPUs stopped by our driver and by libvirt: what one runs the other
//! runs, but for a few for which our driver names what it does not do yet.

use std::fs;
use std::path::{Path, PathBuf};

use ostler_e2e::lab::Lab;
use ostler_util::ErrorCode;

/// What our driver does not do yet, where the host has what they need.
const NOT_YET: &[&str] = &["host-devices", "remote-disks", "vsock-and-user-programs"];

/// How a start ended; of a refusal, its words, and whether they name what the driver lacks.
enum Started {
    Yes,
    Refused { said: String, is_unsupported: bool },
}

fn documents() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("definitions");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Starts and ends a guest of ours; nothing of it is left however that ends.
fn ours(lab: &Lab, xml: &str) -> Started {
    let started = lab.define(xml).and_then(|uuid| lab.start(uuid, true).map(|()| uuid));
    let refused = match started {
        Ok(uuid) => {
            lab.destroy(uuid);
            return Started::Yes;
        }
        Err(error) => error,
    };
    assert_eq!(lab.left(), Vec::<String>::new(), "{refused}");
    let is_unsupported = refused.code == ErrorCode::ConfigUnsupported;
    Started::Refused { said: refused.to_string(), is_unsupported }
}

#[test]
fn what_libvirt_runs_we_run_or_say_why_not() {
    Lab::run("definitions", |lab| {
        lab.stand_in_for_images();
        let files = documents();
        assert!(files.len() >= 30, "{}", files.len());
        let theirs = lab.started_by_libvirt(&files);
        let (mut wrong, mut counts) = (Vec::new(), [0; 4]);
        for (file, theirs) in files.iter().zip(theirs) {
            let name = file.file_stem().unwrap().to_string_lossy();
            let (kind, line) = match (ours(lab, &fs::read_to_string(file).unwrap()), theirs) {
                (Started::Yes, Ok(())) => (0, format!("{name}: started")),
                (Started::Refused { said, is_unsupported: true }, theirs) if NOT_YET.contains(&&*name) => {
                    let theirs = theirs.err().unwrap_or_else(|| "started".to_owned());
                    (1, format!("{name}: not supported: {said}; by libvirt: {theirs}"))
                }
                (Started::Refused { said, .. }, Err(theirs)) => {
                    (2, format!("{name}: refused: {said}; by libvirt: {theirs}"))
                }
                (Started::Yes, Err(theirs)) => (3, format!("{name}: started, and libvirt refuses it: {theirs}")),
                (Started::Refused { said, .. }, Ok(())) => {
                    (3, format!("{name}: refused, and libvirt starts it: {said}"))
                }
            };
            println!("{line}");
            counts[kind] += 1;
            wrong.extend((kind == 3).then_some(line));
        }
        let [started, unsupported, refused, _] = counts;
        println!(
            "{} definitions: {started} started, {unsupported} not supported, {refused} refused by both",
            files.len()
        );
        assert_eq!(wrong, Vec::<String>::new());
    });
}
