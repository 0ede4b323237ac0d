//! Kubernetes' programs, built from Go's modules once and kept in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// The one binary's names.
const NAMES: &[&str] = &[
    "etcd",
    "etcdutl-snapshot",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
];

/// Helm has dependencies of its own, at other versions than Kubernetes' own.
const HELM: &str = "helm.sh/helm/v4/cmd/helm@v4.2.4";

/// The folder with all programs. What is missing is built first, which takes about eight minutes; whoever comes
/// meanwhile waits for it.
///
/// # Errors
/// Go is missing; the build's own last words.
pub fn programs(progress: &dyn Fn(&str)) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
    let cache = cache()?.join("kubernetes");
    let built = cache.join(digest(&source)?);
    if !built.exists() {
        fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join("lock"))?;
        lock.lock().context("wait for another build")?;
        if !built.exists() {
            progress("building Kubernetes and Helm from Go's modules (about 8 minutes, once)");
            let unfinished = tempfile::Builder::new().prefix("build").tempdir_in(&cache)?;
            build(&source, &unfinished.path().join("bin"))?;
            fs::rename(unfinished.keep(), &built)?;
        }
    }
    Ok(built.join("bin"))
}

/// Where things are kept that take long to make.
pub(crate) fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("OSTLER_CACHE").or_else(|| Some(variable("XDG_CACHE_HOME")?.join("ostler")));
    cache
        .or_else(|| Some(variable("HOME")?.join(".cache/ostler")))
        .context("OSTLER_CACHE, XDG_CACHE_HOME or HOME must say where the cache is")
}

fn digest(source: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    for file in ["go.sum", "main.go"] {
        digest.update(fs::read(source.join(file)).with_context(|| format!("read {file} in {}", source.display()))?);
    }
    digest.update(HELM);
    Ok(hex(&digest.finalize()[..8]))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn build(source: &Path, bin: &Path) -> Result<()> {
    fs::create_dir_all(bin)?;
    let module = fs::read_to_string(source.join("go.mod"))?;
    let version = version(&module)?;
    let minor = version.split('.').nth(1).unwrap_or_default();
    let package = "k8s.io/component-base/version";
    // Published modules don't know their version, and charts ask the server for it.
    let stamp = format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor=1 -X {package}.gitMinor={minor} \
         -X {package}.gitTreeState=clean -X {package}.gitCommit=none -X {package}.buildDate=2026-01-01T00:00:00Z"
    );
    let binary = bin.join("kubernetes");
    go(Command::new("go")
        .current_dir(source)
        .args(["build", "-trimpath", "-ldflags", &stamp, "-o"])
        .arg(&binary)
        .arg("."))?;
    for name in NAMES {
        std::os::unix::fs::symlink("kubernetes", bin.join(name))?;
    }
    go(Command::new("go").env("GOBIN", bin).args(["install", "-trimpath", "-ldflags", "-s -w", HELM]))
}

fn go(command: &mut Command) -> Result<()> {
    let output = command
        .env("CGO_ENABLED", "0")
        .output()
        .context("run go: install Go 1.21 or newer (Debian 12: golang-go from bookworm-backports)")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().collect();
        bail!("{command:?} ended with {}:\n{}", output.status, lines[lines.len().saturating_sub(20)..].join("\n"));
    }
    Ok(())
}

/// Kubernetes' version in `go.mod`.
fn version(text: &str) -> Result<&str> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
    line.context("go.mod requires no k8s.io/kubernetes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_the_module_requires() {
        let text = include_str!("../../cluster/go.mod");
        assert!(version(text).unwrap().starts_with("1."), "{:?}", version(text));
        assert!(version("module x\n").is_err());
    }
}
