//! What a guest's definition keeps in Secrets.

use ostler_crds::ObjectRef;
use ostler_driver::Secrets;
use uuid::Uuid;

use super::resolve::Missing;
use crate::context::Context;
use crate::secrets::{Fetched, references};

/// How it stands with a guest's Secrets.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What its start is given.
    pub(super) secrets: Secrets,
    /// What its start would miss.
    pub(super) missing: Vec<Missing>,
    /// Fields whose text is another than the running guest was started with.
    pub(super) changed: Vec<String>,
}

/// Looks what there is for the guest `uuid`. One that runs needs nothing: it is told what changed, where that costs nothing.
pub(super) async fn look(
    context: &Context,
    key: &ObjectRef,
    uuid: Uuid,
    definition: &ostler_conf::Domain,
    runs: bool,
) -> Looked {
    let references = references(definition);
    if references.is_empty() || runs && !context.keeper.is_at_hand() {
        return Looked::default();
    }
    let mut wanted: Vec<_> = references.iter().map(|(_, place)| place.clone()).collect();
    wanted.sort();
    wanted.dedup();
    let before = context.noted.load(uuid);
    let Fetched { secrets, missing: reasons } = match context.keeper.fetch(key, &wanted).await {
        Ok(fetched) => fetched,
        Err(_) if wanted.iter().all(|place| before.get(place).is_some()) => {
            return Looked { secrets: before, ..Looked::default() };
        }
        Err(error) => {
            let reason = |place| format!("what the Secret holds under {place} can't be had: {error}");
            let missing = wanted.into_iter().map(|place| (place.clone(), reason(place))).collect();
            Fetched { secrets: Secrets::NONE, missing }
        }
    };
    let missing =
        references.iter().filter_map(|(field, place)| Some(Missing::secret(field, reasons.get(place)?))).collect();
    let is_other = |place| before.get(place).is_some_and(|old| secrets.get(place).is_some_and(|new| new != old));
    let changed = references.iter().filter(|(_, place)| runs && is_other(place)).map(|(field, _)| field.clone());
    Looked { missing, changed: changed.collect(), secrets }
}
