//! Parts of addresses that are left out are zero.

use crate::domain::{Address, DiskSource, Domain, HostdevSource};

pub(super) fn complete(domain: &mut Domain) {
    let devices = &mut domain.devices;
    macro_rules! complete_all {
        ($($list:ident),*) => { $(devices.$list.iter_mut().for_each(|device| complete_one(&mut device.address));)* };
    }
    complete_all!(
        disks,
        controllers,
        filesystems,
        interfaces,
        smartcards,
        serials,
        parallels,
        consoles,
        channels,
        inputs,
        tpms,
        sounds,
        videos,
        hostdevs,
        redirdevs,
        hubs,
        watchdogs,
        memballoon,
        rngs,
        nvram,
        panics,
        shmems,
        iommu,
        vsock,
        cryptos
    );
    for hostdev in &mut devices.hostdevs {
        if let HostdevSource::Pci(source) = &mut hostdev.source {
            source.address.fill_in();
        }
    }
    for disk in &mut devices.disks {
        if let Some(DiskSource::Nvme(source)) = &mut disk.source {
            source.address.fill_in();
        }
    }
}

fn complete_one(address: &mut Option<Address>) {
    match address {
        Some(Address::Pci(address)) => {
            let is_said = [address.bus, address.slot].iter().any(Option::is_some)
                || address.domain.is_some()
                || address.function.is_some();
            if is_said {
                address.fill_in();
            }
        }
        Some(Address::Drive(address)) => {
            for part in [&mut address.controller, &mut address.bus, &mut address.target, &mut address.unit] {
                part.get_or_insert(0);
            }
        }
        Some(Address::VirtioSerial(address)) => {
            for part in [&mut address.controller, &mut address.bus, &mut address.port] {
                part.get_or_insert(0);
            }
        }
        Some(Address::Ccid(address)) => {
            for part in [&mut address.controller, &mut address.slot] {
                part.get_or_insert(0);
            }
        }
        Some(Address::Usb(address)) => {
            address.bus.get_or_insert(0);
        }
        Some(
            Address::SpaprVio(_)
            | Address::VirtioS390(_)
            | Address::Ccw(_)
            | Address::Isa(_)
            | Address::Dimm(_)
            | Address::VirtioMmio(_)
            | Address::Unassigned(_),
        )
        | None => {}
    }
}
