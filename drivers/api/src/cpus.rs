//! CPU models, and what a host's processors are among them.

use ostler_conf::domain::{Cpu, CpuFeature, CpuFeaturePolicy, CpuMatch, CpuMode, CpuModel};

use crate::Result;

/// Knows the named CPU models of every architecture, and compares, completes and finds descriptions in their terms.
/// Pure: it asks no hypervisor, and the host only in [`Cpus::host`].
///
/// An error is `NoSupport` where nothing is known of an architecture's CPUs, `InternalError` for a name that is unknown.
pub trait Cpus: Send + Sync + std::fmt::Debug {
    /// The names of an architecture's models, as a guest may name them. Empty: any name may be one.
    fn models(&self, arch: &str) -> Vec<&'static str>;

    /// The maker of a model, where the tables tell one.
    fn vendor_of(&self, arch: &str, model: &str) -> Option<&'static str>;

    /// The versioned name that a model stands for, as `Haswell-v4` of `Haswell-noTSX-IBRS`; a hypervisor may not have it yet.
    fn canonical(&self, arch: &str, model: &str) -> Option<&'static str>;

    /// The name of a feature here, by the hypervisor's name; one that is unknown keeps its name.
    fn feature_name<'a>(&self, arch: &str, name: &'a str) -> &'a str;

    /// The processors of this machine as the nearest named model and what they have besides.
    ///
    /// # Errors
    /// `NoSupport` where they can't be asked.
    fn host(&self) -> Result<HostCpu>;

    /// Whether `host` can give `cpu`, by the named models alone.
    fn compare(&self, host: &HostCpu, cpu: &Cpu) -> Result<Comparison>;

    /// A host without what a guest can't take along to another: what guests are given of it.
    fn migratable(&self, host: &HostCpu) -> HostCpu;

    /// Settles what depends on the host: `host-model` and `match='minimum'` become a named model, optional features are
    /// required or disabled. Features that went from a model in later hypervisors get `removed`, unless they stand there.
    fn update(&self, cpu: &mut Cpu, host: &HostCpu, removed: RemovedFeatures) -> Result<()>;

    /// Says `cpu` with one of the models that the hypervisor has, where it names another and allows that.
    ///
    /// # Errors
    /// `ConfigUnsupported` where it does not allow it.
    fn translate(&self, arch: &str, cpu: &mut Cpu, offered: Offered<'_>) -> Result<()>;

    /// The guest CPU that a hypervisor describes by properties (QEMU's `query-cpu-model-expansion`): what `host-model` means.
    fn described(&self, arch: &str, properties: &[Property<'_>], offered: Offered<'_>) -> Result<Cpu>;

    /// The guest CPU nearest to a host, by a model on offer: what `host-model` means where the hypervisor describes none.
    ///
    /// # Errors
    /// No model on offer fits.
    fn host_model(&self, host: &HostCpu, offered: Offered<'_>) -> Result<Cpu> {
        let mut cpu = Cpu { mode: Some(CpuMode::HostModel), ..Cpu::default() };
        self.update(&mut cpu, &self.migratable(host), RemovedFeatures::Disabled)?;
        self.translate(&host.arch, &mut cpu, offered)?;
        Ok(cpu)
    }

    /// The best CPU that all of `cpus` can give; hosts stand there as [`HostCpu::as_cpu`].
    ///
    /// # Errors
    /// `OperationFailed` where they have nothing in common.
    fn baseline(&self, arch: &str, cpus: &[Cpu], options: BaselineOptions<'_>) -> Result<Cpu>;

    /// Whether the features of a guest's CPU are known.
    ///
    /// # Errors
    /// The first that is not.
    fn check_features(&self, arch: &str, cpu: &Cpu) -> Result<()>;

    /// Whether libvirt's own comparison decides about `check='partial'` for this model; else what QEMU says of it does.
    fn is_compared_by_model(&self, arch: &str, model: &str) -> bool;

    /// Whether a guest that checks partially can start: the features that the hypervisor lacks of its model and the required
    /// ones are no obstacle only where the guest does without them.
    fn check_partially(&self, host: &HostCpu, cpu: &Cpu, unavailable: Option<&[String]>) -> Result<Comparison>;

    /// Writes into `cpu` what a running guest has really got.
    ///
    /// # Errors
    /// `OperationFailed` with all differences, where `check='full'` allows none.
    fn update_live(&self, arch: &str, cpu: &mut Cpu, enabled: &[Property<'_>], disabled: &[Property<'_>])
    -> Result<()>;
}

/// A host's processors: the nearest named model, and what they have besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostCpu {
    /// Their architecture, by libvirt's name.
    pub arch: String,
    /// The model.
    pub model: Option<String>,
    /// Their maker.
    pub vendor: Option<String>,
    /// Which they are of their maker's.
    pub signature: Option<CpuSignature>,
    /// What they have besides the model, in the tables' order.
    pub features: Vec<String>,
}

impl HostCpu {
    /// A CPU that wants at least all of this host.
    pub fn as_cpu(&self) -> Cpu {
        let required = |name: &String| CpuFeature { policy: Some(CpuFeaturePolicy::Require), name: name.clone() };
        Cpu {
            r#match: Some(CpuMatch::Minimum),
            model: Some(CpuModel { name: self.model.clone(), ..CpuModel::default() }),
            vendor: self.vendor.clone(),
            features: self.features.iter().map(required).collect(),
            ..Cpu::default()
        }
    }
}

/// Which of its maker's a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSignature {
    /// The family, the extended one added.
    pub family: u32,
    /// The model, the extended one before it.
    pub model: u32,
    /// The stepping.
    pub stepping: u32,
}

/// How a host stands to a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It can't give it.
    Incompatible,
    /// It is just that.
    Identical,
    /// It can give it and has more.
    Superset,
}

/// The models that a hypervisor has, each with what it lacks of it here; `None`: any.
pub type Offered<'a> = Option<&'a [OfferedModel]>;

/// A model that a hypervisor has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedModel {
    /// Its name.
    pub name: String,
    /// What keeps it from being used as it is, by the hypervisor's names.
    pub blockers: Vec<String>,
}

/// What becomes of a feature that went from a model in later hypervisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedFeatures {
    /// The guest is an old one: it goes on having it.
    Required,
    /// It does without.
    Disabled,
}

/// What a hypervisor says of a CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Property<'a> {
    /// A feature, by the hypervisor's name, is on.
    Feature(&'a str),
    /// The maker, in the 12 characters that a guest sees.
    Vendor(&'a str),
    /// Which of its maker's it is.
    Signature(CpuSignature),
}

/// How a baseline is to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct BaselineOptions<'a> {
    /// The models that may be named.
    pub offered: Offered<'a>,
    /// Name every feature, those of the model too.
    pub expand: bool,
    /// Leave out what a guest can't take along to another host.
    pub migratable: bool,
}
