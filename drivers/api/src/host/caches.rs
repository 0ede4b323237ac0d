//! A host's caches, and how they and the bandwidth of its memory can be shared out.

use std::collections::BTreeMap;
use std::path::Path;

use ostler_conf::Size;
use ostler_conf::capabilities::{
    BankType, CacheBank, CacheControl, CacheMonitor, HostCaches, MemoryBandwidth, MemoryBandwidthControl,
    MemoryBandwidthNode, MonitorFeature,
};
use ostler_conf::values::pretty;

use super::files;

/// The first level that is told: those below are a core's own.
const FIRST_LEVEL: u32 = 2;

/// What is told of caches, and of memory's bandwidth.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caches {
    /// The caches.
    pub cache: Option<HostCaches>,
    /// How the bandwidth can be shared out.
    pub memory_bandwidth: Option<MemoryBandwidth>,
}

/// The caches below `system` (`/sys/devices/system`), and what `resctrl` (`/sys/fs/resctrl`) says of sharing them out.
pub fn caches(system: &Path, resctrl: &Path) -> Caches {
    let info = resctrl.join("info");
    let mut banks = banks(system);
    for bank in &mut banks {
        bank.controls = controls(&info, bank);
    }
    let nodes = bandwidth_control(&info).map_or_else(Vec::new, |control| {
        // Memory stands behind the last cache.
        let last = banks.iter().map(|bank| bank.level).max();
        let behind = banks.iter().filter(|bank| Some(bank.level) == last);
        behind
            .map(|bank| MemoryBandwidthNode { id: bank.id, cpus: bank.cpus.clone(), control: Some(control.clone()) })
            .collect()
    });
    let (of_cache, of_memory) = monitors(&info);
    Caches {
        cache: (!banks.is_empty()).then_some(HostCaches { banks, monitor: of_cache }),
        memory_bandwidth: (!nodes.is_empty() || of_memory.is_some())
            .then_some(MemoryBandwidth { nodes, monitor: of_memory }),
    }
}

/// The caches by level, kind and number; several processors stand before each.
fn banks(system: &Path) -> Vec<CacheBank> {
    let mut found = BTreeMap::new();
    for cpu in files::set(&system.join("cpu/online")).unwrap_or_default().iter() {
        let folder = system.join(format!("cpu/cpu{cpu}/cache"));
        for index in files::numbered(&folder, "index") {
            if let Some(bank) = bank(&folder.join(format!("index{index}"))) {
                found.entry((bank.level, bank.r#type, bank.id)).or_insert(bank);
            }
        }
    }
    found.into_values().collect()
}

fn bank(folder: &Path) -> Option<CacheBank> {
    let level: u32 = files::number(&folder.join("level")).filter(|level| *level >= FIRST_LEVEL)?;
    let r#type = match files::text(&folder.join("type"))?.as_str() {
        "Unified" => BankType::Both,
        "Instruction" => BankType::Code,
        "Data" => BankType::Data,
        _ => return None,
    };
    let (size, unit) = pretty(size(&files::text(&folder.join("size"))?)?);
    Some(CacheBank {
        id: files::number(&folder.join("id"))?,
        level,
        r#type,
        size,
        unit: unit.to_owned(),
        cpus: files::set(&folder.join("shared_cpu_list"))?,
        controls: Vec::new(),
    })
}

/// `16384K`
fn size(text: &str) -> Option<Size> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = if text[end..].is_empty() { "bytes" } else { &text[end..] };
    Size::from_xml_unit(text[..end].parse().ok()?, unit)?
}

/// How a cache can be shared out: all of it, or code and data apart.
fn controls(info: &Path, bank: &CacheBank) -> Vec<CacheControl> {
    const SCOPES: &[(&str, BankType)] = &[("", BankType::Both), ("CODE", BankType::Code), ("DATA", BankType::Data)];
    let bytes = Size::from_xml_unit(bank.size, &bank.unit).flatten().map_or(0, Size::bytes);
    let control = |(scope, r#type): &(&str, BankType)| {
        let folder = info.join(format!("L{}{scope}", bank.level));
        let mask = u64::from_str_radix(&files::text(&folder.join("cbm_mask"))?, 16).ok()?;
        let step = bytes / u64::from(mask.count_ones().max(1));
        let (granularity, unit) = pretty(Size::from_bytes(step));
        let fewest: u64 = files::number(&folder.join("min_cbm_bits")).unwrap_or(1);
        Some(CacheControl {
            granularity,
            min: (fewest > 1).then(|| granularity * fewest),
            unit: unit.to_owned(),
            r#type: *r#type,
            max_allocs: files::number(&folder.join("num_closids"))?,
        })
    };
    SCOPES.iter().filter_map(control).collect()
}

fn bandwidth_control(info: &Path) -> Option<MemoryBandwidthControl> {
    let fact = |name: &str| files::number(&info.join("MB").join(name));
    Some(MemoryBandwidthControl {
        granularity: fact("bandwidth_gran")?,
        min: fact("min_bandwidth"),
        max_allocs: fact("num_closids")?,
    })
}

/// How the use of caches and of memory's bandwidth is watched.
fn monitors(info: &Path) -> (Option<CacheMonitor>, Option<CacheMonitor>) {
    let folder = info.join("L3_MON");
    let features = files::text(&folder.join("mon_features")).unwrap_or_default();
    let Some(max_monitors) = files::number(&folder.join("num_rmids")) else { return (None, None) };
    let monitor = |prefix: &str, level, reuse_threshold| {
        let names = features.lines().map(str::trim).filter(|name| name.starts_with(prefix));
        let features: Vec<_> = names.map(|name| MonitorFeature { name: name.to_owned() }).collect();
        (!features.is_empty()).then_some(CacheMonitor { level, reuse_threshold, max_monitors, features })
    };
    let threshold = files::number(&folder.join("max_threshold_occupancy"));
    (monitor("llc_", Some(3), threshold), monitor("mbm_", None, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_the_kernels() {
        for (text, bytes) in [("32K", 32 << 10), ("33M", 33 << 20), ("512", 512)] {
            assert_eq!(size(text), Some(Size::from_bytes(bytes)), "{text}");
        }
        assert_eq!((size("K"), size("12Q")), (None, None));
    }
}
