//! Suites of domains.

use ostler_conf::domain::{DomainType, Mac};
use ostler_conf::{Domain, Invalid, MacAddress, format, parse};
use uuid::Uuid;

use super::case::{Case, Verdict};
use super::compare::{same_text, verdict};

/// Reads a definition as libvirt's define does, completes and checks it. A driver fills in an identity and an
/// architecture before, and MAC addresses after; all random bytes are those of the cases' mock.
fn define(text: &str, arch: &str, fill_in: impl FnOnce(&mut Domain)) -> Result<Domain, Invalid> {
    const RANDOM_UUID: Uuid = Uuid::from_u128(0x0001_0203_0405_4607_8809_0a0b_0c0d_0e0f);
    let mut domain = parse::<Domain>(text)?.value;
    fill_in(&mut domain);
    domain.os.r#type.arch.get_or_insert_with(|| arch.to_owned());
    domain.complete();
    domain.uuid.get_or_insert(RANDOM_UUID);
    for interface in &mut domain.devices.interfaces {
        interface.mac.get_or_insert_with(|| Mac::new(MacAddress::with_prefix(MacAddress::QEMU_PREFIX, [0, 0, 0])));
    }
    domain.validate()?;
    Ok(domain)
}

/// A driver that knows nothing but what all do. Its host, of x86_64, has guests of three types, first of i686.
pub(super) fn generic(case: &Case) -> Verdict {
    let is_live = case.param("live").as_bool() == Some(true);
    let run = |text: &str| {
        let domain = define(text, "x86_64", |domain| {
            if !is_live {
                domain.forget_live();
            }
            if matches!(domain.r#type, Some(DomainType::Test | DomainType::Qemu | DomainType::Kvm)) {
                domain.os.r#type.arch.get_or_insert_with(|| "i686".to_owned());
            }
        })?;
        Ok(format(&domain))
    };
    verdict(case, run(&case.input()?))
}

/// libvirt's test driver: its guests are i686, it knows no other driver's namespaces, and names the host's end of interfaces.
pub(super) fn of_test_driver(case: &Case) -> Verdict {
    let run = |text: &str| {
        let mut domain = define(text, "i686", |domain| {
            domain.forget_live();
            forget_namespaces(domain);
        })?;
        let targets = domain.devices.interfaces.iter_mut().map(|interface| &mut interface.target);
        let nameless = targets.filter(|target| target.as_ref().is_none_or(|target| target.dev.is_none()));
        for (number, target) in nameless.enumerate() {
            target.get_or_insert_default().dev = Some(format!("testnet{number}"));
        }
        Ok(format(&domain))
    };
    verdict(case, run(&case.input()?))
}

fn forget_namespaces(domain: &mut Domain) {
    (domain.qemu_commandline, domain.qemu_capabilities) = (None, None);
    (domain.qemu_deprecation, domain.qemu_override) = (None, None);
    (domain.lxc_namespace, domain.xen_commandline) = (None, None);
    (domain.bhyve_commandline, domain.vmware_datacenterpath) = (None, None);
}

/// The input is read, completed and checked without a driver: what libvirt accepts is accepted, and what it refuses is refused.
/// (Refusals that only QEMU's driver can give don't hold.)
pub(super) fn without_driver(case: &Case) -> Verdict {
    let outcome = define(&case.input()?, "x86_64", |_| {});
    match (case.is_refused_when_read(), outcome) {
        (true, Err(_)) | (false, Ok(_)) => Ok(None),
        (true, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (false, Err(error)) => Err(format!("refused: {error}")),
    }
}

/// The expected document, read and written again, is itself; cases without one are not judged and don't hold.
pub(super) fn canonical(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let value = parse::<Domain>(&expected).map_err(|error| format!("refused: {error}"))?.value;
    same_text(&expected, &format(&value))
}

/// Whether a guest has a file system at a place; the case says whether it should.
pub(super) fn filesystem_at(case: &Case) -> Verdict {
    let domain = define(&case.input()?, "x86_64", |_| {}).map_err(|error| error.to_string())?;
    let path = case.param("path").as_str().unwrap_or_default();
    let found = domain.filesystem_at(path).is_some();
    if case.expected_value().as_bool() == Some(found) { Ok(None) } else { Err(format!("found: {found}")) }
}
