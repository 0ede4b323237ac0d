//! The schema of a domain is one that the API server takes, and small enough for its storage.

use ostler_crds::{Kind, crd};

/// Two versions in one object must stay below etcd's limit of 1.5 MiB.
const MOST_BYTES: usize = 600 * 1024;

#[test]
fn the_domain_crd_is_structural_and_small() {
    let text = serde_json::to_string(&crd(Kind::Domain)).unwrap();
    assert!(text.len() <= MOST_BYTES, "{} bytes", text.len());
    for refused in ["\"$ref\"", "\"$defs\"", "\"definitions\""] {
        assert!(!text.contains(refused), "the API server refuses {refused}");
    }
}
