//! Rules of one disk.

use std::fmt::Arguments;

use ostler_util::ErrorCode as Code;

use super::super::complete::target_index;
use super::Problems;
use crate::domain::{
    Address, AuthSecretKind, DeviceSeclabel, Disk, DiskBus, DiskDevice, DiskSource, NetworkDiskSource, NetworkProtocol,
};

/// How long the names are that a SCSI disk tells.
const VENDOR_LENGTH: usize = 8;
const PRODUCT_LENGTH: usize = 16;

pub(super) fn check(disk: &Disk, problems: &mut Problems) {
    let path = format_args!("devices.disks[{}]", disk.name);
    check_target(disk, path, problems);
    check_address(disk, path, problems);
    if disk.throttlefilters.is_some() && disk.iotune.is_some() {
        problems.add(
            Code::OperationUnsupported,
            format!("{path}.throttlefilters"),
            "limits are the disk's own, or those of groups: not both",
        );
    }
    check_name(disk.vendor.as_deref(), VENDOR_LENGTH, format_args!("{path}.vendor"), problems);
    check_name(disk.product.as_deref(), PRODUCT_LENGTH, format_args!("{path}.product"), problems);
    let Some(source) = &disk.source else { return };
    let path = format_args!("{path}.source");
    let can_be_empty = matches!(disk.device(), DiskDevice::Cdrom | DiskDevice::Floppy);
    if source.path().is_some_and(str::is_empty) && !can_be_empty {
        problems.add(Code::XmlError, path, "the source's path is empty: leave it out for an empty drive");
    }
    let auth = source.common().auth.as_ref();
    if disk.auth.is_some() && auth.is_some() {
        problems.add(Code::ConfigUnsupported, format!("{path}.auth"), "who asks is said twice");
    }
    if let DiskSource::Network(network) = source {
        check_network(network, path, problems);
        if let Some(auth) = disk.auth.as_ref().or(auth) {
            let secret = auth.secret.as_ref().and_then(|secret| secret.r#type);
            check_secret(network.protocol, secret, path, problems);
        }
    }
    check_labels(&source.common().seclabels, path, problems);
}

fn check_target(disk: &Disk, path: Arguments<'_>, problems: &mut Problems) {
    let (device, bus) = (disk.device(), disk.target.bus);
    if disk.name.is_empty() {
        problems.add(Code::NoTarget, format!("{path}.name"), "a disk needs a target, as in vda");
    } else if device == DiskDevice::Floppy && !disk.name.starts_with("fd") {
        problems.add(Code::InternalError, format!("{path}.name"), "a floppy drive's target is fda or fdb");
    } else if target_index(&disk.name).is_none() && disk.address.is_none() {
        problems.add(
            Code::XmlError,
            format!("{path}.name"),
            format!("'{}' is no disk target: vda, sda, hda or fda and so on is expected", disk.name),
        );
    }
    // A LUN may be a drive of the host's that is not there at present.
    let may_be_empty = device != DiskDevice::Disk;
    let is_empty = match &disk.source {
        None => true,
        Some(DiskSource::File(file)) => file.file.is_none() && file.fdgroup.is_none(),
        Some(DiskSource::Block(block)) => block.dev.is_none(),
        Some(DiskSource::Dir(dir)) => dir.dir.is_none(),
        Some(_) => false,
    };
    if is_empty && !may_be_empty {
        problems.add(Code::NoSource, format!("{path}.source"), "say what holds the data: only a drive can be empty");
    }
    if device == DiskDevice::Lun {
        check_lun(disk, path, problems);
    }
    if device == DiskDevice::Floppy && bus.is_some_and(|bus| bus != DiskBus::Fdc) {
        problems.add(Code::InternalError, format!("{path}.target.bus"), "a floppy drive sits on bus 'fdc'");
    }
    if device != DiskDevice::Floppy && bus == Some(DiskBus::Fdc) {
        problems.add(Code::InternalError, format!("{path}.target.bus"), "bus 'fdc' is for floppy drives");
    }
}

fn check_lun(disk: &Disk, path: Arguments<'_>, problems: &mut Problems) {
    if matches!(disk.source, Some(DiskSource::File(_) | DiskSource::Dir(_))) {
        problems.add(
            Code::ConfigUnsupported,
            format!("{path}.device"),
            "a disk with device 'lun' hands a SCSI device through: its source must be a block device or a network LUN, not a file",
        );
    }
}

/// A disk of these buses is a unit of a controller.
fn check_address(disk: &Disk, path: Arguments<'_>, problems: &mut Problems) {
    if matches!(disk.target.bus, Some(DiskBus::Ide | DiskBus::Fdc | DiskBus::Scsi | DiskBus::Sata))
        && !matches!(disk.address, None | Some(Address::Drive(_) | Address::Unassigned(_)))
    {
        problems.add(
            Code::ConfigUnsupported,
            format!("{path}.address"),
            "a disk on this bus sits on a controller: its address is 'drive'",
        );
    }
}

fn check_name(name: Option<&str>, length: usize, path: Arguments<'_>, problems: &mut Problems) {
    let Some(name) = name else { return };
    if name.len() > length {
        problems.add(Code::ConfigUnsupported, path, format!("'{name}' is longer than {length} characters"));
    }
    if !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        problems.add(Code::XmlError, path, format!("'{name}' holds what can't be printed"));
    }
}

fn check_network(source: &NetworkDiskSource, path: Arguments<'_>, problems: &mut Problems) {
    if source.protocol == NetworkProtocol::Sheepdog {
        problems.add(Code::ConfigUnsupported, format!("{path}.network.protocol"), "nothing speaks 'sheepdog' any more");
    }
    let needs_name = !matches!(source.protocol, NetworkProtocol::Nbd);
    if needs_name && source.name.is_none() {
        problems.add(Code::XmlError, format!("{path}.network.name"), "name what is read at the host");
    }
}

/// Each protocol has a kind of secret of its own.
fn check_secret(
    protocol: NetworkProtocol,
    secret: Option<AuthSecretKind>,
    path: Arguments<'_>,
    problems: &mut Problems,
) {
    let expected = match protocol {
        NetworkProtocol::Rbd => AuthSecretKind::Ceph,
        NetworkProtocol::Iscsi => AuthSecretKind::Iscsi,
        _ => return,
    };
    if secret != Some(expected) {
        problems.add(
            Code::ConfigUnsupported,
            format!("{path}.auth.secret.type"),
            "the secret is of another kind than the protocol asks for",
        );
    }
}

/// Labels of a source, each of a security model of its own.
pub(super) fn check_labels(labels: &[DeviceSeclabel], path: Arguments<'_>, problems: &mut Problems) {
    for (at, label) in labels.iter().enumerate() {
        let path = format_args!("{path}.seclabels[{at}]");
        if label.model.is_none() && labels.len() > 1 {
            problems.add(Code::XmlError, path, "name the security model: there is more than one label");
        }
        if labels[..at].iter().any(|other| other.model == label.model) {
            problems.add(Code::XmlDetail, path, "this model's label is given already");
        }
        if label.label.is_none() && label.relabel.is_some_and(|relabel| relabel.0) {
            problems.add(Code::XmlError, path, "there is no label to set: give one, or leave 'relabel' out");
        }
    }
}
