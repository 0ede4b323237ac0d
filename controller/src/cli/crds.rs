//! `ostler crds`: the CRDs as YAML, as the chart holds them. Made from the types by this file's test: making them takes the
//! whole schema generator, which no agent needs.

use clap::Args;

use super::{Outcome, out};

#[derive(Debug, Args)]
pub(super) struct CrdsArgs {}

macro_rules! templates {
    ($($plural:literal),*) => { &[$(include_str!(concat!("../../../charts/ostler-crds/templates/", $plural, ".yaml"))),*] };
}

/// The templates of the chart `ostler-crds`.
const TEMPLATES: &[&str] =
    templates!["hosts", "networks", "storagepools", "storagevolumes", "domains", "domainoperations"];

pub(super) fn run(_: &CrdsArgs) -> Outcome {
    out::print(&TEMPLATES.join("---\n"))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ostler_crds::Kind;
    use serde_json::{Value, json};

    use super::super::out;
    use super::TEMPLATES;

    /// A CRD as the chart holds it: it outlives the chart, since its objects go with it.
    fn template(kind: Kind) -> String {
        let mut crd = ostler_crds::crd(kind);
        crd["metadata"]["annotations"]["helm.sh/resource-policy"] = Value::from("keep");
        crd["metadata"]["labels"] =
            json!({ "app.kubernetes.io/name": "ostler", "app.kubernetes.io/component": "crds" });
        format!(
            "# Made by `OSTLER_WRITE=1 cargo test -p ostler charts_crds` from crds/ and conf/.\n{}",
            out::yaml(&crd).unwrap()
        )
    }

    #[test]
    fn the_charts_crds_are_those_of_the_types() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ostler-crds/templates");
        for (kind, printed) in Kind::ALL.iter().zip(TEMPLATES) {
            let (file, made) = (folder.join(format!("{}.yaml", kind.plural())), template(*kind));
            if std::env::var_os("OSTLER_WRITE").is_some() {
                std::fs::write(file, made).unwrap();
                continue;
            }
            assert!(std::fs::read_to_string(file).unwrap() == *printed, "{kind} is printed as another");
            assert!(*printed == made, "{kind} is stale: run `OSTLER_WRITE=1 cargo test -p ostler charts_crds`");
        }
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!((files, TEMPLATES.len()), (Kind::ALL.len(), Kind::ALL.len()), "a file of no kind");
    }

    #[test]
    fn nothing_in_a_crd_looks_like_a_template() {
        assert!(TEMPLATES.iter().all(|template| !template.contains("{{")));
    }
}
