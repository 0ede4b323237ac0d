//! Numbers, booleans and plain texts as XML values.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use ostler_util::{CpuSet, MacAddress};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digits;
use crate::xml::Value;

macro_rules! shown {
    ($($ty:ty: $what:literal $(, $append:expr)?;)*) => { $(
        impl Value for $ty {
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| $what.to_owned())
            }
            fn format(&self) -> Cow<'_, str> {
                self.to_string().into()
            }
            $(fn append(&self, out: &mut String) {
                let append: fn($ty, &mut String) = $append;
                append(*self, out);
            })?
        }
    )* };
}

shown! {
    u8: "a number from 0 to 255", |number, out| digits::append(out, number.into(), 10, 1);
    u16: "a number from 0 to 65535", |number, out| digits::append(out, number.into(), 10, 1);
    u32: "a number from 0 to 4294967295", |number, out| digits::append(out, number.into(), 10, 1);
    u64: "an unsigned number", |number, out| digits::append(out, number, 10, 1);
    i32: "a number";
    i64: "a number";
    CpuSet: "a CPU set such as 0-3,8";
    MacAddress: "a MAC address such as 52:54:00:6b:3c:58";
    IpAddr: "an IP address";
    Ipv4Addr: "an IP address of version 4";
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Value for Uuid {
    /// With or without dashes, as libvirt reads it.
    fn parse(text: &str) -> Result<Self, String> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        Uuid::try_parse(&digits).map_err(|_| "a UUID".to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        self.hyphenated().to_string().into()
    }
}

macro_rules! booleans {
    ($($(#[$doc:meta])* $name:ident($yes:literal, $no:literal);)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        pub struct $name(pub bool);

        impl Value for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $yes => Ok($name(true)),
                    $no => Ok($name(false)),
                    _ => Err(concat!("one of ", $yes, ", ", $no).to_owned()),
                }
            }
            fn format(&self) -> Cow<'_, str> {
                if self.0 { $yes.into() } else { $no.into() }
            }
            fn append(&self, out: &mut String) {
                out.push_str(if self.0 { $yes } else { $no });
            }
        }
    )* };
}

booleans! {
    /// `yes` or `no` in XML, a boolean in YAML.
    YesNo("yes", "no");
    /// `on` or `off` in XML, a boolean in YAML.
    OnOff("on", "off");
    /// `true` or `false` in XML, a boolean in YAML.
    TrueFalse("true", "false");
}

/// A number that XML has in hexadecimal with `DIGITS` digits at least, and YAML as a number. Decimal is read as well. `MAX`: the
/// largest that a manifest may have, where that is more than so many digits hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hex<const DIGITS: usize, const MAX: u32 = 0>(pub u32);

impl<const DIGITS: usize, const MAX: u32> Value for Hex<DIGITS, MAX> {
    fn parse(text: &str) -> Result<Self, String> {
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number.map(Hex).map_err(|_| "a number, hexadecimal with 0x".to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        format!("0x{:0width$x}", self.0, width = DIGITS).into()
    }
    fn append(&self, out: &mut String) {
        out.push_str("0x");
        digits::append(out, self.0.into(), 16, DIGITS);
    }
}

#[cfg(feature = "schema")]
impl<const DIGITS: usize, const MAX: u32> schemars::JsonSchema for Hex<DIGITS, MAX> {
    fn schema_name() -> Cow<'static, str> {
        "Hex".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let max = u64::from(MAX).max(16_u64.pow(u32::try_from(DIGITS).unwrap_or(8).min(8)) - 1);
        schemars::json_schema!({ "type": "integer", "minimum": 0, "maximum": max })
    }
}

/// XML kept as it was written, between its element's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct XmlText(pub String);
