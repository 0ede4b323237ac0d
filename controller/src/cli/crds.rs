//! `ostler crds`: the CRDs as YAML.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ostler_crds::Kind;
use ostler_util::file;
use serde_json::{Value, json};

use super::{Outcome, out};

#[derive(Debug, Args)]
pub(super) struct CrdsArgs {
    /// Write the templates of the chart ostler-crds to this folder instead, one file a kind
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

pub(super) fn run(args: &CrdsArgs) -> Outcome {
    match &args.write {
        Some(folder) => write(folder)?,
        None => {
            let documents: Result<Vec<String>, _> = ostler_crds::crds().iter().map(out::yaml).collect();
            out::print(&documents?.join("---\n"))?;
        }
    }
    Ok(0)
}

fn write(folder: &Path) -> anyhow::Result<()> {
    for kind in Kind::ALL {
        let path = folder.join(file_name(*kind));
        file::write_atomic(&path, template(*kind)?.as_bytes(), 0o644)
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn file_name(kind: Kind) -> String {
    format!("{}.yaml", kind.plural())
}

/// A CRD as the chart holds it: it outlives the chart, since its objects go with it.
fn template(kind: Kind) -> anyhow::Result<String> {
    let mut crd = ostler_crds::crd(kind);
    crd["metadata"]["annotations"]["helm.sh/resource-policy"] = Value::from("keep");
    crd["metadata"]["labels"] = json!({ "app.kubernetes.io/name": "ostler", "app.kubernetes.io/component": "crds" });
    Ok(format!(
        "# Made by `ostler crds --write charts/ostler-crds/templates` from crds/ and conf/.\n{}",
        out::yaml(&crd)?
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Kind, file_name, template};

    #[test]
    fn the_charts_crds_are_those_of_the_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ostler-crds/templates");
        for kind in Kind::ALL {
            let committed = std::fs::read_to_string(folder.join(file_name(*kind))).unwrap_or_default();
            let is_fresh = committed == template(*kind).unwrap();
            assert!(
                is_fresh,
                "{kind} is stale: run `cargo run -p ostler -- crds --write charts/ostler-crds/templates`"
            );
        }
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, Kind::ALL.len(), "a file of no kind");
    }

    #[test]
    fn nothing_in_a_crd_looks_like_a_template() {
        for kind in Kind::ALL {
            assert!(!template(*kind).unwrap().contains("{{"), "{kind}");
        }
    }
}
