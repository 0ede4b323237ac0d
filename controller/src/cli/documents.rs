//! libvirt's documents, as `convert` and `validate` meet them: one table of every kind.

use std::collections::BTreeMap;

use ostler_conf::values::{Confidential, SecretKeyRef};
use ostler_conf::xml::{Root, root_name};
use ostler_conf::{
    Backup, Checkpoint, Domain, HostInterface, Invalid, Network, NetworkPort, NodeDevice, Nwfilter, NwfilterBinding,
    Problem, Secret, Snapshot, StoragePool, StoragePoolCapabilities, StorageVolume, parse,
};
use serde_json::Value;

/// A kind of document.
pub(super) struct DocumentKind {
    /// Its root element.
    pub(super) root: &'static str,
    /// What it is in a cluster; `None`: a host tells it, nobody asks for it.
    pub(super) resource: Option<Resource>,
    read: fn(&str) -> Result<Document, Invalid>,
}

/// A kind of objects, in which a document is a part of the spec.
pub(super) struct Resource {
    /// The kind.
    pub(super) kind: &'static str,
    /// The spec's field that holds the document.
    pub(super) field: &'static str,
    /// Whether a driver carries it out.
    pub(super) is_served: bool,
}

/// A document that was read.
pub(super) struct Document {
    /// The thing's name.
    pub(super) name: String,
    /// Its YAML face.
    pub(super) value: Value,
    /// What it keeps secret, by the key that its YAML face names, of a Secret without a name yet.
    pub(super) secrets: BTreeMap<String, String>,
    /// What of it is not known.
    pub(super) unknown: Vec<Problem>,
    /// The rules that it breaks.
    pub(super) broken: Vec<Problem>,
}

const fn served(kind: &'static str, field: &'static str) -> Option<Resource> {
    Some(Resource { kind, field, is_served: true })
}

const fn unserved(kind: &'static str, field: &'static str) -> Option<Resource> {
    Some(Resource { kind, field, is_served: false })
}

/// Every kind, by its root element.
const KINDS: &[DocumentKind] = &[
    DocumentKind { root: Domain::NAME, resource: served("Domain", "domain"), read: read_domain },
    DocumentKind {
        root: Network::NAME,
        resource: served("Network", "network"),
        read: |text| read::<Network>(text, |it| &it.name, |_| {}, Network::validate),
    },
    DocumentKind {
        root: StoragePool::NAME,
        resource: served("StoragePool", "pool"),
        read: |text| read::<StoragePool>(text, |it| &it.name, strip_pool, StoragePool::validate),
    },
    DocumentKind {
        root: StorageVolume::NAME,
        resource: served("StorageVolume", "volume"),
        read: |text| read::<StorageVolume>(text, |it| &it.name, |_| {}, StorageVolume::validate),
    },
    DocumentKind {
        root: Nwfilter::NAME,
        resource: unserved("NetworkFilter", "filter"),
        read: |text| read::<Nwfilter>(text, |it| &it.name, |_| {}, Nwfilter::validate),
    },
    DocumentKind {
        root: Secret::NAME,
        resource: unserved("HypervisorSecret", "secret"),
        read: |text| read::<Secret>(text, secret_name, |_| {}, Secret::validate),
    },
    DocumentKind {
        root: Snapshot::NAME,
        resource: unserved("DomainSnapshot", "snapshot"),
        read: |text| read::<Snapshot>(text, |it| &it.name, |_| {}, Snapshot::validate),
    },
    DocumentKind {
        root: Checkpoint::NAME,
        resource: unserved("DomainCheckpoint", "checkpoint"),
        read: |text| read::<Checkpoint>(text, |it| &it.name, |_| {}, Checkpoint::validate),
    },
    DocumentKind {
        root: Backup::NAME,
        resource: unserved("DomainBackup", "backup"),
        read: |text| read::<Backup>(text, |_| "", |_| {}, Backup::validate),
    },
    DocumentKind {
        root: HostInterface::NAME,
        resource: unserved("HostInterface", "interface"),
        read: |text| read::<HostInterface>(text, |it| &it.name, |_| {}, HostInterface::validate),
    },
    DocumentKind {
        root: NodeDevice::NAME,
        resource: unserved("HostDevice", "device"),
        read: |text| read::<NodeDevice>(text, |it| &it.name, |_| {}, NodeDevice::validate),
    },
    DocumentKind {
        root: NetworkPort::NAME,
        resource: None,
        read: |text| read::<NetworkPort>(text, |_| "", |_| {}, NetworkPort::validate),
    },
    DocumentKind {
        root: NwfilterBinding::NAME,
        resource: None,
        read: |text| read::<NwfilterBinding>(text, |_| "", |_| {}, |_| Ok(())),
    },
    DocumentKind {
        root: StoragePoolCapabilities::NAME,
        resource: None,
        read: |text| read::<StoragePoolCapabilities>(text, |_| "", |_| {}, |_| Ok(())),
    },
];

/// Whether a text is XML rather than YAML.
pub(super) fn is_xml(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// The kind of a document, by its root element.
///
/// # Errors
/// What the root is, where it is none of ours.
pub(super) fn kind_of(text: &str) -> Result<&'static DocumentKind, String> {
    let root = root_name(text);
    KINDS.iter().find(|kind| kind.root == root).ok_or_else(|| {
        let known: Vec<String> = KINDS.iter().map(|kind| format!("<{}>", kind.root)).collect();
        format!("<{root}> is none of libvirt's documents that are known: {} are", known.join(", "))
    })
}

impl DocumentKind {
    /// Reads a document of this kind.
    ///
    /// # Errors
    /// What can't be read.
    pub(super) fn read(&self, text: &str) -> Result<Document, Invalid> {
        (self.read)(text)
    }
}

/// Everything that is wrong with a document: what can't be read, else what is not known and which rules are broken.
pub(super) fn check(text: &str) -> Vec<Problem> {
    let read = kind_of(text).map(|kind| kind.read(text));
    match read {
        Ok(Ok(document)) => document.unknown.into_iter().chain(document.broken).collect(),
        Ok(Err(error)) => error.problems().to_vec(),
        Err(message) => vec![Problem::new(ostler_conf::ErrorCode::XmlError, "", message)],
    }
}

/// Everything that libvirt's schema refuses in a document.
pub(super) fn check_schema(text: &str) -> Vec<Problem> {
    ostler_conf::schema::check(text).err().map(|error| error.problems().to_vec()).unwrap_or_default()
}

fn read<T: Root + serde::Serialize>(
    text: &str,
    name: fn(&T) -> &str,
    strip: impl FnOnce(&mut T),
    validate: fn(&T) -> Result<(), Invalid>,
) -> Result<Document, Invalid> {
    let mut parsed = parse::<T>(text)?;
    let broken = validate(&parsed.value).err().map(|error| error.problems().to_vec()).unwrap_or_default();
    strip(&mut parsed.value);
    let value = serde_json::to_value(&parsed.value).expect("conf types have only text keys");
    let secrets = BTreeMap::new();
    Ok(Document { name: name(&parsed.value).to_owned(), value, secrets, unknown: parsed.unknown, broken })
}

fn read_domain(text: &str) -> Result<Document, Invalid> {
    let mut secrets = BTreeMap::new();
    let strip = |domain: &mut Domain| {
        strip_domain(domain);
        secrets = put_aside(domain);
    };
    let document = read::<Domain>(text, |it| &it.name, strip, Domain::validate)?;
    Ok(Document { secrets, ..document })
}

/// Puts a guest's secrets aside, each under a key that is made of its field.
fn put_aside(domain: &mut Domain) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    for (field, secret) in domain.confidential_mut() {
        let Confidential::Text(text) = secret else { continue };
        let field = field.replace('[', ".").replace(']', "");
        let key = field.replace(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'), "-");
        let free = |key: &String| !secrets.contains_key(key);
        let numbered = (2..).map(|number| format!("{key}-{number}"));
        let key = std::iter::once(key.clone()).chain(numbered).find(free).expect("there are more numbers than secrets");
        secrets.insert(key.clone(), std::mem::take(text));
        *secret = Confidential::Kept(SecretKeyRef { name: String::new(), key });
    }
    secrets
}

/// What only a running guest has.
fn strip_domain(domain: &mut Domain) {
    let on_reboot = domain.on_reboot;
    *domain = ostler::plan::without_live_values(domain);
    domain.on_reboot = on_reboot;
}

/// A source that says nothing is not said.
fn strip_pool(pool: &mut StoragePool) {
    pool.source.take_if(|source| *source == ostler_conf::storage_pool::PoolSource::default());
}

/// A secret has no name; what it is for comes nearest.
fn secret_name(secret: &Secret) -> &str {
    secret.usage.as_ref().map_or("", ostler_conf::secret::SecretUsage::id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_behind_comments_and_declarations() {
        let text = "<?xml version='1.0'?>\n<!-- <domain> -->\n<network><name>n</name></network>";
        assert_eq!(kind_of(text).map(|kind| kind.root), Ok("network"));
        assert!(kind_of("<domains/>").is_err_and(|message| message.contains("<domains>")));
    }

    #[test]
    fn the_schema_refuses_what_is_merely_unusual_and_takes_what_makes_no_sense() {
        let unusual = "<network>\n  <name>n</name>\n  <uuid>six</uuid>\n</network>";
        let shown: Vec<String> = check_schema(unusual).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["3:3: /network/uuid: 'six' is not a UUID such as 6d1a5e5c-0d0f-4b5e-9a0e-3c1f3c1b2a10"]);
        let senseless = "<network><name>n</name><forward mode='private'/><bridge name='b'/></network>";
        assert_eq!(check_schema(senseless), []);
        assert_ne!(check(senseless), []);
    }

    #[test]
    fn problems_say_where_and_what_was_meant() {
        let problems = check("<network>\n  <name>n</name>\n  <birdge name='b'/>\n</network>");
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["3:3: /network/birdge: this element is not known here: did you mean 'bridge'?"]);
    }
}
