//! What snapshots and checkpoints have in common.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use crate::Problem;

/// `<parent>`: the moment before.
#[element]
pub struct MomentParent {
    /// Its name.
    pub name: String,
}

/// A moment's name is a file's name on the host.
pub(crate) fn name_problems(name: &str) -> Vec<Problem> {
    let message = if name.contains('/') {
        format!("the name '{name}' can't hold a '/'")
    } else if name.starts_with('.') {
        format!("the name '{name}' can't begin with a '.'")
    } else {
        return Vec::new();
    };
    vec![Problem::new(ErrorCode::XmlDetail, "name", message)]
}
