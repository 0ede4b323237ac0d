//! The properties of a device, an object or a back end, in the two syntaxes that QEMU reads.

use serde_json::{Map, Value};

/// Properties in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Props(Map<String, Value>);

impl Props {
    /// Those of a device of this driver.
    pub(crate) fn driver(driver: impl Into<String>) -> Self {
        Props::default().put("driver", driver.into())
    }

    /// Those of an object of this type.
    pub(crate) fn object(kind: &str, id: impl Into<String>) -> Self {
        Props::default().put("qom-type", kind).put("id", id.into())
    }

    /// Adds one.
    pub(crate) fn put(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds one where there is a value.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// Adds all that are no null.
    pub(crate) fn extend(mut self, members: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        self.0.extend(members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, v)| (name.to_owned(), v)));
        self
    }

    /// As JSON.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

impl From<Value> for Props {
    /// The members of an object; of any other value there are none.
    fn from(value: Value) -> Self {
        match value {
            Value::Object(members) => Props(members),
            _ => Props::default(),
        }
    }
}

/// A text in a list of options: commas are doubled.
pub(crate) fn escape(text: &str) -> String {
    text.replace(',', ",,")
}

/// `value` as a list of options. The member `first` leads, without its name; members of members have dots in their names.
pub fn options(value: &Value, first: &str) -> String {
    let mut parts = Vec::new();
    if let Some(leading) = value.get(first).and_then(Value::as_str) {
        parts.push(escape(leading));
    }
    for (name, value) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != first) {
        flatten(name, value, &mut parts);
    }
    parts.join(",")
}

fn flatten(name: &str, value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Bool(on) => parts.push(format!("{name}={}", on_off(*on))),
        Value::Number(number) => parts.push(format!("{name}={number}")),
        Value::String(text) => parts.push(format!("{name}={}", escape(text))),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(&format!("{name}.{at}"), item, parts));
        }
        Value::Object(members) => {
            members.iter().for_each(|(member, value)| flatten(&format!("{name}.{member}"), value, parts));
        }
    }
}

/// QEMU's words for a switch.
pub(crate) const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_a_flat_list() {
        let value = json!({ "type": "tap", "fd": "3", "vhost": true, "a": { "b": [1, "x,y"] } });
        assert_eq!(options(&value, "type"), "tap,fd=3,vhost=on,a.b.0=1,a.b.1=x,,y");
    }
}
