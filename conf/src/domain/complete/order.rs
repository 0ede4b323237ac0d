//! Where a device stands in its list.

use super::disk::{bus_of, target_index};
use crate::domain::{Controller, Disk};

/// Puts each disk behind those of its bus with an earlier target. A bus that is not said counts as the one that it will be:
/// so what was completed is in order already.
pub(super) fn sort_disks(disks: &mut Vec<Disk>) {
    let bus = |disk: &Disk| disk.target.bus.or_else(|| bus_of(&disk.name, disk.device()));
    for disk in std::mem::take(disks) {
        let index = target_index(&disk.name);
        let at = place(disks, |other| bus(other) == bus(&disk), |other| target_index(&other.name) > index);
        disks.insert(at, disk);
    }
}

/// Puts each controller behind those of its kind with an earlier number, a companion behind its master.
pub(super) fn sort_controllers(controllers: &mut Vec<Controller>) {
    for controller in std::mem::take(controllers) {
        insert_controller(controllers, controller);
    }
}

/// Puts a controller behind those of its kind with an earlier number.
pub(super) fn insert_controller(controllers: &mut Vec<Controller>, controller: Controller) {
    let at = place(
        controllers,
        |other| other.r#type == controller.r#type,
        |other| {
            let is_companion = other.master.is_some() && controller.master.is_none();
            other.index > controller.index || (other.index == controller.index && is_companion)
        },
    );
    controllers.insert(at, controller);
}

/// Before the first alike that comes later, else behind the last alike, else at the end.
fn place<T>(list: &[T], is_alike: impl Fn(&T) -> bool, is_later: impl Fn(&T) -> bool) -> usize {
    let before = list.iter().position(|other| is_alike(other) && is_later(other));
    let behind = || list.iter().rposition(&is_alike).map(|at| at + 1);
    before.or_else(behind).unwrap_or(list.len())
}
