//! The files of the host that a definition names besides the images of its disks.

use ostler_conf::Domain;
use ostler_conf::domain::{DiskSource, LoaderKind, MemoryModel, Sysinfo};
use ostler_driver::Access;

/// A file that QEMU opens by its path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostFile<'a> {
    /// The field that names it.
    pub(crate) field: String,
    pub(crate) path: &'a str,
    /// What the guest does with it.
    pub(crate) access: Access,
    pub(crate) origin: Origin<'a>,
}

/// What a file is made of where it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// Nothing makes it: it must be there.
    Nothing,
    /// Another file.
    Template(&'a str),
    /// Zeros.
    Zeros,
}

impl<'a> HostFile<'a> {
    fn read(field: impl Into<String>, path: &'a str) -> Self {
        HostFile { field: field.into(), path, access: Access::Read, origin: Origin::Nothing }
    }

    fn write(field: impl Into<String>, path: &'a str) -> Self {
        HostFile { access: Access::Write, ..HostFile::read(field, path) }
    }
}

/// All of them.
pub(crate) fn of(domain: &Domain) -> Vec<HostFile<'_>> {
    let os = &domain.os;
    let boot = [("os.kernel", &os.kernel), ("os.initrd", &os.initrd), ("os.shim", &os.shim), ("os.dtb", &os.dtb)];
    let mut files: Vec<HostFile<'_>> =
        boot.into_iter().filter_map(|(field, path)| Some(HostFile::read(field, path.as_deref()?))).collect();
    let tables = os.acpi.iter().flat_map(|acpi| &acpi.tables).enumerate();
    files.extend(tables.map(|(at, table)| HostFile::read(format!("os.acpi.tables[{at}].path"), &table.path)));
    files.extend(firmware(domain));
    files.extend(memory(domain));
    files.extend(domain.devices.shmems.iter().filter_map(|shmem| {
        let server = HostFile::read(format!("devices.shmems[{}].server", shmem.name), shmem.server.as_deref()?);
        Some(HostFile { access: Access::Shared, ..server })
    }));
    for (at, sysinfo) in domain.sysinfo.iter().enumerate() {
        let Sysinfo::Fwcfg(config) = sysinfo else { continue };
        files.extend(config.entries.iter().filter_map(|entry| {
            let path = entry.file.as_deref().filter(|_| entry.value.as_ref().is_none_or(String::is_empty))?;
            Some(HostFile::read(format!("sysinfo[{at}].fwcfg.entries[{}].file", entry.name), path))
        }));
    }
    files
}

/// Memory that outlives the guest's run: persistent, and the kernel's last words.
fn memory(domain: &Domain) -> impl Iterator<Item = HostFile<'_>> {
    let devices = domain.devices.memories.iter().filter_map(|memory| {
        let is_kept = matches!(memory.model, MemoryModel::Nvdimm | MemoryModel::VirtioPmem);
        let path = memory.source.as_ref()?.path.as_deref().filter(|_| is_kept)?;
        Some(HostFile::write(format!("devices.memories[{}].source.path", memory.name), path))
    });
    let pstore = domain.devices.pstore.as_ref().and_then(|pstore| pstore.path.as_deref());
    let pstore = pstore.map(|path| HostFile { origin: Origin::Zeros, ..HostFile::write("devices.pstore.path", path) });
    devices.chain(pstore)
}

/// The firmware's code, and its memory.
fn firmware(domain: &Domain) -> Vec<HostFile<'_>> {
    let Some(loader) = &domain.os.loader else { return Vec::new() };
    let Some(path) = loader.path.as_deref() else { return Vec::new() };
    let is_flash = loader.r#type == Some(LoaderKind::Pflash);
    let is_written = is_flash && loader.readonly.is_none_or(|readonly| !readonly.0);
    let access = if is_written { Access::Write } else { Access::Read };
    let mut files = vec![HostFile { access, ..HostFile::read("os.loader.path", path) }];
    let memory = nvram_path(domain).filter(|_| is_flash);
    let template = domain.os.nvram.as_ref().and_then(|nvram| nvram.template.as_deref());
    let origin = template.map_or(Origin::Nothing, Origin::Template);
    files.extend(memory.map(|path| HostFile { origin, ..HostFile::write("os.nvram.path", path) }));
    files
}

/// Where the firmware's memory is, if that is a file.
pub(crate) fn nvram_path(domain: &Domain) -> Option<&str> {
    let nvram = domain.os.nvram.as_ref()?;
    let source = match &nvram.source {
        Some(DiskSource::File(file)) => file.file.as_deref(),
        Some(DiskSource::Block(block)) => block.dev.as_deref(),
        _ => None,
    };
    nvram.path.as_deref().or(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_named_with_what_the_guest_does_with_it() {
        let text = "<domain type='qemu'><name>g</name><memory>1</memory>
            <os><loader readonly='yes' type='pflash'>/code</loader><nvram template='/vars'>/own</nvram><kernel>/k</kernel>
              <initrd>/i</initrd><shim>/s</shim><dtb>/d</dtb><acpi><table type='slic'>/t</table></acpi></os>
            <sysinfo type='fwcfg'><entry name='opt/a' file='/f'/><entry name='opt/b'>text</entry></sysinfo>
            <devices><memory model='nvdimm'><source><path>/n</path></source><target><size unit='MiB'>1</size></target></memory>
              <memory model='virtio-pmem'><source><path>/p</path></source><target><size unit='MiB'>1</size></target></memory>
              <shmem name='s'><model type='ivshmem-doorbell'/><server path='/socket'/></shmem>
              <pstore backend='acpi-erst'><path>/erst</path><size unit='KiB'>64</size></pstore></devices></domain>";
        let domain = ostler_conf::parse::<Domain>(text).unwrap().strict().unwrap();
        let files = of(&domain);
        let named: Vec<(&str, &str, Access, Origin<'_>)> =
            files.iter().map(|file| (file.field.as_str(), file.path, file.access, file.origin)).collect();
        let (nothing, template) = (Origin::Nothing, Origin::Template("/vars"));
        let (read, write, shared) = (Access::Read, Access::Write, Access::Shared);
        assert_eq!(
            named,
            [
                ("os.kernel", "/k", read, nothing),
                ("os.initrd", "/i", read, nothing),
                ("os.shim", "/s", read, nothing),
                ("os.dtb", "/d", read, nothing),
                ("os.acpi.tables[0].path", "/t", read, nothing),
                ("os.loader.path", "/code", read, nothing),
                ("os.nvram.path", "/own", write, template),
                ("devices.memories[memory0].source.path", "/n", write, nothing),
                ("devices.memories[memory1].source.path", "/p", write, nothing),
                ("devices.pstore.path", "/erst", write, Origin::Zeros),
                ("devices.shmems[s].server", "/socket", shared, nothing),
                ("sysinfo[0].fwcfg.entries[opt/a].file", "/f", read, nothing),
            ]
        );
    }
}
