//! Status documents of libvirt's QEMU driver, also of older ones: what a guest's own driver would know of it.

use std::path::Path;

use ostler_conf::domain::{
    Alias, Disk, DiskSource, EncryptionFormat, HostdevSource, NodeKind, NodeName, NodeNames, SourceObjects,
    SourcePrivate, SourceSecret, SourceSecretKind,
};
use ostler_conf::status::{AsyncJobKind, DomainStatus};
use ostler_conf::values::{HexLong, Rare};
use ostler_conf::{Domain, parse};
use ostler_driver::Result;

use crate::complete::{Settings, complete_running};

/// How much of a guest's name stands in the names of its folders.
const SHORT_NAME: usize = 20;

/// Reads a status document. What the version that wrote it did not tell, as it had one way only, is filled in; `memory_dir`
/// holds the files behind guests' memory.
///
/// # Errors
/// What can't be read.
pub fn read_status(xml: &str, memory_dir: &Path, settings: &Settings) -> Result<DomainStatus> {
    let mut status = parse::<DomainStatus>(xml)?.value;
    complete_running(&mut status.domain, settings);
    if !status.could("blockdev") {
        name_objects(&mut status.domain);
    }
    for disk in &mut status.domain.devices.disks {
        for source in disk.sources_mut() {
            if let DiskSource::Network(network) = source {
                network.tls_from_config.get_or_insert(0);
            }
        }
    }
    if let Some(job) = status.job.as_mut().filter(|job| job.r#async.is_some_and(|kind| kind != AsyncJobKind::None)) {
        job.flags.get_or_insert(HexLong(0));
        job.async_started.get_or_insert(0);
    }
    let id = status.domain.id.unwrap_or_default();
    let short_name: String = status.domain.name.chars().take(SHORT_NAME).collect();
    let own = || memory_dir.join(format!("{id}-{short_name}")).display().to_string();
    status.memory_dir.get_or_insert_with(own);
    status.last_node.get_or_insert(0);
    status.last_fdset.get_or_insert(0);
    // An agent may take as long as it likes.
    status.agent_timeout.get_or_insert(-2);
    Ok(status)
}

/// Before disks were nodes of their own, the names of their objects followed from the device's.
fn name_objects(domain: &mut Domain) {
    for disk in &mut domain.devices.disks {
        name_objects_of(disk);
    }
    for hostdev in &mut domain.devices.hostdevs {
        let (Some(Alias { name }), HostdevSource::Scsi(scsi)) = (&hostdev.alias, &mut hostdev.source) else { continue };
        if scsi.private_data.get().is_some() {
            continue;
        }
        let node = NodeName { r#type: NodeKind::Storage, name: format!("libvirt-{name}-backend"), group: None };
        let secrets = scsi.auth.is_some().then(|| secret(SourceSecretKind::Auth, format!("{name}-secret0")));
        scsi.private_data = Rare::new(SourcePrivate {
            nodenames: Some(NodeNames { names: vec![node] }),
            objects: secrets.map(|secret| SourceObjects { secrets: vec![secret], tls: None }),
            ..SourcePrivate::default()
        });
    }
}

fn name_objects_of(disk: &mut Disk) {
    let (Some(Alias { name }), Some(source)) = (&disk.alias, &mut disk.source) else { return };
    let is_encrypted = matches!(source, DiskSource::Network(network) if network.tls.is_some_and(|tls| tls.0));
    let common = source.common_mut();
    if common.private_data.get().is_some() {
        return;
    }
    let is_luks = common.encryption.as_ref().is_some_and(|encryption| encryption.format == EncryptionFormat::Luks);
    let secrets = [
        common.auth.is_some().then(|| secret(SourceSecretKind::Auth, format!("{name}-secret0"))),
        is_luks.then(|| secret(SourceSecretKind::Encryption, format!("{name}-luks-secret0"))),
    ];
    let objects = SourceObjects {
        secrets: secrets.into_iter().flatten().collect(),
        tls: is_encrypted.then(|| format!("obj{name}_tls0")),
    };
    if objects != SourceObjects::default() {
        common.private_data = Rare::new(SourcePrivate { objects: Some(objects), ..SourcePrivate::default() });
    }
}

fn secret(r#type: SourceSecretKind, alias: String) -> SourceSecret {
    SourceSecret { r#type, alias }
}
