//! A document's YAML face says all that its XML face says of a definition: what the model reads of every document of the corpus,
//! written as YAML and read back, is the same XML. Without a corpus nothing is run; `./dev test` says so.

use std::path::{Path, PathBuf};

use ostler_conf::host_interface::HostInterfaceKind;
use ostler_conf::values::{Confidential, SecretKeyRef};
use ostler_conf::xml::{Root, root_name};
use ostler_conf::{
    Backup, Checkpoint, Domain, HostInterface, Network, NetworkPort, NodeDevice, Nwfilter, NwfilterBinding, Secret,
    Snapshot, StoragePool, StorageVolume, format, parse,
};
use ostler_crds::{API_VERSION, Kind, manifest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Whether a document of this text is one of this kind, and if it is read: what gets lost of it.
type Check = fn(&str) -> Option<Result<(), String>>;

/// Every kind, by its root element. What only tells how something is now stands in no manifest, and is dropped first.
const KINDS: &[(&str, Check)] = &[
    (Domain::NAME, |text| {
        let settled = |domain: &Domain| {
            let mut domain = domain.clone();
            domain.complete();
            domain.validate().is_ok()
        };
        served(text, forget_domain, settled, Kind::Domain, "domain")
    }),
    (Network::NAME, |text| served(text, forget_network, |it| it.validate().is_ok(), Kind::Network, "network")),
    (StoragePool::NAME, |text| served(text, forget_pool, |it| it.validate().is_ok(), Kind::StoragePool, "pool")),
    (StorageVolume::NAME, |text| {
        served(text, forget_volume, |it| it.validate().is_ok(), Kind::StorageVolume, "volume")
    }),
    (Nwfilter::NAME, |text| lossless::<Nwfilter>(text, |_| {})),
    (NwfilterBinding::NAME, |text| lossless::<NwfilterBinding>(text, |_| {})),
    (NetworkPort::NAME, |text| {
        lossless(text, |port: &mut NetworkPort| port.bandwidth.iter_mut().for_each(|it| it.class_id = None))
    }),
    (Secret::NAME, |text| lossless::<Secret>(text, |_| {})),
    (HostInterface::NAME, |text| lossless(text, forget_interface)),
    (NodeDevice::NAME, |text| lossless(text, |device: &mut NodeDevice| *device = device.clone().into_definition())),
    (Snapshot::NAME, |text| lossless(text, forget_snapshot)),
    (Checkpoint::NAME, |text| {
        lossless(text, |checkpoint: &mut Checkpoint| {
            checkpoint.disks.iter_mut().flat_map(|disks| &mut disks.disks).for_each(|disk| disk.size = None);
        })
    }),
    (Backup::NAME, |text| lossless(text, |backup: &mut Backup| *backup = backup.clone().into_request())),
];

fn forget_domain(domain: &mut Domain) {
    domain.forget_live();
    for (_, secret) in domain.confidential_mut() {
        *secret = Confidential::Kept(SecretKeyRef { name: "s".to_owned(), key: "k".to_owned() });
    }
    domain.devices.memories.iter_mut().for_each(|memory| memory.target.current = None);
    let sources = domain.devices.disks.iter_mut().filter_map(|disk| disk.source.as_mut());
    sources.flat_map(|source| &mut source.common_mut().seclabels).for_each(|label| label.labelskip = None);
}

fn forget_network(network: &mut Network) {
    network.connections = None;
    network.bandwidth.iter_mut().for_each(|bandwidth| bandwidth.class_id = None);
    network.forward.iter_mut().flat_map(|it| &mut it.interfaces).for_each(|interface| interface.connections = None);
}

fn forget_pool(pool: &mut StoragePool) {
    (pool.capacity, pool.allocation, pool.available) = (None, None, None);
    pool.source.iter_mut().flat_map(|source| &mut source.devices).for_each(|device| device.free_extent = None);
}

fn forget_volume(volume: &mut StorageVolume) {
    (volume.r#type, volume.key, volume.source, volume.physical) = (None, None, None, None);
    volume.target.iter_mut().for_each(|target| (target.path, target.timestamps) = (None, None));
}

fn forget_interface(interface: &mut HostInterface) {
    interface.link = None;
    let parts = match &mut interface.kind {
        HostInterfaceKind::Bridge(kind) => &mut kind.bridge.interfaces,
        HostInterfaceKind::Bond(kind) => &mut kind.bond.interfaces,
        HostInterfaceKind::Ethernet(_) | HostInterfaceKind::Vlan(_) => return,
    };
    parts.iter_mut().for_each(forget_interface);
}

fn forget_snapshot(snapshot: &mut Snapshot) {
    (snapshot.active, snapshot.cookie) = (None, None);
    snapshot.disks.iter_mut().flat_map(|it| &mut it.disks).for_each(|disk| disk.delete_in_progress = None);
}

/// A document that is not read at all has nothing to lose.
fn lossless<T: Root + Serialize + DeserializeOwned>(text: &str, forget: fn(&mut T)) -> Option<Result<(), String>> {
    let mut value = parse::<T>(text).ok()?.value;
    forget(&mut value);
    let again = || -> Result<(), String> {
        let yaml = serde_saphyr::to_string(&value).map_err(|error| error.to_string())?;
        let back: T = serde_saphyr::from_str(&yaml).map_err(|error| format!("{error}\n{yaml}"))?;
        same(&format(&value), &format(&back))
    };
    Some(again())
}

/// What has a kind in the API server is taken as its manifest, too, where libvirt's rules take it.
fn served<T: Root + Serialize + DeserializeOwned>(
    text: &str,
    forget: fn(&mut T),
    is_valid: fn(&T) -> bool,
    kind: Kind,
    field: &str,
) -> Option<Result<(), String>> {
    let mut value = parse::<T>(text).ok()?.value;
    let is_valid = is_valid(&value);
    forget(&mut value);
    let as_manifest = || -> Result<(), String> {
        let mut document = serde_json::to_value(&value).map_err(|error| error.to_string())?;
        prune(&mut document);
        let mut spec = json!({ field: document });
        if kind == Kind::StorageVolume {
            spec["pool"] = "p".into();
        }
        let object =
            json!({ "apiVersion": API_VERSION, "kind": kind.name(), "metadata": { "name": "n" }, "spec": spec });
        let problems = manifest::check_value(kind, &object);
        problems.first().map_or(Ok(()), |problem| Err(format!("its schema refuses it: {problem}")))
    };
    let result = lossless(text, forget)?;
    Some(if is_valid { result.and_then(|()| as_manifest()) } else { result })
}

fn prune(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(prune);
    }
}

fn same(before: &str, after: &str) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let differs = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    let (before, after) = differs.unwrap_or(("…", "only the length differs"));
    Err(format!("'{}' became '{}'", before.trim(), after.trim()))
}

/// Every XML file below a folder; links are not followed, some of a corpus form loops.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a corpus's folder is readable") {
        let entry = entry.expect("a corpus's folder is readable");
        let path = entry.path();
        match entry.file_type().expect("a corpus's file has a type") {
            kind if kind.is_dir() => files(&path, found),
            kind if kind.is_file() && path.extension().is_some_and(|extension| extension == "xml") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn yaml_keeps_all_that_the_corpus_says() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let data = std::env::var_os("OSTLER_CORPUS").map_or(default, PathBuf::from).join("data");
    if !data.is_dir() {
        return;
    }
    let mut found = Vec::new();
    files(&data, &mut found);
    found.sort();
    let (mut kept, mut lost) = (0, Vec::new());
    for path in &found {
        // Some cases are no UTF-8 on purpose.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let Some((_, check)) = KINDS.iter().find(|(name, _)| *name == root_name(&text)) else { continue };
        match check(&text) {
            Some(Ok(())) => kept += 1,
            Some(Err(why)) => lost.push(format!("{}: {why}", path.strip_prefix(&data).unwrap_or(path).display())),
            None => {}
        }
    }
    assert!(lost.is_empty(), "{} of {} documents lose something:\n{}", lost.len(), kept + lost.len(), lost.join("\n"));
    println!("{kept} documents");
    assert!(kept > 0, "no document was read below {}", data.display());
}
