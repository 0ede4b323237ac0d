//! How a host can sleep.

use std::path::Path;

use ostler_conf::capabilities::PowerManagement;

use super::files;

/// How the host below `root` can sleep, as its kernel says.
pub fn power_management(root: &Path) -> PowerManagement {
    let words = |file: &str| files::text(&root.join("sys/power").join(file)).unwrap_or_default();
    let has = |text: &str, word: &str| text.split_whitespace().any(|known| known.trim_matches(['[', ']']) == word);
    let (states, ways) = (words("state"), words("disk"));
    let (suspend_mem, suspend_disk) = (has(&states, "mem"), has(&states, "disk"));
    PowerManagement { suspend_mem, suspend_disk, suspend_hybrid: suspend_mem && suspend_disk && has(&ways, "suspend") }
}
