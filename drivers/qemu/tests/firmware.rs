//! Guests that begin with real firmware: OVMF with memory of its own, and a PC's BIOS from a disk.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::path::Path;

use common::{Lab, eventually};
use ostler_conf::{Domain, parse};
use ostler_driver::{Domains, StartOptions, StateOnUndefine};
use ostler_driver_qemu::QemuDriver;
use ostler_util::ErrorCode;
use uuid::Uuid;

/// A guest whose first serial port is a file.
fn guest(lab: &Lab, name: &str, os: &str, devices: &str) -> Domain {
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>128</memory>{os}<features><acpi/></features>
         <devices>{devices}<serial type='file'><source path='{}'/></serial><memballoon model='none'/></devices></domain>",
        lab.path(&format!("{name}.txt")).display()
    );
    let mut domain = parse::<Domain>(&xml).unwrap().strict().unwrap();
    domain.uuid = Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
    domain
}

async fn says(lab: &Lab, name: &str, word: &str) {
    let path = lab.path(&format!("{name}.txt"));
    let said = || String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
    eventually(&format!("the guest {name} doesn't say '{word}'"), || said().contains(word)).await;
}

async fn loader(driver: &QemuDriver, uuid: Uuid) -> (String, String) {
    let stored = driver.definition(uuid, ostler_driver::Definition::Persistent).await.unwrap();
    (stored.os.loader.unwrap().path.unwrap(), stored.os.nvram.unwrap().path.unwrap())
}

#[test]
fn uefi_keeps_what_it_wrote() {
    let descriptors = Path::new("/usr/share/qemu/firmware");
    assert!(descriptors.is_dir(), "it needs a UEFI that is installed with its descriptors: ovmf");
    Lab::run("uefi", |lab| async move {
        let driver = lab.open().await;
        let spec = guest(&lab, "uefi", "<os firmware='efi'><type machine='q35'>hvm</type></os>", "");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        let (code, nvram) = loader(&driver, uuid).await;
        assert!(Path::new(&nvram).starts_with(lab.config.state_dir.join("qemu/nvram")), "{nvram}");
        assert!(!Path::new(&nvram).exists(), "nothing is made before a start");
        driver.start(uuid, StartOptions::default()).await.unwrap();
        says(&lab, "uefi", "BdsDxe").await;
        driver.destroy(uuid).await.unwrap();
        lab.released(uuid).await;
        let written = std::fs::read(&nvram).unwrap();
        let template =
            driver.definition(uuid, ostler_driver::Definition::Persistent).await.unwrap().os.nvram.unwrap().template;
        assert_ne!(written, std::fs::read(template.unwrap()).unwrap(), "UEFI has stored its variables");

        // The same definition again, and again a start: nothing is chosen or made anew.
        driver.define(&spec).await.unwrap();
        assert_eq!(loader(&driver, uuid).await, (code, nvram.clone()));
        driver.start(uuid, StartOptions::PAUSED).await.unwrap();
        assert_eq!(std::fs::read(&nvram).unwrap(), written);
        driver.destroy(uuid).await.unwrap();

        driver.undefine(uuid, StateOnUndefine::Keep).await.unwrap();
        assert_eq!(std::fs::read(&nvram).unwrap(), written);
        driver.define(&spec).await.unwrap();
        driver.undefine(uuid, StateOnUndefine::Delete).await.unwrap();
        assert!(!Path::new(&nvram).exists());
    });
}

#[test]
fn firmware_that_is_not_there_is_told_at_once_and_refused_at_start() {
    Lab::run("no-firmware", |lab| async move {
        let driver = lab.open().await;
        let os = "<os><type machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/there/is/none</loader>
                  <nvram template='/nor/this'/></os>";
        let spec = guest(&lab, "none", os, "");
        let uuid = spec.uuid.unwrap();
        let warnings: Vec<String> =
            driver.define(&spec).await.unwrap().warnings.into_iter().map(|warning| warning.field).collect();
        assert_eq!(warnings, ["os.loader.path", "os.nvram.path"]);
        let error = driver.start(uuid, StartOptions::default()).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::SystemError, Some("os.loader.path")));
        lab.assert_clean(uuid);
        let relative = "<os><type machine='q35'>hvm</type><loader type='rom'>bios.bin</loader></os>";
        let error = driver.define(&guest(&lab, "relative", relative, "")).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::XmlError, Some("os.loader.path")));
    });
}

#[test]
fn a_bios_boots_from_a_disk() {
    Lab::run("bios", |lab| async move {
        let driver = lab.open().await;
        let disk = lab.disk("boot.img");
        // Writes "up" to the first serial port and stops.
        let mut sector = vec![0xba, 0xf8, 0x03, 0xb0, b'u', 0xee, 0xb0, b'p', 0xee, 0xfa, 0xf4];
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        // A BIOS counts in cylinders: a disk has one at least.
        sector.resize(1 << 20, 0);
        std::fs::write(&disk, sector).unwrap();
        let devices = format!("<disk type='file'><source file='{}'/><target dev='vda'/></disk>", disk.display());
        for machine in ["pc", "q35"] {
            let os = format!("<os><type machine='{machine}'>hvm</type><bios rebootTimeout='0'/></os>");
            let spec = guest(&lab, machine, &os, &devices);
            let uuid = spec.uuid.unwrap();
            driver.define(&spec).await.unwrap();
            driver.start(uuid, StartOptions::default()).await.unwrap();
            says(&lab, machine, "up").await;
            driver.destroy(uuid).await.unwrap();
        }
    });
}
