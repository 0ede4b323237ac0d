//! What a running guest must find again in a definition that takes its place: on another host after a migration, from a saved
//! image or a snapshot that was edited. What only the host sees may differ; all else is the guest's hardware.

use ostler_util::ErrorCode;

use super::Domain;
use crate::diff::{Difference, diff};
use crate::{Invalid, Problem};

/// What may differ, with all that is below it: paths of the YAML face; `*` is any device. What does not stand here is taken
/// for something that the guest sees, so that a new field is refused until someone has thought about it.
const MAY_DIFFER: &[&str] = &[
    // Identity and papers. (The UUID is in the guest's SMBIOS tables.)
    "id",
    "name",
    "title",
    "description",
    "metadata",
    // How the host shares itself out.
    "currentMemory",
    "blkiotune",
    "memtune",
    "memoryBacking",
    "vcpu.cpuset",
    "vcpu.current",
    "vcpu.placement",
    "cputune",
    "numatune",
    "resource",
    "throttlegroups",
    "defaultiothread",
    "perf",
    "seclabels",
    "idmap",
    // What is read when the guest starts anew, and what happens then.
    "bootloader",
    "bootloaderArgs",
    "os.boot",
    "os.bootmenu",
    "os.firmware",
    "os.firmwareFeatures",
    "os.loader",
    "os.nvram",
    "os.kernel",
    "os.initrd",
    "os.cmdline",
    "os.shim",
    "os.dtb",
    "onPoweroff",
    "onReboot",
    "onCrash",
    "onLockfailure",
    // Of a driver, not of the guest.
    "qemuCommandline",
    "qemuCapabilities",
    "qemuDeprecation",
    "qemuOverride",
    "xenCommandline",
    "bhyveCommandline",
    // Devices: their names for people and for the hypervisor, and the host's end of them.
    "devices.emulator",
    "devices.leases",
    "devices.graphics",
    "devices.audios",
    "devices.redirfilter",
    "devices.*.*.alias",
    "devices.*.alias",
    "devices.*.*.boot",
    "devices.*.*.source",
    "devices.*.*.log",
    "devices.*.*.backend",
    "devices.*.*.audio",
    "devices.disks.*.auth",
    "devices.disks.*.backingChain",
    "devices.disks.*.mirror",
    "devices.disks.*.encryption",
    "devices.disks.*.iotune",
    "devices.disks.*.throttlefilters",
    "devices.disks.*.snapshot",
    "devices.disks.*.shareable",
    "devices.disks.*.transient",
    "devices.disks.*.rawio",
    "devices.disks.*.sgio",
    "devices.disks.*.target.tray",
    "devices.disks.*.driver.name",
    "devices.disks.*.driver.type",
    "devices.disks.*.driver.cache",
    "devices.disks.*.driver.errorPolicy",
    "devices.disks.*.driver.rerrorPolicy",
    "devices.disks.*.driver.io",
    "devices.disks.*.driver.ioeventfd",
    "devices.disks.*.driver.copyOnRead",
    "devices.disks.*.driver.discard",
    "devices.disks.*.driver.discardNoUnref",
    "devices.disks.*.driver.detectZeroes",
    "devices.disks.*.driver.iothread",
    "devices.disks.*.driver.iothreads",
    "devices.disks.*.driver.metadataCache",
    "devices.interfaces.*.managed",
    "devices.interfaces.*.vlan",
    "devices.interfaces.*.virtualport",
    "devices.interfaces.*.bandwidth",
    "devices.interfaces.*.portForwards",
    "devices.interfaces.*.script",
    "devices.interfaces.*.downscript",
    "devices.interfaces.*.target",
    "devices.interfaces.*.filterref",
    "devices.interfaces.*.trustGuestRxFilters",
    "devices.interfaces.*.sndbuf",
    "devices.interfaces.*.coalesce",
    "devices.interfaces.*.link",
    "devices.interfaces.*.driver.name",
    "devices.interfaces.*.driver.txmode",
    "devices.interfaces.*.driver.ioeventfd",
    "devices.filesystems.*.driver",
    "devices.filesystems.*.binary",
    "devices.hostdevs.*.managed",
    "devices.hostdevs.*.sgio",
    "devices.hostdevs.*.rawio",
    "devices.rngs.*.rate",
    "devices.memballoon.stats",
    "devices.watchdogs.*.action",
];

impl Domain {
    /// Whether a guest that runs by this definition goes on by `new` without noticing.
    ///
    /// # Errors
    /// Each thing that the guest would see change, with its field; the code is `ConfigUnsupported`.
    pub fn check_abi_stability(&self, new: &Domain) -> Result<(), Invalid> {
        let seen = diff(self, new).into_iter().filter(|difference| !may_differ(&difference.path));
        Invalid::check(seen.map(problem).collect())
    }
}

fn problem(difference: Difference) -> Problem {
    let show = |value: &Option<serde_json::Value>| value.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    let message = format!(
        "the guest has {}, and would find {}: what it sees must stay the same",
        show(&difference.current),
        show(&difference.desired)
    );
    Problem::new(ErrorCode::ConfigUnsupported, difference.path, message)
}

fn may_differ(path: &str) -> bool {
    MAY_DIFFER.iter().any(|pattern| covers(pattern, path))
}

/// Whether `path` (`devices.disks[vda].source.file`) is what `pattern` names, or is below it.
fn covers(pattern: &str, path: &str) -> bool {
    // A device's name may hold dots; what is in brackets is one part.
    let mut rest = path;
    for part in pattern.split('.') {
        let Some((found, after)) = first_part(rest) else { return false };
        if part != "*" && part != found {
            return false;
        }
        rest = after;
    }
    true
}

/// A path's first part and what follows: a field, or what is between brackets.
fn first_part(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(inside) = path.strip_prefix('[') {
        return inside.split_once(']');
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::MAY_DIFFER;
    use crate::domain::Domain;
    use crate::parse;

    const GUEST: &str = "<domain type='kvm'>
  <name>web</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory unit='KiB'>1048576</memory>
  <vcpu placement='static' current='1'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/images/a.qcow2'/>
      <target dev='vda' bus='virtio'/>
      <serial>1</serial>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:00:00:01'/>
      <source bridge='br0'/>
      <model type='virtio'/>
    </interface>
  </devices>
</domain>";

    fn changed(pairs: &[(&str, &str)]) -> Result<(), Vec<String>> {
        let old = parse::<Domain>(GUEST).unwrap().value;
        let text = pairs.iter().fold(GUEST.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let new = parse::<Domain>(&text).unwrap().value;
        old.check_abi_stability(&new)
            .map_err(|invalid| invalid.problems().iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn the_hosts_end_may_change() {
        assert_eq!(changed(&[]), Ok(()));
        assert_eq!(
            changed(&[
                ("/images/a.qcow2", "/elsewhere/b.raw"),
                ("type='qcow2' cache='none'", "type='raw' io='threads'"),
                ("<interface type='bridge'>", "<interface type='network'>"),
                ("<source bridge='br0'/>", "<source network='lan'/><target dev='tap7'/>"),
                ("<name>web</name>", "<name>www</name>"),
                ("current='1'", "current='2'"),
            ]),
            Ok(())
        );
    }

    #[test]
    fn what_the_guest_sees_stays() {
        let refused = |from, to| changed(&[(from, to)]).unwrap_err();
        assert_eq!(refused("1048576", "2097152"), ["memory.size"]);
        assert_eq!(refused("pc-q35-10.0", "pc-q35-9.2"), ["os.type.machine"]);
        assert_eq!(refused("6695eb01", "6695eb02"), ["uuid"]);
        assert_eq!(refused("<serial>1</serial>", ""), ["devices.disks[vda].serial"]);
        assert_eq!(refused("00:00:01", "00:00:02"), ["devices.interfaces[net0].mac.address"]);
        assert_eq!(refused("bus='0x04'", "bus='0x05'"), ["devices.disks[vda].address.pci.bus"]);
        assert_eq!(
            refused("<target dev='vda' bus='virtio'/>", "<target dev='vda' bus='sata'/>"),
            ["devices.disks[vda].target.bus"]
        );
    }

    #[test]
    fn a_device_more_or_less_is_seen() {
        let refused = changed(&[("</devices>", "<rng model='virtio'><backend model='builtin'/></rng></devices>")]);
        assert_eq!(refused.unwrap_err(), ["devices.rngs[rng0]"]);
    }

    #[test]
    fn each_path_stands_once() {
        for (at, path) in MAY_DIFFER.iter().enumerate() {
            assert!(!MAY_DIFFER[..at].contains(path), "{path} stands twice");
        }
    }
}
