//! `<memory>`: memory that is plugged in.

use ostler_conf::domain::{Address, MemoryModel};
use ostler_driver::Result;

use super::memory::Piece;
use super::{Args, Props, Setup, alias, virtio};

pub(super) fn all(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    for memory in &setup.domain.devices.memories {
        let backend = Piece::of_device(memory).backend(setup)?;
        let device_allocates = backend.device_allocates;
        backend.write(args);
        let driver = match memory.model {
            MemoryModel::Dimm => "pc-dimm".to_owned(),
            MemoryModel::Nvdimm => "nvdimm".to_owned(),
            MemoryModel::VirtioPmem => virtio::driver("virtio-pmem", None, &memory.address),
            MemoryModel::VirtioMem => virtio::driver("virtio-mem", None, &memory.address),
            // It is part of the machine.
            MemoryModel::SgxEpc => continue,
        };
        let name = alias(&memory.alias);
        let target = &memory.target;
        let is_mem = memory.model == MemoryModel::VirtioMem;
        let is_virtio = is_mem || memory.model == MemoryModel::VirtioPmem;
        let props = Props::driver(driver)
            .maybe("node", target.node)
            .maybe("label-size", target.label.as_ref().map(|label| label.size.0.bytes()))
            .maybe("block-size", target.block.as_ref().map(|size| size.0.bytes()))
            .maybe("requested-size", target.requested.as_ref().map(|size| size.0.bytes()))
            .maybe("uuid", memory.uuid.filter(|_| memory.model == MemoryModel::Nvdimm).map(|uuid| uuid.to_string()))
            .maybe("unarmed", (target.readonly && memory.model == MemoryModel::Nvdimm).then_some(true))
            .put("memdev", format!("mem{name}"))
            .maybe("prealloc", device_allocates.then_some(true))
            .maybe("memaddr", target.base.map(|base| base.0).filter(|_| is_virtio))
            .maybe("dynamic-memslots", target.dynamic_memslots.map(|on| on.0))
            .put("id", name);
        let props = match &memory.address {
            Some(Address::Dimm(_)) | None => props.address(setup.domain, &memory.address)?,
            _ => props.address(setup.domain, &memory.address)?.acpi_index(memory.acpi.as_ref()),
        };
        args.device(setup, props);
    }
    Ok(())
}
