use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::table::{self, FREE_TEXTS, Fields, Rule};
use super::{Grant, Part, fields_by_grant, needs_of, policies};
use crate::{Kind, schema_of};

/// The policies in the chart, and the page that has the fields.
const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ostler/templates/policies/grants.yaml");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grants.md");
/// Around what is made on the page.
const MARKS: [&str; 2] = ["<!-- made from crds/src/grants/table.rs -->", "<!-- end of what is made -->"];

fn kept(file: &str, made: &str) {
    if std::env::var_os("OSTLER_WRITE").is_some() {
        std::fs::write(file, made).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(kept == made, "{file} is stale: run `OSTLER_WRITE=1 cargo test -p ostler-crds kept`");
}

#[test]
fn the_kept_policies_are_those_of_the_table() {
    kept(POLICIES, &policies());
}

#[test]
fn the_kept_page_has_the_fields_of_the_table() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let [begin, end] = MARKS;
    let (before, rest) = page.split_once(begin).expect("the page has a place for the fields");
    let (_, after) = rest.split_once(end).expect("the page says where the fields end");
    kept(PAGE, &format!("{before}{begin}\n{}\n{end}{after}", fields_by_grant()));
}

/// The schema of an object's fields, through a list.
fn properties(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    let schema = schema.get("items").unwrap_or(schema);
    schema.get("properties").and_then(Value::as_object)
}

/// Holds a schema against the table: `wrong` takes what the one has and the other has not.
fn compare(schema: &Value, fields: Fields, path: &str, wrong: &mut Vec<String>, texts: &mut BTreeSet<&'static str>) {
    let properties = properties(schema).unwrap_or_else(|| panic!("{path} is no object"));
    let listed: Vec<&str> = fields.iter().flat_map(|(names, _)| names.split(' ')).collect();
    wrong.extend(
        properties
            .keys()
            .filter(|name| !listed.contains(&name.as_str()))
            .map(|name| format!("{path}.{name} is not listed")),
    );
    for name in &listed {
        if listed.iter().filter(|other| *other == name).count() > 1 {
            wrong.push(format!("{path}.{name} is listed twice"));
        }
        let (Some(schema), Some(rule)) = (properties.get(*name), table::rule_of(fields, name)) else {
            wrong.push(format!("{path}.{name} is in no schema"));
            continue;
        };
        let is_list = schema.get("items").is_some();
        let path = format!("{path}.{name}{}", if is_list { "[]" } else { "" });
        let is_named = schema["items"]["required"].as_array().is_some_and(|all| all.contains(&json!("name")));
        match rule {
            Rule::Free => open_texts(schema, &path, wrong, texts),
            Rule::Needs(_) | Rule::AnyItem(..) => {}
            Rule::Only(words, _) => {
                let known = schema["enum"].as_array().cloned().unwrap_or_default();
                wrong.extend(
                    words
                        .iter()
                        .filter(|word| !known.contains(&json!(word)))
                        .map(|word| format!("{path}: {word} is no word")),
                );
            }
            Rule::Empty(_) if is_list => {}
            Rule::Within(fields) if !is_list => compare(schema, fields, &path, wrong, texts),
            Rule::Named(fields) if is_list && is_named => compare(schema, fields, &path, wrong, texts),
            Rule::Items(fields) if is_list && !is_named => compare(schema, fields, &path, wrong, texts),
            Rule::Empty(_) | Rule::Within(_) | Rule::Named(_) | Rule::Items(_) => {
                wrong.push(format!("{path} has another form"));
            }
        }
    }
}

/// Texts that may be anything below a free field.
fn open_texts(schema: &Value, path: &str, wrong: &mut Vec<String>, texts: &mut BTreeSet<&'static str>) {
    for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let list = if child.get("items").is_some() { "[]" } else { "" };
        open_texts(child, &format!("{path}.{name}{list}"), wrong, texts);
    }
    if let Some(items) = schema.get("items") {
        open_texts(items, path, wrong, texts);
    }
    if let Some(child) = schema.get("additionalProperties").filter(|child| child.is_object()) {
        let list = if child.get("items").is_some() { "[]" } else { "" };
        open_texts(child, &format!("{path}.*{list}"), wrong, texts);
    }
    let is_open = schema["type"] == "string" && schema.get("enum").is_none() && schema.get("pattern").is_none();
    let is_any = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    if is_any {
        wrong.push(format!("{path} may be anything"));
    }
    if is_open {
        let known: Vec<&'static str> = FREE_TEXTS.iter().filter(|text| path.ends_with(*text)).copied().collect();
        if known.is_empty() {
            wrong.push(format!("{path} may be any text: what does it name?"));
        }
        texts.extend(known);
    }
}

#[test]
fn every_field_is_listed_and_every_text_that_is_free_is_known() {
    let (mut wrong, mut texts) = (Vec::new(), BTreeSet::new());
    for kind in Kind::ALL {
        if let Some(fields) = table::of(*kind) {
            compare(&schema_of(*kind)["properties"]["spec"], fields, &format!("{kind}.spec"), &mut wrong, &mut texts);
        }
    }
    wrong.extend(
        FREE_TEXTS.iter().filter(|text| !texts.contains(*text)).map(|text| format!("no field ends with {text}")),
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn check(kind: Kind, spec: &Value, expected: &[(&str, Grant)]) {
    let expected: Vec<Part> =
        expected.iter().map(|(field, grant)| Part { field: (*field).to_owned(), grant: *grant }).collect();
    assert_eq!(needs_of(kind, spec), expected, "{spec}");
}

#[test]
fn a_part_is_told_with_its_field_and_its_grant() {
    let disk = |source: Value| json!({"domain": {"devices": {"disks": [{"name": "vda", "source": source}]}}});
    let source = "spec.domain.devices.disks[vda].source";
    check(Kind::Domain, &disk(json!({"volume": {"pool": "p", "volume": "v"}})), &[]);
    check(Kind::Domain, &disk(json!({"file": {"file": "/x"}})), &[(&format!("{source}.file"), Grant::HostPaths)]);
    let hosts = |host: Value| disk(json!({"network": {"hosts": [{"host": "a"}, host]}}));
    check(Kind::Domain, &hosts(json!({"host": "b"})), &[(&format!("{source}.network.hosts"), Grant::HostNetworks)]);
    check(Kind::Domain, &hosts(json!({"socket": "/x"})), &[(&format!("{source}.network.hosts"), Grant::HostPaths)]);
    check(
        Kind::Network,
        &json!({"network": {"forward": {"mode": "route"}, "ips": [{"tftp": {"root": "/"}}]}}),
        &[("spec.network.forward.mode", Grant::HostNetworks), ("spec.network.ips[].tftp", Grant::HostPaths)],
    );
}

#[test]
fn what_is_not_listed_or_has_another_form_is_not_free() {
    check(Kind::Domain, &json!({"xml": "<domain/>"}), &[("spec.xml", Grant::RawXml)]);
    check(
        Kind::Domain,
        &json!({"domain": {"devices": {"disks": {}}}}),
        &[("spec.domain.devices.disks", Grant::RawXml)],
    );
    check(Kind::StoragePool, &json!({"pool": {"type": 1}}), &[("spec.pool.type", Grant::HostDevices)]);
}

#[test]
fn words_and_empty_lists_are_free_where_the_table_says_so() {
    check(Kind::Domain, &json!({"adopt": "Orphaned"}), &[]);
    check(Kind::Domain, &json!({"adopt": "Any"}), &[("spec.adopt", Grant::RawXml)]);
    let chain = |chain: Value| json!({"domain": {"devices": {"disks": [{"name": "a", "backingChain": chain}]}}});
    check(Kind::Domain, &chain(json!([])), &[]);
    let listens = |listens: Value| {
        let screen = json!({"name": "a", "kind": {"vnc": {"listens": listens}}});
        json!({"domain": {"devices": {"graphics": [screen]}}})
    };
    let screen = "spec.domain.devices.graphics[a].kind.vnc.listens";
    check(Kind::Domain, &listens(json!([])), &[]);
    check(Kind::Domain, &listens(json!([{"address": {}}])), &[(screen, Grant::HostNetworks)]);
    check(Kind::Domain, &listens(json!([{"socket": {"socket": "/x"}}])), &[(screen, Grant::HostPaths)]);
    let field = "spec.domain.devices.disks[a].backingChain";
    check(Kind::Domain, &chain(json!([{"source": {"volume": {}}}])), &[(field, Grant::HostPaths)]);
}
