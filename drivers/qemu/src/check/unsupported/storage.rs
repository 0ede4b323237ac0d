//! Disks.

use ostler_conf::domain::{Disk, DiskBus, DiskDriver, DiskSource, NetworkDiskSource, NetworkProtocol, SourceCommon};
use ostler_conf::xml::Union as _;

use super::{Problems, Says, camel_case};

pub(super) fn check(disk: &Disk, problems: &mut Problems) {
    let at = format!("devices.disks[{}]", disk.name);
    let Disk {
        driver,
        source,
        backing_chain,
        target,
        boot: _,
        address: _,
        name: _,
        device: _,
        readonly: _,
        shareable: _,
        serial: _,
        wwn: _,
        alias: _,
        private_data: _,
        secrets_placement: _,
        model: _,
        rawio,
        sgio,
        snapshot: _,
        auth,
        backend_domain,
        geometry: _,
        blockio: _,
        mirror,
        iotune: _,
        throttlefilters: _,
        transient,
        vendor: _,
        product: _,
        encryption,
        acpi: _,
    } = disk;
    refuse!(problems, at, "disks": rawio sgio auth backend_domain mirror encryption);
    let is_here = matches!(source, None | Some(DiskSource::File(_) | DiskSource::Block(_) | DiskSource::Volume(_)));
    problems.unless(
        transient.is_none() || is_here,
        format!("{at}.transient"),
        "only of an image on this host it is known how much can be laid over it",
    );
    problems.unless(
        transient.is_none() || target.bus != Some(DiskBus::Sd),
        format!("{at}.transient"),
        "nothing can be laid over an SD card",
    );
    if let Some(DiskDriver {
        virtio: _,
        name: _,
        r#type: _,
        cache: _,
        error_policy: _,
        rerror_policy: _,
        io: _,
        discard: _,
        detect_zeroes: _,
        queues: _,
        ioeventfd: _,
        event_idx: _,
        copy_on_read: _,
        iothread: _,
        discard_no_unref: _,
        queue_size: _,
        iothreads: _,
        metadata_cache: _,
    }) = driver
    {}
    let images = backing_chain.iter().flat_map(|chain| &chain.0);
    for source in source.iter().chain(images.filter_map(|image| image.source.as_ref())) {
        check_source(source, &format!("{at}.source"), problems);
    }
}

fn check_source(source: &DiskSource, at: &str, problems: &mut Problems) {
    match source {
        DiskSource::File(source) => {
            let fdgroup = &source.fdgroup;
            refuse!(problems, format!("{at}.file"), "disks": fdgroup);
        }
        DiskSource::Volume(source) => {
            let mode = &source.mode;
            refuse!(problems, format!("{at}.volume"), "disks": mode);
        }
        DiskSource::Block(_) => {}
        DiskSource::Network(source) => check_network(source, &format!("{at}.network"), problems),
        DiskSource::Dir(_) | DiskSource::Nvme(_) | DiskSource::Vhostuser(_) | DiskSource::Vhostvdpa(_) => {
            problems.unsupported(at, format!("disks of the type '{}' are not supported", source.tag()));
        }
    }
    let SourceCommon {
        index: _,
        private_data: _,
        startup_policy,
        seclabels,
        auth,
        encryption,
        reservations,
        slices: _,
        data_store: _,
    } = source.common();
    let at = format!("{at}.{}", source.tag());
    refuse!(problems, at, "disks": startup_policy seclabels auth encryption reservations);
}

/// What QEMU reaches without a secret and without a program beside it.
fn check_network(source: &NetworkDiskSource, at: &str, problems: &mut Problems) {
    let protocol = source.protocol;
    let is_known = matches!(
        protocol,
        NetworkProtocol::Nbd | NetworkProtocol::Http | NetworkProtocol::Https | NetworkProtocol::Ftp
    );
    problems.unless(
        is_known,
        format!("{at}.protocol"),
        format!("disks that are reached by '{protocol}' are not supported"),
    );
    let NetworkDiskSource { tls, tls_hostname, cookies, known_hosts, identity, .. } = source;
    refuse!(problems, at, "disks": tls tls_hostname cookies known_hosts identity);
}
