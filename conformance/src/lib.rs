//! Runs the cases taken from libvirt's own tests, and from documents that people wrote, against ours.
//!
//! A corpus is a folder with `manifest/SUITE.jsonl` and `data/`; its README tells how a case is read. A case is given to
//! the code with nothing but what its manifest line says. [`SUITES`] is the one table of what is served; a suite that a corpus
//! has and no code serves counts as none passed.

mod capabilities;
mod case;
mod command;
mod compare;
mod cpu;
mod descriptors;
mod documents;
mod domain_capabilities;
mod domains;
mod emulator;
mod host;
mod libvirtd;
mod live;
mod moments;
mod network_update;
mod node_devices;
mod qapi;
mod qemu_args;
mod qemu_block;
mod qemu_small;
mod qemu_xml;
mod ratchet;
mod running;
mod schema;
mod start;
mod storage_commands;
mod titles;
mod virstorage;

use std::path::Path;

use anyhow::Context;
use ostler_conf::{Domain, Network};

pub use case::{Case, Verdict};
pub use libvirtd::{Libvirtd, make_images};
pub use live::record;
pub use ratchet::Ratchet;
pub use start::{Tried, start, summary};

/// How a case of a suite is judged.
type Judge = fn(&Case) -> Verdict;

/// Every suite that is served, and by what. One of several parts, of which each is counted, has its part behind a slash.
const SUITES: &[(&str, Judge)] = &[
    ("networkxml2xml", documents::network),
    ("networkxml2xmlupdate", network_update::update),
    ("secretxml2xml", documents::secret),
    ("real-secret", documents::secret),
    ("interfacexml2xml", documents::host_interface),
    ("real-generic-interface", documents::host_interface),
    ("virnetworkportxml2xml", documents::network_port),
    ("nodedevxml2xml", node_devices::device),
    ("networkmetadata", titles::set_then_get::<Network>),
    ("nwfilterxml2xml", documents::nwfilter),
    ("real-nwfilter", documents::nwfilter),
    ("qemudomainsnapshotxml2xml", moments::snapshot),
    ("real-generic-snapshot", moments::snapshot_of_test_driver),
    ("qemudomaincheckpointxml2xml", moments::checkpoint),
    ("domainbackupxml2xml", moments::backup),
    ("virnwfilterbindingxml2xml", documents::nwfilter_binding),
    ("storagepoolxml2xml", documents::storage_pool),
    ("storagepoolcaps", documents::storage_pool_capabilities),
    ("storagevolxml2xml", documents::storage_volume),
    ("genericxml2xml", domains::generic),
    ("real-generic-domain", domains::of_test_driver),
    ("domainconf", domains::filesystem_at),
    ("metadata", titles::set_then_get::<Domain>),
    ("qemuxmlconf", qemu_xml::whole),
    ("qemuxmlconf/canonical", domains::canonical),
    ("qemuxmlconf/xml", qemu_xml::define),
    ("qemuxmlconf/inputs", domains::without_driver),
    ("qemuxmlconf/args", qemu_args::wrapped),
    ("qemuxmlconf/schema", qemu_args::of_schema),
    ("real-qemu-domain", qemu_xml::whole_real),
    ("real-qemu-domain/canonical", domains::canonical),
    ("real-qemu-tcg", qemu_xml::whole_real),
    ("real-qemu-domain/args", qemu_args::words),
    ("real-qemu-tcg/args", qemu_args::words),
    (live::SUITE, qemu_xml::whole_real),
    ("live/xml", qemu_xml::define_real),
    ("live/args", qemu_args::words),
    ("live/process", qemu_args::of_process),
    ("qemublock", qemu_block::judge),
    ("real-qemu-domain/xml", qemu_xml::define_real),
    ("real-qemu-tcg/xml", qemu_xml::define_real),
    ("real-generic-network", documents::network_of_test_driver),
    ("real-bridge-network", documents::network_of_bridge_driver),
    ("real-generic-pool", documents::storage_pool_of_test_driver),
    ("real-storage-pool", documents::storage_pool),
    ("real-generic-volume", documents::storage_volume_of_test_driver),
    ("qemustatusxml2xml", running::status),
    ("qemuxmlactive", running::active),
    ("qemufirmware", descriptors::of_firmware),
    ("qemuvhostuser", descriptors::of_vhost_user),
    ("vircaps2xml", host::capabilities),
    ("qemucapabilities", capabilities::of_emulator),
    ("qemucaps2xml", capabilities::of_host),
    ("domaincaps", domain_capabilities::of_driver),
    ("virstorage", virstorage::judge),
    ("storagepoolxml2argv", storage_commands::pool),
    ("storagevolxml2argv", storage_commands::volume),
    ("qemumemlock", qemu_small::locked),
    ("qemucommandutil", qemu_small::options),
    ("qemumigparams", qemu_small::migration_parameters),
    ("qemunbdkit", qemu_small::nbdkit),
    ("cputest", cpu::judge),
    ("virschematest", schema::check),
    ("real-virschema", schema::check),
];

/// What came of one suite.
#[derive(Debug)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Whether any code serves it.
    pub served: bool,
    /// Every case's name and verdict, in the manifest's order.
    pub results: Vec<(String, Verdict)>,
}

impl Suite {
    /// How many cases hold.
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|(_, verdict)| verdict.is_ok()).count()
    }
}

/// Runs the suites that `chosen` names, or all that the corpus has, in the order of their names.
///
/// # Errors
/// A corpus that can't be read, or has no suite of a chosen name.
pub fn run(corpus: &Path, chosen: &[String]) -> anyhow::Result<Vec<Suite>> {
    let corpus = &corpus.canonicalize().with_context(|| format!("find {}", corpus.display()))?;
    let folder = corpus.join("manifest");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let file = entry?.file_name().into_string().unwrap_or_default();
        names.extend(file.strip_suffix(".jsonl").map(str::to_owned));
    }
    if let Some(missing) = chosen.iter().find(|name| !names.contains(name)) {
        anyhow::bail!("{} has no suite '{missing}'", folder.display());
    }
    names.retain(|name| chosen.is_empty() || chosen.contains(name));
    names.sort();
    let mut suites = Vec::new();
    for name in names {
        let parts = SUITES.iter().filter(|(part, _)| part.split('/').next() == Some(&name));
        let mut parts: Vec<(&str, Option<Judge>)> = parts.map(|(part, judge)| (*part, Some(*judge))).collect();
        if parts.is_empty() {
            parts.push((&name, None));
        }
        for (part, judge) in parts {
            suites.push(run_suite(corpus, &name, part, judge)?);
        }
    }
    Ok(suites)
}

fn run_suite(corpus: &Path, name: &str, part: &str, judge: Option<Judge>) -> anyhow::Result<Suite> {
    let mut results = Vec::new();
    for case in cases(corpus, name)? {
        let verdict = judge.map_or_else(|| Err("not served".to_owned()), |judge| unharmed(judge, &case));
        results.push((case.name, verdict));
    }
    Ok(Suite { name: part.to_owned(), served: judge.is_some(), results })
}

/// The cases of a suite, in the manifest's order.
fn cases(corpus: &Path, suite: &str) -> anyhow::Result<Vec<Case>> {
    let manifest = corpus.join("manifest").join(format!("{suite}.jsonl"));
    let text = std::fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
    let read =
        |(index, line)| Case::read(corpus, line).with_context(|| format!("{}:{}", manifest.display(), index + 1));
    text.lines().enumerate().map(read).collect()
}

/// A case at which our code panics does not hold; the others are judged all the same.
fn unharmed(judge: Judge, case: &Case) -> Verdict {
    std::panic::catch_unwind(|| judge(case)).unwrap_or_else(|_| Err("panicked".to_owned()))
}
