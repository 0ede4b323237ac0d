//! Definitions as QEMU's driver completes, checks and writes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ostler_conf::domain::Mac;
use ostler_conf::{Domain, ErrorCode, Invalid, MacAddress, format, parse};
use ostler_driver_qemu::offline::{Age, Setting};
use ostler_driver_qemu::{HostAudio, HostPci, Settings};
use serde_json::Value;
use uuid::Uuid;

use super::case::{Case, Outcome, Verdict};
use super::compare::same_text;
use super::{descriptors, emulator, qemu_args};

/// The random bytes of the cases' mock, as an identity and as the end of a MAC address.
const RANDOM_UUID: Uuid = Uuid::from_u128(0x0001_0203_0405_4607_8809_0a0b_0c0d_0e0f);
const RANDOM_MAC: [u8; 3] = [0, 1, 2];

/// What a refusal says: its code, and the sentence.
pub(super) type Refusal = (ErrorCode, String);

/// A definition as a whole: what becomes of it, and what QEMU is started with.
pub(super) fn whole(case: &Case) -> Verdict {
    let remark = define(case)?;
    match case.is_refused_when_read() || case.param("input_missing").as_bool() == Some(true) {
        true => Ok(remark),
        false => qemu_args::wrapped(case),
    }
}

/// As [`whole`], of a document that a person wrote; where no command line was recorded, the definition is all.
pub(super) fn whole_real(case: &Case) -> Verdict {
    let remark = define_real(case)?;
    if case.param_of_expect("args").is_empty() { Ok(remark) } else { qemu_args::words(case) }
}

/// The input becomes the expected document, which becomes itself; or it is refused for a reason of the same class.
pub(super) fn define(case: &Case) -> Verdict {
    let setting = setting(case)?;
    let age = if case.param("parse_flags") == "VIR_DOMAIN_DEF_PARSE_ABI_UPDATE" { Age::New } else { Age::Old };
    if case.param("input_missing").as_bool() == Some(true) {
        return if case.input().is_err() { Ok(None) } else { Err("the input is there".to_owned()) };
    }
    let produced = complete(&setting, &case.input()?, age);
    if case.is_refused_when_read() {
        return refused(case, produced);
    }
    let text = produced.map_err(|(_, message)| format!("refused: {message}"))?;
    let Some(expected) = case.expected_xml()? else { return Ok(None) };
    same_text(&expected, &text)?;
    let again =
        complete(&setting, &expected, age).map_err(|(_, message)| format!("refused when read again: {message}"))?;
    same_text(&expected, &again).map_err(|why| format!("not settled: {why}"))
}

/// A document that a person wrote, defined anew.
pub(super) fn define_real(case: &Case) -> Verdict {
    let setting = real_setting(case)?;
    let produced = complete(&setting, &case.input()?, Age::New);
    match (case.outcome(), produced) {
        (Outcome::Refused | Outcome::Either, Err((code, message))) => {
            let differs = case.error_code().filter(|expected| *expected != i64::from(code.number()));
            let expected = case.param_of_expect("error_message");
            Ok(differs.map(|_| format!("refused with code {}: {message}; libvirt: {expected}", code.number())))
        }
        (Outcome::Refused, Ok(_)) => {
            Err(format!("accepted, a refusal was expected: {}", case.param_of_expect("error_message")))
        }
        (Outcome::Accepted, Err((_, message))) => Err(format!("refused: {message}")),
        (Outcome::Accepted | Outcome::Either, Ok(text)) => match case.expected_xml()? {
            Some(expected) => same_text(&expected, &text),
            None => Ok(None),
        },
    }
}

fn complete(setting: &Setting, text: &str, age: Age) -> Result<String, Refusal> {
    let mut domain: Domain = parse::<Domain>(text).map_err(|problem| of_invalid(&problem))?.value;
    domain.uuid = Some(domain.identity().unwrap_or(RANDOM_UUID));
    for interface in &mut domain.devices.interfaces {
        interface.mac.take_if(|mac| mac.address.0 == [0; 6]);
        interface.mac.get_or_insert_with(|| Mac::new(MacAddress::with_prefix(MacAddress::QEMU_PREFIX, RANDOM_MAC)));
    }
    setting.complete(&domain, age).map(|domain| format(&domain)).map_err(|error| {
        let field = error.field.as_deref().unwrap_or_default();
        (error.code, format!("{field}: {}", error.message))
    })
}

fn of_invalid(invalid: &Invalid) -> Refusal {
    (invalid.first().code, invalid.to_string())
}

/// A refusal counts if its class is libvirt's: what stands before the first colon.
pub(super) fn refused<T>(case: &Case, produced: Result<T, Refusal>) -> Verdict {
    let expected = case.expected_error()?.unwrap_or_default();
    let expected = expected.trim();
    match produced {
        Ok(_) => Err(format!("accepted, a refusal was expected: {expected}")),
        Err((code, message)) => {
            let ours = class(code);
            let theirs = CLASSES.iter().map(|(_, class)| *class).find(|class| {
                !class.is_empty() && expected.strip_prefix(class).is_some_and(|rest| rest.starts_with(':'))
            });
            if theirs.unwrap_or("") == ours {
                Ok(None)
            } else {
                Err(format!("refused as '{ours}', libvirt: {expected}; ours: {message}"))
            }
        }
    }
}

/// How libvirt begins the messages of its errors.
const CLASSES: &[(ErrorCode, &str)] = &[
    (ErrorCode::XmlError, "XML error"),
    (ErrorCode::ConfigUnsupported, "unsupported configuration"),
    (ErrorCode::InternalError, "internal error"),
    (ErrorCode::OperationFailed, "operation failed"),
    (ErrorCode::OperationUnsupported, "Operation not supported"),
    (ErrorCode::InvalidArg, "invalid argument"),
    (ErrorCode::XmlDetail, ""),
];

fn class(code: ErrorCode) -> &'static str {
    CLASSES.iter().find(|(of, _)| *of == code).map_or("another class", |(_, class)| *class)
}

/// The emulator and the host of a case.
pub(super) fn setting(case: &Case) -> Result<Setting, String> {
    let capabilities = emulator::capabilities(case)?;
    let arch = case.param("arch").as_str().unwrap_or("x86_64").to_owned();
    let env = |name: &str| case.param("env")[name].as_str().map(str::to_owned);
    let is_on = |name: &str| case.param("driver_config")[name].as_bool() == Some(true);
    let tpm_versions = match env("VIR_TEST_MOCK_FAKE_TPM_VERSION") {
        Some(version) => vec![version],
        None => vec!["1.2".to_owned(), "2.0".to_owned()],
    };
    let settings = Settings {
        arch: case.param("host_arch").as_str().unwrap_or("x86_64").to_owned(),
        nvram_dir: "/var/lib/libvirt/qemu/nvram".into(),
        names_nvram_by_uuid: false,
        firmware: descriptors::firmware(&descriptors::folders(case, "qemufirmwaredata", "firmware"))?,
        tpm_versions,
        host_audio: env("QEMU_AUDIO_DRV").map(|driver| HostAudio { driver, sdl_driver: env("SDL_AUDIODRIVER") }),
        vnc_allows_host_audio: is_on("vncAllowHostAudio"),
        no_graphics_allows_host_audio: is_on("nogfxAllowHostAudio"),
        vnc_auto_unix_socket: is_on("vncAutoUnixSocket"),
        spice_auto_unix_socket: is_on("spiceAutoUnixSocket"),
        pci: host_pci(case)?,
    };
    Ok(Setting {
        emulator: format!("/usr/bin/qemu-system-{}", emulator_arch(&arch)).into(),
        capabilities: Arc::new(capabilities),
        kvm: false,
        settings: Arc::new(settings),
    })
}

fn emulator_arch(arch: &str) -> &str {
    match arch {
        "armv7l" => "arm",
        "i686" => "i386",
        other => other,
    }
}

/// The emulator and the host that answered people's own documents.
pub(super) fn real_setting(case: &Case) -> Result<Setting, String> {
    let capabilities = emulator::capabilities(case)?;
    let folder = case.data_path(case.param("firmware_dir").as_str().unwrap_or_default());
    let settings = Settings {
        arch: "x86_64".to_owned(),
        nvram_dir: "/var/lib/libvirt/qemu/nvram".into(),
        names_nvram_by_uuid: false,
        firmware: descriptors::firmware(&[folder])?,
        tpm_versions: vec!["1.2".to_owned(), "2.0".to_owned()],
        ..Settings::default()
    };
    Ok(Setting {
        emulator: "/usr/bin/qemu-system-x86_64".into(),
        capabilities: Arc::new(capabilities),
        kvm: false,
        settings: Arc::new(settings),
    })
}

/// The cases' fake PCI devices.
/// Domain, bus, slot and function.
type PciPlace = (u32, u32, u32, u32);

fn host_pci(case: &Case) -> Result<BTreeMap<PciPlace, HostPci>, String> {
    let text = case.data_text("facts/virpcimock.json")?;
    let facts: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for device in facts["devices"].as_array().into_iter().flatten() {
        let address = device["address"].as_str().unwrap_or_default();
        let parts: Vec<u32> = address.split([':', '.']).filter_map(|part| u32::from_str_radix(part, 16).ok()).collect();
        let [domain, bus, slot, function] = parts[..] else { continue };
        let config = case.data_path("virpcitestdata").join(format!("{}.config", address.replace(':', "-")));
        let is_express = std::fs::read(config).is_ok_and(|config| has_express(&config));
        let group = device["iommu_group"].as_u64().and_then(|group| u32::try_from(group).ok());
        found.insert((domain, bus, slot, function), HostPci { is_express, group });
    }
    Ok(found)
}

/// Whether a configuration space has the capability of PCI Express in its list.
fn has_express(config: &[u8]) -> bool {
    let mut at = config.get(0x34).copied().unwrap_or(0);
    for _ in 0..48 {
        match (config.get(usize::from(at)), config.get(usize::from(at) + 1)) {
            (Some(0x10), _) if at != 0 => return true,
            (Some(_), Some(next)) if at != 0 => at = *next,
            _ => return false,
        }
    }
    false
}
