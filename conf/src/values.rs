//! Texts with a meaning that many elements share.

mod confidential;
pub(crate) mod digits;
mod hex;
mod scalars;
mod scaled;

mod live_only;
mod octal;
mod rare;
mod xml_tree;

pub use confidential::{Confidential, SecretKeyRef};
pub use hex::{AnyBase, HexLong, HexUpper};
pub use live_only::LiveOnly;
pub use octal::Octal;
pub use rare::Rare;
pub use scalars::{Hex, OnOff, TrueFalse, XmlText, YesNo};
pub use scaled::{ScaledBytes, ScaledKib, ScaledM, ScaledPretty, pretty};
pub use xml_tree::XmlTree;

/// An enum whose values are libvirt's words, in XML and in YAML alike.
#[macro_export]
macro_rules! words {
    ($($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ })+) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis enum $name { $($(#[$variant_meta])* #[doc = concat!("`", $word, "`")] $variant,)+ }

        impl $name {
            /// All values, in libvirt's order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// libvirt's word.
            pub const fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            const WORDS: &'static [&'static str] = &[$($word,)+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::xml::Value for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err($crate::xml::one_of($name::WORDS)),
                }
            }
            fn format(&self) -> std::borrow::Cow<'_, str> {
                self.word().into()
            }
            fn append(&self, out: &mut String) {
                out.push_str(self.word());
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                $crate::xml::Value::parse(&text).map_err(|expected| serde::de::Error::custom(format!("'{text}' is not {expected}")))
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": $name::WORDS })
            }
        }
    )+ };
}
