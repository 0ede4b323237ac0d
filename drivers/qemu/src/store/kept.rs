//! A stored definition as it is kept in memory.

use lz4_flex::block::{compress_with_dict, decompress_with_dict};
use ostler_conf::{Domain, parse};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

/// What definitions have in common, in the order and the form in which they are written: most of a definition is a stretch of
/// it. LZ4 looks no further back than 64 KiB, and each packing reads it all.
const COMMON: &[u8] = include_bytes!("common.txt");

/// A definition as its text, packed, which takes a tenth of the room of what it says: a host has many domains and seldom asks
/// what one that does not run is like. Reading it again takes some 20 us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    name: Box<str>,
    packed: Box<[u8]>,
    /// How long the text is.
    bytes: usize,
}

impl Kept {
    /// The text of a definition called `name`, of which it is known that it can be read.
    pub(super) fn new(name: &str, text: &str) -> Self {
        let packed = compress_with_dict(text.as_bytes(), COMMON);
        // A copy takes no more room than it needs, and not the middle of what packing needed.
        Kept { name: name.into(), packed: packed.as_slice().into(), bytes: text.len() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is its text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.bytes == text.len() && self.text().is_ok_and(|own| own == text)
    }

    /// What it says.
    ///
    /// # Errors
    /// `InternalError`, if what was written can't be read: a fault of ours.
    pub(crate) fn definition(&self) -> Result<Domain> {
        let text = self.text()?;
        let parsed = parse::<Domain>(&text).and_then(ostler_conf::xml::Parsed::strict);
        parsed.map_err(|invalid| self.unreadable(&invalid))
    }

    fn text(&self) -> Result<String> {
        let text = decompress_with_dict(&self.packed, self.bytes, COMMON).map_err(|damage| self.unreadable(&damage))?;
        String::from_utf8(text).map_err(|damage| self.unreadable(&damage))
    }

    fn unreadable(&self, why: &dyn std::fmt::Display) -> Error {
        Error::new(ErrorCode::InternalError, format!("the stored definition of {} can't be read: {why}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Kept {
        let kept = Kept::new("a", text);
        assert_eq!(kept.text().unwrap(), text);
        assert!(kept.is(text) && !kept.is(&format!("{text}.")), "{text}");
        kept
    }

    #[test]
    fn any_text_is_kept_whole() {
        let common = std::str::from_utf8(COMMON).unwrap();
        for text in ["", "a", "<domain>", "f\u{fc}r \u{1f427}", &common[..13], &common[1..], common] {
            check(text);
        }
        check(&format!("{common}{common}"));
        // Longer than what is looked back at.
        let long: String =
            (0..50_000).map(|number: u32| (number.wrapping_mul(2_654_435_761) % 97).to_string()).collect();
        check(&long);
        let other = common.replacen("<vcpu placement='static'>2<", "<vcpu placement='static'>3<", 1);
        assert!(other != common && !check(common).is(&other), "the same length is not the same text");
    }

    #[test]
    fn what_can_t_be_read_is_told() {
        let kept = Kept { packed: [0xff; 9].into(), ..Kept::new("a", "text") };
        assert!(kept.definition().unwrap_err().message.contains("definition of a can't be read"));
        assert!(!kept.is("text"));
    }

    /// Definitions as people write them, of which none is the common one.
    #[test]
    fn a_definition_takes_a_part_of_its_room() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/definitions");
        let (mut texts, mut kept) = (0, 0);
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let text = ostler_conf::format(&parse::<Domain>(&text).unwrap().value);
            kept += check(&text).packed.len();
            texts += text.len();
        }
        assert!(kept * 5 < texts * 2, "{kept} of {texts} bytes");
    }
}
