//! Ostler in a cluster: its images and charts, as a user installs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::Cluster;
use super::image::Image;
use super::programs::hex;

/// Where the charts are installed.
pub const NAMESPACE: &str = "ostler-system";

/// Which image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The binary alone.
    Plain,
    /// With QEMU, firmware and tools, for hosts that have none: of this release.
    Runtime(&'static str),
}

impl Kind {
    /// The image's name, without a tag.
    pub fn repository(self) -> &'static str {
        match self {
            Kind::Plain => "localhost/ostler",
            Kind::Runtime(_) => "localhost/ostler-runtime",
        }
    }
}

/// The project's charts.
pub fn charts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("charts")
}

impl Cluster {
    /// Makes an image of a binary and gives it to every node; the image's tag, by what is in it.
    ///
    /// # Errors
    /// The binary can't be read; containerd's.
    pub fn load_binary(&self, binary: &Path, kind: Kind) -> Result<String> {
        let bytes = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
        let mut tag = hex(&Sha256::digest(&bytes)[..6]);
        if let Kind::Runtime(release) = kind {
            tag += release;
        }
        let name = format!("{}:{tag}", kind.repository());
        let mut image = match kind {
            Kind::Plain => Image::ostler(&name, binary)?,
            Kind::Runtime(release) => Image::ostler_runtime(&name, binary, release)?,
        };
        let archive = image.write_file(&self.place.directory().join("image.tar"))?;
        self.load(&archive)?;
        fs::remove_file(archive)?;
        Ok(tag)
    }

    /// Installs the charts with images of this binary, or brings what is installed up to date; waits until all is ready.
    ///
    /// # Errors
    /// Helm's.
    pub fn install(&self, binary: &Path, kind: Kind, args: &[&str], progress: &dyn Fn(&str)) -> Result<()> {
        if !charts().exists() {
            progress("the charts are not there yet: nothing is installed");
            return Ok(());
        }
        progress("loading the image into both nodes");
        let tag = self.load_binary(binary, Kind::Plain)?;
        let (source, runtime_tag) = match kind {
            Kind::Plain => ("host", tag.clone()),
            Kind::Runtime(_) => ("image", self.load_binary(binary, kind)?),
        };
        progress("installing the charts");
        self.chart("ostler-crds", &[])?;
        let values = [
            format!("image.repository={}", Kind::Plain.repository()),
            format!("image.tag={tag}"),
            "image.pullPolicy=Never".to_owned(),
            format!("runtime.source={source}"),
            format!("runtime.image.repository={}", Kind::Runtime("").repository()),
            format!("runtime.image.tag={runtime_tag}"),
            // The demo's guest boots a kernel of its host.
            "agent.allow={hostpaths,rawxml}".to_owned(),
        ];
        let mut all: Vec<&str> = values.iter().flat_map(|value| ["--set-string", value.as_str()]).collect();
        all.extend(args);
        self.chart("ostler", &all)?;
        progress("controller and agents are ready");
        Ok(())
    }

    /// Puts the guest of `examples/demo` where its manifests look for it, on every node.
    ///
    /// # Errors
    /// It can't be built.
    pub fn install_guest(&self) -> Result<()> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/build");
        let output = Command::new(script).output().context("build the guest")?;
        if !output.status.success() {
            bail!("the guest can't be built: {}", String::from_utf8_lossy(&output.stderr));
        }
        let built = PathBuf::from(String::from_utf8(output.stdout)?.trim());
        for node in self.nodes() {
            let folder = node.path("/var/lib/ostler/demo");
            fs::create_dir_all(&folder)?;
            for file in ["vmlinuz", "initrd"] {
                fs::copy(built.join(file), folder.join(file)).with_context(|| format!("copy the guest's {file}"))?;
            }
        }
        Ok(())
    }

    fn chart(&self, name: &str, args: &[&str]) -> Result<()> {
        let chart = charts().join(name).display().to_string();
        let fixed =
            ["upgrade", "--install", name, &chart, "--namespace", NAMESPACE, "--create-namespace", "--wait=watcher"];
        let (code, text) = self.helm(&[&fixed[..], &["--timeout", "3m"], args].concat());
        if code != 0 {
            let (_, pods) = self.kubectl(&["-n", NAMESPACE, "get", "pods", "-o", "wide"]);
            let (_, events) = self.kubectl(&["-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp"]);
            bail!("helm upgrade --install {name}: {text}\n{pods}\n{events}");
        }
        Ok(())
    }
}
