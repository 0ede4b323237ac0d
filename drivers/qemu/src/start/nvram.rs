//! Memory that a guest keeps between its runs: the firmware's, made from its template at the guest's first start, and that of
//! its kernel's last words, made empty. Both are the guest's own from then on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use ostler_util::file::{copy_new, create_directory, remove_durably, zeros_new};
use ostler_util::passwd::Credentials;
use uuid::Uuid;

use crate::files::nvram_path;

/// The most that a template has: flash of ARM's machines is 64 MiB, of PCs less.
const MOST: u64 = 64 << 20;

/// Makes the firmware's memory where there is none yet: whole and durable, or not at all. `folder` is the driver's own for it.
///
/// # Errors
/// There is nothing to make it from.
pub(super) fn prepare(domain: &Domain, folder: &Path, owner: Option<&Credentials>) -> Result<()> {
    let Some(path) = nvram_path(domain) else { return Ok(()) };
    if fs::exists(path).map_err(|error| Error::system(format!("look for {path}"), error))? {
        return Ok(());
    }
    let nvram = domain.os.nvram.as_ref();
    let Some(template) = nvram.and_then(|nvram| nvram.template.as_deref()) else {
        let message = format!("the firmware's memory {path} is missing, and no template to make it from is known");
        return Err(Error::new(ErrorCode::OperationFailed, message).at("os.nvram.template"));
    };
    let formats = nvram.map(|nvram| (nvram.template_format, nvram.format));
    if let Some((Some(of_template), Some(format))) = formats.filter(|(template, format)| template != format) {
        let message = format!("the template {template} is {of_template}, the firmware's memory is to be {format}");
        return Err(Error::new(ErrorCode::ConfigUnsupported, message).at("os.nvram.templateFormat"));
    }
    let make = || {
        // A pipe without a writer must not hold us up.
        let mut content = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(template)?;
        let metadata = content.metadata()?;
        if !metadata.is_file() || metadata.len() > MOST {
            return Err(io::Error::other(format!("it is no file of {MOST} bytes at most")));
        }
        if Path::new(path).parent() == Some(folder) {
            // The guests' user passes, and can't list.
            create_directory(folder, 0o711)?;
        }
        copy_new(&mut content, Path::new(path), 0o600, owner.map(|owner| (owner.uid, owner.gid)))
    };
    make().map_err(|error| Error::system(format!("make {path} from {template}"), error).at("os.nvram"))
}

/// Makes the place for the last words of the guest's kernel, where there is none yet.
///
/// # Errors
/// The operating system's.
pub(super) fn prepare_pstore(domain: &Domain, folder: &Path, owner: Option<&Credentials>) -> Result<()> {
    let Some(pstore) = &domain.devices.pstore else { return Ok(()) };
    let (Some(path), Some(size)) = (&pstore.path, &pstore.size) else { return Ok(()) };
    let path = Path::new(path);
    let make = || {
        if fs::exists(path)? {
            return Ok(());
        }
        if path.parent() == Some(folder) {
            create_directory(folder, 0o711)?;
        }
        zeros_new(size.0.bytes(), path, 0o600, owner.map(|owner| (owner.uid, owner.gid)))
    };
    make().map_err(|error| Error::system(format!("make {}", path.display()), error).at("devices.pstore.path"))
}

/// Removes what was made for this guest below the driver's own folder. What lies elsewhere is whose it was.
pub(crate) fn remove(folder: &Path, uuid: Uuid) -> Result<()> {
    let beginnings = [format!("{uuid}_VARS."), format!("{uuid}_PSTORE.")];
    let is_its = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        beginnings.iter().any(|beginning| name.starts_with(beginning))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(is_its) {
        remove_durably(&path).map_err(|error| Error::system(format!("remove {}", path.display()), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(folder: &Path, nvram: &str) -> Domain {
        let text = format!(
            "<domain type='qemu'><name>g</name><memory>1</memory><os><loader type='pflash'>/x</loader>{}</os></domain>",
            nvram.replace("DIR", folder.to_str().unwrap())
        );
        ostler_conf::parse::<Domain>(&text).unwrap().strict().unwrap()
    }

    #[test]
    fn memory_is_made_once_and_removed_with_its_guest() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("nvram");
        let (uuid, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        fs::write(root.path().join("vars"), "new").unwrap();
        let domain = guest(root.path(), &format!("<nvram template='DIR/vars'>DIR/nvram/{uuid}_VARS.fd</nvram>"));
        let path = folder.join(format!("{uuid}_VARS.fd"));
        prepare(&domain, &folder, None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::write(&path, "used").unwrap();
        prepare(&domain, &folder, None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"used", "what a guest wrote stays");
        remove(&folder, other).unwrap();
        assert!(path.exists());
        remove(&folder, uuid).unwrap();
        remove(&folder, uuid).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn last_words_have_room_and_go_with_their_guest() {
        let root = tempfile::tempdir().unwrap();
        let (folder, uuid) = (root.path().join("nvram"), Uuid::from_u128(1));
        let path = folder.join(format!("{uuid}_PSTORE.raw"));
        let pstore =
            format!("<pstore backend='acpi-erst'><path>{}</path><size unit='KiB'>64</size></pstore>", path.display());
        let text = format!("<domain type='qemu'><name>g</name><memory>1</memory><devices>{pstore}</devices></domain>");
        let domain = ostler_conf::parse::<Domain>(&text).unwrap().strict().unwrap();
        prepare_pstore(&domain, &folder, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 64 << 10);
        fs::write(&path, "panic").unwrap();
        prepare_pstore(&domain, &folder, None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"panic", "what a guest wrote stays");
        remove(&folder, uuid).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn memory_that_nothing_tells_the_content_of_is_not_made() {
        let root = tempfile::tempdir().unwrap();
        let cases = [
            ("<nvram>DIR/a.fd</nvram>", ErrorCode::OperationFailed, "os.nvram.template"),
            ("<nvram template='DIR/none'>DIR/a.fd</nvram>", ErrorCode::SystemError, "os.nvram"),
            ("<nvram template='/dev/zero'>DIR/a.fd</nvram>", ErrorCode::SystemError, "os.nvram"),
            (
                "<nvram template='/x' templateFormat='raw' format='qcow2'>DIR/a.fd</nvram>",
                ErrorCode::ConfigUnsupported,
                "os.nvram.templateFormat",
            ),
        ];
        for (nvram, code, field) in cases {
            let error = prepare(&guest(root.path(), nvram), root.path(), None).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{nvram}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
