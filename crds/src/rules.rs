//! Rules that a schema can't say, in CEL, for the API server to hold: what excludes each other, and what may not change.
//!
//! The same rules hold without an API server (`ostler validate`, a directory of manifests): code asks them there, and takes
//! its words from here.

use serde_json::{Value, json};

use crate::Kind;

/// Said of a field that was changed though it can't be.
pub const FIXED: &str = "this can't change once it is set: delete the object and make it anew";
/// Said of a volume that should lose space.
pub const NEVER_SMALLER: &str = "a volume is never made smaller";
/// Said of a placement that is given twice.
pub const ONE_PLACE: &str = "host and hostSelector exclude each other";
/// Said of a volume that should stand on itself.
pub const NOT_ON_ITSELF: &str = "a volume can't stand on itself";
/// Said of a name that is no DNS label.
pub const NO_LABEL: &str = "is no name: up to 63 lower-case letters, digits and '-', a letter or digit first and last";
/// Said of a claim's number that was lowered.
pub const CLAIM_FALLS: &str = "a claim's number never falls";
/// Said of a claim that came without a new number.
pub const CLAIM_STAYS: &str = "a claim of another host has a higher number than the last";

/// One rule of one kind.
pub(crate) struct Rule {
    /// Whose rule it is.
    pub(crate) kind: Kind,
    /// Where it stands in the schema; empty: at the whole object.
    pub(crate) at: &'static str,
    /// What must hold there.
    pub(crate) rule: &'static str,
    /// What is said otherwise.
    pub(crate) message: &'static str,
    /// The field below that is blamed.
    pub(crate) field: Option<&'static str>,
}

/// The names of all kinds but `Host`, which is called as its node.
const IS_LABEL: &str =
    "size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')";
const ONE_OF_HOST_AND_SELECTOR: &str = "!(has(self.host) && has(self.hostSelector))";
const CLAIM_RISES: &str = "!has(oldSelf.claim) || (has(self.claim) && self.claim >= oldSelf.claim)";
const CLAIM_OF_ANOTHER_IS_NEW: &str =
    "self.?host.orValue('') in ['', oldSelf.?host.orValue('')] || self.?claim.orValue(0) > oldSelf.?claim.orValue(0)";

// Optional fields by `has`: the API server takes what `orValue` gives for endless, and refuses the rule as too costly.
const SAME_PATH: &str = "has(self.target) && has(self.target.path) \
    ? has(oldSelf.target) && has(oldSelf.target.path) && self.target.path == oldSelf.target.path \
    : !has(oldSelf.target) || !has(oldSelf.target.path)";
const SAME_FORMAT: &str = "(has(self.target) && has(self.target.format) ? self.target.format.type : 'raw') == \
    (has(oldSelf.target) && has(oldSelf.target.format) ? oldSelf.target.format.type : 'raw')";

macro_rules! rules {
    ($($kind:ident, $at:literal, $rule:expr, $message:expr $(, $field:literal)?;)*) => {
        &[$(Rule { kind: Kind::$kind, at: $at, rule: $rule, message: $message, field: rules!(@field $($field)?) },)*]
    };
    (@field) => { None };
    (@field $field:literal) => { Some($field) };
}

pub(crate) const RULES: &[Rule] = rules! {
    Domain, "", IS_LABEL, NO_LABEL;
    DomainOperation, "", IS_LABEL, NO_LABEL;
    Network, "", IS_LABEL, NO_LABEL;
    StoragePool, "", IS_LABEL, NO_LABEL;
    StorageVolume, "", IS_LABEL, NO_LABEL;

    Domain, "spec.placement", ONE_OF_HOST_AND_SELECTOR, ONE_PLACE;
    StorageVolume, "spec.placement", ONE_OF_HOST_AND_SELECTOR, ONE_PLACE;

    Domain, "spec.domain", "!has(oldSelf.uuid) || (has(self.uuid) && self.uuid.lowerAscii() == oldSelf.uuid.lowerAscii())", FIXED, ".uuid";
    DomainOperation, "spec", "self == oldSelf", FIXED;
    StoragePool, "spec.pool", SAME_PATH, FIXED, ".target.path";
    StorageVolume, "", "self.spec.?source.?backing.?volume.orValue('') != self.metadata.name", NOT_ON_ITSELF, ".spec.source.backing.volume";
    StorageVolume, "spec.pool", "self == oldSelf", FIXED;
    StorageVolume, "spec", "has(self.source) == has(oldSelf.source) && (!has(self.source) || self.source == oldSelf.source)", FIXED, ".source";
    StorageVolume, "spec.volume", SAME_FORMAT, FIXED, ".target.format";
    StorageVolume, "spec.volume", "!has(self.capacity) || !has(oldSelf.capacity) || quantity(self.capacity).compareTo(quantity(oldSelf.capacity)) >= 0", NEVER_SMALLER, ".capacity";

    Domain, "status", CLAIM_RISES, CLAIM_FALLS, ".claim";
    Domain, "status", CLAIM_OF_ANOTHER_IS_NEW, CLAIM_STAYS, ".claim";
    StorageVolume, "status", CLAIM_RISES, CLAIM_FALLS, ".claim";
    StorageVolume, "status", CLAIM_OF_ANOTHER_IS_NEW, CLAIM_STAYS, ".claim";
};

/// Writes a kind's rules into its schema.
pub(crate) fn add(kind: Kind, schema: &mut Value) {
    for Rule { at, rule, message, field, .. } in RULES.iter().filter(|rule| rule.kind == kind) {
        let pointer: String =
            at.split('.').filter(|name| !name.is_empty()).map(|name| format!("/properties/{name}")).collect();
        let place = schema.pointer_mut(&pointer).and_then(Value::as_object_mut).expect("rules stand at known fields");
        let mut validation = json!({ "rule": rule, "message": message });
        if let Some(field) = field {
            validation["fieldPath"] = json!(field);
        }
        let list = place.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        list.as_array_mut().expect("just made").push(validation);
    }
}
