//! Sets of CPU numbers, written as libvirt writes them: `0-3,5`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest CPU number that we take (libvirt's bitmaps for CPU sets have 16384 bits).
pub const MAX_CPU: u32 = 16383;

/// A set of CPU numbers. `^N` takes N out again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CpuSet(BTreeSet<u32>);

/// Why a text is no CPU set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a CPU set: numbers up to 16383 and ranges with commas are expected, as in 0-3,^2,8")]
pub struct InvalidCpuSet(pub String);

impl CpuSet {
    /// The CPU numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// Whether no CPU is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        CpuSet(cpus.into_iter().collect())
    }
}

impl FromStr for CpuSet {
    type Err = InvalidCpuSet;

    fn from_str(text: &str) -> Result<Self, InvalidCpuSet> {
        let invalid = || InvalidCpuSet(text.to_owned());
        let number = |s: &str| s.trim().parse::<u32>().ok().filter(|n| *n <= MAX_CPU).ok_or_else(invalid);
        let mut set = BTreeSet::new();
        for part in text.split(',') {
            let part = part.trim();
            if let Some(out) = part.strip_prefix('^') {
                set.remove(&number(out)?);
            } else if let Some((first, last)) = part.split_once('-') {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(invalid());
                }
                set.extend(first..=last);
            } else {
                set.insert(number(part)?);
            }
        }
        if set.is_empty() { Err(invalid()) } else { Ok(CpuSet(set)) }
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if(|n| *n == last + 1) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl Serialize for CpuSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for CpuSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CpuSet".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 4096, "pattern": "^[0-9,^ -]+$" })
    }
}

#[cfg(test)]
mod tests {
    use super::CpuSet;

    #[test]
    fn reads_and_writes_canonically() {
        for (input, output) in [("0", "0"), ("3,1,2", "1-3"), ("0-5,^2", "0-1,3-5"), ("8,0-1", "0-1,8")] {
            assert_eq!(input.parse::<CpuSet>().unwrap().to_string(), output);
        }
        for bad in ["", "a", "3-1", "99999", "0,^0"] {
            assert!(bad.parse::<CpuSet>().is_err(), "{bad}");
        }
    }
}
