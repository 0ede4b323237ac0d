//! What an earlier object of a name left on this host.

use ostler_conf::domain::Owner;
use ostler_crds::Kind;

use crate::context::Context;

/// Whether it may become `ours`: it is of this cluster, or of one that this one replaces, by namespace and name, and its object is
/// no more.
pub(super) fn is_orphan_of(context: &Context, kind: Kind, mark: Option<&Owner>, ours: &Owner) -> bool {
    let is_known = |uid: &str| context.index().of_kind(kind).any(|object| object.uid() == uid);
    mark.is_some_and(|mark| {
        (mark.id == ours.id || context.former_owners.contains(&mark.id))
            && mark.namespace == ours.namespace
            && mark.name == ours.name
            && !is_known(&mark.uid)
    })
}
