//! The drivers' checks without their hosts: against what a host has told of itself. The only place besides the agent that
//! knows the drivers.

use ostler_conf::Domain;
use ostler_driver::Result;
use serde_json::Value;

/// What `driver` says to a definition on a host of which `facts` are known; `last`: the definition that it changes. `None`
/// where this build has no such driver, or the facts say nothing about this definition.
pub fn check(driver: &str, facts: &Value, definition: &Domain, last: Option<&Domain>) -> Option<Result<()>> {
    match driver {
        #[cfg(feature = "qemu")]
        "qemu" => {
            let checker = ostler_driver_qemu::Checker::from_facts(facts).filter(|checker| checker.knows(definition))?;
            // What was there before and would be refused now has nothing to be laid over.
            let last = last.and_then(|last| checker.check(last, None).ok());
            Some(checker.check(definition, last.as_ref()).map(drop))
        }
        _ => {
            // Without a driver in the build these have no user.
            let _ = (facts, definition, last);
            None
        }
    }
}
