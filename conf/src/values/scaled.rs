//! Amounts that XML has with a unit.

use ostler_util::Size;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::xml::{Element, Reader, Value as _, Writer, read_scaled};

macro_rules! scaled {
    ($($(#[$doc:meta])* $name:ident = $unit:literal, $in_unit:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        pub struct $name(pub Size);

        impl Element for $name {
            fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
                read_scaled(reader, $unit).map($name)
            }
            fn attrs(&self, writer: &mut Writer) {
                writer.attr_text("unit", $unit);
            }
            fn body(&self, writer: &mut Writer) {
                let in_unit: fn(Size) -> u64 = $in_unit;
                writer.text(&in_unit(self.0).format());
            }
        }
    )* };
}

scaled! {
    /// A size that XML has as `unit='KiB'` and a number.
    ScaledKib = "KiB", Size::kib;
    /// A size that XML has as `unit='bytes'` and a number.
    ScaledBytes = "bytes", Size::bytes;
    /// A size that XML has as `unit='M'` and a number of MiB.
    ScaledM = "M", |size| size.bytes() >> 20;
}

/// A size that XML has in the largest unit without a remainder, as in `unit='MiB'`; MiB where no unit is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct ScaledPretty(pub Size);

/// The largest unit without a remainder, and the number of these.
pub fn pretty(size: Size) -> (u64, &'static str) {
    const UNITS: &[(u64, &str)] = &[(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let bytes = size.bytes();
    let fits = UNITS.iter().find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit));
    fits.map_or((bytes, "bytes"), |(unit, name)| (bytes / unit, name))
}

impl Element for ScaledPretty {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        read_scaled(reader, "MiB").map(ScaledPretty)
    }
    fn attrs(&self, writer: &mut Writer) {
        writer.attr_text("unit", pretty(self.0).1);
    }
    fn body(&self, writer: &mut Writer) {
        writer.text(&pretty(self.0).0.format());
    }
}

/// Two attributes that are one amount: `memory='1024' unit='KiB'`. `$pretty`: written in the largest unit.
#[macro_export]
macro_rules! scaled_attrs {
    ($($(#[$doc:meta])* $vis:vis struct $name:ident($attr:literal, $unit:literal, $default:literal, $write:expr);)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        $vis struct $name(pub $crate::Size);

        impl $crate::xml::Element for $name {
            fn read(reader: &$crate::xml::Reader<'_>) -> Result<Self, $crate::Problem> {
                let number: u64 = reader.required_attr($attr)?;
                let unit = reader.attr_text($unit).unwrap_or($default);
                match $crate::Size::from_xml_unit(number, unit) {
                    Some(Some(size)) => Ok($name(size)),
                    _ => Err(reader.invalid_attr($unit, unit, "a unit such as KiB, MiB or GiB, or the amount is too large")),
                }
            }
            fn attrs(&self, writer: &mut $crate::xml::Writer) {
                let write: fn($crate::Size) -> (u64, &'static str) = $write;
                let (number, unit) = write(self.0);
                writer.attr($attr, &number);
                writer.attr_text($unit, unit);
            }
            fn body(&self, _: &mut $crate::xml::Writer) {}
        }
    )* };
}
