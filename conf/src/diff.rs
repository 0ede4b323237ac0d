//! What differs between two documents, by the paths of their YAML face.

mod tree;

use serde::Serialize;
use serde_json::Value;

use tree::Tree;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The field, as in `devices.disks[vda].source.file.file`.
    pub path: String,
    /// What is there; absent: nothing.
    pub current: Option<Value>,
    /// What should be there; absent: nothing.
    pub desired: Option<Value>,
}

/// Every field in which `desired` differs from `current`.
///
/// # Guarantees
/// Nothing differs from itself. `current`, with `desired` put in at each path, says what `desired` does.
///
/// A list of things with a name is compared by name, whatever its order, and one more or less is a difference of its own; any
/// other list is one value. So is a choice of which another side is taken: `devices.disks[vda].source`, from a file to a volume.
pub fn diff<T: Serialize>(current: &T, desired: &T) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(String::new(), Some(&tree::of(current)), Some(&tree::of(desired)), &mut differences);
    differences
}

fn compare(path: String, current: Option<&Tree>, desired: Option<&Tree>, out: &mut Vec<Difference>) {
    match (current, desired) {
        (current, desired) if current == desired => {}
        (Some(Tree::Fields(old)), Some(Tree::Fields(new))) => {
            let get = |fields: &'_ [(String, Tree)], key: &str| fields.iter().position(|(known, _)| known == key);
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, value) in old {
                compare(below(key), Some(value), get(new, key).map(|at| &new[at].1), out);
            }
            for (key, value) in new.iter().filter(|(key, _)| get(old, key).is_none()) {
                compare(below(key), None, Some(value), out);
            }
        }
        (Some(Tree::Choice(old, current)), Some(Tree::Choice(new, desired))) if old == new => {
            compare(format!("{path}.{old}"), Some(current), Some(desired), out);
        }
        (current, desired) => match (by_name(current), by_name(desired)) {
            (Some(old), Some(new)) => {
                let get = |list: &[(&str, &'_ Tree)], name: &str| list.iter().position(|(known, _)| *known == name);
                for (name, item) in &old {
                    compare(format!("{path}[{name}]"), Some(item), get(&new, name).map(|at| new[at].1), out);
                }
                for (name, item) in new.iter().filter(|(name, _)| get(&old, name).is_none()) {
                    compare(format!("{path}[{name}]"), None, Some(item), out);
                }
            }
            _ => {
                let json = |value: Option<&Tree>| value.map(Tree::to_json);
                out.push(Difference { path, current: json(current), desired: json(desired) });
            }
        },
    }
}

/// The items of a list with their names, where each has one of its own; an absent list has none.
fn by_name(list: Option<&Tree>) -> Option<Vec<(&str, &Tree)>> {
    let items = match list {
        None => return Some(Vec::new()),
        Some(Tree::List(items)) => items,
        Some(_) => return None,
    };
    let named = items.iter().map(|item| Some((item.name()?, item))).collect::<Option<Vec<_>>>()?;
    let mut names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1]).then_some(named)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Difference, diff};
    use crate::domain::Domain;
    use crate::parse;

    fn paths(current: &Domain, desired: &Domain) -> Vec<String> {
        diff(current, desired).into_iter().map(|difference| difference.path).collect()
    }

    fn guest(devices: &str) -> Domain {
        let text = format!("<domain type='kvm'><name>d</name><memory>1</memory><devices>{devices}</devices></domain>");
        parse::<Domain>(&text).unwrap().value
    }

    #[test]
    fn names_paths_and_ignores_order() {
        let old = json!({"memory": {"size": "2Gi"}, "disks": [{"name": "vda", "bus": "virtio"}, {"name": "vdb"}]});
        let new = json!({"memory": {"size": "4Gi"}, "disks": [{"name": "vdb"}, {"name": "vda", "bus": "scsi"}, {"name": "vdc"}]});
        let paths: Vec<String> = diff(&old, &new).into_iter().map(|d| d.path).collect();
        assert_eq!(paths, ["memory.size", "disks[vda].bus", "disks[vdc]"]);
        assert!(diff(&new, &new).is_empty());
    }

    #[test]
    fn another_side_of_a_choice_is_one_difference() {
        let disk = |source: &str| guest(&format!("<disk {source}<target dev='vda'/></disk>"));
        let file = disk("type='file'><source file='/a'/>");
        let volume = disk("type='volume'><source pool='p' volume='v'/>");
        let found = diff(&file, &volume);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, "devices.disks[vda].source");
        assert_eq!(found[0].current, Some(json!({"file": {"file": "/a"}})));
        assert_eq!(found[0].desired, Some(json!({"volume": {"pool": "p", "volume": "v"}})));
        assert_eq!(paths(&file, &disk("type='file'><source file='/b'/>")), ["devices.disks[vda].source.file.file"]);
    }

    #[test]
    fn the_first_of_its_kind_and_the_last_are_named() {
        let (none, one) = (guest(""), guest("<rng model='virtio'><backend model='builtin'/></rng>"));
        assert_eq!(paths(&none, &one), ["devices.rngs[rng0]"]);
        assert_eq!(paths(&one, &none), ["devices.rngs[rng0]"]);
    }

    #[test]
    fn a_list_whose_order_counts_is_one_value() {
        let boot = |order: &str| {
            let text = format!("<domain type='kvm'><name>d</name><os><type>hvm</type>{order}</os></domain>");
            parse::<Domain>(&text).unwrap().value
        };
        assert_eq!(
            paths(&boot("<boot dev='hd'/><boot dev='cdrom'/>"), &boot("<boot dev='cdrom'/><boot dev='hd'/>")),
            ["os.boot"]
        );
        let twice = json!([{"name": "a", "port": 1}, {"name": "a", "port": 2}]);
        assert!(diff(&twice, &twice).is_empty());
        assert_eq!(diff(&twice, &json!([{"name": "a"}]))[0].path, "");
    }

    /// Puts what is desired in the place of what is there.
    fn apply(document: &mut Value, difference: &Difference) {
        let mut place = document;
        let mut rest = difference.path.as_str();
        loop {
            let is_item = rest.starts_with('[');
            rest = rest.trim_start_matches(['.', '[']);
            let end = rest.find(if is_item { &[']'][..] } else { &['.', '['][..] }).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            rest = after.strip_prefix(']').unwrap_or(after);
            if !is_item {
                if rest.is_empty() {
                    match &difference.desired {
                        Some(desired) => place[key] = desired.clone(),
                        None => drop(place.as_object_mut().unwrap().remove(key)),
                    }
                    return;
                }
                if place[key].is_null() {
                    place[key] = if rest.starts_with('[') { json!([]) } else { json!({}) };
                }
                place = &mut place[key];
                continue;
            }
            let items = place.as_array_mut().unwrap();
            let at = items.iter().position(|item| item["name"] == key);
            if rest.is_empty() {
                match (at, &difference.desired) {
                    (Some(at), Some(desired)) => items[at] = desired.clone(),
                    (None, Some(desired)) => items.push(desired.clone()),
                    (Some(at), None) => drop(items.remove(at)),
                    (None, None) => {}
                }
                return;
            }
            place = &mut items[at.unwrap()];
        }
    }

    /// The order of named things counts for nothing, nor does a list with nothing in it.
    fn settle(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.values_mut().for_each(settle);
                map.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
                map.sort_keys();
            }
            Value::Array(items) => {
                items.iter_mut().for_each(settle);
                if items.iter().all(|item| item["name"].is_string()) {
                    items.sort_by_key(|item| item["name"].to_string());
                }
            }
            _ => {}
        }
    }

    fn settled(domain: &Domain) -> Value {
        let mut value = serde_json::to_value(domain).unwrap();
        settle(&mut value);
        value
    }

    /// Devices of every shape: named and not, with choices, with lists in them.
    const DEVICES: &[&str] = &[
        "<disk type='file'><source file='/a'/><target dev='vda'/></disk>",
        "<disk type='file' device='cdrom'><source file='/b'><seclabel relabel='no'/></source><target dev='vda' bus='ide'/></disk>",
        "<disk type='network'><source protocol='rbd' name='p/i'><host name='h'/><host name='i' port='2'/></source><target dev='vdb'/></disk>",
        "<disk type='volume'><source pool='p' volume='v'/><target dev='vdb'/><backingStore/></disk>",
        "<disk type='file'><target dev='vdc'/><backingStore type='file'><format type='raw'/><source file='/c'/></backingStore></disk>",
        "<interface type='network'><source network='n'/><model type='virtio'/></interface>",
        "<interface type='bridge'><source bridge='b'/><filterref filter='f'><parameter name='IP' value='1.1.1.1'/></filterref></interface>",
        "<controller type='pci' index='0' model='pcie-root'/>",
        "<controller type='pci' index='1' model='pcie-root-port'><target chassis='1'/></controller>",
        "<graphics type='vnc' port='5901' autoport='no'><listen type='address' address='::1'/></graphics>",
        "<graphics type='spice'><channel name='main' mode='secure'/><channel name='display' mode='any'/></graphics>",
        "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>",
        "<rng model='virtio'><backend model='builtin'/></rng>",
        "<memballoon model='none'/>",
        "<watchdog model='itco' action='reset'/>",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_differs_explains_the_change(old in prop::sample::subsequence(DEVICES, 0..DEVICES.len()), new in prop::sample::subsequence(DEVICES, 0..DEVICES.len())) {
            let (old, new) = (guest(&old.concat()), guest(&new.concat()));
            prop_assert!(diff(&old, &old).is_empty());
            let mut changed = serde_json::to_value(&old).unwrap();
            for difference in diff(&old, &new) {
                prop_assert_ne!(&difference.current, &difference.desired);
                apply(&mut changed, &difference);
            }
            settle(&mut changed);
            prop_assert_eq!(changed, settled(&new));
        }
    }
}
