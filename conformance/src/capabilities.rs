//! Suites of what emulators can do.

use ostler_driver_qemu::Capabilities;

use super::case::{Case, Verdict};
use super::compare::same_text;

/// Saved capabilities are read and written the same; a recorded conversation gives the saved capabilities.
pub(super) fn of_emulator(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    if case.param("mode").is_null() {
        return Err("conversations are not replayed yet".to_owned());
    }
    let found = Capabilities::from_saved(&case.input()?).map_err(|error| error.to_string())?;
    same_text(&expected, &found.clone().to_saved())
}
