//! The guest's memory, and what is behind it on the host.

use std::path::Path;

use ostler_conf::Domain;
use ostler_conf::domain::{
    AllocationMode, MemoryAccessMode, MemoryDevice, MemoryModel, MemorySourceKind, NumaMode, ScaledKib, VcpuPlacement,
};
use ostler_driver::{Error, Result};
use ostler_util::{CpuSet, ErrorCode, Size};

use super::platform::is_ppc64;
use super::{Args, Props, Setup, alias};
use crate::probe::Flag;

const KIB_A_MIB: u64 = 1 << 10;
/// POWER gives memory in blocks of 256 MiB.
const POWER_BLOCK_KIB: u64 = 256 << 10;
/// Memory that is plugged in comes in blocks of 2 MiB elsewhere.
const MODULE_KIB: u64 = 2 << 10;
const SYSTEM_PAGE_KIB: u64 = 4;
/// libvirt counts memory in KiB, of which QEMU is told the bytes, signed.
const MOST_KIB: u64 = (i64::MAX as u64) >> 10;

/// The next whole number of blocks; `None` where there is none.
fn blocks(kib: u64, block: u64) -> Option<u64> {
    kib.checked_next_multiple_of(block).filter(|kib| *kib <= MOST_KIB)
}

/// Brings the memory of a guest that is about to start to whole blocks: QEMU takes no other.
///
/// # Errors
/// A size that has no next block.
pub(crate) fn align(domain: &mut Domain) -> Result<()> {
    let power = is_ppc64(domain);
    let block = if power { POWER_BLOCK_KIB } else { KIB_A_MIB };
    let overflow = |what: &str| {
        Error::new(
            ErrorCode::ConfigUnsupported,
            format!("the size of {what} leaves no room for a whole block of memory"),
        )
    };
    let devices: u64 = device_sizes(domain).sum();
    let mut initial = domain.memory_kib().saturating_sub(devices);
    let cells = domain.cpu.as_mut().and_then(|cpu| cpu.numa.as_mut()).map(|numa| &mut numa.cells);
    if let Some(cells) = cells.filter(|cells| !cells.is_empty()) {
        let mut sum = 0_u64;
        for (at, cell) in cells.iter_mut().enumerate() {
            let aligned = blocks(cell.memory.0.kib(), block);
            let aligned = aligned.ok_or_else(|| overflow(&format!("NUMA node {at}")).at("cpu.numa.cells"))?;
            cell.memory.0 = Size::from_kib(aligned);
            sum = sum.saturating_add(aligned);
        }
        initial = sum;
    }
    initial = blocks(initial, block).ok_or_else(|| overflow("the guest's memory").at("memory"))?;
    if let Some(max) = &mut domain.max_memory {
        let aligned = blocks(max.size.0.kib(), block).ok_or_else(|| overflow("the guest's memory").at("maxMemory"))?;
        max.size = ScaledKib(Size::from_kib(aligned));
    }
    for device in &mut domain.devices.memories {
        align_device(device, power).ok_or_else(|| overflow("a memory device").at("devices.memories"))?;
    }
    let devices: u64 = device_sizes(domain).sum();
    if let Some(memory) = &mut domain.memory {
        memory.size = ScaledKib(Size::from_kib(initial.saturating_add(devices)));
    }
    Ok(())
}

fn device_sizes(domain: &Domain) -> impl Iterator<Item = u64> {
    domain.devices.memories.iter().map(|device| device.target.size.0.kib())
}

fn align_device(device: &mut MemoryDevice, power: bool) -> Option<()> {
    let block = if power { POWER_BLOCK_KIB } else { MODULE_KIB };
    let size = device.target.size.0.kib();
    let aligned = match device.model {
        MemoryModel::Nvdimm if power => {
            // What the guest sees is whole blocks; its label is besides that, and nothing is taken that is not there.
            let label = device.target.label.as_ref().map_or(0, |label| label.size.0.kib());
            label + size.saturating_sub(label) / block * block
        }
        MemoryModel::VirtioMem | MemoryModel::VirtioPmem | MemoryModel::SgxEpc => return Some(()),
        MemoryModel::Dimm | MemoryModel::Nvdimm => blocks(size, block)?,
    };
    device.target.size = ScaledKib(Size::from_kib(aligned));
    Some(())
}

/// The memory at boot, in KiB, without what devices bring.
pub(super) fn initial_kib(domain: &Domain) -> u64 {
    domain.memory_kib().saturating_sub(device_sizes(domain).sum())
}

pub(super) fn memory(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let domain = setup.domain;
    let mut text = format!("size={}k", initial_kib(domain));
    if let Some(max) = &domain.max_memory {
        if let Some(slots) = max.slots.filter(|slots| *slots > 0) {
            text.push_str(&format!(",slots={slots}"));
        }
        text.push_str(&format!(",maxmem={}k", max.size.0.kib()));
    }
    args.option("-m", text);
    let has_cells = domain.cpu.as_ref().and_then(|cpu| cpu.numa.as_ref()).is_some_and(|numa| !numa.cells.is_empty());
    if !has_cells {
        match setup.default_ram() {
            Some(ram) => {
                let piece = Piece::new(ram, Size::from_kib(initial_kib(domain)));
                piece.backend(setup)?.write(args);
            }
            None => legacy(setup, args)?,
        }
    }
    let locked = domain.memory_backing.as_ref().is_some_and(|backing| backing.locked);
    args.option("-overcommit", format!("mem-lock={}", super::on_off(locked)));
    Ok(())
}

/// What is behind memory that has no object of its own.
pub(super) fn legacy(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    let backing = setup.domain.memory_backing.as_ref();
    let allocates = backing
        .and_then(|backing| backing.allocation.as_ref())
        .is_some_and(|allocation| allocation.mode == Some(AllocationMode::Immediate));
    let page = page_of(setup, None)?;
    if page.is_none() && !allocates {
        return Ok(());
    }
    if page.is_some() || allocates {
        args.flag("-mem-prealloc");
    }
    if let Some(page) = page {
        args.option("-mem-path", hugepage_dir(setup, page)?);
    }
    Ok(())
}

/// A piece of the guest's memory.
pub(super) struct Piece<'a> {
    /// The object that it becomes.
    id: String,
    size: Size,
    /// The guest's NUMA node that it is of.
    cell: Option<u32>,
    device: Option<&'a MemoryDevice>,
}

/// What is behind a piece of memory.
pub(super) struct Backend {
    /// Threads that touch its pages.
    context: Option<Props>,
    object: Props,
    /// Whether it is nothing but memory of QEMU's process.
    pub(super) is_plain: bool,
    /// Whether its device is to touch its pages.
    pub(super) device_allocates: bool,
}

impl Backend {
    pub(super) fn write(self, args: &mut Args) {
        if let Some(context) = self.context {
            args.object(context);
        }
        args.object(self.object);
    }
}

impl<'a> Piece<'a> {
    pub(super) fn new(id: &str, size: Size) -> Self {
        Piece { id: id.to_owned(), size, cell: None, device: None }
    }

    pub(super) fn of_cell(cell: u32, size: Size) -> Self {
        Piece { id: format!("ram-node{cell}"), size, cell: Some(cell), device: None }
    }

    pub(super) fn of_device(device: &'a MemoryDevice) -> Self {
        let name = alias(&device.alias);
        Piece { id: format!("mem{name}"), size: device.target.size.0, cell: device.target.node, device: Some(device) }
    }

    /// # Errors
    /// Huge pages that are mounted nowhere; host nodes that are not there.
    pub(super) fn backend(&self, setup: &Setup<'_>) -> Result<Backend> {
        let domain = setup.domain;
        let backing = domain.memory_backing.as_ref();
        let cell = self.cell.and_then(|number| {
            domain.cpu.as_ref()?.numa.as_ref()?.cells.iter().find(|cell| cell.id.unwrap_or(0) == number)
        });
        let source = self.device.and_then(|device| device.source.as_ref());
        let model = self.device.map(|device| device.model);
        if model == Some(MemoryModel::SgxEpc) {
            return self.enclave(setup);
        }
        let own = self.device.and_then(|device| device.access);
        let access = own.or(cell.and_then(|cell| cell.mem_access)).or(backing.and_then(|backing| backing.access));
        let own = self.device.and_then(|device| device.discard);
        let discard = own.or(cell.and_then(|cell| cell.discard)).map(|on| on.0);
        let discard = discard.or(backing.is_some_and(|backing| backing.discard).then_some(true));
        let file = source.and_then(|source| source.path.as_deref());
        let page = match source.and_then(|source| source.pagesize.as_ref()) {
            Some(size) => Some(size.0).filter(|size| size.kib() != SYSTEM_PAGE_KIB),
            None if file.is_some() => None,
            None => page_of(setup, self.cell)?,
        };
        let kind = backing.and_then(|backing| backing.source);
        let is_file = page.is_some() || file.is_some() || access.is_some() || kind == Some(MemorySourceKind::File);
        let is_memfd = kind == Some(MemorySourceKind::Memfd) && file.is_none();
        let mut allocates = page.is_some();
        let mut props;
        if is_memfd {
            props = Props::object("memory-backend-memfd", &*self.id);
            if let Some(page) = page {
                props = props.put("hugetlb", true).put("hugetlbsize", page.bytes());
            }
        } else if is_file {
            let path = match (file, page) {
                (Some(file), _) => {
                    // What is kept is read once before the guest begins.
                    allocates |= model == Some(MemoryModel::Nvdimm);
                    file.to_owned()
                }
                (None, Some(page)) => hugepage_dir(setup, page)?,
                (None, None) => path(&setup.settings.memory_dir.join(&setup.runtime.short_name).join(self.file_name())),
            };
            props = Props::object("memory-backend-file", &*self.id)
                .put("mem-path", path)
                .maybe("discard-data", discard.filter(|_| file.is_none()));
        } else {
            props = Props::object("memory-backend-ram", &*self.id);
        }
        let is_plain = !is_memfd && !is_file;
        if !is_plain {
            props = props.maybe("share", access.map(|access| access == MemoryAccessMode::Shared));
            if source.is_some_and(|source| source.pmem) {
                props = props.put("pmem", true);
            }
            let is_main = self.device.is_none() && self.cell.is_none();
            if is_main && setup.capabilities.has(Flag::MemoryBackendFileXUseCanonicalPathForRamblockId) {
                props = props.put("x-use-canonical-path-for-ramblock-id", false);
            }
        }
        let allocation = backing.and_then(|backing| backing.allocation.as_ref());
        allocates |= allocation.is_some_and(|allocation| allocation.mode == Some(AllocationMode::Immediate));
        let is_virtio_mem = model == Some(MemoryModel::VirtioMem);
        let mut device_allocates = false;
        if is_virtio_mem {
            // Only what the guest has asked for is there: its device touches pages as it gives them.
            props = props.put("reserve", false);
            device_allocates = allocates;
            allocates = false;
        } else if model == Some(MemoryModel::VirtioPmem) {
            allocates = false;
        }
        if allocates {
            props = props.put("prealloc", true).maybe("prealloc-threads", allocation.and_then(|a| a.threads));
        }
        props = props.put("size", self.size.bytes());
        props = props.maybe("align", source.and_then(|source| source.alignsize.as_ref()).map(|size| size.0.bytes()));
        let (nodes, policy) = self.nodes(setup, source.and_then(|source| source.nodemask.as_ref()));
        let mut context = None;
        if let Some(nodes) = &nodes {
            check_nodes(setup, nodes)?;
        }
        if let (Some(nodes), Some(policy)) = (nodes, policy) {
            props = props.put("host-nodes", nodes.clone()).put("policy", policy);
            if allocates && setup.capabilities.has(Flag::ThreadContext) {
                let id = format!("tc-{}", self.id);
                props = props.put("prealloc-context", id.clone());
                context = Some(Props::object("thread-context", id).put("node-affinity", near_nodes(setup, nodes)));
            }
            return Ok(Backend { context, object: props, is_plain: false, device_allocates });
        }
        Ok(Backend { context, object: props, is_plain, device_allocates })
    }

    /// The file's name, where many guests have theirs in one folder.
    fn file_name(&self) -> &str {
        match self.device {
            Some(device) => alias(&device.alias),
            None => &self.id,
        }
    }

    fn enclave(&self, setup: &Setup<'_>) -> Result<Backend> {
        let source = self.device.and_then(|device| device.source.as_ref());
        let mut props =
            Props::object("memory-backend-epc", &*self.id).put("prealloc", true).put("size", self.size.bytes());
        if let (Some(nodes), Some(policy)) = self.nodes(setup, source.and_then(|source| source.nodemask.as_ref())) {
            props = props.put("host-nodes", nodes).put("policy", policy);
        }
        Ok(Backend { context: None, object: props, is_plain: false, device_allocates: false })
    }

    /// The host's nodes that the piece comes from, and how strictly.
    fn nodes(&self, setup: &Setup<'_>, own: Option<&CpuSet>) -> (Option<Vec<u32>>, Option<&'static str>) {
        let tune = setup.domain.numatune.as_ref();
        let memory = tune.and_then(|tune| tune.memory.as_ref());
        let node = tune.and_then(|tune| tune.memnodes.iter().find(|node| Some(node.cellid) == self.cell));
        let mode =
            node.and_then(|node| node.mode).or(memory.and_then(|memory| memory.mode)).unwrap_or(NumaMode::Strict);
        let policy = match mode {
            NumaMode::Strict => Some("bind"),
            NumaMode::Preferred => Some("preferred"),
            NumaMode::Interleave => Some("interleave"),
            // Where the process may take memory from is set from outside.
            NumaMode::Restrictive => None,
        };
        let nodes = match (own, node, memory) {
            (Some(own), ..) => Some(own.iter().collect()),
            (None, Some(node), _) => Some(node.nodeset.iter().collect()),
            (None, None, Some(memory)) if memory.placement == Some(VcpuPlacement::Auto) => {
                Some(setup.runtime.auto_nodes.clone())
            }
            (None, None, Some(memory)) => memory.nodeset.as_ref().map(|nodes| nodes.iter().collect()),
            (None, None, None) => None,
        };
        (nodes, policy)
    }
}

fn check_nodes(setup: &Setup<'_>, nodes: &[u32]) -> Result<()> {
    let known = &setup.settings.nodes;
    match nodes.iter().find(|node| !known.is_empty() && !known.iter().any(|known| known.id == **node)) {
        Some(node) => {
            Err(Error::new(ErrorCode::ConfigUnsupported, format!("this host has no NUMA node {node}")).at("numatune"))
        }
        None => Ok(()),
    }
}

/// Those of the nodes near which the guest's processors may run; all, where there is none.
fn near_nodes(setup: &Setup<'_>, nodes: Vec<u32>) -> Vec<u32> {
    let Some(cpus) = setup.domain.vcpu.as_ref().and_then(|vcpu| vcpu.cpuset.as_ref()) else { return nodes };
    let is_near = |node: &u32| {
        let known = setup.settings.nodes.iter().find(|known| known.id == *node);
        known.is_some_and(|known| cpus.iter().any(|cpu| known.cpus.contains(&cpu)))
    };
    let near: Vec<u32> = nodes.iter().copied().filter(is_near).collect();
    if near.is_empty() { nodes } else { near }
}

/// The size of the huge pages behind a guest's node, or behind all of its memory.
fn page_of(setup: &Setup<'_>, cell: Option<u32>) -> Result<Option<Size>> {
    let Some(hugepages) = setup.domain.memory_backing.as_ref().and_then(|backing| backing.hugepages.as_ref()) else {
        return Ok(None);
    };
    let default = || {
        let mount = setup.settings.hugepages.iter().find(|mount| mount.is_default);
        mount.map(|mount| mount.page).ok_or_else(|| {
            Error::new(ErrorCode::InternalError, "huge pages of the default size are mounted nowhere")
                .at("memoryBacking.hugepages")
        })
    };
    if hugepages.pages.is_empty() {
        return default().map(Some);
    }
    let number = cell.unwrap_or(0);
    let of_node = hugepages
        .pages
        .iter()
        .find(|page| page.nodeset.as_ref().is_some_and(|nodes| nodes.iter().any(|n| n == number)));
    let page = of_node.or_else(|| hugepages.pages.iter().find(|page| page.nodeset.is_none()));
    match page.map(|page| page.size.0) {
        None => Ok(None),
        Some(size) if size.bytes() == 0 => default().map(Some),
        Some(size) => Ok(Some(size).filter(|size| size.kib() != SYSTEM_PAGE_KIB)),
    }
}

fn hugepage_dir(setup: &Setup<'_>, page: Size) -> Result<String> {
    let mount = setup.settings.hugepages.iter().find(|mount| mount.page == page).ok_or_else(|| {
        let message = format!("huge pages of {} KiB are mounted nowhere on this host", page.kib());
        Error::new(ErrorCode::InternalError, message).at("memoryBacking.hugepages")
    })?;
    Ok(path(&mount.dir.join(&setup.runtime.short_name)))
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complete::tests::domain;

    fn aligned(arch: &str, memory: &str, rest: &str) -> Result<(u64, Vec<u64>)> {
        let mut domain = domain(&format!(
            "<domain type='qemu'><name>a</name><memory unit='KiB'>{memory}</memory>
                <os><type arch='{arch}' machine='m'>hvm</type></os>{rest}</domain>"
        ));
        align(&mut domain)?;
        Ok((domain.memory_kib(), device_sizes(&domain).collect()))
    }

    #[test]
    fn memory_comes_in_whole_blocks() {
        assert_eq!(aligned("x86_64", "1025", "").unwrap(), (2048, vec![]));
        assert_eq!(aligned("ppc64", "1025", "").unwrap(), (262_144, vec![]));
        let dimm = "<devices><memory model='dimm'><target><size unit='KiB'>2049</size></target></memory></devices>";
        assert_eq!(aligned("x86_64", "4097", dimm).unwrap(), (2048 + 4096, vec![4096]));
        let label = "<devices><memory model='nvdimm'><source><path>/a</path></source><target>
            <size unit='KiB'>550000</size><label><size unit='KiB'>128</size></label></target></memory></devices>";
        assert_eq!(aligned("ppc64", "1598576", label).unwrap().1, [524_416]);
    }

    #[test]
    fn memory_that_has_no_next_block_is_refused() {
        assert_eq!(aligned("x86_64", "9007199254740991", "").unwrap_err().code, ErrorCode::ConfigUnsupported);
    }
}
