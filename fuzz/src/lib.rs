//! What holds for whatever is read: it ends soon, with a value or a problem; and a value survives being written and read again.

use ostler_conf::storage_pool::PoolType;
use ostler_conf::xml::{Root, root_name};
use ostler_conf::{
    Backup, Checkpoint, Domain, DomainStatus, HostInterface, Network, NetworkPort, NodeDevice, Nwfilter,
    NwfilterBinding, Secret, Snapshot, StoragePool, StorageVolume, format, parse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A document of the kind that its root element names.
pub fn document(text: &str) {
    match root_name(text) {
        Domain::NAME => one(text, |domain: &mut Domain| {
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

fn one<T: Root + Clone + Serialize + DeserializeOwned>(text: &str, settle: impl FnOnce(&mut T)) {
    let Ok(parsed) = parse::<T>(text) else { return };
    let mut value = parsed.value;
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
pub fn address(attributes: &str) {
    document(&format!(
        "<domain type='kvm'><name>d</name><memory>1</memory><os><type>hvm</type></os><devices>\
         <disk type='file'><source file='/d'/><target dev='sda' bus='scsi'/><address {attributes}/></disk>\
         <hostdev mode='subsystem' type='pci'><source><address {attributes}/></source></hostdev>\
         <channel type='pty'><target type='virtio'/><address {attributes}/></channel></devices></domain>"
    ));
}

/// An update of a section of a network: its first byte says which, and how.
pub fn section(bytes: &[u8]) {
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
pub fn manifests(text: &str) {
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
pub fn values(text: &str) {
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
