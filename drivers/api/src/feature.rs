//! What a driver can do, as data.

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One ability of a driver. A driver lists exactly those that it has; the behaviour suite runs a trial for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Feature { $($(#[$doc])* $name,)* }

        impl Feature {
            /// All features there are.
            pub const ALL: &'static [Feature] = &[$(Feature::$name,)*];

            /// The feature's name.
            pub const fn name(self) -> &'static str {
                match self { $(Feature::$name => stringify!($name),)* }
            }
        }
    };
}

features! {
    /// Definitions are checked, kept and listed.
    DomainDefine,
    /// Domains are started and destroyed.
    DomainStart,
    /// A guest is asked to shut down.
    DomainShutdown,
    /// A guest is asked to reboot.
    DomainReboot,
    /// A guest is reset as by its button.
    DomainReset,
    /// A guest's CPUs are stopped and continued.
    DomainSuspend,
    /// A domain is started with the host.
    DomainAutostart,
    /// What happens at a guest's own reboot can be changed while it runs.
    DomainLifecycleAction,
    /// Parts of a running guest's definition are changed without a restart.
    DomainLiveChange,
    /// A guest's serial console can be opened.
    DomainConsole,
    /// Networks are defined, started and stopped.
    Network,
    /// Leases of a network are read.
    NetworkLeases,
    /// Guests' ports are made on a network.
    NetworkPorts,
    /// Storage pools are defined, started and stopped.
    StoragePool,
    /// Volumes are made, listed and deleted.
    StorageVolume,
    /// Volumes are made larger.
    StorageVolumeResize,
}

impl std::fmt::Display for Feature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
