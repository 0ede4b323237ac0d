//! The sign of life: a Lease, which is cheap, so that no custom resource is written while nothing changes.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::source::cluster::FIELD_MANAGER;

/// How often it is renewed, and for how long it counts.
const EVERY: Duration = Duration::from_secs(30);
const SECONDS: i32 = 90;
/// How soon it is tried again: until the Lease is renewed the controller says of all here that nothing is known.
const AGAIN: Duration = Duration::from_secs(3);

/// The Lease of a host's agent.
pub fn name(host: &str) -> String {
    format!("ostler-host-{host}")
}

/// Renews the Lease for as long as the agent lives. The controller makes the Host when it sees it.
pub async fn renew(client: Client, namespace: String, host: String) {
    let leases: Api<Lease> = Api::namespaced(client, &namespace);
    let name = name(&host);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let lease = Lease {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(host.clone()),
                lease_duration_seconds: Some(SECONDS),
                renew_time: Some(MicroTime(Timestamp::now())),
                ..LeaseSpec::default()
            }),
        };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match timeout(EVERY, leases.patch(&name, &params, &Patch::Apply(&lease))).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => warn!(%error, lease = name, "the Lease can't be renewed"),
            Err(_) => warn!(lease = name, "the Lease can't be renewed in time"),
        }
        ticks.reset_after(AGAIN);
    }
}
