//! The driver-independent rules of a pool.

use ostler_util::ErrorCode;

use super::shape::{Part, shape};
use super::{Auth, FcAdapter, PoolAdapter, PoolFormatName, PoolSource, PoolType, ScsiAdapter, StoragePool};
use crate::Problem;

type Problems = Vec<Problem>;

fn add(problems: &mut Problems, code: ErrorCode, path: impl Into<String>, message: impl Into<String>) {
    problems.push(Problem::new(code, path, message));
}

pub(super) fn problems(pool: &StoragePool) -> Problems {
    let mut problems = Problems::new();
    let xml = ErrorCode::XmlError;
    if pool.name.is_empty() {
        add(&mut problems, xml, "name", "a pool needs a name");
    } else if pool.name.contains('/') {
        add(&mut problems, xml, "name", format!("the name '{}' can't hold a '/'", pool.name));
    }
    let r#type = pool.r#type.unwrap_or(PoolType::Dir);
    let none = PoolSource::default();
    source(pool.source.as_ref().unwrap_or(&none), r#type, &mut problems);
    let target = pool.target.as_ref();
    let path = target.and_then(|target| target.path.as_ref());
    // Where no one says it, a folder is ours to choose, and that of a volume group is the kernel's.
    let is_chosen = matches!(r#type, PoolType::Dir | PoolType::Logical | PoolType::Zfs);
    if shape(r#type).has(Part::Target) && !is_chosen && path.is_none() {
        add(&mut problems, xml, "target.path", format!("a pool of type '{type}' needs a path on the host"));
    }
    let permissions = target.and_then(|target| target.permissions.as_ref());
    problems.extend(permissions.into_iter().flat_map(|permissions| permissions.problems("target.permissions")));
    if pool.fs_mount_options.is_some() && !matches!(r#type, PoolType::Fs | PoolType::Netfs) {
        let message = format!("a pool of type '{type}' is not mounted: 'fs' and 'netfs' are");
        add(&mut problems, ErrorCode::ConfigUnsupported, "fsMountOptions", message);
    }
    if pool.rbd_config_options.is_some() && r#type != PoolType::Rbd {
        let message = format!("a pool of type '{type}' has no options of Ceph: 'rbd' has");
        add(&mut problems, ErrorCode::ConfigUnsupported, "rbdConfigOptions", message);
    }
    problems
}

fn source(source: &PoolSource, r#type: PoolType, problems: &mut Problems) {
    let shape = shape(r#type);
    let xml = ErrorCode::XmlError;
    let PoolSource { hosts, devices, dir, adapter, name, initiator, format, auth, vendor: _, product: _, protocol } =
        source;
    // Each part: whether it is there, and whether a pool that has it must have it.
    let is_needed = |part| match part {
        Part::Device => matches!(r#type, PoolType::Fs | PoolType::Disk | PoolType::Iscsi | PoolType::IscsiDirect),
        Part::Dir => r#type == PoolType::Netfs,
        Part::Name => r#type == PoolType::Rbd,
        Part::Host | Part::Adapter => true,
        Part::InitiatorName | Part::Target => false,
    };
    let parts = [
        (Part::Host, "hosts", !hosts.is_empty()),
        (Part::Device, "devices", !devices.is_empty()),
        (Part::Dir, "dir", dir.is_some()),
        (Part::Adapter, "adapter", adapter.is_some()),
        (Part::Name, "name", name.is_some()),
        (Part::InitiatorName, "initiator", initiator.is_some()),
    ];
    for (part, field, is_there) in parts {
        let path = format!("source.{field}");
        match (shape.has(part), is_there) {
            (true, false) if is_needed(part) => {
                add(problems, xml, path, format!("a pool of type '{type}' needs it"));
            }
            (false, true) => {
                add(problems, ErrorCode::ConfigUnsupported, path, format!("a pool of type '{type}' has none"));
            }
            _ => {}
        }
    }
    if r#type == PoolType::IscsiDirect && initiator.is_none() {
        let message = format!("a pool of type '{type}' needs it");
        add(problems, ErrorCode::ConfigUnsupported, "source.initiator.iqn", message);
    }
    if let Some(name) = format.as_ref().and_then(|format| format.r#type)
        && !shape.formats.contains(&name)
    {
        let message = format!("a pool of type '{type}' has no format '{name}'");
        add(problems, ErrorCode::ConfigUnsupported, "source.format.type", message);
    }
    if protocol.is_some() {
        let format = format.as_ref().and_then(|format| format.r#type);
        let has_version = matches!(format, None | Some(PoolFormatName::Auto | PoolFormatName::Nfs));
        if r#type != PoolType::Netfs || !has_version {
            let message = "only nfs has versions of its protocol";
            add(problems, ErrorCode::ConfigUnsupported, "source.protocol", message);
        }
    }
    if let Some(auth) = auth {
        check_auth(auth, problems);
    }
    match adapter {
        Some(PoolAdapter::ScsiHost(adapter)) => check_scsi(adapter, problems),
        Some(PoolAdapter::FcHost(adapter)) => check_fc(adapter, problems),
        None => {}
    }
}

fn check_auth(auth: &Auth, problems: &mut Problems) {
    if auth.r#type.is_none() {
        add(problems, ErrorCode::ConfigUnsupported, "source.auth.type", "it is missing: 'chap' or 'ceph'");
    }
    match (&auth.secret.uuid, &auth.secret.usage) {
        (Some(_), Some(_)) | (None, None) => {
            add(problems, ErrorCode::XmlError, "source.auth.secret", "a secret is told by its uuid or its usage");
        }
        _ => {}
    }
}

fn check_scsi(adapter: &ScsiAdapter, problems: &mut Problems) {
    if adapter.name.is_some() == adapter.parentaddr.is_some() {
        let message = "a SCSI host is told by its name or its parentaddr, not both";
        add(problems, ErrorCode::XmlError, "source.adapter.scsiHost", message);
    }
}

fn check_fc(adapter: &FcAdapter, problems: &mut Problems) {
    let FcAdapter { parent: _, managed: _, parent_wwnn, parent_wwpn, parent_fabric_wwn, wwnn, wwpn } = adapter;
    let path = "source.adapter.fcHost";
    if wwnn.is_none() || wwpn.is_none() {
        add(problems, ErrorCode::XmlError, path, "a host of Fibre Channel needs both its names, wwnn and wwpn");
    }
    if parent_wwnn.is_some() != parent_wwpn.is_some() {
        add(problems, ErrorCode::XmlError, path, "its parent is told by both names, parent_wwnn and parent_wwpn");
    }
    for name in [parent_wwnn, parent_wwpn, parent_fabric_wwn, wwnn, wwpn].into_iter().flatten() {
        let digits = name.strip_prefix("0x").unwrap_or(name);
        if digits.len() != 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            let message = format!("'{name}' is no world wide name: it has 16 hexadecimal digits");
            add(problems, ErrorCode::InternalError, path, message);
        }
    }
}
