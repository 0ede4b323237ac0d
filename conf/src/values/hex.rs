//! Hexadecimal numbers in libvirt's spellings; decimal is read as well. YAML has them as numbers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::xml::Value;

/// A 64-bit number with `DIGITS` digits at least, as in `0x00002000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HexLong<const DIGITS: usize>(pub u64);

/// A number with upper-case digits, as in `0x15E1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HexUpper<const DIGITS: usize>(pub u32);

fn parse(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a number, hexadecimal with 0x".to_owned())
}

impl<const DIGITS: usize> Value for HexLong<DIGITS> {
    fn parse(text: &str) -> Result<Self, String> {
        parse(text).map(HexLong)
    }
    fn format(&self) -> Cow<'_, str> {
        format!("0x{:0width$x}", self.0, width = DIGITS).into()
    }
    fn append(&self, out: &mut String) {
        out.push_str("0x");
        super::digits::append(out, self.0, 16, DIGITS);
    }
}

impl<const DIGITS: usize> HexUpper<DIGITS> {
    /// `-1`, which means any.
    pub const ANY: Self = HexUpper(u32::MAX);
}

impl<const DIGITS: usize> Value for HexUpper<DIGITS> {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "-1" {
            return Ok(HexUpper::ANY);
        }
        let number = parse(text)?;
        u32::try_from(number).map(HexUpper).map_err(|_| "a number of 32 bits".to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        format!("0x{:0width$X}", self.0, width = DIGITS).into()
    }
}

#[cfg(feature = "schema")]
macro_rules! schemas {
    ($($name:ident),*) => { $(
        impl<const DIGITS: usize> schemars::JsonSchema for $name<DIGITS> {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "integer", "minimum": 0 })
            }
        }
    )* };
}

#[cfg(feature = "schema")]
schemas!(HexLong, HexUpper);

/// A number that XML may have in hexadecimal, and that is written in decimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct AnyBase(pub u32);

impl Value for AnyBase {
    fn parse(text: &str) -> Result<Self, String> {
        let number = parse(text)?;
        u32::try_from(number).map(AnyBase).map_err(|_| "a number of 32 bits".to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        self.0.to_string().into()
    }
    fn append(&self, out: &mut String) {
        super::digits::append(out, self.0.into(), 10, 1);
    }
}
