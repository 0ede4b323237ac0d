//! The guest's firmware: chosen among what is installed, by what the definition asks of it.

mod descriptor;

use ostler_conf::Domain;
use ostler_conf::domain::{
    DiskSource, FirmwareFeature, FirmwareFeatureName as FeatureName, FirmwareFeatures, FirmwareFormat, FirmwareKind,
    LaunchSecurity, Loader, LoaderKind, Nvram, Smm,
};
use ostler_conf::values::{OnOff, YesNo};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::Host;
pub use descriptor::{Descriptor, Image, Mapping};

/// Firmware that was in use before descriptors were: code and memory, by habit.
const LEGACY: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/AAVMF/AAVMF32_CODE.fd", "/usr/share/AAVMF/AAVMF32_VARS.fd"),
];

/// Chooses the firmware, or finds out which the definition names. One that was taken over from `last` stays, installed or not.
///
/// # Errors
/// Of a new definition: no installed firmware is as it asks.
pub(super) fn complete(domain: &mut Domain, last: Option<&Domain>, host: &Host) -> Result<()> {
    if last.is_some_and(|last| is_kept(domain, last)) {
        name_nvram(domain, host);
        return Ok(());
    }
    let path = domain.os.loader.as_ref().and_then(|loader| loader.path.clone());
    if host.is_new && domain.os.firmware.is_none() && domain.os.firmware_features.is_some() {
        let message = "features choose a firmware: give os.firmware";
        return Err(Error::new(ErrorCode::XmlDetail, message).at("os.firmwareFeatures"));
    }
    let is_rom = domain.os.loader.as_ref().is_some_and(|loader| loader.r#type == Some(LoaderKind::Rom));
    match (domain.os.firmware, path) {
        (None, None) => return Ok(()),
        (None, Some(path)) => complete_manual(domain, host, &path),
        (Some(kind), _) => {
            if !complete_chosen(domain, host, kind)? {
                return Ok(());
            }
        }
    }
    if let Some(loader) = domain.os.loader.as_mut().filter(|loader| loader.path.is_some()) {
        loader.r#type.get_or_insert(LoaderKind::Rom);
        if !is_rom {
            loader.format.get_or_insert(FirmwareFormat::Raw);
        }
    }
    name_nvram(domain, host);
    Ok(())
}

fn is_kept(domain: &Domain, last: &Domain) -> bool {
    let (os, was) = (&domain.os, &last.os);
    os.loader.as_ref().is_some_and(|loader| loader.path.is_some())
        && (os.firmware, &os.firmware_features, &os.loader) == (was.firmware, &was.firmware_features, &was.loader)
}

/// Who names the loader may have named one that is installed: then the rest is known.
fn complete_manual(domain: &mut Domain, host: &Host, path: &str) {
    let Some(loader) = domain.os.loader.as_mut() else { return };
    let is_split = loader.r#type == Some(LoaderKind::Pflash)
        && loader.readonly.is_some_and(|readonly| readonly.0)
        && loader.stateless.is_none_or(|stateless| !stateless.0);
    if !is_split {
        return;
    }
    // One that tells features for itself has chosen by hand.
    loader.format.get_or_insert(if path.ends_with(".qcow2") { FirmwareFormat::Qcow2 } else { FirmwareFormat::Raw });
    if let Some(found) = find(domain, host, FirmwareKind::Efi, None) {
        let found = found.clone();
        if matches!(found.mapping, Mapping::Split { .. }) {
            domain.os.firmware = Some(FirmwareKind::Efi);
            take(domain, host, &found);
            return;
        }
    }
    let nvram = domain.os.nvram.get_or_insert_default();
    let Some((_, template)) = LEGACY.iter().find(|(code, _)| *code == path) else { return };
    if is_local(nvram) {
        nvram.template.get_or_insert_with(|| (*template).to_owned());
        nvram.template_format.get_or_insert(FirmwareFormat::Raw);
    }
}

fn complete_chosen(domain: &mut Domain, host: &Host, kind: FirmwareKind) -> Result<bool> {
    let of_nvram = domain.os.nvram.as_ref().and_then(|nvram| nvram.format);
    let said = domain.os.loader.as_ref().and_then(|loader| loader.format).or(of_nvram);
    // What was defined before there were other formats keeps the old one.
    let format = said.or((!host.is_new).then_some(FirmwareFormat::Raw));
    match find(domain, host, kind, format).or_else(|| said.is_none().then(|| find(domain, host, kind, None)).flatten())
    {
        Some(found) => {
            let found = found.clone();
            take(domain, host, &found);
            Ok(true)
        }
        None if host.is_new => {
            let message = format!("no firmware of the kind '{kind}' that is installed is as the definition asks");
            Err(Error::new(ErrorCode::OperationFailed, message).at("os.firmware"))
        }
        None => {
            if let Some(loader) = &mut domain.os.loader {
                loader.format.get_or_insert(FirmwareFormat::Raw);
            }
            Ok(false)
        }
    }
}

fn find<'a>(
    domain: &Domain,
    host: &'a Host,
    kind: FirmwareKind,
    format: Option<FirmwareFormat>,
) -> Option<&'a Descriptor> {
    host.settings.firmware.iter().find(|descriptor| is_right(descriptor, domain, kind, format))
}

/// Whether a firmware is as the definition asks.
fn is_right(descriptor: &Descriptor, domain: &Domain, kind: FirmwareKind, format: Option<FirmwareFormat>) -> bool {
    let machine = domain.os.r#type.machine.as_deref().unwrap_or_default();
    let arch = domain.os.r#type.arch.as_deref().unwrap_or_default();
    let interface = match kind {
        FirmwareKind::Bios => "bios",
        FirmwareKind::Efi => "uefi",
    };
    let has = |feature: &str| descriptor.features.iter().any(|name| name == feature);
    let loader = domain.os.loader.as_ref();
    let nvram = domain.os.nvram.as_ref();
    let wants = |name: FeatureName| {
        let features = domain.os.firmware_features.iter().flat_map(|features| &features.features);
        features.filter(|feature| feature.name == name).map(|feature| feature.enabled.0).next()
    };
    let smm = domain.features.as_ref().and_then(|features| features.smm.as_ref()).and_then(|smm| smm.state);
    let pm = domain.pm.as_ref();
    let is_on = |state: Option<bool>| state == Some(true);
    let secure = loader.and_then(|loader| loader.secure).map(|secure| secure.0);
    let rules = [
        descriptor.interfaces.iter().any(|name| name == interface),
        descriptor.is_for(arch, machine),
        wants(FeatureName::EnrolledKeys).is_none_or(|wanted| wanted == has("enrolled-keys")),
        wants(FeatureName::SecureBoot).is_none_or(|wanted| wanted == has("secure-boot")),
        secure.is_none_or(|wanted| {
            wanted == (has("secure-boot") && has("requires-smm")) || (!wanted && !has("secure-boot"))
        }),
        !(secure == Some(false) && has("secure-boot")),
        !(has("requires-smm") && smm == Some(OnOff(false))),
        !(has("requires-smm") && secure == Some(false)),
        !is_on(pm.and_then(|pm| pm.suspend_to_mem.as_ref()).and_then(|state| state.enabled).map(|state| state.0))
            || has("acpi-s3"),
        !is_on(pm.and_then(|pm| pm.suspend_to_disk.as_ref()).and_then(|state| state.enabled).map(|state| state.0))
            || has("acpi-s4"),
        fits_security(domain.launch_security.as_ref(), &has),
        fits_mapping(&descriptor.mapping, loader, nvram, format),
    ];
    rules.into_iter().all(|rule| rule)
}

fn fits_security(security: Option<&LaunchSecurity>, has: &dyn Fn(&str) -> bool) -> bool {
    match security {
        Some(LaunchSecurity::Sev(sev)) => {
            // The third bit of the policy asks for encrypted registers.
            has(if sev.policy.0 & 4 != 0 { "amd-sev-es" } else { "amd-sev" })
        }
        Some(LaunchSecurity::SevSnp(_)) => has("amd-sev-snp"),
        Some(LaunchSecurity::S390Pv(_)) | None => true,
    }
}

fn fits_mapping(
    mapping: &Mapping,
    loader: Option<&Loader>,
    nvram: Option<&Nvram>,
    format: Option<FirmwareFormat>,
) -> bool {
    let kind = loader.and_then(|loader| loader.r#type);
    let path = loader.and_then(|loader| loader.path.as_deref());
    let is_named = |file: &str| path.is_none_or(|path| path == file);
    let stateless = loader.and_then(|loader| loader.stateless).map(|stateless| stateless.0);
    let readonly = loader.and_then(|loader| loader.readonly).map(|readonly| readonly.0);
    let fits_format = |image: &Image| format.is_none_or(|format| format == image.format);
    match mapping {
        Mapping::Memory { file } => {
            kind != Some(LoaderKind::Pflash)
                && is_named(file)
                && nvram.is_none()
                && readonly != Some(false)
                && format.is_none_or(|format| format == FirmwareFormat::Raw)
                && stateless != Some(false)
        }
        Mapping::Split { code, template } => {
            let wanted = nvram.and_then(|nvram| nvram.template.as_deref());
            kind != Some(LoaderKind::Rom)
                && stateless != Some(true)
                && readonly != Some(false)
                && is_named(&code.file)
                && wanted.is_none_or(|wanted| wanted == template.file)
                && fits_format(code)
        }
        Mapping::Stateless { code } => {
            kind != Some(LoaderKind::Rom)
                && stateless == Some(true)
                && nvram.is_none()
                && is_named(&code.file)
                && fits_format(code)
        }
        Mapping::Combined { code } => {
            // No guest gets a copy of its own, so none can have it.
            let _ = code;
            false
        }
    }
}

/// Writes down what a firmware is.
fn take(domain: &mut Domain, host: &Host, found: &Descriptor) {
    let has = |feature: &str| found.features.iter().any(|name| name == feature);
    let local = domain.os.nvram.as_ref().is_none_or(is_local);
    let loader = domain.os.loader.get_or_insert_default();
    match &found.mapping {
        Mapping::Memory { file } => {
            loader.r#type = Some(LoaderKind::Rom);
            loader.path = Some(file.clone());
            loader.format = Some(FirmwareFormat::Raw);
        }
        Mapping::Split { code, template } => {
            set_flash(loader, code);
            let nvram = domain.os.nvram.get_or_insert_default();
            if local {
                nvram.template = Some(template.file.clone());
                nvram.template_format = Some(template.format);
            }
            nvram.format = Some(template.format);
        }
        Mapping::Stateless { code } | Mapping::Combined { code } => set_flash(loader, code),
    }
    if has("requires-smm") {
        loader.secure.get_or_insert(YesNo(true));
        let smm = domain.features.get_or_insert_default().smm.get_or_insert(Smm { state: None, tseg: None });
        smm.state = Some(OnOff(true));
    }
    let mut features = Vec::new();
    let facts = [(FeatureName::EnrolledKeys, has("enrolled-keys")), (FeatureName::SecureBoot, has("secure-boot"))];
    for (name, is) in facts {
        // What a memory elsewhere holds is not known.
        if local || name != FeatureName::EnrolledKeys {
            features.push(FirmwareFeature { enabled: YesNo(is), name });
        }
    }
    domain.os.firmware_features = Some(FirmwareFeatures { features });
    let _ = host;
}

fn set_flash(loader: &mut Loader, code: &Image) {
    loader.r#type = Some(LoaderKind::Pflash);
    loader.readonly.get_or_insert(YesNo(true));
    loader.path = Some(code.file.clone());
    loader.format = Some(code.format);
}

/// Whether the firmware's memory is a file of this host.
fn is_local(nvram: &Nvram) -> bool {
    !matches!(nvram.source, Some(DiskSource::Network(_) | DiskSource::Volume(_)))
}

/// The firmware's memory has a file of its own.
fn name_nvram(domain: &mut Domain, host: &Host) {
    let is_flash = domain.os.loader.as_ref().is_some_and(|loader| {
        loader.r#type == Some(LoaderKind::Pflash)
            && loader.readonly.is_some_and(|readonly| readonly.0)
            && loader.stateless.is_none_or(|stateless| !stateless.0)
            && loader.path.is_some()
    });
    let Some(nvram) = domain.os.nvram.as_mut().filter(|_| is_flash) else { return };
    let format = *nvram.format.get_or_insert(FirmwareFormat::Raw);
    if nvram.source.is_some() || nvram.path.is_some() {
        return;
    }
    let template = nvram.template.as_deref().unwrap_or_default();
    let own = std::path::Path::new(template).extension().and_then(|extension| extension.to_str());
    let extension = match own {
        Some(own) if host.is_new => own,
        _ if format == FirmwareFormat::Qcow2 => "qcow2",
        _ => "fd",
    };
    let name = match domain.uuid.filter(|_| host.settings.names_nvram_by_uuid) {
        Some(uuid) => uuid.to_string(),
        None => domain.name.clone(),
    };
    let path = host.settings.nvram_dir.join(format!("{name}_VARS.{extension}"));
    nvram.path = Some(path.to_string_lossy().into_owned());
}
