//! Holds a value against its kind's structural schema, as the API server does with `fieldValidation=Strict`.

use serde_json::{Map, Value};

use super::{ManifestProblem, Positions, suggest};
use crate::{Kind, schema_of};

/// Every field that the schema does not allow.
pub(super) fn check(value: &Value, kind: Kind, positions: &Positions) -> Vec<ManifestProblem> {
    let mut checker = Checker { positions, problems: Vec::new() };
    let schema = schema_of(kind);
    if let (Some(object), Some(properties)) = (value.as_object(), schema.get("properties").and_then(Value::as_object)) {
        // What every object has stands outside of the schema.
        let known: Vec<&str> =
            properties.keys().map(String::as_str).chain(["apiVersion", "kind", "metadata"]).collect();
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            checker.add(key, format!("unknown field: {}", suggest(key, &known)));
        }
        match (object.get("spec"), properties.get("spec")) {
            (Some(spec), Some(schema)) if !spec.is_null() => checker.value(spec, schema, "spec"),
            (_, Some(_)) => checker.add("spec", "spec is missing".to_owned()),
            (_, None) => {}
        }
    }
    checker.problems
}

struct Checker<'a> {
    positions: &'a Positions,
    problems: Vec<ManifestProblem>,
}

impl Checker<'_> {
    fn add(&mut self, path: &str, message: String) {
        self.problems.push(self.positions.problem(path, message));
    }

    fn value(&mut self, value: &Value, schema: &Value, path: &str) {
        let Some(schema) = schema.as_object() else { return };
        if schema.contains_key("x-kubernetes-preserve-unknown-fields") && !schema.contains_key("properties") {
            return;
        }
        if value.is_null() {
            return self.add(path, "a value is missing here".to_owned());
        }
        match (schema.get("type").and_then(Value::as_str), value) {
            (Some("object"), Value::Object(object)) => self.object(object, schema, path),
            (Some("array"), Value::Array(items)) => self.array(items, schema, path),
            (Some("string"), Value::String(text)) => self.string(text, schema, path),
            (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(number, schema, path)
            }
            (Some("number"), Value::Number(number)) => self.number(number, schema, path),
            (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some(expected), found) => self.add(path, mismatch(expected, found, schema)),
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.add(path, format!("'{word}' is not known: {}", suggest(&word, &names)));
        }
    }

    fn object(&mut self, object: &Map<String, Value>, schema: &Map<String, Value>, path: &str) {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let additional = schema.get("additionalProperties");
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        // A field that is null is absent, as the API server has it.
        for (key, value) in object {
            let path = format!("{path}.{key}");
            match (properties.get(key), additional) {
                (Some(_), _) if value.is_null() => {}
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => self.value(value, schema, &path),
                (None, _) => self.add(&path, format!("unknown field: {}", suggest(key, &known))),
            }
        }
        if let Some(max) = schema.get("maxProperties").and_then(Value::as_u64)
            && object.len() as u64 > max
        {
            self.add(path, format!("{} entries are too many: {max} at most", object.len()));
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if object.get(name).is_none_or(Value::is_null) {
                self.add(&format!("{path}.{name}"), format!("'{name}' is missing"));
            }
        }
        self.union(object, schema, path);
    }

    /// A choice is one of several fields.
    fn union(&mut self, object: &Map<String, Value>, schema: &Map<String, Value>, path: &str) {
        let Some(choices) = schema.get("oneOf").and_then(Value::as_array) else { return };
        let names: Vec<&str> =
            choices.iter().filter_map(|choice| choice.pointer("/required/0").and_then(Value::as_str)).collect();
        let given = names.iter().filter(|name| object.get(**name).is_some_and(|value| !value.is_null())).count();
        if !names.is_empty() && given != 1 {
            self.add(path, format!("exactly one of {} is expected", names.join(", ")));
        }
    }

    fn array(&mut self, items: &[Value], schema: &Map<String, Value>, path: &str) {
        if let Some(max) = schema.get("maxItems").and_then(Value::as_u64)
            && items.len() as u64 > max
        {
            self.add(path, format!("{} items are too many: {max} at most", items.len()));
        }
        let key = schema.get("x-kubernetes-list-map-keys").and_then(|keys| keys.get(0)).and_then(Value::as_str);
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(item_schema) = schema.get("items") {
                self.value(item, item_schema, &path);
            }
            let Some((key, name)) = key.and_then(|key| Some((key, item.get(key)?))) else { continue };
            if items[..index].iter().any(|other| other.get(key) == Some(name)) {
                self.add(&format!("{path}.{key}"), format!("{name} is the {key} of another item already"));
            }
        }
    }

    fn string(&mut self, text: &str, schema: &Map<String, Value>, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(max) = schema.get("maxLength").and_then(Value::as_u64)
            && length > max
        {
            self.add(path, format!("{length} characters are too many: {max} at most"));
        }
        if let Some(min) = schema.get("minLength").and_then(Value::as_u64)
            && length < min
        {
            self.add(path, "a text is missing here".to_owned());
        }
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
        // The patterns are our own, and a test compiles them all.
        if regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            let hint = if pattern.contains("Ki|Mi") {
                text.parse::<ostler_conf::Size>().err().map(|error| error.to_string())
            } else if pattern.contains("ms|s|m|h") {
                text.parse::<crate::Duration>().err()
            } else {
                None
            };
            self.add(path, hint.unwrap_or_else(|| format!("'{text}' has not the form {pattern}")));
        }
    }

    fn number(&mut self, number: &serde_json::Number, schema: &Map<String, Value>, path: &str) {
        let value = number.as_f64().unwrap_or(f64::NAN);
        if let Some(min) = schema.get("minimum").and_then(Value::as_f64)
            && value < min
        {
            self.add(path, format!("{number} is too small: {min} at least"));
        }
        if let Some(max) = schema.get("maximum").and_then(Value::as_f64)
            && value > max
        {
            self.add(path, format!("{number} is too large: {max} at most"));
        }
    }
}

fn mismatch(expected: &str, found: &Value, schema: &Map<String, Value>) -> String {
    let pattern = schema.get("pattern").and_then(Value::as_str).unwrap_or_default();
    if let (Value::Number(number), true) = (found, pattern.contains("Ki|Mi")) {
        // A bare number for a size has two readings, and both are named.
        return number
            .to_string()
            .parse::<ostler_conf::Size>()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
    }
    let expected = match expected {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    };
    let found = match found {
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the text '{text}'"),
        Value::Bool(value) => format!("the boolean {value} (quote it for a text)"),
        Value::Null => "nothing".to_owned(),
        Value::Number(number) => format!("the number {number}"),
    };
    format!("{expected} is expected, not {found}")
}
