//! Why a QEMU on this machine, with stand-ins, may refuse a command line that is right, or why it isn't asked.

use super::said::Said;

/// Why a command line is not tried.
pub(super) fn left_out(all: &[Said<'_>]) -> Option<&'static str> {
    let is_vhost_user = |said: &Said<'_>| {
        said.get("driver").is_some_and(|driver| driver.starts_with("vhost-user")) || said.is("type", "vhost-user")
    };
    if all.iter().any(is_vhost_user) {
        return Some("a program that speaks vhost-user would have to answer");
    }
    all.iter()
        .any(|said| said.option == "-tpmdev" && said.is("", "emulator"))
        .then_some("a program that plays a TPM would have to answer")
}

/// What a refusal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// This machine, its QEMU, or the stand-ins.
    Place,
    /// The definition: it asks for what QEMU refuses. It counts only where libvirt's command line is the same.
    Definition,
}

use Cause::{Definition, Place};

const NOT_BUILT: &str = "this QEMU is not built or installed with it";
const NO_KVM: &str = "there is no KVM here";
const NO_DEVICE: &str = "this machine has no such device";
const NO_SERVER: &str = "nobody serves it here";
const ONE_NODE: &str = "this machine has one NUMA node, and no huge pages";
const GONE: &str = "QEMU has it no more";
const AS_DEFINED: &str = "the definition asks for what QEMU refuses, and libvirt writes the same";

/// What QEMU says, what for, and why it says so here. The first that fits counts.
const REASONS: &[(&str, Cause, &str)] = &[
    ("Unknown driver '", Place, NOT_BUILT),
    ("Unknown audio driver", Place, NOT_BUILT),
    ("is not available. Perhaps you want to install", Place, NOT_BUILT),
    ("does not accept value 'coreaudio'", Place, NOT_BUILT),
    ("does not accept value 'virtio-blk-vhost-vdpa'", Place, NOT_BUILT),
    ("failed to initialize spice server", Place, NOT_BUILT),
    ("need rutabaga or udmabuf", Place, NOT_BUILT),
    ("requires KVM or HVF", Place, NO_KVM),
    ("KVM required", Place, NO_KVM),
    ("does not support confidential guest", Place, NO_KVM),
    ("Property 'tcg-accel.", Place, NO_KVM),
    ("Try x2apic=on in -cpu", Place, NO_KVM),
    ("guest firmware has no hashes table", Place, "the stand-in for firmware is empty"),
    ("no such host device", Place, NO_DEVICE),
    ("Failed to open /dev/vfio/", Place, NO_DEVICE),
    ("vhost-net requested but could not be initialized", Place, NO_DEVICE),
    ("vhost_set_owner failed", Place, NO_DEVICE),
    ("Could not open '/dev/bus/usb/", Place, NO_DEVICE),
    ("Could not open '/dev/input/", Place, NO_DEVICE),
    ("Could not open '/dev/tty", Place, NO_DEVICE),
    ("Could not open '/dev/parport", Place, NO_DEVICE),
    ("not accessible: No such file or directory", Place, NO_DEVICE),
    ("egl: render node init failed", Place, NO_DEVICE),
    ("Is this a SCSI device?", Place, NO_DEVICE),
    ("is not a TPM device", Place, NO_DEVICE),
    ("Inappropriate ioctl for device", Place, NO_DEVICE),
    ("The nodes select no CPUs", Place, ONE_NODE),
    ("cannot bind memory to host NUMA nodes", Place, ONE_NODE),
    ("unable to map backing store for guest RAM", Place, ONE_NODE),
    ("name resolution", Place, NO_SERVER),
    ("failed to connect to DBus", Place, NO_SERVER),
    ("Failed to connect to '", Place, NO_SERVER),
    ("Unable to access credentials", Place, "there are no certificates here"),
    ("failed to initialize vcard", Place, "there are no certificates here"),
    ("-no-acpi: invalid option", Place, GONE),
    ("-no-hpet: invalid option", Place, GONE),
    ("fsdriver handle not found", Place, GONE),
    ("Property 'virtio-blk-pci.scsi' not found", Place, GONE),
    ("Invalid parameter '\"backend\"", Place, "no QEMU takes a character device in JSON yet"),
    ("'-display BACKEND,gl=on'", Definition, AS_DEFINED),
    ("bus supports only", Definition, AS_DEFINED),
    ("Bus 'ide.2' not found", Definition, AS_DEFINED),
    ("Invalid tx_queue_size", Definition, AS_DEFINED),
    ("does not support hotplugging", Definition, AS_DEFINED),
    ("missing acpi device or acpi disabled", Definition, AS_DEFINED),
    ("VIRTIO_F_IOMMU_PLATFORM was supported by neither", Definition, AS_DEFINED),
    ("single function device can't be populated", Definition, AS_DEFINED),
    ("Is another process using the image", Definition, AS_DEFINED),
    ("does not contain a multicast address", Definition, AS_DEFINED),
    ("is not a valid device model name", Definition, AS_DEFINED),
    ("Failed to fork (Operation not permitted)", Definition, AS_DEFINED),
    ("-unknown: invalid option", Definition, AS_DEFINED),
    ("Could not open 'ARGUMENT'", Definition, AS_DEFINED),
];

/// Why QEMU said this, if it is not for the fault of a command line; `is_libvirts`: whether libvirt's is the same.
pub(super) fn of_refusal(said: &str, is_libvirts: impl FnOnce() -> bool) -> Option<&'static str> {
    let (_, cause, reason) = REASONS.iter().find(|(part, ..)| said.contains(part))?;
    (*cause == Place || is_libvirts()).then_some(*reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_to_blame_only_where_libvirt_writes_the_same() {
        let said = "-device {}: Can't create IDE unit 2, bus supports only 2 units";
        assert_eq!(of_refusal(said, || true), Some(AS_DEFINED));
        assert_eq!(of_refusal(said, || false), None);
        assert_eq!(of_refusal("CPU model 'host' requires KVM or HVF", || false), Some(NO_KVM));
        assert_eq!(of_refusal("Parameter 'id' expects an identifier", || true), None);
    }
}
