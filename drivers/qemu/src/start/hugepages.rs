//! Where huge pages are mounted on this host.

use std::fs;
use std::path::Path;

use ostler_util::Size;

use crate::args::HugepageMount;

/// Below a mount, guests' folders are here.
const BELOW: &str = "ostler/qemu";

/// All mounts of huge pages.
pub(super) fn mounts() -> Vec<HugepageMount> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    of(&read("/proc/self/mounts"), &read("/proc/meminfo"))
}

fn of(mounts: &str, memory: &str) -> Vec<HugepageMount> {
    let default = memory.lines().find_map(|line| line.strip_prefix("Hugepagesize:")?.trim().strip_suffix(" kB"));
    let default = default.and_then(|kib| kib.parse().ok()).map(Size::from_kib);
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        let (dir, kind, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
        if kind != "hugetlbfs" {
            return None;
        }
        let said = options.split(',').find_map(|option| option.strip_prefix("pagesize="));
        let page = match said {
            Some(said) => size(said)?,
            None => default?,
        };
        Some(HugepageMount { dir: Path::new(dir).join(BELOW), page, is_default: Some(page) == default })
    };
    mounts.lines().filter_map(mount).collect()
}

/// `2M`, `1024M`, `1G`, `64K`.
fn size(text: &str) -> Option<Size> {
    let (number, kib) = [("K", 1), ("M", 1 << 10), ("G", 1 << 20)]
        .iter()
        .find_map(|(unit, kib)| Some((text.strip_suffix(unit)?, *kib)))?;
    Some(Size::from_kib(number.parse::<u64>().ok()?.checked_mul(kib)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_tell_their_pages_size() {
        let mounts = of(
            "tmpfs /run tmpfs rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n\
             none /huge hugetlbfs rw,pagesize=1024M 0 0\nnone /old hugetlbfs rw 0 0\n",
            "MemTotal: 1 kB\nHugepagesize:       2048 kB\n",
        );
        let told: Vec<_> =
            mounts.iter().map(|mount| (mount.dir.to_str().unwrap(), mount.page.kib(), mount.is_default)).collect();
        assert_eq!(
            told,
            [
                ("/dev/hugepages/ostler/qemu", 2048, true),
                ("/huge/ostler/qemu", 1 << 20, false),
                ("/old/ostler/qemu", 2048, true)
            ]
        );
    }
}
