//! Guests that begin from a disk with a boot loader: by UEFI, which keeps its variables, and by a PC's BIOS.

use std::path::Path;

use ostler_e2e::lab::{Lab, made};

const READY: &str = "OSTLER-GUEST-READY";

/// A guest with the disk `disk.img` and a console in a file.
fn guest(lab: &Lab, name: &str, os: &str, parts: &str) -> String {
    let path = |name: &str| lab.path(name).display().to_string();
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>512</memory>{os}{parts}
         <devices>
           <disk type='file'><driver name='qemu' type='raw'/><source file='{}'/><target dev='vda' bus='virtio'/></disk>
           <serial type='file'><source path='{}'/></serial>
         </devices></domain>",
        path("disk.img"),
        path("console.txt"),
    )
}

/// Firmware that takes a boot loader which nobody has signed.
fn efi(arch: &str, machine: &str) -> String {
    format!(
        "<os firmware='efi'><type arch='{arch}' machine='{machine}'>hvm</type>
         <firmware><feature enabled='no' name='secure-boot'/></firmware></os>"
    )
}

fn keeps_its_variables(lab: &Lab, xml: &str) {
    let uuid = lab.define(xml).unwrap();
    let run = |word: &str| {
        lab.start(uuid, false).unwrap();
        let said = lab.hear(word);
        assert!(said.contains("OSTLER-FIRMWARE UEFI"), "{said}");
        lab.destroy(uuid);
        std::fs::remove_file(lab.path("console.txt")).unwrap();
    };
    run("OSTLER-VARIABLE written");
    let chosen = lab.definition(uuid).os;
    run("OSTLER-VARIABLE found: kept");
    assert_eq!(lab.definition(uuid).os, chosen, "firmware is chosen once");
    let nvram = chosen.nvram.unwrap().path.unwrap();
    assert!(Path::new(&nvram).starts_with(lab.path("state")), "{nvram}");
}

#[test]
fn a_variable_of_uefi_outlives_a_run() {
    let disk = made("disk", &["x86_64", "ostler.name=disk", "ostler.firmware"]);
    Lab::run("uefi", |lab| {
        lab.take(&disk, &["disk.img"]);
        let os = efi("x86_64", "q35");
        keeps_its_variables(lab, &guest(lab, "uefi", &os, "<features><acpi/></features>"));
    });
}

#[test]
fn a_variable_of_uefi_outlives_a_run_on_aarch64() {
    let disk = made("disk", &["aarch64", "ostler.name=disk", "ostler.firmware"]);
    Lab::run("uefi-arm", |lab| {
        lab.take(&disk, &["disk.img"]);
        let os = efi("aarch64", "virt");
        let cpu = "<features><acpi/></features><cpu mode='custom'><model>cortex-a57</model></cpu>";
        keeps_its_variables(lab, &guest(lab, "uefi-arm", &os, cpu));
    });
}

#[test]
fn a_bios_starts_the_boot_loader_of_a_disk() {
    let disk = made("disk", &["x86_64", "ostler.name=disk", "ostler.firmware"]);
    Lab::run("bios", |lab| {
        lab.take(&disk, &["disk.img"]);
        let os = "<os><type arch='x86_64' machine='pc'>hvm</type></os>";
        let said = lab.heard_by_us(&guest(lab, "bios", os, "<features><acpi/></features>"), READY);
        assert!(said.contains("OSTLER-FIRMWARE BIOS") && said.contains("Hello from disk"), "{said}");
    });
}
