//! YAML to JSON values, with the place of every field.
//!
//! Stands on granit-parser, the event parser below serde-saphyr (which kube itself uses), because each field's place is
//! needed after the text is gone. Plain scalars mean what they mean to kubectl: `yes` and `on` are booleans.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use super::ManifestProblem;

/// The longest file that is read: etcd takes no larger object either.
const MAX_LENGTH: usize = 3 << 20;
const MAX_DEPTH: usize = 100;
/// Nodes of a file, with aliases counted as often as they are used: a few lines of aliases can stand for billions.
const MAX_NODES: usize = 200_000;
/// Bytes of texts and of fields' paths, with aliases counted as often as they are used: a long text is anchored once and used
/// a hundred thousand times, a long name stands in the path of everything below it.
const MAX_BYTES: usize = 64 << 20;

/// Where fields stand, by their path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    places: HashMap<String, (usize, usize)>,
    /// Indices of list items by their name: `devices.disks[vda]` is `devices.disks[0]`.
    named: HashMap<String, String>,
}

impl Positions {
    /// The place of a field, or of the nearest one around it that is there.
    pub fn of(&self, path: &str) -> (usize, usize) {
        let mut path = self.by_index(path);
        loop {
            if let Some(place) = self.places.get(&path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path.truncate(end),
                None => return self.places.get("").copied().unwrap_or((1, 1)),
            }
        }
    }

    /// The path with list items by number.
    fn by_index(&self, path: &str) -> String {
        let mut out = String::new();
        for part in path.split_inclusive(']') {
            out.push_str(part);
            if let Some(numbered) = self.named.get(&out) {
                out.clone_from(numbered);
            }
        }
        out
    }

    /// A problem with a field.
    pub fn problem(&self, path: &str, message: String) -> ManifestProblem {
        let (line, column) = self.of(path);
        ManifestProblem { line, column, path: path.to_owned(), message }
    }

    fn put(&mut self, path: &str, span: &Span) {
        self.places.entry(path.to_owned()).or_insert((span.start.line(), span.start.col() + 1));
    }
}

/// Reads all documents of a text.
pub(super) fn read(text: &str) -> Result<Vec<(Value, Positions)>, ManifestProblem> {
    if text.len() > MAX_LENGTH {
        let message = format!("the file has {} bytes, more than {MAX_LENGTH}", text.len());
        return Err(ManifestProblem { line: 1, column: 1, path: String::new(), message });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        weight: Weight::default(),
        positions: Positions::default(),
    };
    let mut documents = Vec::new();
    while let Some((event, _)) = reader.next()? {
        match event {
            Event::DocumentStart(..) => {
                reader.anchors.clear();
                reader.positions = Positions::default();
                let (event, span) = reader.expect_next()?;
                let value = reader.node(event, &span, "", 0)?;
                documents.push((value, std::mem::take(&mut reader.positions)));
            }
            Event::StreamEnd => break,
            _ => {}
        }
    }
    Ok(documents)
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Value, Weight)>,
    weight: Weight,
    positions: Positions,
}

/// What values take in memory.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

fn at(span: &Span, path: &str, message: impl Into<String>) -> ManifestProblem {
    ManifestProblem {
        line: span.start.line(),
        column: span.start.col() + 1,
        path: path.to_owned(),
        message: message.into(),
    }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, ManifestProblem> {
        loop {
            match self.parser.next() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(Some(next)),
                Some(Err(error)) => {
                    let marker = error.marker();
                    let message = format!("this is no YAML: {}", error.kind());
                    return Err(ManifestProblem {
                        line: marker.line(),
                        column: marker.col() + 1,
                        path: String::new(),
                        message,
                    });
                }
            }
        }
    }

    fn expect_next(&mut self) -> Result<(Event<'a>, Span), ManifestProblem> {
        let end = ManifestProblem {
            line: 1,
            column: 1,
            path: String::new(),
            message: "the text ends in the midst of a document".into(),
        };
        self.next()?.ok_or(end)
    }

    fn node(&mut self, event: Event<'a>, span: &Span, path: &str, depth: usize) -> Result<Value, ManifestProblem> {
        self.positions.put(path, span);
        let before = self.weight;
        self.count(Weight { nodes: 1, bytes: path.len() }, span, path)?;
        if depth > MAX_DEPTH {
            return Err(at(span, path, format!("more than {MAX_DEPTH} levels")));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some() {
                    return Err(at(span, path, "tags (!…) are not accepted"));
                }
                self.count(Weight { nodes: 0, bytes: text.len() }, span, path)?;
                (scalar(&text, style), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(path, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(path, depth)?, anchor),
            Event::Alias(id) => {
                let anchored = self.anchors.get(&id);
                let (_, weight) = anchored.ok_or_else(|| at(span, path, "this alias stands for itself"))?;
                // Before the copy is made.
                self.count(*weight, span, path)?;
                return Ok(self.anchors[&id].0.clone());
            }
            _ => return Err(at(span, path, "a value is expected here")),
        };
        if anchor > 0 {
            let weight = Weight { nodes: self.weight.nodes - before.nodes, bytes: self.weight.bytes - before.bytes };
            // The copy that is kept counts too.
            self.count(Weight { nodes: 0, ..weight }, span, path)?;
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        Ok(value)
    }

    fn count(&mut self, more: Weight, span: &Span, path: &str) -> Result<(), ManifestProblem> {
        self.weight.nodes += more.nodes;
        self.weight.bytes += more.bytes;
        let too_much = match self.weight {
            Weight { nodes, .. } if nodes > MAX_NODES => format!("{MAX_NODES} values"),
            Weight { bytes, .. } if bytes > MAX_BYTES => format!("{} MiB of names and texts", MAX_BYTES >> 20),
            _ => return Ok(()),
        };
        Err(at(span, path, format!("more than {too_much} in one file, aliases counted as often as they are used")))
    }

    fn sequence(&mut self, path: &str, depth: usize) -> Result<Value, ManifestProblem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.expect_next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            let path_of_item = format!("{path}[{}]", items.len());
            let item = self.node(event, &span, &path_of_item, depth + 1)?;
            if let Some(name) = item.get("name").and_then(Value::as_str) {
                self.positions.named.entry(format!("{path}[{name}]")).or_insert(path_of_item);
            }
            items.push(item);
        }
    }

    fn mapping(&mut self, path: &str, depth: usize) -> Result<Value, ManifestProblem> {
        let mut map = Map::new();
        loop {
            let (event, span) = self.expect_next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(at(&span, path, "a field's name is a plain text")),
            };
            let path_of_field = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if key == "<<" {
                return Err(at(&span, path, "merge keys (<<) are not accepted"));
            }
            if map.contains_key(&key) {
                return Err(at(&span, &path_of_field, "this field stands here twice"));
            }
            // A field is where its name is: an absent value has no place of its own.
            self.positions.put(&path_of_field, &span);
            let (event, value_span) = self.expect_next()?;
            let value = self.node(event, &value_span, &path_of_field, depth + 1)?;
            map.insert(key, value);
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// Integers in decimal, hexadecimal and octal, and decimal fractions.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok().map(Number::from);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return u64::from_str_radix(octal, 8).ok().map(Number::from);
    }
    if let Ok(integer) = text.parse::<i64>() {
        return Some(Number::from(integer));
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(Number::from(integer));
    }
    let is_fraction = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b))
        && digits.bytes().any(|b| b.is_ascii_digit());
    if is_fraction { text.parse::<f64>().ok().and_then(Number::from_f64) } else { None }
}
