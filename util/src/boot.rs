//! Which boot of the host this is.

use std::fs;
use std::sync::OnceLock;

/// The kernel's id of this boot: another one after each reboot. Empty where the kernel has none to give.
pub fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_a_uuid() {
        assert!(super::boot_id().parse::<uuid::Uuid>().is_ok());
    }
}
