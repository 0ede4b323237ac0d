//! What holds for whatever is read: it ends soon, with a value or a problem; and a value survives being written and read again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use ostler_conf::domain::{BackingString, ImageFormatName};
use ostler_conf::storage_pool::PoolType;
use ostler_conf::values::{Confidential, SecretKeyRef};
use ostler_conf::xml::{Root, root_name};
use ostler_conf::{
    Backup, Checkpoint, Domain, DomainStatus, HostInterface, Network, NetworkPort, NodeDevice, Nwfilter,
    NwfilterBinding, Secret, Snapshot, StoragePool, StorageVolume, format, parse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A reader of bytes that anyone may have written.
pub type Target = fn(&[u8]);

/// Every target by its name; what each begins from stands in `seeds/`, in a file of that name.
pub const TARGETS: &[(&str, Target)] = &[
    ("addresses", |bytes| of_text(bytes, address)),
    ("documents", |bytes| of_text(bytes, document)),
    ("images", image),
    #[cfg(feature = "manifests")]
    ("manifests", |bytes| of_text(bytes, manifests)),
    ("schemas", |bytes| of_text(bytes, schema)),
    ("sections", section),
    ("uris", |bytes| of_text(bytes, uri)),
    ("values", |bytes| of_text(bytes, values)),
];

/// A text of other bytes is refused before anything is read.
fn of_text(bytes: &[u8], read: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}

/// A document of any kind, held against the narrowest level of reading.
fn schema(text: &str) {
    if let Err(error) = ostler_conf::schema::check(text) {
        error.problems().iter().for_each(|problem| assert!(problem.position.is_some(), "{problem}"));
    }
}

/// What an image says that it stands on: the disk that is made of it is one that can be written and read.
fn uri(text: &str) {
    const GUEST: &str = "<domain type='kvm'><name>d</name><memory>1</memory><os><type>hvm</type></os><devices>\
         <disk type='file'><source file='/d'/><target dev='sda' bus='scsi'/></disk></devices></domain>";
    let Ok(found) = BackingString::parse(text) else { return };
    let mut domain = parse::<Domain>(GUEST).expect("a guest").value;
    domain.devices.disks[0].source = Some(found.source);
    keep_apart(&mut domain);
    survives(&domain);
}

/// An image: its first byte says of which format, and the rest is pieces, each with its place (four bytes), its length (one)
/// and its bytes, so that a header can point far.
fn image(bytes: &[u8]) {
    const FARTHEST: u64 = 1 << 20;
    let Some((format, mut rest)) = bytes.split_first() else { return };
    let format = ImageFormatName::ALL[usize::from(*format) % ImageFormatName::ALL.len()];
    let file = scratch().expect("a file in memory");
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let [place @ .., length] = *head;
        let piece = &after[..after.len().min(length.into())];
        let place = u64::from(u32::from_le_bytes(place)) % FARTHEST;
        file.write_all_at(piece, place).expect("a file in memory takes it");
        rest = &after[piece.len()..];
    }
    let _ = ostler_driver::image::probe(&file);
    let Ok(header) = ostler_driver::image::header(&file, format) else { return };
    if let Some(backing) = header.backing {
        uri(&backing.name);
    }
}

/// An empty file in memory, the same one each time: to make one takes longer than to read it.
fn scratch() -> io::Result<&'static File> {
    static FILE: std::sync::OnceLock<File> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
        File::from(file)
    });
    file.set_len(0)?;
    Ok(file)
}

/// A document of the kind that its root element names.
fn document(text: &str) {
    match root_name(text) {
        Domain::NAME => one_after(text, keep_apart, |domain| {
            domain.complete();
            let _ = domain.validate();
        }),
        Network::NAME => one(text, |network: &mut Network| {
            network.complete();
            let _ = network.validate();
        }),
        StoragePool::NAME => one(text, |pool: &mut StoragePool| {
            pool.complete();
            let _ = pool.validate();
        }),
        StorageVolume::NAME => one(text, |volume: &mut StorageVolume| {
            for pool in PoolType::ALL {
                let _ = volume.validate_in(*pool);
            }
            volume.complete(PoolType::Dir);
        }),
        Nwfilter::NAME => one(text, |filter: &mut Nwfilter| {
            filter.complete();
            let _ = filter.validate();
        }),
        Secret::NAME => one(text, |secret: &mut Secret| {
            secret.complete();
            let _ = secret.validate();
        }),
        Snapshot::NAME => one(text, |snapshot: &mut Snapshot| {
            let _ = (snapshot.validate(), snapshot.validate_kept());
            snapshot.complete_kept(&["vda"]);
        }),
        Checkpoint::NAME => one(text, |checkpoint: &mut Checkpoint| {
            let _ = checkpoint.validate();
            checkpoint.complete(1);
        }),
        Backup::NAME => one(text, |backup: &mut Backup| {
            let _ = backup.validate();
            backup.complete(&[], "1");
        }),
        HostInterface::NAME => one(text, |interface: &mut HostInterface| drop(interface.validate())),
        NodeDevice::NAME => one(text, |device: &mut NodeDevice| drop(device.validate())),
        NetworkPort::NAME => one(text, |port: &mut NetworkPort| drop(port.validate())),
        NwfilterBinding::NAME => one(text, |_: &mut NwfilterBinding| {}),
        DomainStatus::NAME => one(text, |status: &mut DomainStatus| status.domain.forget_live()),
        _ => {}
    }
}

/// What is confidential stands in no YAML.
fn keep_apart(domain: &mut Domain) {
    for (_, secret) in domain.confidential_mut() {
        *secret = Confidential::Kept(SecretKeyRef { name: "s".to_owned(), key: "k".to_owned() });
    }
}

fn one<T: Root + Clone + Serialize + DeserializeOwned>(text: &str, settle: impl FnOnce(&mut T)) {
    one_after(text, |_| {}, settle);
}

fn one_after<T: Root + Clone + Serialize + DeserializeOwned>(
    text: &str,
    prepare: impl FnOnce(&mut T),
    settle: impl FnOnce(&mut T),
) {
    let Ok(parsed) = parse::<T>(text) else { return };
    let mut value = parsed.value;
    prepare(&mut value);
    survives(&value);
    settle(&mut value);
    survives(&value);
}

/// In both of its faces. (What only tells how something is now stands in no YAML.)
fn survives<T: Root + Serialize + DeserializeOwned>(value: &T) {
    let written = format(value);
    if let Err(error) = parse::<T>(&written) {
        panic!("what was written can't be read: {error}\n{written}");
    }
    let json = serde_json::to_value(value).expect("conf types have only text keys");
    let back = T::deserialize(&json).expect("what was written as YAML is read");
    assert_eq!(serde_json::to_value(&back).expect("as before"), json, "YAML that is read says another thing");
}

/// A device's address, as the attributes of its element.
fn address(attributes: &str) {
    document(&format!(
        "<domain type='kvm'><name>d</name><memory>1</memory><os><type>hvm</type></os><devices>\
         <disk type='file'><source file='/d'/><target dev='sda' bus='scsi'/><address {attributes}/></disk>\
         <hostdev mode='subsystem' type='pci'><source><address {attributes}/></source></hostdev>\
         <channel type='pty'><target type='virtio'/><address {attributes}/></channel></devices></domain>"
    ));
}

/// An update of a section of a network: its first byte says which, and how.
fn section(bytes: &[u8]) {
    use ostler_conf::network::update::{UpdateCommand, UpdateSection};
    const NETWORK: &str = "<network><name>n</name><forward mode='passthrough'><interface dev='e'/></forward>\
         <dns><host ip='10.0.0.9'><hostname>a</hostname></host><txt name='t' value='v'/></dns><portgroup name='p'/>\
         <ip address='10.0.0.1' prefix='24'><dhcp><range start='10.0.0.2' end='10.0.0.9'/>\
         <host mac='52:54:00:00:00:01' ip='10.0.0.3'/></dhcp></ip></network>";
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Ok(xml) = std::str::from_utf8(rest) else { return };
    let command = UpdateCommand::ALL[usize::from(*choice) % UpdateCommand::ALL.len()];
    let section = UpdateSection::ALL[usize::from(*choice) / UpdateCommand::ALL.len() % UpdateSection::ALL.len()];
    let mut network = parse::<Network>(NETWORK).expect("a network").value;
    let before = network.clone();
    match network.update(command, section, None, xml) {
        Ok(()) => survives(&network),
        Err(_) => assert!(network == before, "a refused update changed something"),
    }
}

/// A file of manifests.
#[cfg(feature = "manifests")]
fn manifests(text: &str) {
    match ostler_crds::manifest::read(text) {
        Ok(manifests) => {
            for manifest in manifests {
                let value = manifest.object.to_value();
                let again = ostler_crds::Object::from_value(manifest.object.kind(), &value);
                assert_eq!(again.expect("what was written is read"), manifest.object);
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            problems.iter().take(20).for_each(|problem| drop(problem.render("file", text)));
        }
    }
}

/// Every text with a meaning: what is read and written is read as the same.
fn values(text: &str) {
    use ostler_conf::xml::Value;
    fn shown<T: std::str::FromStr + ToString + PartialEq + std::fmt::Debug>(text: &str) {
        let Ok(value) = text.parse::<T>() else { return };
        assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value), "{text}");
    }
    fn worded<T: Value + PartialEq + std::fmt::Debug>(text: &str) {
        let Ok(value) = T::parse(text) else { return };
        assert_eq!(T::parse(&value.format()).ok().as_ref(), Some(&value), "{text}");
    }
    shown::<ostler_util::Size>(text);
    shown::<ostler_util::CpuSet>(text);
    shown::<ostler_util::MacAddress>(text);
    #[cfg(feature = "manifests")]
    shown::<ostler_crds::Duration>(text);
    worded::<u16>(text);
    worded::<i64>(text);
    worded::<std::net::IpAddr>(text);
    worded::<ostler_conf::values::Hex<4>>(text);
    worded::<ostler_conf::values::HexLong<8>>(text);
    worded::<ostler_conf::values::HexUpper<4>>(text);
    worded::<ostler_conf::values::AnyBase>(text);
    worded::<ostler_conf::values::Octal>(text);
    worded::<ostler_conf::values::YesNo>(text);
    if let Some((number, unit)) = text.split_once(' ')
        && let Ok(number) = number.parse()
    {
        let _ = ostler_util::Size::from_xml_unit(number, unit);
    }
}
