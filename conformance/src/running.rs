//! Suites of guests that run.

use std::path::Path;

use ostler_conf::format;
use ostler_driver_qemu::Settings;
use ostler_driver_qemu::offline::read_status;

use super::case::{Case, Verdict};
use super::compare::same_text;
use super::qemu_xml;

/// Where libvirt's driver keeps the files behind guests' memory.
const MEMORY_DIR: &str = "/var/lib/libvirt/qemu/ram";

/// A status document is read and written the same; an older one as today's.
pub(super) fn status(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let status = read_status(&case.input()?, Path::new(MEMORY_DIR), &Settings::default());
    same_text(&expected, &format(&status.map_err(|error| format!("refused: {}", error.message))?))
}

/// A running guest's document as it is, and as the definition of such a guest.
pub(super) fn active(case: &Case) -> Verdict {
    let setting = qemu_xml::setting(case)?;
    let live = setting.read_live(&case.input()?);
    let mut live = live.map_err(|error| format!("refused: {}", error.message))?;
    let id = case.param("domain_id_if_unset").as_i64().and_then(|id| i32::try_from(id).ok());
    live.id = live.id.or(id);
    let expected = |name: &str| case.expected_file(name)?.ok_or_else(|| format!("no {name} is expected"));
    same_text(&expected("active_xml")?, &format(&live)).map_err(|why| format!("active: {why}"))?;
    live.forget_run();
    same_text(&expected("inactive_xml")?, &format(&live)).map_err(|why| format!("inactive: {why}"))
}
