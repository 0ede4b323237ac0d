//! Who leads: one of the replicas, by a Lease. Only the leader writes; all answer admission.
//!
//! 1. A Lease without holder is taken; one with another holder is watched, and taken once it has not changed for as long
//!    as it says, by our own monotonic clock from the moment we first saw it so.
//! 2. The holder renews it. Every write names the version that was read: a conflict means that another was faster.
//! 3. A leader that has not renewed in time ends its process: another may lead by now.
//!
//! Every write that a leader makes besides names a version too, so that two leaders for a moment do no harm.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info};

/// The Lease's name.
const NAME: &str = "ostler-controller";
/// For how long a Lease holds that nobody renews.
const HOLDS: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long is none any more.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a leader renews.
const RENEW: Duration = Duration::from_secs(4);
/// How often one who waits, or has failed, looks.
const LOOK: Duration = Duration::from_secs(2);
/// How long a call may take.
const CALL: Duration = Duration::from_secs(3);

/// Why the leader leads no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The Lease could not be renewed in time.
    #[error("the lease {NAME} could not be renewed for {} s", DEADLINE.as_secs())]
    NotRenewed,
    /// Somebody else holds it.
    #[error("the lease {NAME} is held by {0} now")]
    Taken(String),
}

/// Tries to lead until `stopped`, then gives the Lease back; tells `leading` when it does.
///
/// # Errors
/// It led, and leads no more.
pub(super) async fn run(
    client: Client,
    namespace: &str,
    me: &str,
    leading: watch::Sender<bool>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Error> {
    let api: Api<Lease> = Api::namespaced(client, namespace);
    let mut seen = Seen::default();
    let mut renewed: Option<Instant> = None;
    loop {
        let result = tokio::time::timeout(CALL, step(&api, me, &mut seen)).await;
        let wait = match result {
            Ok(Ok(Step::Held)) => {
                if renewed.replace(Instant::now()).is_none() {
                    info!(%me, "this replica leads");
                    // Who listens has ended: then so do we.
                    let _ = leading.send(true);
                }
                RENEW
            }
            Ok(Ok(Step::Others(holder))) if renewed.is_some() => return Err(Error::Taken(holder)),
            Ok(Ok(Step::Others(holder))) => {
                debug!(%holder, "another replica leads");
                LOOK
            }
            Ok(Err(error)) => {
                debug!(error = %crate::reconcile::chain(&error), "use the lease {NAME}");
                LOOK
            }
            Err(_) => LOOK,
        };
        if renewed.is_some_and(|renewed| renewed.elapsed() > DEADLINE) {
            return Err(Error::NotRenewed);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopped.wait_for(|stopped| *stopped) => break,
        }
    }
    if renewed.is_some() {
        let _ = leading.send(false);
        // The next leader need not wait; if this fails, it does.
        let _ = tokio::time::timeout(CALL, give_back(&api, me)).await;
    }
    Ok(())
}

/// What came of one look.
enum Step {
    Held,
    Others(String),
}

async fn step(api: &Api<Lease>, me: &str, seen: &mut Seen) -> kube::Result<Step> {
    let lease = api.get_opt(NAME).await?;
    let result = match judge(lease.as_ref(), me, seen, Instant::now()) {
        Move::Wait(holder) => return Ok(Step::Others(holder)),
        Move::Create => api.create(&PostParams::default(), &held(None, me)).await,
        Move::Hold => api.replace(NAME, &PostParams::default(), &held(lease, me)).await,
    };
    match result {
        Ok(_) => Ok(Step::Held),
        // Another was faster; the next look tells who.
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(Step::Others("another replica".to_owned()))
        }
        Err(error) => Err(error),
    }
}

async fn give_back(api: &Api<Lease>, me: &str) -> kube::Result<()> {
    let Some(mut lease) = api.get_opt(NAME).await? else { return Ok(()) };
    if holder(&lease) == Some(me) {
        lease.spec.get_or_insert_default().holder_identity = None;
        api.replace(NAME, &PostParams::default(), &lease).await?;
    }
    Ok(())
}

/// The Lease as it was seen last, and since when.
#[derive(Debug, Default)]
struct Seen(Option<(String, Instant)>);

#[derive(Debug, PartialEq, Eq)]
enum Move {
    Create,
    Hold,
    Wait(String),
}

fn judge(lease: Option<&Lease>, me: &str, seen: &mut Seen, now: Instant) -> Move {
    let Some(lease) = lease else { return Move::Create };
    let version = lease.metadata.resource_version.clone().unwrap_or_default();
    let Some(holder) = holder(lease).filter(|holder| *holder != me) else { return Move::Hold };
    let since = match &seen.0 {
        Some((known, since)) if *known == version => *since,
        _ => {
            seen.0 = Some((version, now));
            now
        }
    };
    let said = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let holds = said.and_then(|seconds| u64::try_from(seconds).ok()).map_or(HOLDS, Duration::from_secs);
    if now.duration_since(since) > holds { Move::Hold } else { Move::Wait(holder.to_owned()) }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The Lease as we hold it.
fn held(lease: Option<Lease>, me: &str) -> Lease {
    let mut lease = lease.unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        spec: None,
    });
    let is_mine = holder(&lease) == Some(me);
    let now = Some(MicroTime(Timestamp::now()));
    let old = lease.spec.take().unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(HOLDS.as_secs()).ok(),
        acquire_time: if is_mine { old.acquire_time } else { now.clone() },
        lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(!is_mine)),
        renew_time: now,
        ..LeaseSpec::default()
    });
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        let mut lease = held(None, holder);
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    #[test]
    fn nobodys_lease_is_taken() {
        let now = Instant::now();
        assert_eq!(judge(None, "me", &mut Seen::default(), now), Move::Create);
        assert_eq!(judge(Some(&lease("", "1")), "me", &mut Seen::default(), now), Move::Hold);
        assert_eq!(judge(Some(&lease("me", "1")), "me", &mut Seen::default(), now), Move::Hold);
    }

    #[test]
    fn anothers_lease_is_taken_only_once_it_stood_still_before_our_eyes() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let waits = Move::Wait("other".to_owned());
        assert_eq!(judge(Some(&lease("other", "1")), "me", &mut seen, start), waits);
        assert_eq!(judge(Some(&lease("other", "1")), "me", &mut seen, start + HOLDS), waits);
        // It was renewed: the count begins anew.
        let later = start + HOLDS + LOOK;
        assert_eq!(judge(Some(&lease("other", "2")), "me", &mut seen, later), waits);
        assert_eq!(judge(Some(&lease("other", "2")), "me", &mut seen, later + HOLDS), waits);
        assert_eq!(judge(Some(&lease("other", "2")), "me", &mut seen, later + HOLDS + LOOK), Move::Hold);
    }

    #[test]
    fn a_leader_gives_up_before_another_can_follow() {
        assert!(DEADLINE + CALL < HOLDS && RENEW + CALL < DEADLINE);
    }

    #[test]
    fn a_change_of_the_holder_is_counted() {
        let again = held(Some(lease("me", "1")), "me");
        assert_eq!(again.spec.unwrap().lease_transitions, Some(1));
        let taken = held(Some(lease("other", "1")), "me");
        assert_eq!((taken.spec.as_ref().unwrap().lease_transitions, holder(&taken)), (Some(2), Some("me")));
    }
}
