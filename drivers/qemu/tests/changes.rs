//! Devices plugged into and out of running guests.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{EJECTS, IDLE, Lab};
use ostler_conf::Domain;
use ostler_conf::domain::{Disk, Interface};
use ostler_driver::{Change, Definition, Domains, StartOptions};
use ostler_util::ErrorCode;

fn parse(devices: &str) -> Domain {
    let xml = format!("<domain type='qemu'><name>x</name><memory>1</memory><devices>{devices}</devices></domain>");
    ostler_conf::parse::<Domain>(&xml).unwrap().strict().unwrap()
}

fn disk(path: &std::path::Path, target: &str, device: &str) -> Disk {
    let xml = format!(
        "<disk type='file' device='{device}'><source file='{}'/><target dev='{target}'/></disk>",
        path.display()
    );
    parse(&xml).devices.disks.remove(0)
}

fn interface(network: &str) -> Interface {
    let mut nic =
        parse(&format!("<interface type='network'><source network='{network}'/><model type='virtio'/></interface>"))
            .devices
            .interfaces
            .remove(0);
    nic.name = "late".into();
    nic
}

#[test]
fn disks_and_interfaces_come_and_go_while_the_guest_runs() {
    Lab::run("plugs", |lab| async move {
        let driver = lab.open().await;
        let spec = lab.guest("plugs", EJECTS, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        let definition =
            async |driver: &ostler_driver_qemu::QemuDriver, which| driver.definition(uuid, which).await.unwrap();

        let vdb = Change::AttachDisk(disk(&lab.disk("vdb.img"), "vdb", "disk"));
        let nic = Change::AttachInterface(interface("lan"));
        let live = definition(&driver, Definition::Live).await;
        assert!(driver.can_change(&live, &vdb) && driver.can_change(&live, &nic));
        for change in [&vdb, &nic] {
            driver.change(uuid, change).await.unwrap();
        }
        for which in [Definition::Live, Definition::Persistent] {
            let domain = definition(&driver, which).await;
            assert_eq!((domain.devices.disks.len(), domain.devices.interfaces.len()), (1, 1), "{which:?}");
            assert!(domain.devices.disks[0].address.is_some() && domain.devices.interfaces[0].mac.is_some());
        }
        assert_eq!(driver.change(uuid, &vdb).await.unwrap_err().code, ErrorCode::XmlError, "the target is taken");
        let mac = definition(&driver, Definition::Live).await.devices.interfaces[0].mac.clone().unwrap().address;
        assert_eq!(*lab.ports.1.lock().unwrap(), ["otap0"]);

        // The next agent knows of them.
        drop(driver);
        let driver = lab.open().await;
        assert_eq!(definition(&driver, Definition::Live).await.devices.disks.len(), 1);

        driver.change(uuid, &Change::DetachDisk("vdb".into())).await.unwrap();
        driver.change(uuid, &Change::DetachInterface(mac)).await.unwrap();
        for which in [Definition::Live, Definition::Persistent] {
            let domain = definition(&driver, which).await;
            assert_eq!((domain.devices.disks.len(), domain.devices.interfaces.len()), (0, 0), "{which:?}");
        }
        assert!(lab.ports.0.lock().unwrap().is_empty());
        assert_eq!(
            driver.change(uuid, &Change::DetachDisk("vdb".into())).await.unwrap_err().code,
            ErrorCode::DeviceMissing
        );
        // And again: nothing of it was left in QEMU.
        driver.change(uuid, &vdb).await.unwrap();
        driver.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
        driver.start(uuid, StartOptions::default()).await.unwrap();
        driver.destroy(uuid).await.unwrap();
    });
}

#[test]
fn a_change_is_checked_like_a_definition() {
    Lab::run("refused", |lab| async move {
        let driver = lab.open().await;
        let spec = lab.guest("refused", IDLE, "<controller type='scsi' model='virtio-scsi'/>");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::PAUSED).await.unwrap();
        let before = (
            driver.definition(uuid, Definition::Live).await.unwrap(),
            driver.definition(uuid, Definition::Persistent).await.unwrap(),
        );
        let image = lab.disk("image.img");
        let refusals = [
            (
                Change::AttachDisk(disk(&image, "sda", "lun")),
                ErrorCode::ConfigUnsupported,
                Some("devices.disks[sda].device"),
            ),
            (
                Change::AttachDisk(disk(&image, "vda1", "disk")),
                ErrorCode::ConfigUnsupported,
                Some("devices.disks[vda1].name"),
            ),
            (
                Change::AttachDisk(disk("relative".as_ref(), "vda", "disk")),
                ErrorCode::XmlError,
                Some("devices.disks[vda].source"),
            ),
            (Change::AttachDisk(disk(&image, "hda", "disk")), ErrorCode::OperationUnsupported, None),
            (
                Change::AttachDisk(disk(&lab.path("missing"), "vda", "disk")),
                ErrorCode::SystemError,
                Some("devices.disks[vda].source"),
            ),
            (Change::AttachInterface(interface("none")), ErrorCode::NoNetwork, Some("devices.interfaces[late].source")),
        ];
        for (change, code, field) in refusals {
            let error = driver.change(uuid, &change).await.unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (code, field), "{}", error.message);
        }
        let after = (
            driver.definition(uuid, Definition::Live).await.unwrap(),
            driver.definition(uuid, Definition::Persistent).await.unwrap(),
        );
        let text = |(live, stored): &(Domain, Domain)| (ostler_conf::format(live), ostler_conf::format(stored));
        assert_eq!(text(&after), text(&before), "nothing was stored");
        assert!(lab.ports.0.lock().unwrap().is_empty());
        driver.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
    });
}

#[test]
fn a_loose_tap_device_comes_and_goes_with_its_interface() {
    Lab::run("loose", |lab| async move {
        let driver = lab.open().await;
        let spec = lab.guest("loose", EJECTS, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        let nic = "<interface type='ethernet'><mac address='52:54:00:00:00:01'/><target dev='mine'/></interface>";
        let mut nic = parse(nic).devices.interfaces.remove(0);
        nic.name = "late".into();
        let mac = nic.mac.as_ref().unwrap().address;
        driver.change(uuid, &Change::AttachInterface(nic)).await.unwrap();
        assert!(ostler_util::tap::exists("mine").unwrap());
        driver.change(uuid, &Change::DetachInterface(mac)).await.unwrap();
        assert!(!ostler_util::tap::exists("mine").unwrap());
        driver.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
    });
}

#[test]
fn a_guest_that_keeps_a_device_keeps_it() {
    Lab::run("keeps", |lab| async move {
        let driver = lab.open().await;
        let devices =
            format!("<disk type='file'><source file='{}'/><target dev='vda'/></disk>", lab.disk("vda.img").display());
        let spec = lab.guest("keeps", IDLE, &devices);
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::default()).await.unwrap();
        let error = driver.change(uuid, &Change::DetachDisk("vda".into())).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::OperationTimeout);
        for which in [Definition::Live, Definition::Persistent] {
            assert_eq!(driver.definition(uuid, which).await.unwrap().devices.disks.len(), 1, "{which:?}");
        }
        driver.destroy(uuid).await.unwrap();
    });
}

#[test]
fn labels_change_at_once() {
    Lab::run("labels", |lab| async move {
        let driver = lab.open().await;
        let spec = lab.guest("labels", IDLE, "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, StartOptions::PAUSED).await.unwrap();
        let mut labelled = driver.definition(uuid, Definition::Live).await.unwrap();
        labelled.title = Some("A title".into());
        driver.change(uuid, &Change::Labels(Box::new(labelled))).await.unwrap();
        for which in [Definition::Live, Definition::Persistent] {
            assert_eq!(driver.definition(uuid, which).await.unwrap().title.as_deref(), Some("A title"));
        }
        driver.destroy(uuid).await.unwrap();
    });
}
