//! Amounts of memory and storage, in bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in bytes. In YAML a Kubernetes quantity with a unit (`2Gi`, `512Mi`, `1500M`).
///
/// A bare number is refused: it could mean bytes (Kubernetes) or KiB (libvirt).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(u64);

/// Why a text is no size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidSize {
    /// No unit was given.
    #[error(
        "'{0}' has no unit: write '{0}' bytes as a quantity with a unit such as '{1}', or libvirt's KiB as '{0}Ki'"
    )]
    NoUnit(String, Size),
    /// Neither a number nor a known unit.
    #[error("'{0}' is not a size: a number and one of Ki, Mi, Gi, Ti, Pi, Ei, k, M, G, T, P, E is expected, as in 2Gi")]
    Malformed(String),
    /// More than 64 bits.
    #[error("'{0}' is more than 16 EiB")]
    TooLarge(String),
}

/// Suffixes of Kubernetes quantities, with their bytes.
const QUANTITY_SUFFIXES: &[(&str, u64)] = &[
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// Units of libvirt's scaled integers (format page "memory allocation"), lower case, with their bytes.
const XML_UNITS: &[(&str, u64)] = &[
    ("b", 1),
    ("byte", 1),
    ("bytes", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("p", 1 << 50),
    ("pib", 1 << 50),
    ("e", 1 << 60),
    ("eib", 1 << 60),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
    ("eb", 1_000_000_000_000_000_000),
];

impl Size {
    /// `bytes` bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Size(bytes)
    }

    /// `kib` times 1024 bytes; saturates at 64 bits.
    pub const fn from_kib(kib: u64) -> Self {
        Size(kib.saturating_mul(1024))
    }

    /// `mib` times 1024² bytes; saturates at 64 bits.
    pub const fn from_mib(mib: u64) -> Self {
        Size(mib.saturating_mul(1 << 20))
    }

    /// The amount in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The amount in KiB, rounded up as libvirt does.
    pub const fn kib(self) -> u64 {
        self.0.div_ceil(1024)
    }

    /// `number` times libvirt's `unit` (any case); `None` for an unknown unit, `Some(None)` on overflow.
    pub fn from_xml_unit(number: u64, unit: &str) -> Option<Option<Self>> {
        let unit = unit.to_ascii_lowercase();
        let (_, factor) = XML_UNITS.iter().find(|(name, _)| *name == unit)?;
        Some(number.checked_mul(*factor).map(Size))
    }
}

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let suffix = &text[digits.len()..];
        let malformed = || InvalidSize::Malformed(text.to_owned());
        let too_large = || InvalidSize::TooLarge(text.to_owned());
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 9 || digits.ends_with('.')
        {
            return Err(malformed());
        }
        if suffix.is_empty() {
            let bytes = whole.parse::<u64>().map_err(|_| too_large())?;
            return Err(InvalidSize::NoUnit(text.to_owned(), Size(bytes)));
        }
        let (_, factor) = QUANTITY_SUFFIXES.iter().find(|(name, _)| *name == suffix).ok_or_else(malformed)?;
        let whole = whole.parse::<u128>().map_err(|_| too_large())?;
        let scale = 10_u128.pow(fraction.len() as u32);
        let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().map_err(|_| malformed())? };
        let bytes = whole.checked_mul(u128::from(*factor)).ok_or_else(too_large)?
            + (part * u128::from(*factor)).div_ceil(scale);
        u64::try_from(bytes).map(Size).map_err(|_| too_large())
    }
}

impl fmt::Display for Size {
    /// The largest binary unit that leaves a whole number; bytes that fit none are written in `k` or as a decimal fraction of KiB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0Ki");
        }
        for (suffix, factor) in QUANTITY_SUFFIXES[..6].iter().rev() {
            if self.0.is_multiple_of(*factor) {
                return write!(f, "{}{suffix}", self.0 / factor);
            }
        }
        if self.0.is_multiple_of(1000) {
            return write!(f, "{}k", self.0 / 1000);
        }
        write!(f, "{}.{:03}k", self.0 / 1000, self.0 % 1000)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size with a unit, such as 2Gi")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Size, E> {
                Err(E::custom(InvalidSize::NoUnit(number.to_string(), Size(number))))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 32, "pattern": "^[0-9]+(\\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|Pi|Ei|k|M|G|T|P|E)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidSize, Size};

    fn check(text: &str, bytes: u64) {
        assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
    }

    #[test]
    fn reads_quantities() {
        check("2Gi", 2 << 30);
        check("1.5Gi", 3 << 29);
        check("500M", 500_000_000);
        check("0Ki", 0);
        check("0.001k", 1);
    }

    #[test]
    fn refuses_a_bare_number_and_names_both_readings() {
        let error = "1048576".parse::<Size>().unwrap_err();
        assert!(matches!(error, InvalidSize::NoUnit(..)));
        let text = error.to_string();
        assert!(text.contains("'1Mi'") && text.contains("'1048576Ki'"), "{text}");
        for bad in ["", "Gi", "-1Gi", "1gi", "1.Gi", "1 Gi", "20000000000Gi"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes: u64) {
            let size = Size(bytes);
            proptest::prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
    }
}
