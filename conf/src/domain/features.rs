//! `<features>`: features of the machine.

use ostler_conf_derive::element;

use crate::values::{OnOff, ScaledKib, ScaledPretty, YesNo};
use crate::words;
use crate::xml::{Element, Reader, Value, Writer};
use crate::{ErrorCode, Problem};

/// `<features>`: features of the machine.
#[element(closed = "ConfigUnsupported")]
pub struct Features {
    /// ACPI, which shutdown by the power button needs.
    #[xml(flag)]
    pub acpi: bool,
    /// The programmable interrupt controller.
    #[xml(keep)]
    pub apic: Option<Apic>,
    /// Physical address extension.
    #[xml(flag)]
    pub pae: bool,
    /// Paging by the hardware.
    #[xml(keep)]
    pub hap: Option<FeatureState>,
    /// Xen: Hyper-V's enlightenments.
    #[xml(flag)]
    pub viridian: bool,
    /// A container: a network of its own.
    #[xml(flag)]
    pub privnet: bool,
    /// Hyper-V's enlightenments.
    #[xml(keep)]
    pub hyperv: Option<HypervFeatures>,
    /// KVM's features.
    #[xml(keep)]
    pub kvm: Option<KvmFeatures>,
    /// Spin locks that yield.
    #[xml(keep)]
    pub pvspinlock: Option<FeatureState>,
    /// What a container may do.
    #[xml(keep)]
    pub capabilities: Option<Capabilities>,
    /// The performance counters.
    #[xml(keep)]
    pub pmu: Option<FeatureState>,
    /// VMware's I/O port.
    #[xml(keep)]
    pub vmport: Option<FeatureState>,
    /// Arm's interrupt controller.
    #[xml(keep)]
    pub gic: Option<Gic>,
    /// System management mode.
    #[xml(keep)]
    pub smm: Option<Smm>,
    /// What does the I/O interrupt controller.
    #[xml(attr, name = "driver", on = "ioapic")]
    pub ioapic: Option<IoapicDriver>,
    /// POWER's page table.
    #[xml(keep)]
    pub hpt: Option<Hpt>,
    /// What a crash dump needs to know.
    #[xml(keep)]
    pub vmcoreinfo: Option<FeatureState>,
    /// Transactional memory.
    #[xml(keep)]
    pub htm: Option<FeatureState>,
    /// Guests inside of the guest.
    #[xml(keep, name = "nested-hv")]
    pub nested_hv: Option<FeatureState>,
    /// What happens at an unknown machine register.
    #[xml(attr, name = "unknown", on = "msrs")]
    pub msrs: Option<UnknownMsrs>,
    /// Counting cache flushes by hardware.
    #[xml(keep, name = "ccf-assist")]
    pub ccf_assist: Option<FeatureState>,
    /// Xen's features.
    #[xml(keep)]
    pub xen: Option<XenFeatures>,
    /// Cache flushes at privilege changes.
    #[xml(attr, name = "value", on = "cfpc")]
    pub cfpc: Option<Workaround>,
    /// Checks of speculation barriers.
    #[xml(attr, name = "value", on = "sbbc")]
    pub sbbc: Option<Workaround>,
    /// Speculation of indirect branches.
    #[xml(attr, name = "value", on = "ibs")]
    pub ibs: Option<IndirectBranchSpeculation>,
    /// The translator's features.
    #[xml(keep)]
    pub tcg: Option<TcgFeatures>,
    /// Whether memory is given back after the guest ended.
    #[xml(attr, name = "enabled", on = "async-teardown")]
    pub async_teardown: Option<YesNo>,
    /// Arm: hardware errors are told.
    #[xml(keep)]
    pub ras: Option<FeatureState>,
    /// PS/2.
    #[xml(keep)]
    pub ps2: Option<FeatureState>,
    /// RISC-V's interrupt controller.
    #[xml(attr, name = "value", on = "aia")]
    pub aia: Option<Aia>,
}

/// `state='on'`: whether a feature is on.
#[element]
pub struct FeatureState {
    /// Whether; absent: it is.
    #[xml(attr)]
    pub state: Option<OnOff>,
}

/// `<apic/>`: the interrupt controller.
#[element]
pub struct Apic {
    /// Whether guests end interrupts by a shared flag.
    #[xml(attr)]
    pub eoi: Option<OnOff>,
}

/// `<hyperv mode='custom'>`: Hyper-V's enlightenments.
#[element(open, closed = "ConfigUnsupported")]
pub struct HypervFeatures {
    /// Whether only the named ones are on, or all that the host has.
    #[xml(attr)]
    pub mode: Option<HypervMode>,
    /// Timeouts are relaxed.
    #[xml(keep)]
    pub relaxed: Option<FeatureState>,
    /// The interrupt controller is virtual.
    #[xml(keep)]
    pub vapic: Option<FeatureState>,
    /// Spin locks that yield.
    #[xml(keep)]
    pub spinlocks: Option<Spinlocks>,
    /// Virtual CPUs know their number.
    #[xml(keep)]
    pub vpindex: Option<FeatureState>,
    /// Virtual CPUs know their run time.
    #[xml(keep)]
    pub runtime: Option<FeatureState>,
    /// A synthetic interrupt controller.
    #[xml(keep)]
    pub synic: Option<FeatureState>,
    /// Synthetic timers.
    #[xml(keep)]
    pub stimer: Option<Stimer>,
    /// The guest can reset itself.
    #[xml(keep)]
    pub reset: Option<FeatureState>,
    /// The hypervisor's name.
    #[xml(name = "vendor_id", keep)]
    pub vendor_id: Option<VendorId>,
    /// Frequencies are told.
    #[xml(keep)]
    pub frequencies: Option<FeatureState>,
    /// Migration is told.
    #[xml(keep)]
    pub reenlightenment: Option<FeatureState>,
    /// Flushes of address translations.
    #[xml(keep)]
    pub tlbflush: Option<Tlbflush>,
    /// Interrupts between processors.
    #[xml(keep)]
    pub ipi: Option<FeatureState>,
    /// Control structures for nested guests.
    #[xml(keep)]
    pub evmcs: Option<FeatureState>,
    /// Virtual interrupts by hardware.
    #[xml(keep)]
    pub avic: Option<FeatureState>,
    /// Machine registers for nested guests.
    #[xml(keep, name = "emsr_bitmap")]
    pub emsr_bitmap: Option<FeatureState>,
    /// Calls by vector registers.
    #[xml(keep, name = "xmm_input")]
    pub xmm_input: Option<FeatureState>,
}

/// `<spinlocks state='on' retries='8191'/>`: spin locks that yield.
#[element]
pub struct Spinlocks {
    /// Whether waiting for a lock gives the CPU up.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// After how many tries.
    #[xml(attr)]
    pub retries: Option<u32>,
}

/// `<stimer state='on'><direct state='on'/></stimer>`: synthetic timers.
#[element]
pub struct Stimer {
    /// Whether the guest has them.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// Whether they may interrupt directly.
    #[xml(keep)]
    pub direct: Option<FeatureState>,
}

/// `<tlbflush state='on'><direct state='on'/></tlbflush>`: flushes of address translations.
#[element]
pub struct Tlbflush {
    /// Whether the hypervisor flushes for the guest.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// Whether nested guests may.
    #[xml(keep)]
    pub direct: Option<FeatureState>,
    /// Whether parts may be flushed.
    #[xml(keep)]
    pub extended: Option<FeatureState>,
}

/// `<vendor_id state='on' value='KVM Hv'/>`: the hypervisor's name.
#[element]
pub struct VendorId {
    /// Whether it is told.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// It, 12 characters at most.
    #[xml(attr)]
    pub value: Option<String>,
}

/// `<kvm>`: KVM's features.
#[element(closed = "ConfigUnsupported")]
pub struct KvmFeatures {
    /// KVM is not shown to the guest.
    #[xml(keep)]
    pub hidden: Option<FeatureState>,
    /// Virtual CPUs have the host's for themselves.
    #[xml(keep, name = "hint-dedicated")]
    pub hint_dedicated: Option<FeatureState>,
    /// The guest decides whether the host waits awake.
    #[xml(keep, name = "poll-control")]
    pub poll_control: Option<FeatureState>,
    /// Interrupts between processors by calls.
    #[xml(keep, name = "pv-ipi")]
    pub pv_ipi: Option<FeatureState>,
    /// Changed memory is told in a ring.
    #[xml(keep, name = "dirty-ring")]
    pub dirty_ring: Option<DirtyRing>,
}

/// `<dirty-ring state='on' size='4096'/>`: changed memory is told in a ring.
#[element]
pub struct DirtyRing {
    /// Whether changed memory is told in a ring.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// How long the ring is.
    #[xml(attr)]
    pub size: Option<u32>,
}

/// `<xen>`: Xen's features.
#[element(closed = "ConfigUnsupported")]
pub struct XenFeatures {
    /// The guest sees the host's memory map.
    #[xml(keep, name = "e820_host")]
    pub e820_host: Option<FeatureState>,
    /// Devices of the host may be handed over.
    #[xml(keep)]
    pub passthrough: Option<XenPassthrough>,
}

/// `<passthrough state='on' mode='share_pt'/>`: devices of the host may be handed over.
#[element]
pub struct XenPassthrough {
    /// Whether devices of the host may be handed over.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// How page tables are kept.
    #[xml(attr)]
    pub mode: Option<XenPassthroughMode>,
}

/// `<gic version='3'/>`: Arm's interrupt controller.
#[element]
pub struct Gic {
    /// Its version, `2`, `3` or `host`.
    #[xml(attr)]
    pub version: Option<String>,
}

/// `<smm state='on'><tseg unit='MiB'>48</tseg></smm>`: system management mode.
#[element]
pub struct Smm {
    /// Whether the guest has it.
    #[xml(attr)]
    pub state: Option<OnOff>,
    /// How much memory it has.
    pub tseg: Option<ScaledPretty>,
}

/// `<hpt resizing='enabled'><maxpagesize unit='KiB'>1048576</maxpagesize></hpt>`: POWER's page table.
#[element]
pub struct Hpt {
    /// Whether it grows.
    #[xml(attr)]
    pub resizing: Option<HptResizing>,
    /// The largest page.
    pub maxpagesize: Option<ScaledKib>,
}

/// `<tcg><tb-cache unit='MiB'>128</tb-cache></tcg>`: the translator's features.
#[element]
pub struct TcgFeatures {
    /// How much translated code is kept.
    #[xml(name = "tb-cache")]
    pub tb_cache: Option<ScaledKib>,
}

/// `<capabilities policy='allow'><mknod state='off'/></capabilities>`: what a container may do.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// What holds for those that are not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<CapabilityPolicy>,
    /// The kernel's capabilities that are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
}

/// `<mknod state='off'/>`: one of the kernel's capabilities.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capability {
    /// The capability.
    pub name: CapabilityName,
    /// Whether the container has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OnOff>,
}

impl Element for Capabilities {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let mut capabilities = Vec::new();
        for name in CapabilityName::ALL {
            if let Some(child) = reader.child(name.word()) {
                capabilities.push(Capability { name: *name, state: child.attr("state")? });
            }
        }
        reader.refuse_others(ErrorCode::ConfigUnsupported)?;
        Ok(Capabilities { policy: reader.attr("policy")?, capabilities })
    }

    fn attrs(&self, writer: &mut Writer) {
        if let Some(policy) = &self.policy {
            writer.attr("policy", policy);
        }
    }

    fn body(&self, writer: &mut Writer) {
        for Capability { name, state } in &self.capabilities {
            writer.element(&name.format(), true, |writer| {
                if let Some(state) = state {
                    writer.attr("state", state);
                }
            });
        }
    }
}

words! {
    /// What holds for capabilities that are not named.
    pub enum CapabilityPolicy { Default = "default", Allow = "allow", Deny = "deny", }

    /// One of the kernel's capabilities.
    pub enum CapabilityName {
        AuditControl = "audit_control", AuditWrite = "audit_write", BlockSuspend = "block_suspend", Chown = "chown",
        DacOverride = "dac_override", DacReadSearch = "dac_read_search", Fowner = "fowner", Fsetid = "fsetid",
        IpcLock = "ipc_lock", IpcOwner = "ipc_owner", Kill = "kill", Lease = "lease",
        LinuxImmutable = "linux_immutable", MacAdmin = "mac_admin", MacOverride = "mac_override", Mknod = "mknod",
        NetAdmin = "net_admin", NetBindService = "net_bind_service", NetBroadcast = "net_broadcast",
        NetRaw = "net_raw", Setgid = "setgid", Setfcap = "setfcap", Setpcap = "setpcap", Setuid = "setuid",
        SysAdmin = "sys_admin", SysBoot = "sys_boot", SysChroot = "sys_chroot", SysModule = "sys_module",
        SysNice = "sys_nice", SysPacct = "sys_pacct", SysPtrace = "sys_ptrace", SysRawio = "sys_rawio",
        SysResource = "sys_resource", SysTime = "sys_time", SysTtyConfig = "sys_tty_config", Syslog = "syslog",
        WakeAlarm = "wake_alarm",
    }

    /// Which enlightenments are on.
    pub enum HypervMode { Custom = "custom", Passthrough = "passthrough", }

    /// What does the I/O interrupt controller.
    pub enum IoapicDriver { Qemu = "qemu", Kvm = "kvm", }

    /// Whether a page table grows.
    pub enum HptResizing { Enabled = "enabled", Disabled = "disabled", Required = "required", }

    /// What happens at an unknown machine register.
    pub enum UnknownMsrs { Ignore = "ignore", Fault = "fault", }

    /// How page tables are kept.
    pub enum XenPassthroughMode { SyncPt = "sync_pt", SharePt = "share_pt", }

    /// What is known of a flaw.
    pub enum Workaround { Broken = "broken", Workaround = "workaround", Fixed = "fixed", }

    /// What is known of the speculation of indirect branches.
    pub enum IndirectBranchSpeculation {
        Broken = "broken", Workaround = "workaround", FixedIbs = "fixed-ibs", FixedCcd = "fixed-ccd", FixedNa = "fixed-na",
    }

    /// RISC-V's interrupt controller.
    pub enum Aia { None = "none", Aplic = "aplic", AplicImsic = "aplic-imsic", }
}
