//! The calls of the driver API, as data.

use ostler_driver::Feature;

macro_rules! operations {
    ($($name:ident: $feature:ident,)*) => {
        /// A call of the driver API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is named after its group and its call")]
        pub enum Operation { $($name,)* }

        impl Operation {
            /// All calls that need a feature.
            pub const ALL: &'static [Operation] = &[$(Operation::$name,)*];

            /// The feature that it is part of.
            pub const fn feature(self) -> Feature {
                match self { $(Operation::$name => Feature::$feature,)* }
            }

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Operation::$name => stringify!($name),)* }
            }
        }
    };
}

operations! {
    DomainCheck: DomainDefine,
    DomainDefine: DomainDefine,
    DomainUndefine: DomainDefine,
    DomainList: DomainDefine,
    DomainGet: DomainDefine,
    DomainDefinition: DomainDefine,
    DomainStart: DomainStart,
    DomainDestroy: DomainStart,
    DomainShutdown: DomainShutdown,
    DomainReboot: DomainReboot,
    DomainReset: DomainReset,
    DomainSuspend: DomainSuspend,
    DomainResume: DomainSuspend,
    DomainSetAutostart: DomainAutostart,
    DomainSetLifecycleAction: DomainLifecycleAction,
    DomainChange: DomainLiveChange,
    DomainConsole: DomainConsole,
    DomainAddresses: NetworkLeases,
    NetworkCheck: Network,
    NetworkDefine: Network,
    NetworkUndefine: Network,
    NetworkList: Network,
    NetworkGet: Network,
    NetworkDefinition: Network,
    NetworkStart: Network,
    NetworkStop: Network,
    NetworkLeases: NetworkLeases,
    NetworkReleaseLeases: NetworkLeases,
    NetworkCreatePort: NetworkPorts,
    NetworkPlugPort: NetworkPorts,
    NetworkDeletePorts: NetworkPorts,
    NetworkPorts: NetworkPorts,
    PoolCheck: StoragePool,
    PoolDefine: StoragePool,
    PoolUndefine: StoragePool,
    PoolList: StoragePool,
    PoolGet: StoragePool,
    PoolDefinition: StoragePool,
    PoolStart: StoragePool,
    PoolStop: StoragePool,
    VolumeCreate: StorageVolume,
    VolumeAdopt: StorageVolume,
    VolumeDelete: StorageVolume,
    VolumeResize: StorageVolumeResize,
    VolumeList: StorageVolume,
    VolumeGet: StorageVolume,
    VolumeResolve: StorageVolume,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub operation: Operation,
    /// On what: a domain's uuid, a name, or a pool and a volume with a slash between; empty for a list.
    pub target: String,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_call() {
        for feature in Feature::ALL {
            assert!(Operation::ALL.iter().any(|operation| operation.feature() == *feature), "{feature}");
        }
    }
}
