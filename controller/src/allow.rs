//! What a host lets objects reach, asked once more where they are carried out: admission's policies may be gone, or younger than
//! an object.

use ostler_conf::ErrorCode;
use ostler_crds::grants::{Grant, needs};
use ostler_crds::{Allowed, Object};
use ostler_driver::{Error, Result};

/// Whether a host that allows this carries an object out.
///
/// # Errors
/// The fields that reach more of the host, each with the grant that it needs.
pub fn check(allow: &[Allowed], host: &str, object: &Object) -> Result<()> {
    let namespace = object.object_ref().namespace;
    let lacks: Vec<String> = needs(object)
        .into_iter()
        .filter(|part| !allows(allow, part.grant, &namespace))
        .map(|part| format!("{} reaches the host and needs '{}'", part.field, part.grant))
        .collect();
    if lacks.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{}: host {host} does not allow that to namespace {namespace}. List the grant in the Host's spec.allow, or do without the field",
        lacks.join(", ")
    );
    Err(Error::new(ErrorCode::AccessDenied, message))
}

/// Whether a grant holds for objects of a namespace.
pub fn allows(allow: &[Allowed], grant: Grant, namespace: &str) -> bool {
    allow.iter().any(|allowed| allowed.name == grant && allowed.holds_for(namespace))
}

#[cfg(test)]
mod tests;
