//! Whether a guest can run on another host: what it writes must be there too.

use ostler_conf::domain::{Disk, DiskSource, Tpm, TpmBackend};
use ostler_crds::{Domain, Kind, Object, ObjectRef};

/// What keeps a guest on its host, in words; nothing: it can follow. `is_shared`: whether a pool's hosts see the same data; absent: it
/// is not known.
///
/// What is only read keeps nobody, and what stands in a path may be anywhere: only of a volume is it known where it is. A TPM keeps its
/// guest: what its disks are encrypted with is nowhere else. Firmware's memory does not: elsewhere it begins as its template.
pub fn bound_by(domain: &Domain, is_shared: impl Fn(&ObjectRef) -> Option<bool>) -> Option<String> {
    let namespace = Object::from(domain.clone()).object_ref().namespace;
    let devices = &domain.spec.domain.devices;
    let disk = devices.disks.iter().find_map(|disk| bound_disk(disk, &namespace, &is_shared));
    disk.or_else(|| devices.tpms.iter().find_map(bound_tpm))
}

fn bound_tpm(tpm: &Tpm) -> Option<String> {
    match &tpm.backend {
        TpmBackend::Emulator(_) => Some(format!("the TPM {}, whose memory is there", tpm.name)),
        TpmBackend::Passthrough(_) => Some(format!("the TPM {}, which is the host's", tpm.name)),
        // It may be anywhere, as whoever runs it knows.
        TpmBackend::External(_) => None,
    }
}

fn bound_disk(disk: &Disk, namespace: &str, is_shared: &impl Fn(&ObjectRef) -> Option<bool>) -> Option<String> {
    match disk.source.as_ref()? {
        DiskSource::Volume(source) => {
            let pool = ObjectRef::referred(Kind::StoragePool, namespace, &source.pool);
            let why = match is_shared(&pool) {
                Some(true) => return None,
                Some(false) => format!("{pool} is not shared"),
                None => format!("{pool} does not exist"),
            };
            Some(format!("the volume {} ({why})", source.volume))
        }
        DiskSource::Network(_) => None,
        DiskSource::File(_)
        | DiskSource::Block(_)
        | DiskSource::Dir(_)
        | DiskSource::Nvme(_)
        | DiskSource::Vhostuser(_)
        | DiskSource::Vhostvdpa(_)
            if disk.readonly =>
        {
            None
        }
        DiskSource::File(_)
        | DiskSource::Block(_)
        | DiskSource::Dir(_)
        | DiskSource::Nvme(_)
        | DiskSource::Vhostuser(_)
        | DiskSource::Vhostvdpa(_) => Some(format!("the disk {}, which is no volume", disk.name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(disk: Value, shared: Option<bool>, expect: Option<&str>) {
        let domain: Domain = serde_json::from_value(json!({
            "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"domain": {"memory": {"size": "1Mi"}, "os": {"type": {}}, "devices": {"disks": [disk]}}},
        }))
        .unwrap();
        assert_eq!(bound_by(&domain, |_| shared).as_deref(), expect);
    }

    #[test]
    fn a_tpm_stays_with_its_memory() {
        let bound = |backend: Value| {
            let domain: Domain = serde_json::from_value(json!({
                "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"domain": {"memory": {"size": "1Mi"}, "os": {"type": {}},
                    "devices": {"tpms": [{"name": "tpm0", "backend": backend}]}}},
            }))
            .unwrap();
            bound_by(&domain, |_| None)
        };
        assert_eq!(bound(json!({"emulator": {}})).as_deref(), Some("the TPM tpm0, whose memory is there"));
        assert_eq!(bound(json!({"passthrough": {}})).as_deref(), Some("the TPM tpm0, which is the host's"));
        assert_eq!(bound(json!({"external": {}})), None);
    }

    #[test]
    fn shared_volumes_and_what_is_only_read_follow() {
        let volume = json!({"name": "vda", "source": {"volume": {"pool": "fast", "volume": "root"}}});
        check(volume.clone(), Some(true), None);
        check(volume.clone(), Some(false), Some("the volume root (StoragePool shop/fast is not shared)"));
        check(volume, None, Some("the volume root (StoragePool shop/fast does not exist)"));
        let file = |readonly: bool| json!({"name": "vda", "source": {"file": {"file": "/x"}}, "readonly": readonly});
        check(file(true), None, None);
        check(file(false), None, Some("the disk vda, which is no volume"));
        check(json!({"name": "vda", "device": "cdrom"}), None, None);
    }
}
