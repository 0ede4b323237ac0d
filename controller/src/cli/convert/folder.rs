//! All that a host has: a directory as /etc/libvirt, to manifests that apply.
//!
//! What a directory's name means is libvirt's: `autostart/` holds links to what starts with the host, `snapshot/GUEST/` and
//! `checkpoint/GUEST/` belong to a guest, and beside a secret's `UUID.xml` its value stands in `UUID.base64`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ostler_conf::xml::Root;
use ostler_conf::{Checkpoint, Domain, Network, Nwfilter, Secret, Snapshot, StoragePool, StorageVolume};
use serde_json::{Value, json};

use super::names::label;
use super::*;

/// How manifests refer to others: below a field, a text that names one of a kind.
const REFERENCES: &[(&str, &str, &str)] = &[
    ("volume", "pool", StoragePool::NAME),
    ("volume", "volume", StorageVolume::NAME),
    ("network", "network", Network::NAME),
    ("filterref", "filter", Nwfilter::NAME),
];

/// The label by which Kubernetes knows a host.
const HOST_LABEL: &str = "kubernetes.io/hostname";

/// A document that was read.
struct Found {
    path: PathBuf,
    kind: &'static DocumentKind,
    resource: &'static Resource,
    document: Document,
    /// libvirt's name of it; of a guest's moment, with the guest's name before it.
    name: String,
    /// It starts with the host.
    is_autostarted: bool,
}

/// A manifest that is to be written.
struct Manifest {
    value: Value,
    is_served: bool,
    is_secret: bool,
}

impl Manifest {
    fn secret(value: Value) -> Self {
        Manifest { value, is_served: false, is_secret: true }
    }
}

/// Names of objects, by the root of their document and libvirt's name.
type Labels = BTreeMap<&'static str, BTreeMap<String, String>>;

pub(super) fn run(args: &ConvertArgs) -> Outcome {
    let mut files = Files::default();
    files.collect(args.file())?;
    if files.documents.is_empty() {
        bail!("no XML file is below {}", args.file().display());
    }
    let mut refused = Vec::new();
    let mut found = Vec::new();
    for path in &files.documents {
        match read_file(args, path) {
            Ok(Some(document)) => found.push(Found { is_autostarted: files.starts(path), ..document }),
            Ok(None) => {}
            Err(problems) => refused.extend(problems),
        }
    }
    let mut labels = Labels::new();
    for kind in found.iter().map(|one| one.kind.root).collect::<BTreeSet<_>>() {
        let names = found.iter().filter(|one| one.kind.root == kind).map(|one| one.name.as_str());
        labels.insert(kind, super::names::labels(names));
    }
    let mut written = BTreeSet::new();
    let mut manifests = Vec::new();
    for one in found {
        let key = (one.kind.root, one.name.clone());
        if !written.insert(key) {
            refused.push(format!("{}: '{}' is there already, in a file before", one.path.display(), one.name));
            continue;
        }
        match to_manifests(args, one, &labels) {
            Ok(made) => manifests.extend(made),
            Err(problems) => refused.extend(problems),
        }
    }
    // What can't be applied stands last: it stops nothing before it.
    manifests.sort_by_key(|manifest| !manifest.is_served);
    write(args, &manifests)?;
    refused.iter().for_each(|problem| out::note(&format!("refused: {problem}")));
    let later = manifests.iter().filter(|manifest| !manifest.is_served && !manifest.is_secret).count();
    out::note(&format!(
        "{} written, {later} of them of kinds that no driver serves yet; {} refused",
        manifests.len(),
        refused.len()
    ));
    Ok(if refused.is_empty() { 0 } else { exit::FAILED })
}

/// The files of a directory, and of those below.
#[derive(Default)]
struct Files {
    documents: Vec<PathBuf>,
    /// Entries of `autostart/`, as the document that they stand for.
    autostart: BTreeSet<PathBuf>,
}

impl Files {
    fn collect(&mut self, folder: &Path) -> anyhow::Result<()> {
        let is_autostart = folder.file_name().is_some_and(|name| name == "autostart");
        let mut entries = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
            .with_context(|| format!("read {}", folder.display()))?;
        entries.sort();
        for path in entries {
            let kind = path.symlink_metadata().with_context(|| format!("read {}", path.display()))?.file_type();
            let is_document = path.extension().is_some_and(|extension| extension == "xml");
            if kind.is_dir() {
                self.collect(&path)?;
            } else if is_document && is_autostart {
                // A link, or a copy that a backup made of one.
                if let (Some(parent), Some(name)) = (folder.parent(), path.file_name()) {
                    self.autostart.insert(parent.join(name));
                }
            } else if is_document && kind.is_file() {
                self.documents.push(path);
            }
        }
        Ok(())
    }

    fn starts(&self, path: &Path) -> bool {
        self.autostart.contains(path)
    }
}

/// Reads a file; `None`: it is no document that anything asks for, which is told.
fn read_file(args: &ConvertArgs, path: &Path) -> Result<Option<Found>, Vec<String>> {
    let file = path.display().to_string();
    let text = manifests::read_text(path).map_err(|error| vec![format!("{error:#}")])?;
    let kind = documents::kind_of(&text).map_err(|message| vec![format!("{file}: {message}")])?;
    let Some(resource) = &kind.resource else {
        out::note(&format!("left out: {file}: a <{}> is told by a host, and nothing that one asks for", kind.root));
        return Ok(None);
    };
    let document = read(args, kind, &file, &text)?;
    let name = match kind.root {
        Snapshot::NAME | Checkpoint::NAME => format!("{}-{}", owner(path), document.name),
        // One that is for nothing in particular is known by its file.
        Secret::NAME if document.name.is_empty() => stem(path),
        _ => document.name.clone(),
    };
    Ok(Some(Found { path: path.to_owned(), kind, resource, document, name, is_autostarted: false }))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The guest that a moment belongs to: its folder's name.
fn owner(path: &Path) -> String {
    path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

fn to_manifests(args: &ConvertArgs, found: Found, all: &Labels) -> Result<Vec<Manifest>, Vec<String>> {
    let Found { path, kind, resource, document, name, is_autostarted } = found;
    let file = path.display().to_string();
    let own = &all[kind.root][&name];
    let mut secret = secrets::manifest_of(args, own, &document).map(Manifest::secret);
    let mut spec = spec_of(resource, document, own);
    let mut missing = BTreeSet::new();
    follow(&mut spec, all, &mut missing);
    for (root, name) in missing {
        out::note(&format!(
            "{file}: the {root} '{name}' is not in this directory: it is to be named '{}'",
            label(&name)
        ));
    }
    let is_here = |host: &String| json!({ "matchLabels": { HOST_LABEL: host } });
    match kind.root {
        Domain::NAME => {
            spec["runStrategy"] = if is_autostarted { "Always" } else { "Manual" }.into();
            spec["placement"] = args.host.as_ref().map_or(Value::Null, |host| json!({ "host": host }));
        }
        Network::NAME | StoragePool::NAME if is_autostarted => match &args.host {
            Some(host) => spec["hostSelector"] = is_here(host),
            None => out::note(&format!("{file}: it is up while a guest uses it, not always: --host says where it is")),
        },
        StorageVolume::NAME => spec["pool"] = args.pool.as_str().into(),
        Snapshot::NAME | Checkpoint::NAME => {
            let owner = owner(&path);
            let label = all.get(Domain::NAME).and_then(|known| known.get(&owner)).cloned();
            spec["domain"] = label.unwrap_or_else(|| super::names::label(&owner)).into();
        }
        Secret::NAME => {
            secret = secret_beside(args, &path, own)?;
            if secret.is_some() {
                spec["valueFrom"] = json!({ "secretKeyRef": { "name": own, "key": "value" } });
            }
        }
        _ => {}
    }
    let value = manifest(args, API_VERSION, resource.kind, own, json!({ "spec": spec }));
    if resource.is_served {
        check(&file, &value)?;
    } else {
        out::note(&format!("{file}: {}", not_served(resource)));
    }
    let manifest = Manifest { value, is_served: resource.is_served, is_secret: false };
    Ok(std::iter::once(manifest).chain(secret).collect())
}

/// What is written is what every path takes that leads into a cluster or a directory.
fn check(file: &str, value: &Value) -> Result<(), Vec<String>> {
    let text = out::yaml(value).map_err(|error| vec![format!("{file}: {error}")])?;
    let problems = manifests::check(&text).err().unwrap_or_default();
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.into_iter().map(|problem| format!("{file}: {}: {}", problem.path, problem.message)).collect())
}

/// Puts the names of objects in the place of libvirt's. `missing`: what is referred to and was not read.
fn follow(value: &mut Value, all: &Labels, missing: &mut BTreeSet<(&'static str, String)>) {
    match value {
        Value::Object(object) => {
            for (field, below) in object.iter_mut() {
                for (_, text, root) in REFERENCES.iter().filter(|(known, ..)| known == field) {
                    if let Some(Value::String(name)) = below.get_mut(*text) {
                        let known = all.get(root).and_then(|labels| labels.get(name.as_str()));
                        if known.is_none() {
                            missing.insert((root, name.clone()));
                        }
                        *name = known.cloned().unwrap_or_else(|| label(name));
                    }
                }
                follow(below, all, missing);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| follow(item, all, missing)),
        _ => {}
    }
}

/// A secret's value, as Kubernetes keeps it.
fn secret_beside(args: &ConvertArgs, path: &Path, name: &str) -> Result<Option<Manifest>, Vec<String>> {
    let file = path.with_extension("base64");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(vec![format!("{}: {error}", file.display())]),
    };
    let text: String = text.split_whitespace().collect();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if !text.len().is_multiple_of(4) || !text.bytes().all(is_base64) {
        return Err(vec![format!("{}: this is no base64", file.display())]);
    }
    let content = json!({ "type": "Opaque", "data": { "value": text } });
    Ok(Some(Manifest::secret(manifest(args, "v1", "Secret", name, content))))
}

/// To standard output as one stream, or a file each: what nothing serves yet stands in a folder of its own, so that the
/// folder itself can be an agent's.
fn write(args: &ConvertArgs, manifests: &[Manifest]) -> anyhow::Result<()> {
    let Some(folder) = &args.out else {
        for manifest in manifests {
            out::print(&format!("---\n{}", out::yaml(&manifest.value)?))?;
        }
        return Ok(());
    };
    let later = folder.join("later");
    for manifest in manifests {
        let folder = if manifest.is_served { folder } else { &later };
        let text = |path: &str| manifest.value.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}-{}.yaml", text("/kind").to_lowercase(), text("/metadata/name"));
        let mode = if manifest.is_secret { 0o600 } else { 0o644 };
        let path = folder.join(name);
        if !folder.is_dir() {
            ostler_util::file::create_directory(folder, 0o755).with_context(|| format!("make {}", folder.display()))?;
        }
        ostler_util::file::write_atomic(&path, out::yaml(&manifest.value)?.as_bytes(), mode)
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
