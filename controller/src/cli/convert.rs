//! `ostler convert`: libvirt's XML to manifests and back.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ostler_conf::xml::Root;
use ostler_conf::{Domain, StorageVolume};
use ostler_crds::{API_VERSION, Object};
use serde_json::{Value, json};

use super::{Namespace, Outcome, documents, manifests, out};

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// libvirt XML or manifest; "-": standard input
    file: PathBuf,
    /// What is written; absent: the other of what was read
    #[arg(long)]
    to: Option<Target>,
    /// Fail where something of the XML is not known, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Pool that a volume's manifest names
    #[arg(long, default_value = "default")]
    pool: String,
    #[command(flatten)]
    namespace: Namespace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A manifest
    Manifest,
    /// libvirt's XML
    Xml,
}

pub(super) fn run(args: &ConvertArgs) -> Outcome {
    let (file, text) = manifests::read(&args.file)?.pop().context("nothing to read")?;
    let is_xml = documents::is_xml(&text);
    match (args.to, is_xml) {
        (None | Some(Target::Manifest), true) => out::print(&out::yaml(&to_manifest(args, &file, &text)?)?)?,
        (None | Some(Target::Xml), false) => {
            let manifests = manifests::check(&text).map_err(|problems| {
                let shown: Vec<String> = problems.iter().map(|problem| problem.render(&file, &text)).collect();
                anyhow::anyhow!("{file} is not valid\n{}", shown.join("\n"))
            })?;
            for manifest in manifests {
                out::print(&to_xml(&manifest.object)?)?;
            }
        }
        (Some(_), _) => bail!("{file} is that already"),
    }
    Ok(0)
}

fn to_manifest(args: &ConvertArgs, file: &str, text: &str) -> anyhow::Result<Value> {
    let kind = documents::kind_of(text).map_err(|message| anyhow::anyhow!("{file}: {message}"))?;
    let document = kind.read(text).map_err(|error| anyhow::anyhow!("{file}:{error}"))?;
    if args.strict && !document.unknown.is_empty() {
        let unknown: Vec<String> = document.unknown.iter().map(|unknown| format!("{file}:{unknown}")).collect();
        bail!("{}", unknown.join("\n"));
    }
    document.unknown.iter().for_each(|unknown| out::note(&format!("left out: {file}:{unknown}")));
    let Some(resource) = &kind.resource else {
        bail!("{file}: a <{}> is told by a host, and nothing that one asks for", kind.root);
    };
    if !resource.is_served {
        out::note(&format!("no driver serves a {} yet: this manifest can't be applied", resource.kind));
    }
    let mut spec = json!({ resource.field: named(document.value, &document.name) });
    match kind.root {
        Domain::NAME => spec["runStrategy"] = "Manual".into(),
        StorageVolume::NAME => spec["pool"] = args.pool.as_str().into(),
        _ => {}
    }
    Ok(manifest(args, resource.kind, &document.name, spec))
}

/// The document's YAML face; a name that is a legal object name already is not said twice.
fn named(mut value: Value, name: &str) -> Value {
    if label(name) == name
        && let Some(object) = value.as_object_mut()
    {
        object.shift_remove("name");
    }
    value
}

fn manifest(args: &ConvertArgs, kind: &str, name: &str, mut spec: Value) -> Value {
    // Nothing is said by an empty value.
    prune(&mut spec);
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": label(name), "namespace": args.namespace.namespace }, "spec": spec })
}

fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(prune);
    }
}

/// A legal object name made from a name of libvirt's, the same on every run.
fn label(name: &str) -> String {
    let mapped: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let trimmed = mapped.trim_matches('-');
    let short: String = trimmed.chars().take(63).collect();
    match short.trim_end_matches('-') {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

fn to_xml(object: &Object) -> anyhow::Result<String> {
    let name = ostler::names::host_name(object);
    Ok(match object {
        Object::Domain(domain) => {
            let mut document = domain.spec.domain.clone();
            document.name = name;
            ostler_conf::format(&document)
        }
        Object::Network(network) => {
            let mut document = network.spec.network.clone();
            document.name = name;
            ostler_conf::format(&document)
        }
        Object::StoragePool(pool) => {
            let mut document = pool.spec.pool.clone();
            document.name = name;
            document.complete();
            ostler_conf::format(&document)
        }
        Object::StorageVolume(volume) => {
            let mut document = volume.spec.volume.clone();
            document.name = name;
            ostler_conf::format(&document)
        }
        Object::Host(_) | Object::DomainOperation(_) => bail!("a {} is no document of libvirt's", object.kind()),
    })
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn names_become_legal() {
        for (name, legal) in
            [("web", "web"), ("windows_10", "windows-10"), ("macOS", "macos"), ("-a b-", "a-b"), ("äöü", "unnamed")]
        {
            assert_eq!(label(name), legal);
        }
    }
}
