//! Holds a value against its kind's structural schema, as the API server does with `fieldValidation=Strict`.

use serde_json::{Map, Value};

use super::schema::{Schema, Type, spec_of};
use super::{ManifestProblem, Positions, suggest};
use crate::Kind;

/// How many problems are told; a file that has more is not meant for us at all.
const MAX_PROBLEMS: usize = 100;

/// The longest text that a message shows whole.
const MAX_SHOWN: usize = 200;

/// Every field that the schema does not allow, up to a number.
pub(super) fn check(value: &Value, kind: Kind, positions: &Positions) -> Vec<ManifestProblem> {
    let mut checker = Checker { positions, problems: Vec::new() };
    let schema = spec_of(kind);
    let known: Vec<&str> =
        schema.is_some().then_some("spec").into_iter().chain(["status", "apiVersion", "kind", "metadata"]).collect();
    if let Some(object) = value.as_object() {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            checker.add(key, format!("unknown field: {}", suggest(key, &known)));
        }
        match (object.get("spec"), schema) {
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
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(self.positions.problem(path, message));
        }
    }

    fn value(&mut self, value: &Value, schema: &Schema, path: &str) {
        if value.is_null() {
            return self.add(path, "a value is missing here".to_owned());
        }
        match (schema.kind, value) {
            (Type::Object, Value::Object(object)) => self.object(object, schema, path),
            (Type::Array, Value::Array(items)) => self.array(items, schema, path),
            (Type::String, Value::String(text)) => self.string(text, schema, path),
            (Type::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(number, schema, path)
            }
            (Type::Number, Value::Number(number)) => self.number(number, schema, path),
            (Type::Boolean, Value::Bool(_)) => {}
            (_, found) => self.add(path, mismatch(schema, found)),
        }
        if !schema.words.is_empty() && !value.as_str().is_some_and(|word| schema.words.contains(&word)) {
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.add(path, format!("'{}' is not known: {}", shown(&word), suggest(&word, &schema.words)));
        }
    }

    fn object(&mut self, object: &Map<String, Value>, schema: &Schema, path: &str) {
        // A field that is null is absent, as the API server has it.
        for (key, value) in object {
            let path = format!("{path}.{key}");
            match (schema.properties.get(key), &schema.additional_properties) {
                (Some(_), _) if value.is_null() => {}
                (Some(schema), _) => self.value(value, schema, &path),
                (None, Some(schema)) => self.value(value, schema, &path),
                (None, None) => {
                    let known: Vec<&str> = schema.properties.names().collect();
                    self.add(&path, format!("unknown field: {}", suggest(key, &known)));
                }
            }
        }
        if let Some(max) = schema.max_properties.filter(|max| object.len() > *max as usize) {
            self.add(path, format!("{} entries are too many: {max} at most", object.len()));
        }
        for name in &schema.required {
            if object.get(*name).is_none_or(Value::is_null) {
                self.add(&format!("{path}.{name}"), format!("'{name}' is missing"));
            }
        }
        self.union(object, schema, path);
    }

    /// A choice is one of several fields.
    fn union(&mut self, object: &Map<String, Value>, schema: &Schema, path: &str) {
        let names: Vec<&str> = schema.choices().collect();
        let given = names.iter().filter(|name| object.get(**name).is_some_and(|value| !value.is_null())).count();
        if !names.is_empty() && given != 1 {
            self.add(path, format!("exactly one of {} is expected", names.join(", ")));
        }
    }

    fn array(&mut self, items: &[Value], schema: &Schema, path: &str) {
        if let Some(max) = schema.max_items.filter(|max| items.len() > *max as usize) {
            return self.add(path, format!("{} items are too many: {max} at most", items.len()));
        }
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Some(schema) = &schema.items {
                self.value(item, schema, &path);
            }
            let Some((key, name)) = schema.key().and_then(|key| Some((key, item.get(key)?))) else { continue };
            if items[..index].iter().any(|other| other.get(key) == Some(name)) {
                self.add(&format!("{path}.{key}"), format!("{name} is the {key} of another item already"));
            }
        }
    }

    fn string(&mut self, text: &str, schema: &Schema, path: &str) {
        let length = text.chars().count();
        if let Some(max) = schema.max_length.filter(|max| length > *max as usize) {
            return self.add(path, format!("{length} characters are too many: {max} at most"));
        }
        if schema.min_length.is_some_and(|min| length < min as usize) {
            self.add(path, "a text is missing here".to_owned());
        }
        let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) else { return };
        let hint = if schema.is_size() {
            text.parse::<ostler_conf::Size>().err().map(|error| error.to_string())
        } else if pattern.text.contains("ms|s|m|h") {
            text.parse::<crate::Duration>().err()
        } else {
            None
        };
        self.add(path, hint.unwrap_or_else(|| format!("'{}' has not the form {}", shown(text), pattern.text)));
    }

    fn number(&mut self, number: &serde_json::Number, schema: &Schema, path: &str) {
        let value = number.as_f64().unwrap_or(f64::NAN);
        if let Some(min) = schema.minimum.filter(|min| value < *min) {
            self.add(path, format!("{number} is too small: {min} at least"));
        }
        if let Some(max) = schema.maximum.filter(|max| value > *max) {
            self.add(path, format!("{number} is too large: {max} at most"));
        }
    }
}

fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

fn mismatch(schema: &Schema, found: &Value) -> String {
    if let (Value::Number(number), true) = (found, schema.is_size()) {
        // A bare number for a size has two readings, and both are named.
        return number
            .to_string()
            .parse::<ostler_conf::Size>()
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
    }
    let expected = match schema.kind {
        Type::Object => "a mapping",
        Type::Array => "a list",
        Type::String => "a text",
        Type::Integer => "a whole number",
        Type::Number => "a number",
        Type::Boolean => "true or false",
    };
    let found = match found {
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the text '{}'", shown(text)),
        Value::Bool(value) => format!("the boolean {value} (quote it for a text)"),
        Value::Null => "nothing".to_owned(),
        Value::Number(number) => format!("the number {number}"),
    };
    format!("{expected} is expected, not {found}")
}
