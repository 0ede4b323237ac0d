//! MAC addresses, written as libvirt writes them: six lower-case pairs with colons.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

/// Why a text is no MAC address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is not a MAC address: six pairs of hexadecimal digits with colons are expected, as in 52:54:00:6b:3c:58"
)]
pub struct InvalidMac(pub String);

impl MacAddress {
    /// The prefix that QEMU and KVM guests use (locally administered, as libvirt's QEMU driver chooses it).
    pub const QEMU_PREFIX: [u8; 3] = [0x52, 0x54, 0x00];

    /// An address below `prefix`, made from 24 bits of `entropy`.
    pub const fn with_prefix(prefix: [u8; 3], entropy: [u8; 3]) -> Self {
        MacAddress([prefix[0], prefix[1], prefix[2], entropy[0], entropy[1], entropy[2]])
    }

    /// Whether the address names a group of stations: a guest's own address can't.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl FromStr for MacAddress {
    type Err = InvalidMac;

    /// One or two digits a pair are read, as libvirt does.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let invalid = || InvalidMac(text.to_owned());
        let mut bytes = [0; 6];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().ok_or_else(invalid)?;
            if pair.is_empty() || pair.len() > 2 || !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        if pairs.next().is_some() { Err(invalid()) } else { Ok(MacAddress(bytes)) }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for MacAddress {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MacAddress".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "maxLength": 17, "pattern": "^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::MacAddress;

    #[test]
    fn reads_and_writes() {
        assert_eq!("52:54:0:6B:3c:58".parse::<MacAddress>().unwrap().to_string(), "52:54:00:6b:3c:58");
        for bad in [
            "",
            "52:54:00:6b:3c",
            "52:54:00:6b:3c:58:00",
            "52-54-00-6b-3c-58",
            "zz:54:00:6b:3c:58",
            "+1:54:00:6b:3c:58",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }
}
