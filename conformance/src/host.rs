//! The suite of hosts, as their kernels' files tell of them.

use std::path::PathBuf;

use ostler_conf::capabilities::{CapableHost, Iommu, MigrationFeatures, PowerManagement};
use ostler_conf::values::YesNo;
use ostler_conf::{Capabilities, format};
use ostler_driver::host::{Caches, NodeMemory, caches, topology};

use super::capabilities::host_cpu;
use super::case::{Case, Verdict};
use super::compare::same_text;

/// A host's topology and caches. Its memory is that of the cases' mock: node N has N + 1 GiB, and how many pages of each size
/// follows from both.
pub(super) fn capabilities(case: &Case) -> Verdict {
    const PAGES_KIB: [u64; 3] = [4, 2048, 1_048_576];
    let expected = case.expected_xml()?.ok_or("no expected document")?;
    let memory = |node: u32| NodeMemory {
        kib: Some(u64::from(node + 1) << 20),
        pages: (0..).zip(PAGES_KIB).map(|(at, size)| (size, (u64::from(node) + at + 1) * 2048)).collect(),
        distances: Vec::new(),
    };
    let (system, resctrl) = (folder(case, "system"), folder(case, "resctrl"));
    let Caches { cache, memory_bandwidth } = caches(&system, &resctrl);
    let moves = case.param("live_migrate").as_bool() == Some(true);
    let host = CapableHost {
        uuid: None,
        cpu: host_cpu(case.param("arch").as_str().unwrap_or_default()),
        power_management: Some(PowerManagement::default()),
        iommu: Some(Iommu { support: YesNo(false) }),
        migration_features: moves.then_some(MigrationFeatures { live: true, uri_transports: None }),
        netprefix: None,
        topology: Some(topology(&system, &memory)),
        cache,
        memory_bandwidth,
        secmodels: Vec::new(),
    };
    same_text(&expected, &format(&Capabilities { host, guests: Vec::new() }))
}

/// A folder of the case's tree. The corpus has a symbolic link as a file with the link's target.
fn folder(case: &Case, name: &str) -> PathBuf {
    let tree = case.input_path();
    let path = tree.join(name);
    match std::fs::read_to_string(&path) {
        Ok(target) => tree.join(target.trim()),
        Err(_) => path,
    }
}
