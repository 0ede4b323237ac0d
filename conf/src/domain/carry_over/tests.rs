use std::collections::BTreeMap;

use ostler_util::MacAddress;
use proptest::prelude::*;

use crate::domain::{Address, Devices, Interface, Mac, PciAddress};
use crate::{Domain, format, parse};

fn domain(devices: &str) -> Domain {
    let text =
        format!("<domain type='test'><name>web</name><memory>1024</memory><devices>{devices}</devices></domain>");
    parse::<Domain>(&text).unwrap().strict().unwrap()
}

fn pci(domain: &mut Domain) -> Vec<&mut Option<Address>> {
    let devices = &mut domain.devices;
    let disks = devices.disks.iter_mut().map(|disk| &mut disk.address);
    let controllers = devices.controllers.iter_mut().map(|controller| &mut controller.address);
    let interfaces = devices.interfaces.iter_mut().map(|interface| &mut interface.address);
    let rngs = devices.rngs.iter_mut().map(|rng| &mut rng.address);
    disks.chain(controllers).chain(interfaces).chain(rngs).collect()
}

/// Completes as a driver does: first what any would, then MAC addresses and the next free places on PCI.
fn complete(spec: &Domain, old: Option<&Domain>) -> Domain {
    let mut domain = spec.clone();
    if let Some(old) = old {
        domain.carry_over(old);
    }
    domain.complete();
    let mut used: Vec<MacAddress> =
        domain.devices.interfaces.iter().flat_map(|i| &i.mac).map(|mac| mac.address).collect();
    let mut fresh = (0..=u8::MAX).map(|number| MacAddress([0x52, 0x54, 0, 0, 0, number]));
    for interface in &mut domain.devices.interfaces {
        if interface.mac.is_none() {
            let address = fresh.find(|mac| !used.contains(mac)).unwrap();
            used.push(address);
            interface.mac = Some(Mac::new(address));
        }
    }
    let mut taken: Vec<_> = pci(&mut domain).into_iter().filter_map(|address| address.clone()).collect();
    for address in pci(&mut domain) {
        if address.is_none() {
            let next =
                (1..).map(|slot| Address::Pci(PciAddress::new(0, slot))).find(|next| !taken.contains(next)).unwrap();
            taken.push(next.clone());
            *address = Some(next);
        }
    }
    domain
}

/// The XML of each device, by its key.
fn devices(domain: &Domain) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |key: String, devices: Devices| {
        let shell = Domain { devices, ..Domain::default() };
        assert!(all.insert(key.clone(), format(&shell)).is_none(), "two devices {key}");
    };
    let Devices { disks, controllers, interfaces, serials, channels, inputs, rngs, .. } = domain.devices.clone();
    for disk in disks {
        add(format!("disk {}", disk.name), Devices { disks: vec![disk], ..Devices::default() });
    }
    for mut controller in controllers {
        controller.name.clear();
        let key = format!("controller {} {}", controller.r#type, controller.index.unwrap());
        add(key, Devices { controllers: vec![controller], ..Devices::default() });
    }
    for mut interface in interfaces {
        let key = format!("interface {}", std::mem::take(&mut interface.name));
        add(key, Devices { interfaces: vec![interface], ..Devices::default() });
    }
    for mut serial in serials {
        let key = format!("serial {}", std::mem::take(&mut serial.name));
        add(key, Devices { serials: vec![serial], ..Devices::default() });
    }
    for mut channel in channels {
        let key = format!("channel {}", std::mem::take(&mut channel.name));
        add(key, Devices { channels: vec![channel], ..Devices::default() });
    }
    for mut input in inputs {
        let key = format!("input {}", std::mem::take(&mut input.name));
        add(key, Devices { inputs: vec![input], ..Devices::default() });
    }
    for mut rng in rngs {
        let key = format!("rng {}", std::mem::take(&mut rng.name));
        add(key, Devices { rngs: vec![rng], ..Devices::default() });
    }
    all
}

/// What is in both is the same, and nothing but controllers is in `after` that neither had.
fn assert_kept(before: &Domain, after: &Domain) {
    let before = devices(before);
    for (key, xml) in devices(after) {
        if let Some(was) = before.get(&key) {
            assert_eq!(*was, xml, "{key}");
        }
    }
}

fn any_spec() -> impl Strategy<Value = Domain> {
    let nic = prop::sample::select(vec![
        "",
        "<model type='e1000e'/>",
        "<mac address='52:54:00:aa:aa:aa'/>",
        "<mtu size='1400'/>",
    ]);
    let disk = prop::sample::select(vec!["vd", "sd", "hd"]);
    let small = prop::sample::subsequence(
        vec![
            "<serial type='pty'/>",
            "<serial type='null'/>",
            "<channel type='unix'><target type='virtio' name='a'/></channel>",
            "<channel type='unix'><target type='virtio' name='b'/></channel>",
            "<input type='tablet' bus='usb'/>",
            "<rng model='virtio'><backend model='random'/></rng>",
            "<controller type='scsi' index='3' model='virtio-scsi'/>",
            "<controller type='usb'/>",
        ],
        0..=8,
    );
    (prop::collection::vec(nic, 0..5), prop::collection::vec(disk, 0..12), small).prop_map(|(nics, disks, small)| {
        let mut text: String = small.concat();
        let mut has_mac = false;
        for nic in nics {
            // Two interfaces with one address are nobody's wish.
            let nic = if nic.contains("<mac") && std::mem::replace(&mut has_mac, true) { "" } else { nic };
            text += &format!("<interface type='user'>{nic}</interface>");
        }
        for (at, prefix) in (b'a'..).zip(disks) {
            text +=
                &format!("<disk type='file'><source file='/{at}'/><target dev='{prefix}{}'/></disk>", char::from(at));
        }
        domain(&text)
    })
}

fn reorder<T: Clone>(list: &mut [T], seed: u64) {
    let length = list.len();
    for at in 0..length {
        list.swap(at, (at + usize::try_from(seed % 97).unwrap()) % length);
    }
}

proptest! {
    #[test]
    fn completing_again_changes_nothing(spec in any_spec()) {
        let first = complete(&spec, None);
        prop_assert_eq!(format(&complete(&spec, Some(&first))), format(&first));
        prop_assert_eq!(format(&complete(&first, Some(&first))), format(&first));
    }

    #[test]
    fn devices_that_stay_keep_their_bytes(spec in any_spec(), keep in any::<u64>(), seed in any::<u64>()) {
        let first = complete(&spec, None);
        let mut smaller = spec.clone();
        let mut bit = 0..64_u32;
        let mut stays = || keep & (1 << bit.next().unwrap()) != 0;
        smaller.devices.interfaces.retain(|_| stays());
        smaller.devices.disks.retain(|_| stays());
        smaller.devices.channels.retain(|_| stays());
        smaller.devices.rngs.retain(|_| stays());
        reorder(&mut smaller.devices.interfaces, seed);
        reorder(&mut smaller.devices.disks, seed);
        reorder(&mut smaller.devices.channels, seed);
        let second = complete(&smaller, Some(&first));
        assert_kept(&first, &second);
        prop_assert_eq!(second.devices.interfaces.len(), smaller.devices.interfaces.len());
        prop_assert_eq!(second.devices.disks.len(), smaller.devices.disks.len());

        // And they come to stand where they stood, or elsewhere, but never in another's place.
        let third = complete(&spec, Some(&second));
        assert_kept(&second, &third);
        let addresses: Vec<_> = pci(&mut third.clone()).into_iter().flat_map(|address| address.clone()).filter(|a| matches!(a, Address::Pci(_))).collect();
        prop_assert!(addresses.iter().enumerate().all(|(at, address)| !addresses[..at].contains(address)));
    }

    #[test]
    fn a_new_device_moves_no_old_one(spec in any_spec(), more in any_spec()) {
        let first = complete(&spec, None);
        let mut larger = spec.clone();
        for (at, mut interface) in more.devices.interfaces.into_iter().enumerate() {
            (interface.name, interface.mac) = (format!("new{at}"), None);
            larger.devices.interfaces.insert(0, interface);
        }
        let second = complete(&larger, Some(&first));
        assert_kept(&first, &second);
        let before = devices(&first);
        let after = devices(&second);
        prop_assert!(before.keys().all(|key| after.contains_key(key)));
    }
}

fn two_nics() -> Domain {
    complete(&domain("<interface type='user'/><interface type='user'><model type='virtio'/></interface>"), None)
}

fn place(interface: &Interface) -> (Option<MacAddress>, Option<Address>) {
    (interface.mac.as_ref().map(|mac| mac.address), interface.address.clone())
}

#[test]
fn xml_without_names_finds_its_interfaces_by_mac() {
    let old = two_nics();
    let second = &old.devices.interfaces[1];
    let text = format!("<interface type='user'><mac address='{}'/></interface>", second.mac.as_ref().unwrap().address);
    let mut new = domain(&text);
    new.carry_over(&old);
    assert_eq!(place(&new.devices.interfaces[0]), place(second));
    assert_eq!(new.devices.interfaces[0].model, second.model);
}

#[test]
fn a_mac_given_to_another_interface_is_not_taken_twice() {
    let old = two_nics();
    let mut new = domain("<interface type='user'/><interface type='user'/>");
    new.devices.interfaces[1].mac.clone_from(&old.devices.interfaces[0].mac);
    let new = complete(&new, Some(&old));
    assert_eq!(place(&new.devices.interfaces[1]), place(&old.devices.interfaces[0]));
    assert_ne!(place(&new.devices.interfaces[0]), place(&old.devices.interfaces[0]));
}

#[test]
fn a_new_mac_keeps_the_place() {
    let old = two_nics();
    let mut new = domain("<interface type='user'><mac address='52:54:00:11:22:33'/></interface>");
    new.carry_over(&old);
    assert_eq!(new.devices.interfaces[0].address, old.devices.interfaces[0].address);
    assert_ne!(new.devices.interfaces[0].mac, old.devices.interfaces[0].mac);
}

#[test]
fn another_bus_is_another_place() {
    let old = complete(&domain("<disk type='file'><target dev='vda' bus='virtio'/></disk>"), None);
    let mut new = domain("<disk type='file'><target dev='vda' bus='scsi'/></disk>");
    new.carry_over(&old);
    assert_eq!(new.devices.disks[0].address, None);
}

#[test]
fn an_alias_of_a_machine_is_the_version_it_stood_for() {
    let check = |wanted: Option<&str>, old: &str, carried: &str| {
        let (mut new, mut last) = (domain(""), domain(""));
        new.os.r#type.machine = wanted.map(str::to_owned);
        last.os.r#type.machine = Some(old.to_owned());
        new.carry_over(&last);
        assert_eq!(new.os.r#type.machine.as_deref(), Some(carried));
    };
    check(None, "pc-q35-9.2", "pc-q35-9.2");
    check(Some("q35"), "pc-q35-9.2", "pc-q35-9.2");
    check(Some("pc"), "pc-q35-9.2", "pc");
    check(Some("pc-q35-10.0"), "pc-q35-9.2", "pc-q35-10.0");
}

#[test]
fn another_kind_of_machine_has_other_places() {
    let mut old = two_nics();
    old.os.r#type.machine = Some("pc-q35-9.2".into());
    let mut new = domain("<interface type='user'/>");
    new.os.r#type.machine = Some("pc".into());
    new.carry_over(&old);
    let interface = &new.devices.interfaces[0];
    assert_eq!((&interface.mac, &interface.address), (&old.devices.interfaces[0].mac, &None));
}

#[test]
fn what_the_definition_says_wins() {
    let old =
        complete(&domain("<controller type='scsi' index='0' model='lsilogic'/><memballoon model='virtio'/>"), None);
    let mut new = domain("<controller type='scsi' index='0' model='virtio-scsi'/><memballoon model='none'/>");
    let said = new.clone();
    new.carry_over(&old);
    assert_eq!(new.devices.controllers[0].model, said.devices.controllers[0].model);
    assert_eq!(new.devices.controllers[0].address, None, "another model, another place");
    assert_eq!(new.devices.memballoon, said.devices.memballoon);
}
