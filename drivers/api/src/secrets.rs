//! Texts that a start needs and nobody may read.

use std::collections::BTreeMap;
use std::fmt;

use ostler_conf::values::{Confidential, SecretKeyRef};
use zeroize::Zeroizing;

/// What the Secrets that a definition refers to hold. It goes from who keeps it to the hypervisor, and nowhere else: it has no
/// words for logs, is in no definition, and its memory is overwritten when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<SecretKeyRef, Zeroizing<Vec<u8>>>);

impl Secrets {
    /// None.
    pub const NONE: Secrets = Secrets(BTreeMap::new());

    /// Adds what a key of a Secret holds.
    pub fn insert(&mut self, place: SecretKeyRef, value: Vec<u8>) {
        self.0.insert(place, Zeroizing::new(value));
    }

    /// What a key of a Secret holds.
    pub fn get(&self, place: &SecretKeyRef) -> Option<&[u8]> {
        self.0.get(place).map(|value| value.as_slice())
    }

    /// The text itself, or what the Secret that keeps it holds; `None`: there is none, or it is no text.
    pub fn text<'a>(&'a self, confidential: &'a Confidential) -> Option<&'a str> {
        match confidential {
            Confidential::Text(text) => Some(text),
            Confidential::Kept(place) => self.get(place).and_then(|value| str::from_utf8(value).ok()),
        }
    }

    /// All that is here.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretKeyRef, &[u8])> {
        self.0.iter().map(|(place, value)| (place, value.as_slice()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Says which, never what.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(ToString::to_string)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_and_not_shown() {
        let place = |key: &str| SecretKeyRef { name: "web".to_owned(), key: key.to_owned() };
        let mut secrets = Secrets::NONE;
        secrets.insert(place("vnc"), b"hunter2".to_vec());
        secrets.insert(place("raw"), vec![0xff]);
        assert_eq!(secrets.text(&Confidential::Kept(place("vnc"))), Some("hunter2"));
        assert_eq!(secrets.text(&Confidential::Kept(place("raw"))), None);
        assert_eq!(secrets.text(&Confidential::Text("own".to_owned())), Some("own"));
        assert_eq!(format!("{secrets:?}"), r#"{"web/raw", "web/vnc"}"#);
    }
}
