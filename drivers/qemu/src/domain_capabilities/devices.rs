//! Which devices guests can have.

use ostler_conf::domain_capabilities::{Choice, DeviceSupport, Support};

use super::{DomainHost, choice, is_x86};
use crate::probe::{Capabilities, Flag};

pub(super) fn support(emulator: &Capabilities, machine: &str, host: &DomainHost) -> DeviceSupport {
    DeviceSupport {
        disk: Some(disk(emulator, machine)),
        graphics: Some(Support::with([flagged("type", GRAPHICS, emulator)])),
        video: Some(video(emulator)),
        hostdev: Some(hostdev(emulator, host)),
        rng: Some(rng(emulator)),
        filesystem: Some(filesystem(emulator)),
        tpm: Some(tpm(emulator, host)),
        redirdev: Some(Support::with_if(emulator.has(Flag::UsbRedir), [Choice::of("bus", ["usb"])])),
        channel: Some(channel(emulator)),
        crypto: Some(crypto(emulator)),
        interface: Some(interface(emulator)),
        panic: Some(panic(emulator)),
    }
}

/// Words that a flag stands for.
type Flagged = [(&'static str, Flag)];

fn flagged(name: &str, words: &Flagged, emulator: &Capabilities) -> Choice {
    choice(name, words.iter().map(|(word, flag)| (*word, emulator.has(*flag))))
}

const GRAPHICS: &Flagged = &[
    ("sdl", Flag::Sdl),
    ("vnc", Flag::Vnc),
    ("rdp", Flag::DisplayDbus),
    ("spice", Flag::Spice),
    ("egl-headless", Flag::EglHeadless),
    ("dbus", Flag::DisplayDbus),
];

const VIDEO: &Flagged = &[
    ("vga", Flag::VGA),
    ("cirrus", Flag::CirrusVga),
    ("vmvga", Flag::VmwareSvga),
    ("qxl", Flag::Qxl),
    ("virtio", Flag::VirtioGpu),
];

const VIDEO_OF_LATE: &Flagged = &[("bochs", Flag::BochsDisplay), ("ramfb", Flag::Ramfb)];

const RNG_BACKENDS: &Flagged = &[("random", Flag::RngRandom), ("egd", Flag::RngEgd), ("builtin", Flag::RngBuiltin)];

const TPM_MODELS: &Flagged = &[
    ("tpm-tis", Flag::TpmTis),
    ("tpm-crb", Flag::TpmCrb),
    ("tpm-spapr", Flag::TpmSpapr),
    ("spapr-tpm-proxy", Flag::SpaprTpmProxy),
];

const TPM_BACKENDS: &Flagged = &[
    ("passthrough", Flag::TpmPassthrough),
    ("emulator", Flag::TpmEmulator),
    // Another's emulator.
    ("external", Flag::TpmEmulator),
];

/// One of these and there is a USB bus.
const USB_CONTROLLERS: &[Flag] = &[
    Flag::Piix3UsbUhci,
    Flag::Piix4UsbUhci,
    Flag::UsbEhci,
    Flag::Ich9UsbEhci1,
    Flag::Vt82c686bUsbUhci,
    Flag::PciOhci,
    Flag::NecUsbXhci,
    Flag::QemuXhci,
];

/// Machine types that have an IDE controller from the start, besides the PC's.
const WITH_IDE: &[&str] = &["g3beige", "isapc", "malta", "pc", "sun4u"];

fn has_ide(machine: &str) -> bool {
    WITH_IDE.contains(&machine) || machine.starts_with("pc-i440fx-")
}

fn disk(emulator: &Capabilities, machine: &str) -> Support {
    let has_floppy = machine != "pseries" && !machine.starts_with("pseries-");
    let buses = [
        ("ide", has_ide(machine)),
        ("fdc", has_floppy),
        ("scsi", true),
        ("virtio", true),
        ("usb", emulator.has(Flag::UsbStorage)),
        ("sata", emulator.has(Flag::Ich9Ahci)),
    ];
    Support::with([
        choice("diskDevice", [("disk", true), ("cdrom", true), ("floppy", has_floppy), ("lun", true)]),
        choice("bus", buses),
        virtio_models(emulator, true),
    ])
}

/// The generations of a virtio device.
fn virtio_models(emulator: &Capabilities, has_device: bool) -> Choice {
    let has_generations = has_device && emulator.has(Flag::VirtioPciNonTransitional);
    choice(
        "model",
        [
            ("virtio", has_device),
            ("virtio-transitional", has_generations),
            ("virtio-non-transitional", has_generations),
        ],
    )
}

fn video(emulator: &Capabilities) -> Support {
    let flagged = |words: &'static Flagged| words.iter().map(|(word, flag)| (*word, emulator.has(*flag)));
    Support::with([choice("modelType", flagged(VIDEO).chain([("none", true)]).chain(flagged(VIDEO_OF_LATE)))])
}

fn hostdev(emulator: &Capabilities, host: &DomainHost) -> Support {
    let has_usb = USB_CONTROLLERS.iter().any(|flag| emulator.has(*flag));
    Support::with([
        Choice::of("mode", ["subsystem"]),
        Choice::of("startupPolicy", ["default", "mandatory", "requisite", "optional"]),
        choice("subsysType", [("usb", has_usb), ("pci", true), ("scsi", true)]),
        Choice::of::<&str>("capsType", []),
        Choice::of("pciBackend", &host.pci_backends),
    ])
}

fn rng(emulator: &Capabilities) -> Support {
    Support::with([
        virtio_models(emulator, emulator.has(Flag::VirtioRng)),
        flagged("backendModel", RNG_BACKENDS, emulator),
    ])
}

fn filesystem(emulator: &Capabilities) -> Support {
    let drivers = [("path", true), ("handle", true), ("virtiofs", emulator.has(Flag::VhostUserFs))];
    Support::with([choice("driverType", drivers)])
}

fn tpm(emulator: &Capabilities, host: &DomainHost) -> Support {
    let (models, backends) = (flagged("model", TPM_MODELS, emulator), flagged("backendModel", TPM_BACKENDS, emulator));
    let is_whole = !models.values.is_empty() && !backends.values.is_empty();
    Support::with_if(is_whole, [models, backends, Choice::of("backendVersion", &host.tpm_versions)])
}

fn channel(emulator: &Capabilities) -> Support {
    Support::with([choice("type", [("pty", true), ("unix", true), ("spicevmc", emulator.has(Flag::Spice))])])
}

fn crypto(emulator: &Capabilities) -> Support {
    Support::with([
        choice("model", [("virtio", emulator.has(Flag::VirtioCrypto))]),
        Choice::of("type", ["qemu"]),
        choice("backendModel", [("builtin", true), ("lkcf", emulator.has(Flag::CryptodevBackendLkcf))]),
    ])
}

fn interface(emulator: &Capabilities) -> Support {
    // passt speaks over a stream's socket.
    Support::with([choice("backendType", [("default", true), ("passt", emulator.has(Flag::NetdevStream))])])
}

fn panic(emulator: &Capabilities) -> Support {
    let is_x86 = is_x86(&emulator.arch);
    let models = choice(
        "model",
        [
            ("isa", is_x86 && emulator.has(Flag::Pvpanic)),
            ("pseries", emulator.arch.starts_with("ppc64")),
            ("hyperv", is_x86),
            ("s390", emulator.arch.starts_with("s390")),
            ("pvpanic", emulator.has(Flag::PvpanicPci)),
        ],
    );
    Support::with_if(!models.values.is_empty(), [models])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_machines_have_ide_from_the_start() {
        for machine in ["pc", "pc-i440fx-10.0", "isapc", "g3beige"] {
            assert!(has_ide(machine), "{machine}");
        }
        for machine in ["pc-q35-10.0", "q35", "virt", "microvm", "pseries-6.2"] {
            assert!(!has_ide(machine), "{machine}");
        }
    }
}
