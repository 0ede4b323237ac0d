//! `ostler delete`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use ostler::source::store::Store;
use ostler_crds::{Kind, ObjectRef, manifest};
use ostler_util::file;
use serde_json::Value;

use super::get::{Watch, kinds};
use super::{Namespace, Outcome, Place, exit, out};

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Kind: dom, vnet, pool, vol or domop
    kind: String,
    /// Name
    name: String,
    #[command(flatten)]
    namespace: Namespace,
    /// Return before it is gone
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, default_value = "5m", value_name = "TIME")]
    timeout: ostler_crds::Duration,
}

pub(super) fn run(args: &DeleteArgs, place: &Place) -> Outcome {
    let kinds = kinds(&args.kind)?;
    let [kind] = kinds[..] else { bail!("name one kind") };
    if kind == Kind::Host {
        bail!("a Host is made by its agent, and has no manifest");
    }
    let key = ObjectRef::new(kind, &args.namespace.namespace, &args.name);
    let store = Store::new(&place.state_dir);
    let Ok(object) = store.get(&key) else {
        out::error(&format!("there is no {key}"));
        return Ok(exit::NOT_FOUND);
    };
    if object.pointer("/spec/deletion/protect") == Some(&Value::Bool(true)) {
        bail!("{key}: spec.deletion.protect forbids its deletion");
    }
    let source = object
        .pointer("/metadata/annotations/ostler.dev~1source-file")
        .and_then(Value::as_str)
        .context("the object has no manifest")?;
    let watch = Watch::open(&store)?;
    // The note comes first: with it the last manifest may go as well.
    file::create_directory(&store.deletions_dir(), 0o700)?;
    file::write_atomic(&store.deletion_path(&key), b"", 0o600).context("note the deletion")?;
    remove_from(Path::new(source), &key).with_context(|| format!("remove {key} from {source}"))?;
    if args.no_wait {
        return Ok(0);
    }
    let deadline = Instant::now() + args.timeout.0.max(Duration::from_secs(1));
    while store.get(&key).is_ok() {
        if !watch.wait_until(Some(deadline))? {
            let why = store.get(&key).ok().and_then(|object| {
                let conditions = object.pointer("/status/conditions")?.as_array()?.clone();
                conditions.iter().find(|condition| condition["type"] == "Ready")?["message"].as_str().map(str::to_owned)
            });
            bail!(
                "{key} is not gone after {}: {}",
                args.timeout,
                why.unwrap_or_else(|| "no agent saw to it".to_owned())
            );
        }
    }
    out::note(&format!("{key} is gone"));
    Ok(0)
}

/// Takes the object's document out of its file; a file that is then empty goes.
fn remove_from(path: &Path, key: &ObjectRef) -> anyhow::Result<()> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    let is_it = |document: &str| {
        manifest::read(document)
            .is_ok_and(|manifests| manifests.iter().any(|manifest| manifest.object.object_ref() == *key))
    };
    let mut documents: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.lines() {
        if line.trim_end() == "---" {
            documents.push(Vec::new());
        } else if let Some(last) = documents.last_mut() {
            last.push(line);
        }
    }
    let kept: Vec<String> =
        documents.iter().map(|lines| lines.join("\n")).filter(|document| !is_it(document)).collect();
    let is_empty = kept.iter().all(|document| manifest::read_all(document).is_ok_and(|read| read.is_empty()));
    if is_empty {
        return Ok(file::remove_durably(path)?);
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path)?.permissions()) & 0o777;
    Ok(file::write_atomic(path, (kept.join("\n---\n") + "\n").as_bytes(), mode)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_document_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("two.yaml");
        let network = |name: &str| {
            format!(
                "# {name}\napiVersion: ostler.dev/v1alpha1\nkind: Network\nmetadata: {{name: {name}}}\nspec: {{network: {{}}}}"
            )
        };
        std::fs::write(&path, format!("{}\n---\n{}\n", network("a"), network("b"))).unwrap();
        remove_from(&path, &ObjectRef::new(Kind::Network, "default", "a")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), network("b") + "\n");
        remove_from(&path, &ObjectRef::new(Kind::Network, "default", "b")).unwrap();
        assert!(!path.exists());
    }
}
