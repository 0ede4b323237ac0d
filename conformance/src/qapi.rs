//! QEMU's interface as it describes itself, and whether what a command line says in JSON is of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The options whose values may be JSON, and the command whose arguments they are.
pub(super) const OPTIONS: &[(&str, &str)] = &[
    ("-blockdev", "blockdev-add"),
    ("-netdev", "netdev_add"),
    ("-object", "object-add"),
    ("-device", "device_add"),
    ("-chardev", "chardev-add"),
];

/// Commands that take more than they tell: a device's own properties are not in the description.
const OPEN: &[&str] = &["device_add"];

/// A description of QEMU's commands.
#[derive(Debug)]
pub(super) struct Schema {
    types: BTreeMap<String, Type>,
    /// The type of a command's arguments.
    commands: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Type {
    /// As JSON calls it.
    Builtin(String),
    Enum(BTreeSet<String>),
    Array(String),
    Object(Object),
    /// One of these, told apart by what it is in JSON.
    Alternate(Vec<String>),
}

#[derive(Debug)]
struct Object {
    members: Vec<Member>,
    /// The member that chooses, and what each of its values adds.
    variants: Option<(String, BTreeMap<String, String>)>,
}

#[derive(Debug)]
struct Member {
    name: String,
    of: String,
    is_optional: bool,
}

impl Schema {
    /// Reads the answer to `query-qmp-schema`.
    ///
    /// # Errors
    /// What is no such answer.
    pub(super) fn read(answer: &Value) -> Result<Self, String> {
        let entries = answer["return"].as_array().ok_or("no answer to query-qmp-schema")?;
        let mut schema = Schema { types: BTreeMap::new(), commands: BTreeMap::new() };
        for entry in entries {
            let name = text(entry, "name")?;
            let read = match entry["meta-type"].as_str() {
                Some("builtin") => Type::Builtin(text(entry, "json-type")?),
                Some("enum") => Type::Enum(strings(&entry["values"]).collect()),
                Some("array") => Type::Array(text(entry, "element-type")?),
                Some("alternate") => {
                    Type::Alternate(list(&entry["members"]).map(|of| text(of, "type")).collect::<Result<_, _>>()?)
                }
                Some("object") => Type::Object(Object::read(entry)?),
                Some("command") => {
                    schema.commands.insert(name, text(entry, "arg-type")?);
                    continue;
                }
                Some("event") => continue,
                other => return Err(format!("'{name}' is of the kind {other:?}, which is not known here")),
            };
            schema.types.insert(name, read);
        }
        Ok(schema)
    }

    /// Whether these can be the arguments of a command; else where they are wrong.
    pub(super) fn check(&self, command: &str, arguments: &Value) -> Result<(), String> {
        let of = self.commands.get(command).ok_or_else(|| format!("QEMU has no command '{command}'"))?;
        let is_open = OPEN.contains(&command);
        match (self.find(of)?, arguments) {
            (Type::Object(object), Value::Object(members)) => self.check_object(object, members, is_open, command),
            _ => self.check_type(of, arguments, command),
        }
    }

    fn find(&self, name: &str) -> Result<&Type, String> {
        self.types.get(name).ok_or_else(|| format!("the description lacks the type '{name}'"))
    }

    fn check_type(&self, of: &str, value: &Value, place: &str) -> Result<(), String> {
        match self.find(of)? {
            Type::Builtin(json) => match is_builtin(json, value) {
                true => Ok(()),
                false => Err(format!("{place}: {value} is no {json}")),
            },
            Type::Enum(words) => match value.as_str() {
                Some(word) if words.contains(word) => Ok(()),
                _ => Err(format!("{place}: {value} is none of its words")),
            },
            Type::Array(of) => {
                let items = value.as_array().ok_or_else(|| format!("{place}: {value} is no array"))?;
                items.iter().enumerate().try_for_each(|(at, item)| self.check_type(of, item, &format!("{place}[{at}]")))
            }
            Type::Object(object) => {
                let members = value.as_object().ok_or_else(|| format!("{place}: {value} is no object"))?;
                self.check_object(object, members, false, place)
            }
            Type::Alternate(choices) => {
                let wrong: Vec<String> =
                    choices.iter().map_while(|of| self.check_type(of, value, place).err()).collect();
                if wrong.len() < choices.len() { Ok(()) } else { Err(wrong.join(", and ")) }
            }
        }
    }

    fn check_object(
        &self,
        object: &Object,
        members: &Map<String, Value>,
        is_open: bool,
        place: &str,
    ) -> Result<(), String> {
        let mut known: Vec<&Member> = object.members.iter().collect();
        if let Some((tag, variants)) = &object.variants {
            let chosen = members.get(tag).and_then(Value::as_str).unwrap_or_default();
            if let Some(of) = variants.get(chosen) {
                match self.find(of)? {
                    Type::Object(variant) => known.extend(&variant.members),
                    _ => return Err(format!("{place}: the variant '{of}' is no object")),
                }
            }
        }
        for member in &known {
            match members.get(&member.name) {
                Some(value) => self.check_type(&member.of, value, &format!("{place}.{}", member.name))?,
                None if member.is_optional => {}
                None => return Err(format!("{place}: '{}' is missing", member.name)),
            }
        }
        let unknown = members.keys().find(|name| known.iter().all(|member| member.name != **name));
        match unknown.filter(|_| !is_open) {
            Some(name) => Err(format!("{place}: '{name}' is not known")),
            None => Ok(()),
        }
    }
}

impl Object {
    fn read(entry: &Value) -> Result<Self, String> {
        let member = |member: &Value| {
            let is_optional = member.get("default").is_some();
            Ok(Member { name: text(member, "name")?, of: text(member, "type")?, is_optional })
        };
        let members = list(&entry["members"]).map(member).collect::<Result<_, String>>()?;
        let variant = |variant: &Value| Ok((text(variant, "case")?, text(variant, "type")?));
        let variants = match entry["tag"].as_str() {
            Some(tag) => Some((tag.to_owned(), list(&entry["variants"]).map(variant).collect::<Result<_, String>>()?)),
            None => None,
        };
        Ok(Object { members, variants })
    }
}

fn text(of: &Value, name: &str) -> Result<String, String> {
    of[name].as_str().map(str::to_owned).ok_or_else(|| format!("the description has no '{name}' in {of}"))
}

fn list(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

fn strings(of: &Value) -> impl Iterator<Item = String> {
    list(of).filter_map(|word| word.as_str().map(str::to_owned))
}

fn is_builtin(json: &str, value: &Value) -> bool {
    match json {
        "string" => value.is_string(),
        "int" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "value" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let member = |name: &str, of: &str| json!({ "name": name, "type": of });
        let optional = |name: &str, of: &str| json!({ "name": name, "type": of, "default": null });
        Schema::read(&json!({ "return": [
            { "name": "str", "meta-type": "builtin", "json-type": "string" },
            { "name": "int", "meta-type": "builtin", "json-type": "int" },
            { "name": "null", "meta-type": "builtin", "json-type": "null" },
            { "name": "[int]", "meta-type": "array", "element-type": "int" },
            { "name": "Driver", "meta-type": "enum", "values": ["file", "qcow2"] },
            { "name": "Ref", "meta-type": "alternate", "members": [{ "type": "str" }, { "type": "null" }] },
            { "name": "File", "meta-type": "object", "members": [member("filename", "str"), optional("at", "[int]")] },
            { "name": "Qcow2", "meta-type": "object", "members": [member("file", "Ref")] },
            { "name": "Node", "meta-type": "object", "members": [member("driver", "Driver"), optional("size", "int")],
              "tag": "driver", "variants": [{ "case": "file", "type": "File" }, { "case": "qcow2", "type": "Qcow2" }] },
            { "name": "Device", "meta-type": "object", "members": [member("driver", "str")] },
            { "name": "blockdev-add", "meta-type": "command", "arg-type": "Node", "ret-type": "Node" },
            { "name": "device_add", "meta-type": "command", "arg-type": "Device", "ret-type": "Node" },
            { "name": "STOP", "meta-type": "event", "arg-type": "Node" },
        ] }))
        .unwrap()
    }

    fn wrong(command: &str, arguments: Value) -> String {
        schema().check(command, &arguments).err().unwrap_or_default()
    }

    #[test]
    fn what_qemu_takes_is_right() {
        for node in [
            json!({ "driver": "file", "filename": "/a", "at": [1, 2] }),
            json!({ "driver": "qcow2", "file": "a", "size": 3 }),
            json!({ "driver": "qcow2", "file": null }),
        ] {
            assert_eq!(wrong("blockdev-add", node.clone()), "", "{node}");
        }
        assert_eq!(wrong("device_add", json!({ "driver": "e1000", "mac": "m" })), "", "properties are not described");
    }

    #[test]
    fn what_qemu_does_not_take_is_told_with_its_place() {
        for (node, told) in [
            (json!({ "driver": "vmdk" }), "blockdev-add.driver: \"vmdk\" is none of its words"),
            (json!({ "driver": "file" }), "blockdev-add: 'filename' is missing"),
            (json!({ "driver": "file", "filename": 1 }), "blockdev-add.filename: 1 is no string"),
            (json!({ "driver": "file", "filename": "/a", "file": "b" }), "blockdev-add: 'file' is not known"),
            (json!({ "driver": "file", "filename": "/a", "at": [1, "2"] }), "blockdev-add.at[1]: \"2\" is no int"),
            (
                json!({ "driver": "qcow2", "file": 1 }),
                "blockdev-add.file: 1 is no string, and blockdev-add.file: 1 is no null",
            ),
            (json!({ "filename": "/a" }), "blockdev-add: 'driver' is missing"),
            (json!("/a"), "blockdev-add: \"/a\" is no object"),
        ] {
            assert_eq!(wrong("blockdev-add", node), told);
        }
        assert_eq!(wrong("device_add", json!({ "driver": 1 })), "device_add.driver: 1 is no string");
        assert_eq!(wrong("object-add", json!({})), "QEMU has no command 'object-add'");
    }
}
