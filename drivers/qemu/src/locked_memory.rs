//! How much memory of a guest's process may be locked: what its devices reach without the processor can't be swapped out.

use ostler_conf::Domain;
use ostler_conf::domain::{
    ControllerKind, ControllerModel, DiskSource, DomainType, HostdevDriverName, HostdevSource, InterfaceSource,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What a guest's process may lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedMemory {
    /// What every process may.
    Default,
    /// This many bytes.
    Bytes(u64),
    /// All that it has.
    Unlimited,
}

/// How much the process of a guest of this definition, completed, must be allowed to lock.
///
/// A hard limit on its memory is also one on what it locks. Without one, memory that is to be locked has no limit, since
/// nobody knows what QEMU needs besides the guest's memory.
pub fn locked_memory(domain: &Domain) -> LockedMemory {
    let hard_limit = domain.memtune.as_ref().and_then(|tune| tune.hard_limit);
    if let Some(limit) = hard_limit {
        return LockedMemory::Bytes(limit.0.kib().saturating_mul(1024));
    }
    if domain.memory_backing.as_ref().is_some_and(|backing| backing.locked) {
        return LockedMemory::Unlimited;
    }
    let memory = domain.memory_kib().saturating_mul(1024);
    let devices = Devices::of(domain);
    if is_pseries(domain) && domain.r#type == Some(DomainType::Kvm) {
        return LockedMemory::Bytes(on_pseries(domain, memory, &devices));
    }
    match devices.mappings(domain.devices.iommu.is_some()) {
        0 => LockedMemory::Default,
        // The guest's memory once for each mapping; 1 GiB for the devices' own.
        mappings => LockedMemory::Bytes(memory.saturating_mul(mappings).saturating_add(GIB)),
    }
}

/// The devices that reach the guest's memory by themselves.
struct Devices {
    /// The host's, handed over by VFIO.
    vfio: u64,
    /// vDPA interfaces.
    vdpa: u64,
    /// NVMe disks that QEMU drives.
    nvme: u64,
}

impl Devices {
    fn of(domain: &Domain) -> Devices {
        let devices = &domain.devices;
        let hostdevs = devices.hostdevs.iter().filter(|hostdev| match &hostdev.source {
            HostdevSource::Pci(_) => {
                let driver = hostdev.driver.as_ref().and_then(|driver| driver.name);
                driver.is_none_or(|driver| driver == HostdevDriverName::Vfio)
            }
            HostdevSource::Mdev(_) => true,
            HostdevSource::Usb(_)
            | HostdevSource::Scsi(_)
            | HostdevSource::ScsiHost(_)
            | HostdevSource::Storage(_)
            | HostdevSource::Misc(_)
            | HostdevSource::Net(_) => false,
        });
        let interfaces = |is_one: fn(&InterfaceSource) -> bool| {
            devices.interfaces.iter().filter(|interface| is_one(&interface.source)).count()
        };
        let nvme = devices.disks.iter().filter(|disk| {
            let below = disk.backing_chain.iter().flat_map(|chain| &chain.0).filter_map(|image| image.source.as_ref());
            disk.source.iter().chain(below).any(|source| matches!(source, DiskSource::Nvme(_)))
        });
        Devices {
            vfio: (hostdevs.count() + interfaces(|source| matches!(source, InterfaceSource::Hostdev(_)))) as u64,
            vdpa: interfaces(|source| matches!(source, InterfaceSource::Vdpa(_))) as u64,
            nvme: nvme.count() as u64,
        }
    }

    /// How often the guest's memory is mapped: each vDPA device has a mapping, all NVMe disks have one, and so have all
    /// devices of the host, unless an IOMMU of the guest's gives each its own.
    fn mappings(&self, has_iommu: bool) -> u64 {
        let vfio = if has_iommu { self.vfio } else { self.vfio.min(1) };
        self.vdpa + self.nvme.min(1) + vfio
    }
}

fn is_pseries(domain: &Domain) -> bool {
    let os = &domain.os.r#type;
    os.arch.as_deref().is_some_and(|arch| arch.starts_with("ppc64"))
        && os.machine.as_deref().is_some_and(|machine| machine.starts_with("pseries"))
}

/// The kernel counts pages of its own for a guest on POWER: its page table (a 128th of what its memory may become), 4 MiB for
/// each PCI host bridge and 8 MiB besides. With VFIO each bridge has a window of 2 GiB, or one on all memory with a table of
/// 8 bytes a page of 4 KiB.
fn on_pseries(domain: &Domain, memory: u64, devices: &Devices) -> u64 {
    let is_bridge =
        |kind: ControllerKind, model| kind == ControllerKind::Pci && model == Some(ControllerModel::PciRoot);
    let bridges =
        domain.devices.controllers.iter().filter(|one| is_bridge(one.r#type, one.model)).count().max(1) as u64;
    let most = domain.max_memory.as_ref().map_or(memory, |most| most.size.0.kib().saturating_mul(1024).max(memory));
    let base = most / 128 + bridges * 4 * MIB + 8 * MIB;
    match devices.mappings(false) {
        0 => base,
        _ => base + (bridges * 2 * GIB).max(memory + bridges * memory / 512 + 8 * MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inner: &str, devices: &str, expected: LockedMemory) {
        let xml = format!(
            "<domain type='kvm'><name>g</name><memory unit='GiB'>1</memory>{inner}<os><type arch='x86_64' machine='pc'>hvm</type></os>\
             <devices>{devices}</devices></domain>"
        );
        let domain = ostler_conf::parse::<Domain>(&xml).unwrap().value;
        assert_eq!(locked_memory(&domain), expected, "{inner}{devices}");
    }

    const HOSTDEV: &str = "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>";
    const NVME: &str = "<disk type='nvme' device='disk'><source type='pci' namespace='1'><address domain='0' bus='2' slot='0' \
                        function='0'/></source><target dev='vda'/></disk>";
    const VDPA: &str = "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>";
    const IOMMU: &str = "<iommu model='intel'/>";

    #[test]
    fn each_mapping_counts() {
        check("", "", LockedMemory::Default);
        for (devices, gib) in [
            (HOSTDEV.to_owned(), 2),
            (HOSTDEV.repeat(2), 2),
            (HOSTDEV.repeat(2) + IOMMU, 3),
            (NVME.to_owned() + HOSTDEV, 3),
            (VDPA.repeat(2), 3),
        ] {
            check("", &devices, LockedMemory::Bytes(gib * GIB));
        }
    }

    #[test]
    fn a_limit_is_a_limit_and_locked_without_one_has_none() {
        let (limit, locked) =
            ("<memtune><hard_limit unit='GiB'>3</hard_limit></memtune>", "<memoryBacking><locked/></memoryBacking>");
        check(limit, HOSTDEV, LockedMemory::Bytes(3 * GIB));
        check(&(limit.to_owned() + locked), "", LockedMemory::Bytes(3 * GIB));
        check(locked, HOSTDEV, LockedMemory::Unlimited);
    }
}
