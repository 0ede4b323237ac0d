//! One program for all targets, which is linked once: `OSTLER_FUZZ` names the one that runs.

#![no_main]

use std::sync::LazyLock;

use ostler_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("OSTLER_FUZZ").unwrap_or_default();
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.map(|(_, target)| *target).expect("OSTLER_FUZZ names no target")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
