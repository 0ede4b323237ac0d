//! What a driver doesn't declare it refuses, with `NoSupport`.

use ostler_conf::{Domain, ErrorCode, MacAddress, Network, StoragePool, StorageVolume};
use uuid::Uuid;

use crate::{
    Change, Connection, Domains, Feature, LifecycleAction, LifecycleEvent, Networks, PortRequest, Result, StartOptions,
    StateOnUndefine, Storage, VolumeFill,
};

/// Checks that the calls of a feature are refused.
pub(super) async fn check(connection: &dyn Connection, feature: Feature) {
    let codes = match feature {
        Feature::Network | Feature::NetworkLeases | Feature::NetworkPorts => match connection.networks() {
            Some(networks) => network_calls(networks, feature).await,
            None => return,
        },
        Feature::StoragePool | Feature::StorageVolume | Feature::StorageVolumeResize => match connection.storage() {
            Some(storage) => storage_calls(storage, feature).await,
            None => return,
        },
        _ => match connection.domains() {
            Some(domains) => domain_calls(domains, feature).await,
            None => return,
        },
    };
    for (call, code) in codes {
        assert_eq!(code, Some(ErrorCode::NoSupport), "{feature} is not declared, so {call} is refused");
    }
}

fn code<T>(result: Result<T>) -> Option<ErrorCode> {
    result.err().map(|error| error.code)
}

type Calls = Vec<(&'static str, Option<ErrorCode>)>;

async fn domain_calls(domains: &dyn Domains, feature: Feature) -> Calls {
    let (uuid, domain) = (Uuid::nil(), Domain::default());
    match feature {
        Feature::DomainDefine => vec![
            ("check", code(domains.check(&domain).await)),
            ("define", code(domains.define(&domain).await)),
            ("undefine", code(domains.undefine(uuid, StateOnUndefine::Keep).await)),
        ],
        Feature::DomainStart => vec![
            ("start", code(domains.start(uuid, StartOptions::default()).await)),
            ("destroy", code(domains.destroy(uuid).await)),
        ],
        Feature::DomainShutdown => vec![("shutdown", code(domains.shutdown(uuid).await))],
        Feature::DomainReboot => vec![("reboot", code(domains.reboot(uuid).await))],
        Feature::DomainReset => vec![("reset", code(domains.reset(uuid).await))],
        Feature::DomainSuspend => {
            vec![("suspend", code(domains.suspend(uuid).await)), ("resume", code(domains.resume(uuid).await))]
        }
        Feature::DomainAutostart => vec![("autostart", code(domains.set_autostart(uuid, true).await))],
        Feature::DomainLifecycleAction => vec![(
            "lifecycle action",
            code(domains.set_lifecycle_action(uuid, LifecycleEvent::Reboot, LifecycleAction::Destroy).await),
        )],
        Feature::DomainLiveChange => {
            vec![("change", code(domains.change(uuid, &Change::DetachDisk("vda".to_owned())).await))]
        }
        _ => vec![("console", code(domains.console(uuid, None).await))],
    }
}

async fn network_calls(networks: &dyn Networks, feature: Feature) -> Calls {
    let request = PortRequest { owner: Uuid::nil(), owner_name: String::new(), mac: MacAddress([2, 0, 0, 0, 0, 1]) };
    match feature {
        Feature::NetworkLeases => vec![("leases", code(networks.leases("none").await))],
        Feature::NetworkPorts => vec![("create port", code(networks.create_port("none", &request).await))],
        _ => vec![
            ("define", code(networks.define(&Network::default()).await)),
            ("start", code(networks.start("none").await)),
            ("stop", code(networks.stop("none").await)),
        ],
    }
}

async fn storage_calls(storage: &dyn Storage, feature: Feature) -> Calls {
    match feature {
        Feature::StorageVolume => vec![
            (
                "create",
                code(
                    storage
                        .create_volume("none", &StorageVolume::default(), &Uuid::nil().into(), VolumeFill::Empty, None)
                        .await,
                ),
            ),
            ("adopt", code(storage.adopt_volume("none", "none", &Uuid::nil().into()).await)),
            ("delete", code(storage.delete_volume("none", "none").await)),
        ],
        Feature::StorageVolumeResize => vec![("resize", code(storage.resize_volume("none", "none", 1).await))],
        _ => vec![
            ("define", code(storage.define_pool(&StoragePool::default()).await)),
            ("start", code(storage.start_pool("none").await)),
        ],
    }
}
