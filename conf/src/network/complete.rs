//! The driver-independent defaults of a network.

use super::{Bridge, Forward, ForwardInterface, ForwardMode, Network};
use crate::values::OnOff;

pub(super) fn complete(network: &mut Network) {
    if let Some(forward) = &mut network.forward {
        complete_forward(forward);
    }
    let has_own_bridge =
        matches!(network.forward_mode(), None | Some(ForwardMode::Nat | ForwardMode::Route | ForwardMode::Open));
    if has_own_bridge {
        let bridge = network.bridge.get_or_insert_with(Bridge::default);
        bridge.stp.get_or_insert(OnOff(true));
        bridge.delay.get_or_insert(0);
    }
}

/// The device and the first interface are one thing said twice.
fn complete_forward(forward: &mut Forward) {
    forward.mode.get_or_insert(ForwardMode::Nat);
    match (&forward.dev, forward.interfaces.first()) {
        (Some(dev), None) => forward.interfaces.push(ForwardInterface { dev: dev.clone() }),
        (None, Some(first)) => forward.dev = Some(first.dev.clone()),
        (Some(_), Some(_)) | (None, None) => {}
    }
}
