//! What guests of a type on a machine can have.

use ostler_conf::domain::{DomainType, TpmVersion};
use ostler_conf::format;
use ostler_conf::xml::Value as _;
use ostler_driver::HostCpu;
use ostler_driver_cpu::CpuDriver;
use ostler_driver_qemu::{Capabilities, DomainHost, DomainQuery, LoaderFacts, LoaderFile, domain_capabilities};
use serde_json::Value;

use super::case::{Case, Verdict};
use super::compare::same_text;
use super::descriptors;

/// The case's driver tells. Only QEMU's is served.
pub(super) fn of_driver(case: &Case) -> Verdict {
    match case.param("driver").as_str() {
        Some("qemu") => of_qemu(case),
        other => Err(format!("driver {} is not served", other.unwrap_or("unknown"))),
    }
}

fn of_qemu(case: &Case) -> Verdict {
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let mut emulator = Capabilities::from_saved(&case.input()?).map_err(|error| error.to_string())?;
    emulator.emulator = text(case.param("emulator"));
    if let Some(sev) = &mut emulator.sev {
        // What the cases' host says in leaf 0x8000001f.
        sev.count_guests(509, 451);
    }
    let r#type = DomainType::parse(case.param("virt_type").as_str().unwrap_or_default())?;
    let machine = case.param("machine").as_str();
    let name = emulator.machine(machine).map_or_else(String::new, |machine| machine.name.clone());
    let versions = texts(case.param("tpm_versions_supported")).into_iter();
    let roots = texts(case.param("firmware_dirs")).into_iter();
    let folders: Vec<_> = roots.flat_map(|root| descriptors::folders(case, &root, "firmware")).collect();
    let files = texts(case.param("loader_values_override")).into_iter();
    let host = DomainHost {
        kvm_max_vcpus: Some(i32::MAX as u32),
        loader: LoaderFacts {
            files: files.map(|code| LoaderFile { code, template: None }).collect(),
            ..LoaderFacts::of(&descriptors::firmware(&folders)?, &emulator.arch, &name)
        },
        tpm_versions: versions.map(|version| TpmVersion::parse(&version)).collect::<Result<_, _>>()?,
        cpu: (emulator.arch == "ppc64").then(|| HostCpu {
            arch: emulator.arch.clone(),
            model: Some("POWER8".to_owned()),
            ..HostCpu::default()
        }),
        physical_address_bits: (emulator.arch != "s390x").then_some(64),
        pci_backends: vec!["default".to_owned(), "vfio".to_owned()],
    };
    let found = domain_capabilities(&emulator, DomainQuery { r#type, machine }, &host, &CpuDriver);
    same_text(&expected, &format(&found))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
