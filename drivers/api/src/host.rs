//! What a host is, as its kernel's files tell: the `<host>` of libvirt's `<capabilities>`, for every driver whose guests run
//! here. A pure function of the folders that it is given.

mod caches;
mod files;
mod memory;
mod nodes;
mod power;

use std::path::Path;

use ostler_conf::capabilities::{CapableHost, HostCpu, Iommu};
use ostler_conf::values::YesNo;

pub use caches::{Caches, caches};
pub use memory::{NodeMemory, node_memory};
pub use nodes::topology;
pub use power::power_management;

/// What the host below `root` is, where `root` is its `/`. Its processors, what guests can do and what separates them are the
/// driver's to tell.
pub fn host(root: &Path, cpu: HostCpu) -> CapableHost {
    let system = root.join("sys/devices/system");
    let Caches { cache, memory_bandwidth } = caches(&system, &root.join("sys/fs/resctrl"));
    let groups = std::fs::read_dir(root.join("sys/kernel/iommu_groups"));
    CapableHost {
        uuid: files::text(&root.join("sys/class/dmi/id/product_uuid")).and_then(|text| text.parse().ok()),
        cpu,
        power_management: Some(power_management(root)),
        iommu: Some(Iommu { support: YesNo(groups.is_ok_and(|mut groups| groups.next().is_some())) }),
        migration_features: None,
        netprefix: None,
        topology: Some(topology(&system, &|node| node_memory(root, node))),
        cache,
        memory_bandwidth,
        secmodels: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use ostler_conf::{Capabilities, format};

    use super::*;

    /// Lays out files, by their paths.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        root
    }

    fn document(root: &Path) -> String {
        let cpu: HostCpu =
            serde_json::from_str(r#"{"arch": "x86_64", "counters": [], "features": [], "pages": []}"#).unwrap();
        format(&Capabilities { host: host(root, cpu), guests: Vec::new() })
    }

    #[test]
    fn a_host_with_one_node_is_told_whole() {
        let cpu = "sys/devices/system/cpu/cpu0";
        let node = "sys/devices/system/node/node0";
        let root = tree(&[
            ("sys/devices/system/cpu/online", "0\n"),
            (&format!("{cpu}/topology/physical_package_id"), "1\n"),
            (&format!("{cpu}/topology/core_id"), "2\n"),
            (&format!("{cpu}/topology/thread_siblings_list"), "0\n"),
            ("sys/devices/system/node/online", "0\n"),
            (&format!("{node}/cpulist"), "0-1\n"),
            (&format!("{node}/distance"), "10\n"),
            (&format!("{node}/meminfo"), "Node 0 MemTotal:        8192 kB\nNode 0 MemFree:  1 kB\n"),
            (&format!("{node}/hugepages/hugepages-2048kB/nr_hugepages"), "2\n"),
            ("sys/power/state", "freeze mem disk\n"),
            ("sys/power/disk", "[platform] shutdown reboot suspend test_resume\n"),
            ("sys/kernel/iommu_groups/0/type", "DMA\n"),
        ]);
        let text = document(root.path());
        let expected = "    <power_management>
      <suspend_mem/>
      <suspend_disk/>
      <suspend_hybrid/>
    </power_management>
    <iommu support='yes'/>
    <topology>
      <cells num='1'>
        <cell id='0'>
          <memory unit='KiB'>8192</memory>
          <pages unit='KiB' size='4'>1024</pages>
          <pages unit='KiB' size='2048'>2</pages>
          <distances>
            <sibling id='0' value='10'/>
          </distances>
          <cpus num='2'>
            <cpu id='0' socket_id='1' die_id='0' cluster_id='0' core_id='2' siblings='0'/>
            <cpu id='1'/>
          </cpus>
        </cell>
      </cells>
    </topology>
";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_kernel_without_nodes_has_one_of_all_processors() {
        let root = tree(&[
            ("sys/devices/system/cpu/online", "0-1\n"),
            ("proc/meminfo", "MemTotal:       4096 kB\n"),
            ("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n"),
        ]);
        let text = document(root.path());
        let expected = "        <cell id='0'>
          <memory unit='KiB'>4096</memory>
          <pages unit='KiB' size='4'>1024</pages>
          <pages unit='KiB' size='1048576'>0</pages>
          <cpus num='2'>
            <cpu id='0'/>
            <cpu id='1'/>
          </cpus>
        </cell>
";
        assert!(text.contains(expected) && text.contains("<iommu support='no'/>"), "{text}");
    }

    #[test]
    fn a_host_of_which_nothing_is_known_is_told_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        assert!(document(root.path()).contains("<cells num='1'>"));
    }
}
