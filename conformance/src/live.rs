//! A libvirt that runs on this machine, asked what it makes of definitions: its answers become a corpus of one suite.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ostler_util::run::Output;
use serde_json::{Value, json};

use super::libvirtd::Libvirtd;

/// The suite's name.
pub(super) const SUITE: &str = "live";
const EMULATOR: &str = "/usr/bin/qemu-system-x86_64";

/// Asks libvirt what becomes of each definition, and writes its answers as the corpus `corpus`.
///
/// # Errors
/// There is no libvirt here, or it does not run: it takes root.
pub fn record(definitions: &Path, corpus: &Path) -> anyhow::Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(definitions)
        .with_context(|| format!("read {}", definitions.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    let lines = std::thread::scope(|scope| {
        let work = || {
            let libvirt = Libvirtd::start()?;
            files
                .iter()
                .map(|file| answers(&libvirt, file, &corpus.join("data")))
                .collect::<anyhow::Result<Vec<Value>>>()
        };
        scope.spawn(work).join().expect("the thread does not panic")
    })?;
    fs::create_dir_all(corpus.join("manifest"))?;
    let mut manifest = File::create(corpus.join("manifest").join(format!("{SUITE}.jsonl")))?;
    lines.iter().try_for_each(|line| writeln!(manifest, "{line}"))?;
    Ok(())
}

/// A line of the manifest.
fn answers(libvirt: &Libvirtd, file: &Path, data: &Path) -> anyhow::Result<Value> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = data.join(&name);
    fs::create_dir_all(&folder)?;
    fs::copy(file, folder.join("in.xml"))?;
    let keep =
        |kind: &str, text: &str| fs::write(folder.join(kind), text).map(|()| Value::from(format!("{name}/{kind}")));
    let defined = libvirt.try_virsh(&["define", &file.display().to_string()])?;
    let mut line = json!({
        "suite": SUITE, "case": name, "input": format!("{name}/in.xml"),
        "expect": { "outcome": "failure", "xml": null, "args": null },
        "params": { "arch": "x86_64", "firmware_dir": "/usr/share/qemu/firmware" },
    });
    if !defined.status.success() {
        line["expect"]["error_message"] = message(&defined).into();
        line["params"]["caps_file"] = capabilities(data)?.into();
        return Ok(line);
    }
    line["params"]["caps_file"] = capabilities(data)?.into();
    line["expect"]["outcome"] = "ok".into();
    let xml = libvirt.virsh(&["dumpxml", &name, "--inactive", "--security-info"])?;
    // virsh ends its own output with a line.
    line["expect"]["xml"] = keep("out.xml", xml.strip_suffix('\n').unwrap_or(&xml))?;
    let native = libvirt.try_virsh(&["domxml-to-native", "qemu-argv", "--domain", &name])?;
    match native.status.success() {
        true => line["expect"]["args"] = keep("native", String::from_utf8_lossy(&native.stdout).trim())?,
        false => line["expect"]["args_error_message"] = message(&native).into(),
    }
    let started = libvirt.try_virsh(&["start", &name, "--paused"])?;
    match started.status.success() {
        true => {
            let id: i64 = libvirt.virsh(&["domid", &name])?.trim().parse()?;
            let pid = fs::read_to_string(format!("/run/libvirt/qemu/{name}.pid"))?;
            let read = |what: &str| fs::read_to_string(format!("/proc/{}/{what}", pid.trim()));
            line["expect"]["process"] = keep("process", &format!("{}{}", read("environ")?, read("cmdline")?))?;
            line["params"]["started_id"] = id.into();
            libvirt.virsh(&["destroy", &name])?;
        }
        false => line["expect"]["process_error_message"] = message(&started).into(),
    }
    libvirt.virsh(&["undefine", &name, "--nvram"])?;
    Ok(line)
}

/// What libvirt has found out about the emulator, and saved.
fn capabilities(data: &Path) -> anyhow::Result<&'static str> {
    const KEPT: &str = "capabilities.xml";
    if !data.join(KEPT).exists() {
        for entry in fs::read_dir("/var/cache/libvirt/qemu/capabilities")? {
            let text = fs::read_to_string(entry?.path())?;
            if text.contains(&format!("<emulator>{EMULATOR}</emulator>")) {
                fs::write(data.join(KEPT), text)?;
            }
        }
    }
    ensure!(data.join(KEPT).exists(), "libvirt has saved nothing about {EMULATOR}");
    Ok(KEPT)
}

fn message(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
