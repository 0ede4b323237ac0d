//! What differs between two documents, by the paths of their YAML face.

use serde::Serialize;
use serde_json::Value;

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

/// Every field in which `desired` differs from `current`. Lists of named things are compared by name, whatever their order.
pub fn diff<T: Serialize>(current: &T, desired: &T) -> Vec<Difference> {
    let json = |value: &T| serde_json::to_value(value).expect("conf types have only text keys");
    let mut differences = Vec::new();
    compare(String::new(), Some(&json(current)), Some(&json(desired)), &mut differences);
    differences
}

fn compare(path: String, current: Option<&Value>, desired: Option<&Value>, out: &mut Vec<Difference>) {
    match (current, desired) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(path, old.get(key), new.get(key), out);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if is_named(old) && is_named(new) => {
            let find = |list: &'_ [Value], name: Option<&str>| list.iter().position(|item| name_of(item) == name);
            for item in old {
                let name = name_of(item);
                let other = find(new, name).map(|at| &new[at]);
                compare(format!("{path}[{}]", name.unwrap_or_default()), Some(item), other, out);
            }
            for item in new.iter().filter(|item| find(old, name_of(item)).is_none()) {
                compare(format!("{path}[{}]", name_of(item).unwrap_or_default()), None, Some(item), out);
            }
        }
        (None, None) => {}
        (current, desired) if current == desired => {}
        (current, desired) => out.push(Difference { path, current: current.cloned(), desired: desired.cloned() }),
    }
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

fn is_named(list: &[Value]) -> bool {
    list.iter().all(|item| name_of(item).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::diff;

    #[test]
    fn names_paths_and_ignores_order() {
        let old = json!({"memory": {"size": "2Gi"}, "disks": [{"name": "vda", "bus": "virtio"}, {"name": "vdb"}]});
        let new = json!({"memory": {"size": "4Gi"}, "disks": [{"name": "vdb"}, {"name": "vda", "bus": "scsi"}, {"name": "vdc"}]});
        let paths: Vec<String> = diff(&old, &new).into_iter().map(|d| d.path).collect();
        assert_eq!(paths, ["memory.size", "disks[vda].bus", "disks[vdc]"]);
        assert!(diff(&new, &new).is_empty());
    }
}
