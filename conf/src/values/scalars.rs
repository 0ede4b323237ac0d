//! Numbers, booleans and plain texts as XML values.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use ostler_util::{CpuSet, MacAddress};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

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
    i32: "a number", |number, out| append_signed(out, number.into());
    i64: "a number", |number, out| append_signed(out, number);
    CpuSet: "a CPU set such as 0-3,8";
    MacAddress: "a MAC address such as 52:54:00:6b:3c:58", |mac, out| append_mac(out, mac);
    IpAddr: "an IP address";
    Ipv4Addr: "an IP address of version 4";
}

fn append_signed(out: &mut String, number: i64) {
    if number < 0 {
        out.push('-');
    }
    digits::append(out, number.unsigned_abs(), 10, 1);
}

fn append_mac(out: &mut String, mac: MacAddress) {
    for (at, byte) in mac.0.into_iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        digits::append(out, byte.into(), 16, 2);
    }
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
        if text.len() == Hyphenated::LENGTH
            && let Ok(uuid) = Uuid::try_parse(text)
        {
            return Ok(uuid);
        }
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        Uuid::try_parse(&digits).map_err(|_| "a UUID".to_owned())
    }
    fn format(&self) -> Cow<'_, str> {
        self.hyphenated().to_string().into()
    }
    fn append(&self, out: &mut String) {
        out.push_str(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_what_is_shown() {
        fn check<T: Value>(value: T) {
            let mut out = String::new();
            value.append(&mut out);
            assert_eq!(out, value.format());
        }
        [0, 7, -1, i32::MIN, i32::MAX].into_iter().for_each(check);
        [0, -42, i64::MIN, i64::MAX].into_iter().for_each(check);
        [MacAddress([0x52, 0x54, 0, 0x0a, 0xff, 1]), MacAddress([0; 6])].into_iter().for_each(check);
        check(Uuid::from_u128(0x0123_4567_89ab_cdef));
    }

    #[test]
    fn a_uuid_is_read_with_dashes_wherever_they_are() {
        let uuid = Uuid::from_u128(0x6695_eb01_f6a4_8304_79aa_97f2_502e_193f);
        for text in [
            "6695eb01-f6a4-8304-79aa-97f2502e193f",
            "6695EB01F6A4830479AA97F2502E193F",
            " 6695eb01-f6a48304-79aa97f2-502e193f\n",
        ] {
            assert_eq!(Value::parse(text), Ok(uuid), "{text}");
        }
        assert!(Uuid::parse("6695eb01-f6a4-8304-79aa-97f2502e193").is_err());
    }
}
