//! The files of the host that a definition names besides the images of its disks.

use ostler_conf::Domain;
use ostler_conf::domain::{DiskSource, LoaderKind, Sysinfo};
use ostler_driver::Access;

/// A file that QEMU opens by its path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HostFile<'a> {
    /// The field that names it.
    pub(crate) field: String,
    pub(crate) path: &'a str,
    /// What the guest does with it.
    pub(crate) access: Access,
    /// Another file that it is made from where it is missing.
    pub(crate) template: Option<&'a str>,
}

impl<'a> HostFile<'a> {
    fn read(field: impl Into<String>, path: &'a str) -> Self {
        HostFile { field: field.into(), path, access: Access::Read, template: None }
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
    for (at, sysinfo) in domain.sysinfo.iter().enumerate() {
        let Sysinfo::Fwcfg(config) = sysinfo else { continue };
        files.extend(config.entries.iter().filter_map(|entry| {
            let path = entry.file.as_deref().filter(|_| entry.value.as_ref().is_none_or(String::is_empty))?;
            Some(HostFile::read(format!("sysinfo[{at}].fwcfg.entries[{}].file", entry.name), path))
        }));
    }
    files
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
    files.extend(memory.map(|path| HostFile {
        access: Access::Write,
        template,
        ..HostFile::read("os.nvram.path", path)
    }));
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
            <sysinfo type='fwcfg'><entry name='opt/a' file='/f'/><entry name='opt/b'>text</entry></sysinfo></domain>";
        let domain = ostler_conf::parse::<Domain>(text).unwrap().strict().unwrap();
        let files = of(&domain);
        let named: Vec<(&str, &str, bool, Option<&str>)> = files
            .iter()
            .map(|file| (file.field.as_str(), file.path, file.access == Access::Write, file.template))
            .collect();
        assert_eq!(
            named,
            [
                ("os.kernel", "/k", false, None),
                ("os.initrd", "/i", false, None),
                ("os.shim", "/s", false, None),
                ("os.dtb", "/d", false, None),
                ("os.acpi.tables[0].path", "/t", false, None),
                ("os.loader.path", "/code", false, None),
                ("os.nvram.path", "/own", true, Some("/vars")),
                ("sysinfo[0].fwcfg.entries[opt/a].file", "/f", false, None),
            ]
        );
    }
}
