//! A guest finds the same hardware whether our driver or libvirt runs the same document: what the guest itself sees is compared.

use std::collections::BTreeSet;

use ostler_e2e::lab::{Lab, made};

/// The guest has told all that it finds.
const DONE: &str = "OSTLER-HARDWARE-DONE";

/// A kernel whose timer does not tick within some milliseconds takes it for broken, and stops before it has a console. Under the
/// translator, on a machine with much else to do, it is only late; those who run on KVM pass the check over by themselves.
const PATIENT: &str = "no_timer_check";

/// What both machines of a PC have here.
const PC: &str = "
    <controller type='usb' model='qemu-xhci'/>
    <controller type='scsi' model='virtio-scsi'/>
    <controller type='virtio-serial'/>
    <disk type='file'><driver name='qemu' type='raw'/><source file='DIR/a.img'/><target dev='vda' bus='virtio'/></disk>
    <disk type='file'><driver name='qemu' type='raw'/><source file='DIR/b.img'/><target dev='sda' bus='scsi'/></disk>
    <disk type='file' device='cdrom'><target dev='CD'/><readonly/></disk>
    <interface type='user'><mac address='52:54:00:0b:00:01'/><model type='virtio'/></interface>
    <interface type='user'><mac address='52:54:00:0b:00:02'/><model type='e1000'/></interface>
    <input type='tablet' bus='usb'/>
    <graphics type='vnc'><listen type='none'/></graphics>
    <sound model='ich6'/>
    <video><model type='vga'/></video>
    <watchdog model='i6300esb'/>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";

/// What there is on one machine only.
const OF_Q35: &str = "
    <controller type='pci' index='1' model='pcie-root-port'/>
    <controller type='pci' index='2' model='pcie-root-port'/>
    <controller type='pci' index='3' model='pcie-to-pci-bridge'/>
    <controller type='sata' index='1'/>
    <interface type='user'><mac address='52:54:00:0b:00:03'/><model type='e1000e'/></interface>";
const OF_PC: &str = "
    <controller type='pci' index='1' model='pci-bridge'/>
    <controller type='usb' model='ich9-ehci1' index='1'/>
    <controller type='sata' index='0'/>
    <interface type='user'><mac address='52:54:00:0b:00:03'/><model type='rtl8139'/></interface>";
const OF_VIRT: &str = "
    <controller type='pci' index='1' model='pcie-root-port'/>
    <controller type='usb' model='qemu-xhci'/>
    <controller type='scsi' model='virtio-scsi'/>
    <disk type='file'><driver name='qemu' type='raw'/><source file='DIR/a.img'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'><mac address='52:54:00:0b:00:01'/><model type='virtio'/></interface>
    <interface type='user'><mac address='52:54:00:0b:00:02'/><model type='e1000e'/></interface>
    <input type='keyboard' bus='usb'/>
    <graphics type='vnc'><listen type='none'/></graphics>
    <video><model type='virtio'/></video>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";

/// A machine with the guest's kernel, what its processor is, and its devices.
struct Machine {
    arch: &'static str,
    name: &'static str,
    console: &'static str,
    parts: &'static str,
    devices: String,
    /// The devices that the guest must see among others, as it writes vendor and device.
    among: &'static [&'static str],
}

fn check(machine: &Machine) {
    let Machine { arch, name, console, parts, devices, among } = machine;
    let guest = made("build", &[arch]);
    Lab::run(name, |lab| {
        lab.take(&guest, &["vmlinuz", "initrd"]);
        for image in ["a.img", "b.img"] {
            std::fs::write(lab.path(image), vec![0; 1 << 20]).unwrap();
        }
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><uuid>9b0c1e5a-7d34-4c11-9f00-000000000100</uuid><memory unit='MiB'>384</memory><vcpu>2</vcpu>
             <os><type arch='{arch}' machine='{name}'>hvm</type><kernel>DIR/vmlinuz</kernel><initrd>DIR/initrd</initrd>
             <cmdline>console={console} {PATIENT} quiet rdinit=/init ostler.hardware</cmdline></os>{parts}
             <devices>{devices}<serial type='file'><source path='DIR/console.txt'/></serial></devices></domain>"
        )
        .replace("DIR", lab.path("").to_str().unwrap().trim_end_matches('/'));
        let ours = facts(&lab.heard_by_us(&xml, DONE));
        let theirs = facts(&lab.heard_by_libvirt(&xml, DONE));
        for device in *among {
            assert!(theirs.iter().any(|fact| fact.contains(device)), "{device} is not seen: {theirs:#?}");
        }
        let only = |of: &BTreeSet<String>, not: &BTreeSet<String>| of.difference(not).cloned().collect::<Vec<_>>();
        assert_eq!((only(&ours, &theirs), only(&theirs, &ours)), (Vec::new(), Vec::new()), "only ours, only libvirt's");
    });
}

/// The facts among what a guest said.
fn facts(said: &str) -> BTreeSet<String> {
    const FAMILIES: [&str; 5] = ["PCI", "TABLE", "NODE", "PORT", "CPU"];
    let is_fact = |line: &&str| {
        let family = line.strip_prefix("OSTLER-").and_then(|rest| rest.split(' ').next());
        family.is_some_and(|family| FAMILIES.contains(&family))
    };
    said.lines().map(str::trim_end).filter(is_fact).map(str::to_owned).collect()
}

#[test]
fn q35_is_the_same() {
    check(&Machine {
        arch: "x86_64",
        name: "q35",
        console: "ttyS0",
        parts: "<features><acpi/><apic/></features>",
        devices: PC.replace("CD", "sdb") + OF_Q35,
        among: &["0x8086 0x29c0", "0x8086 0x2922", "0x1b36 0x000c", "0x1af4 0x1041", "0x8086 0x10d3", "0x1234 0x1111"],
    });
}

#[test]
fn pc_is_the_same() {
    check(&Machine {
        arch: "x86_64",
        name: "pc",
        console: "ttyS0",
        parts: "<features><acpi/><apic/></features>",
        devices: PC.replace("CD", "hda") + OF_PC,
        among: &["0x8086 0x1237", "0x8086 0x7000", "0x8086 0x2922", "0x1b36 0x0001", "0x1af4 0x1000", "0x10ec 0x8139"],
    });
}

#[test]
fn virt_is_the_same() {
    check(&Machine {
        arch: "aarch64",
        name: "virt",
        console: "ttyAMA0",
        parts: "<features><gic version='3'/></features><cpu mode='custom'><model>cortex-a57</model></cpu>",
        devices: OF_VIRT.to_owned(),
        among: &["0x1b36 0x0008", "0x1b36 0x000c", "0x1af4 0x1041", "0x8086 0x10d3", "0x1af4 0x1050", "NODE ./pcie"],
    });
}
