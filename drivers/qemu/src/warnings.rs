//! What a definition refers to and is absent now: no reason to refuse it, but to refuse its start.

use std::path::Path;

use ostler_conf::Domain;
use ostler_conf::domain::{DiskSource, DomainType, InterfaceSource};
use ostler_driver::{Error, ErrorKind, Warning};

use crate::driver::Core;
use crate::files::Origin;

/// All that is absent now.
pub(crate) async fn find(core: &Core, domain: &Domain) -> Vec<Warning> {
    let mut warnings = missing_files(domain);
    if domain.r#type == Some(DomainType::Kvm) && !core.probe.kvm_works(&core.emulator(domain, None)).await {
        let message = "KVM does not run guests on this host".to_owned();
        warnings.push(Warning { field: "type".into(), message });
    }
    for disk in &domain.devices.disks {
        if let Some(DiskSource::Volume(source)) = &disk.source {
            let found = core.services.storage.resolve(&source.pool, &source.volume).await.map(drop);
            warnings.extend(absent(found, format!("devices.disks[{}].source", disk.name)));
        }
    }
    for interface in &domain.devices.interfaces {
        let field = format!("devices.interfaces[{}].source", interface.name);
        match &interface.source {
            InterfaceSource::Network(source) => match core.services.networks.get(&source.network).await {
                Ok(network) if network.active => {}
                Ok(_) => {
                    warnings.push(Warning { field, message: format!("the network {} is not active", source.network) })
                }
                Err(error) => warnings.extend(absent(Err(error), field)),
            },
            InterfaceSource::Bridge(source)
                if !Path::new("/sys/class/net").join(&source.bridge).join("bridge").is_dir() =>
            {
                let message = format!("there is no bridge {} on this host", source.bridge);
                warnings.push(Warning { field, message });
            }
            _ => {}
        }
    }
    warnings
}

/// Files that the definition names by their paths.
pub(crate) fn missing_files(domain: &Domain) -> Vec<Warning> {
    let mut files: Vec<(String, &str)> = Vec::new();
    for disk in &domain.devices.disks {
        let path = disk.source.as_ref().and_then(DiskSource::path);
        files.extend(path.map(|path| (format!("devices.disks[{}].source", disk.name), path)));
    }
    for file in crate::files::of(domain) {
        // What is missing can be made of what is there.
        match file.origin {
            Origin::Zeros => {}
            Origin::Template(template) if !Path::new(file.path).exists() => files.push((file.field, template)),
            Origin::Template(_) | Origin::Nothing => files.push((file.field, file.path)),
        }
    }
    files.extend(domain.devices.emulator.as_deref().map(|path| ("devices.emulator".to_owned(), path)));
    let missing = files.into_iter().filter_map(|(field, path)| {
        let error = std::fs::metadata(path).err()?;
        Some(Warning { field, message: format!("{path}: {error}") })
    });
    missing.collect()
}

fn absent(found: Result<(), Error>, field: String) -> Option<Warning> {
    let error = found.err()?;
    let message = match error.kind() {
        ErrorKind::NotFound => error.message,
        _ => format!("it can't be told whether it is there: {}", error.message),
    };
    Some(Warning { field, message })
}
