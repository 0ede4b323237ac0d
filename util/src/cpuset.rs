//! Sets of CPU numbers, written as libvirt writes them: `0-3,5`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest CPU number that we take (libvirt's bitmaps for CPU sets have 16384 bits).
pub const MAX_CPU: u32 = 16383;

/// A set of CPU numbers. `^N` takes N out again.
///
/// Kept as ranges: a set takes as much memory as its text, whatever it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CpuSet(Vec<(u32, u32)>);

/// Why a text is no CPU set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a CPU set: numbers up to 16383 and ranges with commas are expected, as in 0-3,^2,8")]
pub struct InvalidCpuSet(pub String);

impl CpuSet {
    /// The CPU numbers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Whether no CPU is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, number: u32) {
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.0.push((number, number)),
        }
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        let mut set = CpuSet::default();
        cpus.into_iter().collect::<BTreeSet<u32>>().into_iter().for_each(|number| set.push(number));
        set
    }
}

/// A bit for each CPU: what a text of thousands of overlapping ranges is read into.
struct Bits([u64; WORDS]);

const WORDS: usize = MAX_CPU as usize / 64 + 1;

impl Bits {
    fn set(&mut self, first: u32, last: u32) {
        let (first_word, last_word) = (first as usize / 64, last as usize / 64);
        let (head, tail) = (u64::MAX << (first % 64), u64::MAX >> (63 - last % 64));
        if first_word == last_word {
            self.0[first_word] |= head & tail;
            return;
        }
        self.0[first_word] |= head;
        self.0[first_word + 1..last_word].fill(u64::MAX);
        self.0[last_word] |= tail;
    }

    fn clear(&mut self, number: u32) {
        self.0[number as usize / 64] &= !(1 << (number % 64));
    }

    fn ranges(&self) -> CpuSet {
        let mut set = CpuSet::default();
        for (index, word) in (0..).zip(self.0).filter(|(_, word)| *word != 0) {
            (0..64).filter(|bit| word >> bit & 1 == 1).for_each(|bit| set.push(index * 64 + bit));
        }
        set
    }
}

impl FromStr for CpuSet {
    type Err = InvalidCpuSet;

    fn from_str(text: &str) -> Result<Self, InvalidCpuSet> {
        let invalid = || InvalidCpuSet(text.to_owned());
        let number = |s: &str| s.trim().parse::<u32>().ok().filter(|n| *n <= MAX_CPU).ok_or_else(invalid);
        let mut bits = Bits([0; WORDS]);
        for part in text.split(',') {
            let part = part.trim();
            if let Some(out) = part.strip_prefix('^') {
                bits.clear(number(out)?);
            } else if let Some((first, last)) = part.split_once('-') {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(invalid());
                }
                bits.set(first, last);
            } else {
                let number = number(part)?;
                bits.set(number, number);
            }
        }
        let set = bits.ranges();
        if set.is_empty() { Err(invalid()) } else { Ok(set) }
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (first, last) in &self.0 {
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
        for (input, output) in [
            ("0", "0"),
            ("3,1,2", "1-3"),
            ("0-5,^2", "0-1,3-5"),
            ("8,0-1", "0-1,8"),
            ("62-65,127,128", "62-65,127-128"),
            ("0-16383,^64,^16383", "0-63,65-16382"),
        ] {
            assert_eq!(input.parse::<CpuSet>().unwrap().to_string(), output);
        }
        for bad in ["", "a", "3-1", "99999", "0,^0"] {
            assert!(bad.parse::<CpuSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_collected_is_what_is_read() {
        let collected: CpuSet = [5, 1, 2, 2, 0, 70].into_iter().collect();
        assert_eq!(collected, "0-2,5,70".parse().unwrap());
        assert_eq!(collected.iter().collect::<Vec<_>>(), [0, 1, 2, 5, 70]);
    }

    #[test]
    fn half_a_million_overlapping_ranges_are_read_at_once() {
        assert_eq!("0-16383,".repeat(500_000).trim_end_matches(',').parse::<CpuSet>().unwrap().to_string(), "0-16383");
    }
}
