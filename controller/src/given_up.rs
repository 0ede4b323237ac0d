//! Claims that this host gave up because it was fenced: another host may have had them since.

use std::io;
use std::path::PathBuf;

use ostler_util::file;
use uuid::Uuid;

/// A folder with a file for each guest, which holds the number of the claim.
#[derive(Debug)]
pub struct GivenUp {
    directory: PathBuf,
}

impl GivenUp {
    /// What was given up is noted in `directory`, which is made when first needed.
    pub fn new(directory: PathBuf) -> Self {
        GivenUp { directory }
    }

    /// Up to which number claims on this guest were given up.
    ///
    /// # Errors
    /// A note that can't be read: then the guest must not be started.
    pub fn up_to(&self, guest: Uuid) -> io::Result<Option<i64>> {
        let path = self.directory.join(guest.to_string());
        match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(Some).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} holds no claim's number: {error}", path.display()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes, durably, that claims up to this number are given up. The number never falls.
    ///
    /// # Errors
    /// The operating system's; then the host must not be called halted.
    pub fn note(&self, guest: Uuid, number: i64) -> io::Result<()> {
        if self.up_to(guest)?.is_some_and(|noted| noted >= number) {
            return Ok(());
        }
        file::create_directory(&self.directory, 0o700)?;
        file::write_atomic(&self.directory.join(guest.to_string()), number.to_string().as_bytes(), 0o600)
    }

    /// A guest whose claim is newer, or that is no more, needs no note.
    ///
    /// # Errors
    /// The operating system's.
    pub fn forget(&self, guest: Uuid) -> io::Result<()> {
        let path = self.directory.join(guest.to_string());
        if path.exists() { file::remove_durably(&path) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::GivenUp;

    #[test]
    fn the_highest_number_counts_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (given_up, guest) = (GivenUp::new(folder.path().join("given-up")), Uuid::new_v4());
        assert_eq!(given_up.up_to(guest).unwrap(), None);
        given_up.note(guest, 4).unwrap();
        given_up.note(guest, 3).unwrap();
        assert_eq!(given_up.up_to(guest).unwrap(), Some(4));
        given_up.forget(guest).unwrap();
        assert_eq!(given_up.up_to(guest).unwrap(), None);
    }

    #[test]
    fn a_note_that_says_nothing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let guest = Uuid::new_v4();
        std::fs::write(folder.path().join(guest.to_string()), "many").unwrap();
        assert!(GivenUp::new(folder.path().to_owned()).up_to(guest).is_err());
    }
}
