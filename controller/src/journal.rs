//! Which operations were carried out here: written before the act, so that none is done twice.

use std::path::PathBuf;

use ostler_crds::ObjectRef;
use ostler_util::file;

/// A folder with a file for each operation that was begun.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// The journal in `directory`, which is made when first needed.
    pub fn new(directory: PathBuf) -> Self {
        Journal { directory }
    }

    /// Whether the operation of this name was begun, and by which object (its uid).
    ///
    /// # Errors
    /// A journal that can't be read: then nothing may be carried out.
    pub fn begun(&self, operation: &ObjectRef) -> std::io::Result<Option<String>> {
        match std::fs::read_to_string(self.path(operation)) {
            Ok(uid) => Ok(Some(uid.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records, durably, that the operation begins.
    ///
    /// # Errors
    /// The operating system's; then it must not begin.
    pub fn begin(&self, operation: &ObjectRef, uid: &str) -> std::io::Result<()> {
        file::create_directory(&self.directory, 0o700)?;
        file::write_atomic(&self.path(operation), uid.as_bytes(), 0o600)
    }

    fn path(&self, operation: &ObjectRef) -> PathBuf {
        self.directory.join(format!("{}_{}", operation.namespace, operation.name))
    }
}
