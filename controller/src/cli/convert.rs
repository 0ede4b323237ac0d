//! `ostler convert`: libvirt's XML to manifests and back; of one document, or of all that a host has. And a guest to QEMU's
//! command line.

#[cfg(feature = "qemu")]
mod command_line;
mod folder;
mod names;
mod secrets;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ostler_conf::xml::Root;
use ostler_conf::{Domain, StorageVolume};
use ostler_crds::manifest::Manifest;
use ostler_crds::{API_VERSION, Object};
use serde_json::{Value, json};

use super::documents::{Document, DocumentKind, Resource};
use super::{Namespace, Outcome, Place, documents, exit, manifests, out};

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// libvirt XML or manifest; directory of a host's XML, as /etc/libvirt; "-": standard input
    #[arg(required_unless_present = "named_file", conflicts_with = "named_file")]
    file: Option<PathBuf>,
    /// The same
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    named_file: Option<PathBuf>,
    /// What is written; absent: the other of what was read
    #[arg(long)]
    to: Option<Target>,
    #[cfg(feature = "qemu")]
    #[command(flatten)]
    command_line: command_line::CommandLineArgs,
    /// Fail where something of the XML is not known, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Pool that a volume's manifest names
    #[arg(long, default_value = "default")]
    pool: String,
    /// Host that a directory is of: its guests are placed there, and what it starts by itself is always up there
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Folder for a file for each object of a directory; absent: all go to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    namespace: Namespace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A manifest
    Manifest,
    /// libvirt's XML
    Xml,
    /// The command line that QEMU would be started with: nothing is made, opened or started for it
    #[cfg(feature = "qemu")]
    QemuArgv,
}

impl ConvertArgs {
    fn file(&self) -> &Path {
        self.file.as_ref().or(self.named_file.as_ref()).expect("one of them is required")
    }
}

#[cfg_attr(
    not(feature = "qemu"),
    allow(unused_variables, reason = "only a QEMU's command line says where its files are")
)]
pub(super) fn run(args: &ConvertArgs, place: &Place) -> Outcome {
    if args.file().is_dir() {
        return folder::run(args);
    }
    let (file, text) = manifests::read(args.file())?.pop().context("nothing to read")?;
    #[cfg(feature = "qemu")]
    if args.to == Some(Target::QemuArgv) {
        return command_line::run(args, place, &file, &text);
    }
    let is_xml = documents::is_xml(&text);
    match (args.to, is_xml) {
        (None | Some(Target::Manifest), true) => {
            let manifests = to_manifests(args, &file, &text)?.iter().map(out::yaml).collect::<Result<Vec<_>, _>>()?;
            out::print(&manifests.join("---\n"))?;
        }
        (None | Some(Target::Xml), false) => {
            for manifest in valid_manifests(&file, &text)? {
                out::print(&to_xml(&manifest.object)?)?;
            }
        }
        (Some(_), _) => bail!("{file} is that already"),
    }
    Ok(0)
}

fn valid_manifests(file: &str, text: &str) -> anyhow::Result<Vec<Manifest>> {
    manifests::check(text).map(|read| read.manifests).map_err(|problems| {
        let shown: Vec<String> = problems.iter().map(|problem| problem.render(file, text)).collect();
        anyhow::anyhow!("{file} is not valid\n{}", shown.join("\n"))
    })
}

/// The document's manifest, and that of the Secret which keeps what it says in confidence.
fn to_manifests(args: &ConvertArgs, file: &str, text: &str) -> anyhow::Result<Vec<Value>> {
    let kind = documents::kind_of(text).map_err(|message| anyhow::anyhow!("{file}: {message}"))?;
    let document = read(args, kind, file, text).map_err(|problems| anyhow::anyhow!("{}", problems.join("\n")))?;
    let Some(resource) = &kind.resource else {
        bail!("{file}: a <{}> is told by a host, and nothing that one asks for", kind.root);
    };
    if !resource.is_served {
        out::note(&not_served(resource));
    }
    let label = names::label(&document.name);
    let secret = secrets::manifest_of(args, &label, &document);
    let mut spec = spec_of(resource, document, &label);
    match kind.root {
        Domain::NAME => spec["runStrategy"] = "Manual".into(),
        StorageVolume::NAME => spec["pool"] = args.pool.as_str().into(),
        _ => {}
    }
    let object = manifest(args, API_VERSION, resource.kind, &label, json!({ "spec": spec }));
    Ok(std::iter::once(object).chain(secret).collect())
}

fn not_served(resource: &Resource) -> String {
    format!("no driver serves a {} yet: this manifest can't be applied", resource.kind)
}

/// Reads a document, and tells what of it is left out.
///
/// # Errors
/// What can't be read or must not be written, with file, line and column; with `--strict`, what would be left out.
fn read(args: &ConvertArgs, kind: &DocumentKind, file: &str, text: &str) -> Result<Document, Vec<String>> {
    let document = kind
        .read(text)
        .map_err(|error| error.problems().iter().map(|problem| format!("{file}:{problem}")).collect::<Vec<String>>())?;
    let secrets = secrets::find(kind.root, text);
    if !secrets.is_empty() {
        return Err(secrets.into_iter().map(|secret| format!("{file}:{secret}")).collect());
    }
    let unknown = document.unknown.iter().map(|unknown| format!("{file}:{unknown}"));
    if args.strict && !document.unknown.is_empty() {
        return Err(unknown.collect());
    }
    unknown.for_each(|unknown| out::note(&format!("left out: {unknown}")));
    Ok(document)
}

/// The spec that holds the document's YAML face; a name that is the object's already is not said twice, and secrets are in
/// the Secret beside it.
fn spec_of(resource: &Resource, mut document: Document, label: &str) -> Value {
    if label == document.name
        && let Some(object) = document.value.as_object_mut()
    {
        object.shift_remove("name");
    }
    secrets::name(&mut document.value, label);
    json!({ resource.field: document.value })
}

fn manifest(args: &ConvertArgs, version: &str, kind: &str, name: &str, content: Value) -> Value {
    let mut object = json!({
        "apiVersion": version, "kind": kind, "metadata": { "name": name, "namespace": args.namespace.namespace }
    });
    if let (Some(object), Value::Object(content)) = (object.as_object_mut(), content) {
        object.extend(content);
    }
    // Nothing is said by an empty value.
    prune(&mut object);
    object
}

fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(prune);
    }
}

fn to_xml(object: &Object) -> anyhow::Result<String> {
    let name = ostler::names::host_name(object);
    Ok(match object {
        Object::Domain(domain) => {
            let mut document = domain.spec.domain.clone();
            document.name = name;
            if let Some((field, _)) = document.confidential_mut().into_iter().find(|(_, it)| it.text().is_none()) {
                bail!("spec.domain.{field}: a Secret keeps it, and XML would hold it for all to read: take it out");
            }
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
