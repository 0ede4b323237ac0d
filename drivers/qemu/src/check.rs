//! What QEMU can't do, whoever asks: the same rules for a check, a definition, and a change of a running guest.

mod controller;
mod devices;
mod disk;
mod features;
mod machine;
mod small_devices;
mod unsupported;

use ostler_conf::{Domain, Invalid, Problem};
use ostler_util::ErrorCode as Code;

use crate::complete::Host;

/// Checks a completed definition against the rules of the driver and the abilities of its emulator.
///
/// # Errors
/// Every rule that is broken, with libvirt's code and the field.
pub(crate) fn check(domain: &Domain, host: &Host) -> Result<(), Invalid> {
    domain.validate()?;
    let mut problems = Problems::default();
    machine::check(domain, host, &mut problems);
    for disk in &domain.devices.disks {
        disk::check(domain, disk, host, &mut problems);
    }
    controller::check(domain, host, &mut problems);
    features::check(domain, host, &mut problems);
    small_devices::check(domain, host, &mut problems);
    devices::check(domain, host, &mut problems);
    Invalid::check(problems.0)
}

/// Whether this driver can run a completed definition: what it does not do yet is refused, not dropped.
///
/// # Errors
/// Every part that would be dropped.
pub(crate) fn check_supported(domain: &Domain, host: &Host) -> Result<(), Invalid> {
    let mut problems = Problems::default();
    unsupported::check(domain, host, &mut problems);
    controller::check_usb(domain, host, &mut problems);
    Invalid::check(problems.0)
}

/// Problems are collected: people see them all at once.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, code: Code, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem::new(code, path, message));
    }

    /// What QEMU, or this driver, can't do.
    fn unsupported(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Code::ConfigUnsupported, path, message);
    }

    fn unless(&mut self, is_right: bool, path: impl Into<String>, message: impl Into<String>) {
        if !is_right {
            self.unsupported(path, message);
        }
    }

    fn absolute(&mut self, value: Option<&str>, path: impl Into<String>) {
        if let Some(value) = value.filter(|value| !value.starts_with('/')) {
            self.add(Code::XmlError, path, format!("'{value}' is not an absolute path"));
        }
    }
}

/// A name that becomes part of a list of options.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests;
