//! Any object of the group, whatever its kind.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Domain, DomainOperation, Host, Network, StoragePool, StorageVolume};

macro_rules! kinds {
    ($($kind:ident, $plural:literal, $namespaced:literal;)*) => {
        /// A kind of the group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// All kinds, definitions before what refers to them.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// The kind's name, as in a manifest.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$kind => stringify!($kind),)* }
            }

            /// The plural, as in a CRD's name.
            pub const fn plural(self) -> &'static str {
                match self { $(Kind::$kind => $plural,)* }
            }

            /// Whether its objects have a namespace.
            pub const fn is_namespaced(self) -> bool {
                match self { $(Kind::$kind => $namespaced,)* }
            }
        }

        /// An object of any kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Object { $($kind(Box<$kind>),)* }

        impl Object {
            /// The object's kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Object::$kind(_) => Kind::$kind,)* }
            }

            /// Its metadata.
            pub fn meta(&self) -> &ObjectMeta {
                match self { $(Object::$kind(object) => &object.metadata,)* }
            }

            /// Its metadata, to change.
            pub fn meta_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Object::$kind(object) => &mut object.metadata,)* }
            }

            /// The whole object as JSON.
            pub fn to_value(&self) -> Value {
                match self { $(Object::$kind(object) => serde_json::to_value(object),)* }.expect("our types have only text keys")
            }

            /// An object of `kind` from JSON; unknown fields are ignored here (the schema check reports them).
            ///
            /// # Errors
            /// A field that is missing or of a wrong type, with its path.
            pub fn from_value(kind: Kind, value: &Value) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
                Ok(match kind { $(Kind::$kind => Object::$kind(Box::new(serde_path_to_error::deserialize(value)?)),)* })
            }
        }

        $(impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Object::$kind(Box::new(object))
            }
        })*
    };
}

kinds! {
    Host, "hosts", false;
    Network, "networks", true;
    StoragePool, "storagepools", true;
    StorageVolume, "storagevolumes", true;
    Domain, "domains", true;
    DomainOperation, "domainoperations", true;
}

impl Kind {
    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for kinds without.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// Names the object `namespace/name` of `kind`.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        ObjectRef { kind, namespace: namespace.into(), name: name.into() }
    }

    /// What a reference in an object of `namespace` names: an object of the same, or `namespace/name`.
    pub fn referred(kind: Kind, namespace: &str, reference: &str) -> Self {
        let (namespace, name) = reference.split_once('/').unwrap_or((namespace, reference));
        ObjectRef::new(kind, namespace, name)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl Object {
    /// The object's name for references. Namespaced objects without a namespace are in `default`.
    pub fn object_ref(&self) -> ObjectRef {
        let meta = self.meta();
        let namespace = match (self.kind().is_namespaced(), &meta.namespace) {
            (false, _) => String::new(),
            (true, Some(namespace)) => namespace.clone(),
            (true, None) => "default".to_owned(),
        };
        ObjectRef { kind: self.kind(), namespace, name: meta.name.clone().unwrap_or_default() }
    }

    /// The spec's generation.
    pub fn generation(&self) -> i64 {
        self.meta().generation.unwrap_or(0)
    }

    /// The object's uid.
    pub fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    /// Whether the object is being deleted.
    pub fn is_deleted(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }
}
