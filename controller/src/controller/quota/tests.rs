use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn limits(hard: Value) -> Limits {
    let quota: core::ResourceQuota = serde_json::from_value(json!({"metadata": {}, "spec": {"hard": hard}})).unwrap();
    Limits::from(quota)
}

fn world(hard: Value) -> World {
    let mut world = World::default();
    world.quotas.insert(("shop".to_owned(), "most".to_owned()), 1, limits(hard));
    world
}

fn domain(name: &str, vcpus: u32, mib: i64, claim: i64) -> Object {
    let spec = json!({"domain": {"vcpu": {"count": vcpus}, "memory": {"size": format!("{mib}Mi")}}});
    object(Kind::Domain, name, &spec, claim)
}

fn volume(name: &str, mib: i64) -> Object {
    object(Kind::StorageVolume, name, &json!({"pool": "p", "volume": {"capacity": format!("{mib}Mi")}}), 0)
}

fn object(kind: Kind, name: &str, spec: &Value, claim: i64) -> Object {
    let metadata = json!({"name": name, "namespace": "shop"});
    Object::from_value(kind, &json!({"metadata": metadata, "spec": spec, "status": {"claim": claim}})).unwrap()
}

fn put(world: &mut World, object: Object) {
    world.cache(object.kind()).insert(object.object_ref(), 1, Arc::new(object));
}

fn said(result: Result<(), Vec<Excess>>) -> Vec<String> {
    result.err().unwrap_or_default().iter().map(|excess| format!("{}: {excess}", excess.field)).collect()
}

#[test]
fn what_is_too_much_is_told_as_of_pods() {
    let mut world =
        world(json!({"ostler.dev/cpus": "4", "ostler.dev/memory": "8Gi", "ostler.dev/storage": "1Gi", "pods": "1"}));
    put(&mut world, domain("a", 3, 5 << 10, 1));
    assert_eq!(said(admit(&world, None, &domain("b", 1, 3 << 10, 0))), [""; 0]);
    assert_eq!(
        said(admit(&world, None, &domain("b", 2, 4 << 10, 0))),
        [
            "spec.domain.vcpu.count: exceeded quota: most, requested: ostler.dev/cpus=2, used: ostler.dev/cpus=3, limited: ostler.dev/cpus=4",
            "spec.domain.memory.size: exceeded quota: most, requested: ostler.dev/memory=4Gi, used: ostler.dev/memory=5Gi, limited: ostler.dev/memory=8Gi",
        ]
    );
    put(&mut world, volume("a", 1000));
    assert_eq!(
        said(admit(&world, None, &volume("b", 25))),
        [
            "spec.volume.capacity: exceeded quota: most, requested: ostler.dev/storage=25Mi, used: ostler.dev/storage=1000Mi, limited: ostler.dev/storage=1Gi"
        ]
    );
    assert_eq!(said(admit(&world, None, &volume("b", 24))), [""; 0]);
}

#[test]
fn what_takes_no_more_than_it_did_may_change_under_a_smaller_quota() {
    let mut world = world(json!({"ostler.dev/memory": "1Gi"}));
    let old = domain("a", 1, 2 << 10, 1);
    put(&mut world, old.clone());
    assert_eq!(said(admit(&world, Some(&old), &domain("a", 4, 2 << 10, 1))), [""; 0]);
    assert_eq!(said(admit(&world, Some(&old), &domain("a", 1, 3 << 10, 1))).len(), 1);
}

#[test]
fn another_namespaces_quota_and_one_with_a_scope_count_for_nothing() {
    let mut world = World::default();
    world.quotas.insert(("other".to_owned(), "q".to_owned()), 1, limits(json!({"ostler.dev/memory": "1"})));
    let scoped = json!({"metadata": {}, "spec": {"hard": {"ostler.dev/memory": "1"}, "scopes": ["NotTerminating"]}});
    let scoped: core::ResourceQuota = serde_json::from_value(scoped).unwrap();
    world.quotas.insert(("shop".to_owned(), "q".to_owned()), 1, scoped.into());
    assert_eq!(said(admit(&world, None, &domain("a", 1, 64, 0))), [""; 0]);
}

proptest! {
    /// However many were admitted beside each other, what gets a host is within the quota, and nothing that fits is held back.
    #[test]
    fn first_hosts_stay_within_the_quota(sizes in proptest::collection::vec(1..40_i64, 1..20), limit in 1..200_i64) {
        let mut world = world(json!({"ostler.dev/memory": format!("{limit}Mi")}));
        for (at, mib) in sizes.iter().enumerate() {
            put(&mut world, domain(&format!("d{at}"), 1, *mib, 0));
        }
        let mut taken = Taken::of(&world);
        let mut sum = 0;
        for (at, mib) in sizes.iter().enumerate() {
            let fits = sum + mib <= limit;
            prop_assert_eq!(taken.take(&world, &domain(&format!("d{at}"), 1, *mib, 0)).is_ok(), fits);
            sum += if fits { *mib } else { 0 };
        }
        prop_assert!(sum <= limit);
    }
}
