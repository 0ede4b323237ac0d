//! A host that is being emptied: its guests are told, and its condition tells how far it is.

use ostler_crds::{EvictionStrategy, Host, HostStatus, Kind, Object};

use super::{Error, strays};
use crate::context::Context;

/// The condition that tells whether nothing runs on a host in maintenance; absent: it is in none.
const DRAINED: &str = "Drained";

/// How many guests a condition names.
const NAMED: usize = 10;

pub(super) async fn report(
    context: &Context,
    host: &Host,
    status: &mut HostStatus,
    generation: i64,
) -> Result<(), Error> {
    if context.set_emptying(host.spec.maintenance) {
        let domains = context.all_refs().into_iter().filter(|key| key.kind == Kind::Domain);
        domains.for_each(|key| context.wake(key));
    }
    if !host.spec.maintenance {
        status.conditions.clear(DRAINED);
        return Ok(());
    }
    let (mut going, mut staying) = (Vec::new(), Vec::new());
    for key in strays::active(context).await? {
        let blocks = match context.get(&key).as_deref() {
            Some(Object::Domain(domain)) => domain.spec.eviction_strategy == EvictionStrategy::Block,
            // One without its object is nobody's to end.
            _ => true,
        };
        let name = format!("{}/{}", key.namespace, key.name);
        if blocks { staying.push(name) } else { going.push(name) }
    }
    let mut said = Vec::new();
    if !going.is_empty() {
        said.push(format!("being shut down: {}", some(&going)));
    }
    if !staying.is_empty() {
        said.push(format!("not to be shut down, by evictionStrategy or for want of an object: {}", some(&staying)));
    }
    let (reason, message) = match (going.is_empty(), staying.is_empty()) {
        (true, true) => (DRAINED, "no guest runs here".to_owned()),
        (true, false) => ("Blocked", said.join("; ")),
        (false, _) => ("Draining", said.join("; ")),
    };
    status.conditions.set(DRAINED, said.is_empty(), reason, message, generation);
    Ok(())
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named = names[..names.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
