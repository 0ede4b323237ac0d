//! `<domstatus>`: a running guest as its driver remembers it, for whoever takes it over. It has no page: it is libvirt's own
//! record, which ours is like.

mod block_job;
mod job;
mod state;

pub use block_job::{
    BlockJob, BlockJobCreate, BlockJobDisk, BlockJobKind, BlockJobNode, BlockJobState, BlockJobStep, BlockJobs,
    JobChains, JobImage,
};
pub use job::{
    AsyncJobKind, Job, JobDisk, JobKind, JobPhase, MigrationParameter, MigrationParameters, MigrationSource,
    TemporaryBitmap, TemporaryBitmaps,
};
pub use state::{CrashedReason, PausedReason, RunningReason, ShutdownReason, ShutoffReason, State};

use ostler_conf_derive::element;
use ostler_util::CpuSet;

use crate::domain::Cpu;
use crate::values::YesNo;
use crate::{Backup, Domain, words};

/// A running guest: what libvirt's `<domstatus>` says.
#[element(root = "domstatus", live, after_read, before_write)]
pub struct DomainStatus {
    /// What it does, and why.
    #[xml(flatten)]
    pub state: State,
    /// Its process.
    #[xml(attr)]
    pub pid: u32,
    /// What its makers won't answer for.
    #[xml(name = "taint")]
    pub taints: Vec<Taint>,
    /// What it uses that is about to go, in words.
    #[xml(name = "deprecation")]
    pub deprecations: Vec<String>,
    /// Where its hypervisor listens to us.
    pub monitor: Option<MonitorPlace>,
    /// A D-Bus daemon of its own runs.
    #[xml(flag)]
    pub dbus_daemon: bool,
    /// Its helpers' state moves with it by D-Bus.
    #[xml(flag, name = "dbusVMState")]
    pub dbus_vm_state: bool,
    /// What of the host it sees its own of.
    pub namespaces: Option<Namespaces>,
    /// The threads of its virtual CPUs.
    #[xml(keep)]
    pub vcpus: Option<VcpuThreads>,
    /// What its emulator could do when it was started.
    #[xml(name = "qemuCaps", keep)]
    pub qemu_caps: Option<StatusFlags>,
    /// What its locks' keeper remembers.
    #[xml(name = "lockstate")]
    pub lock_state: Option<String>,
    /// What is being done with it.
    pub job: Option<Job>,
    /// Its next power-off is the first half of a reboot.
    #[xml(flag, name = "fakereboot")]
    pub fake_reboot: bool,
    /// Devices that its hypervisor has.
    pub devices: Option<DeviceAliases>,
    /// Where the host's NUMA adviser put it.
    pub numad: Option<Placement>,
    /// The folder of its sockets.
    #[xml(attr, name = "path", on = "libDir")]
    pub lib_dir: Option<String>,
    /// The folder of its channels' sockets.
    #[xml(attr, name = "path", on = "channelTargetDir")]
    pub channel_dir: Option<String>,
    /// The folder of files behind its memory.
    #[xml(attr, name = "path", on = "memoryBackingDir")]
    pub memory_dir: Option<String>,
    /// Its virtual CPU as it was defined, where it became another.
    pub cpu: Option<Cpu>,
    /// A process besides the hypervisor writes its logs.
    #[xml(flag, name = "chardevStdioLogd")]
    pub has_log_daemon: bool,
    /// Owners of its files are remembered.
    #[xml(flag, name = "rememberOwner")]
    pub remembers_owners: bool,
    /// Whether its hypervisor lets it reboot by itself.
    #[xml(attr, name = "value", on = "allowReboot")]
    pub allow_reboot: Option<YesNo>,
    /// A process keeps its SCSI reservations.
    #[xml(flag, name = "prDaemon")]
    pub has_reservations_daemon: bool,
    /// The last number that a node of its got.
    #[xml(attr, name = "index", on = "nodename")]
    pub last_node: Option<u32>,
    /// The last number that a set of descriptors got.
    #[xml(attr, name = "index", on = "fdset")]
    pub last_fdset: Option<u32>,
    /// What is being done with its images.
    pub blockjobs: Option<BlockJobs>,
    /// Processes that are its user-mode networks.
    pub slirp: Option<SlirpHelpers>,
    /// How long its agent may take to answer, in seconds; -2: as long as it likes.
    pub agent_timeout: Option<i32>,
    /// How much memory it might lock before that was changed, in bytes.
    #[xml(name = "originalMemlock")]
    pub original_memlock: Option<u64>,
    /// A backup that goes on.
    pub backups: Option<Backups>,
    /// What it is.
    pub domain: Domain,
}

/// `<taint flag='high-privileges'/>`: what a guest's makers won't answer for.
#[element]
pub struct Taint {
    /// What it is.
    #[xml(attr)]
    pub flag: TaintFlag,
}

words! {
    /// What a guest's makers won't answer for.
    pub enum TaintFlag {
        CustomArgv = "custom-argv", CustomMonitor = "custom-monitor", HighPrivileges = "high-privileges",
        ShellScripts = "shell-scripts", DiskProbing = "disk-probing", ExternalLaunch = "external-launch",
        HostCpu = "host-cpu", HookScript = "hook-script", CdromPassthrough = "cdrom-passthrough", CustomDtb = "custom-dtb",
        CustomGaCommand = "custom-ga-command", CustomHypervisorFeature = "custom-hypervisor-feature",
        DeprecatedConfig = "deprecated-config", CustomDevice = "custom-device", NbdkitRestart = "nbdkit-restart",
    }

    /// How a monitor listens.
    pub enum MonitorKind { Unix = "unix", Pty = "pty", }
}

/// `<monitor path='/run/x/monitor.sock' type='unix'/>`: where a hypervisor listens.
#[element]
pub struct MonitorPlace {
    /// The path.
    #[xml(attr)]
    pub path: String,
    /// What is there.
    #[xml(attr)]
    pub r#type: MonitorKind,
}

/// `<namespaces>`: what of the host a guest sees its own of.
#[element]
pub struct Namespaces {
    /// Mounts.
    #[xml(flag)]
    pub mount: bool,
}

/// `<vcpus>`: the threads of virtual CPUs.
#[element(open)]
pub struct VcpuThreads {
    /// They.
    #[xml(name = "vcpu")]
    pub vcpus: Vec<VcpuThread>,
}

/// `<vcpu id='0' pid='7696'/>`: the thread of a virtual CPU.
#[element]
pub struct VcpuThread {
    /// The CPU's number.
    #[xml(attr)]
    pub id: u32,
    /// The thread's.
    #[xml(attr)]
    pub pid: u32,
}

/// `<qemuCaps>`: what an emulator can do.
#[element(open)]
pub struct StatusFlags {
    /// libvirt's words for it.
    #[xml(name = "flag")]
    pub flags: Vec<StatusFlag>,
}

/// `<flag name='kvm'/>`: something that an emulator can do.
#[element]
pub struct StatusFlag {
    /// libvirt's word for it.
    #[xml(attr)]
    pub name: String,
}

/// `<devices>`: devices that a hypervisor has.
#[element]
pub struct DeviceAliases {
    /// They.
    #[xml(name = "device")]
    pub devices: Vec<DeviceAlias>,
}

/// `<device alias='net0'/>`: a device that a hypervisor has.
#[element]
pub struct DeviceAlias {
    /// Its name there.
    #[xml(attr)]
    pub alias: String,
}

/// `<numad nodeset='0' cpuset='0-7'/>`: where a guest was put on the host.
#[element]
pub struct Placement {
    /// Nodes of its memory.
    #[xml(attr)]
    pub nodeset: Option<CpuSet>,
    /// Processors.
    #[xml(attr)]
    pub cpuset: Option<CpuSet>,
}

/// `<slirp>`: processes that are user-mode networks.
#[element]
pub struct SlirpHelpers {
    /// They.
    #[xml(name = "helper")]
    pub helpers: Vec<SlirpHelper>,
}

/// `<helper alias='net0' pid='4711'>`: the process that is an interface's user-mode network.
#[element]
pub struct SlirpHelper {
    /// The interface.
    #[xml(attr)]
    pub alias: String,
    /// The process.
    #[xml(attr)]
    pub pid: u32,
    /// What it can do.
    #[xml(name = "feature")]
    pub features: Vec<StatusFlag>,
}

/// `<backups>`: a backup that goes on.
#[element]
pub struct Backups {
    /// It.
    #[xml(name = "domainbackup")]
    pub backup: Option<Backup>,
}

impl DomainStatus {
    /// A guest of which nothing is told but what it is.
    pub fn new(state: State, pid: u32, domain: Domain) -> Self {
        DomainStatus {
            state,
            pid,
            taints: Vec::new(),
            deprecations: Vec::new(),
            monitor: None,
            dbus_daemon: false,
            dbus_vm_state: false,
            namespaces: None,
            vcpus: None,
            qemu_caps: None,
            lock_state: None,
            job: None,
            fake_reboot: false,
            devices: None,
            numad: None,
            lib_dir: None,
            channel_dir: None,
            memory_dir: None,
            cpu: None,
            has_log_daemon: false,
            remembers_owners: false,
            allow_reboot: None,
            has_reservations_daemon: false,
            last_node: None,
            last_fdset: None,
            blockjobs: None,
            slirp: None,
            agent_timeout: None,
            original_memlock: None,
            backups: None,
            domain,
        }
    }

    /// Whether the emulator could do this when the guest was started, by libvirt's word.
    pub fn could(&self, flag: &str) -> bool {
        self.qemu_caps.iter().flat_map(|caps| &caps.flags).any(|known| known.name == flag)
    }

    fn after_read(&mut self) {
        crate::xml::Root::after_read(&mut self.domain);
    }

    fn before_write(&self) -> Option<Self> {
        let domain = crate::xml::Root::before_write(&self.domain)?;
        Some(DomainStatus { domain, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DiskSource, NodeKind};
    use crate::{format, parse};

    /// A guest with every part once.
    const ALL: &str = include_str!("status/all.xml");

    #[test]
    fn what_was_read_is_written_the_same() {
        let parsed = parse::<DomainStatus>(ALL).unwrap();
        assert_eq!(parsed.unknown, []);
        assert_eq!(format(&parsed.value), ALL);
    }

    #[test]
    fn a_definition_neither_tells_nor_takes_what_only_a_status_has() {
        let status = parse::<DomainStatus>(ALL).unwrap().value;
        let definition = format(&status.domain);
        assert!(!definition.contains("privateData"), "{definition}");
        let start = ALL.find("  <domain ").unwrap();
        let end = ALL.find("</domstatus>").unwrap();
        let pasted = parse::<Domain>(&ALL[start..end]).unwrap();
        assert!(pasted.unknown.iter().any(|problem| problem.path.ends_with("/source/privateData")), "{pasted:?}");
        assert_eq!(format(&pasted.value), definition);
        assert!(!serde_json::to_string(&status.domain).unwrap().contains("libvirt-1-format"));
    }

    #[test]
    fn forgetting_what_is_live_forgets_private_data() {
        let mut status = parse::<DomainStatus>(ALL).unwrap().value;
        let source = status.domain.devices.disks[0].source.clone();
        let names =
            source.as_ref().map(DiskSource::common).and_then(|common| common.private_data.get()?.nodenames.clone());
        assert_eq!(names.unwrap().names[0].r#type, NodeKind::Storage);
        status.domain.forget_live();
        let text = format(&status);
        let (_, domain) = text.split_once("<domain ").unwrap();
        for word in
            ["privateData", "<actual", "origstates", "fromConfig", "diskSecretsPlacement", "actualType", "adjustment0"]
        {
            assert!(!domain.contains(word), "{word} in {domain}");
        }
    }
}
