//! `<filterref>`: a use of a network filter, with values for its variables. libvirt: formatnwfilter.html.

use std::collections::BTreeMap;

use ostler_conf_derive::element;

use crate::Problem;
use crate::xml::{Element, Reader, Writer};

/// `<filterref filter='clean-traffic'>`: a use of a network filter.
#[element]
pub struct FilterRef {
    /// The filter's name.
    #[xml(attr)]
    pub filter: String,
    /// Values of the filter's variables.
    #[xml(flatten)]
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
}

/// `<parameter name='IP' value='10.0.0.1'/>`: values of a filter's variables, each any number of them, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Parameters(pub BTreeMap<String, Vec<String>>);

impl Parameters {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `<parameter …/>` as it stands in XML.
#[element]
struct Parameter {
    /// The variable.
    #[xml(attr)]
    name: Option<String>,
    /// One of its values.
    #[xml(attr)]
    value: Option<String>,
}

const ELEMENT: &str = "parameter";

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':'))
}

impl Element for Parameters {
    /// What can't be a variable or a value is passed over, as libvirt does.
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for parameter in reader.elements::<Parameter>(ELEMENT)? {
            if let (Some(name), Some(value)) = (parameter.name, parameter.value)
                && is_name(&name)
                && is_value(&value)
            {
                values.entry(name).or_default().push(value);
            }
        }
        Ok(Parameters(values))
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, writer: &mut Writer) {
        for (name, values) in &self.0 {
            for value in values {
                writer.element(ELEMENT, true, |writer| {
                    writer.attr("name", name);
                    writer.attr("value", value);
                });
            }
        }
    }
}
