//! `<capabilities>`: what a host is and which guests it can have. libvirt: formatcaps.html.

mod cache;
mod cpu;
mod guest;
mod topology;

pub use cache::{BankType, CacheBank, CacheControl, CacheMonitor, HostCaches, MemoryBandwidth, MonitorFeature};
pub use cache::{MemoryBandwidthControl, MemoryBandwidthNode};
pub use cpu::{Counter, CpuSignature, HostCpu, HostCpuAbilities, HostFeature, HostPages, Microcode};
pub use guest::{Guest, GuestArch, GuestDomain, GuestFeatures, GuestMachine, Toggle};
pub use topology::{Cell, CellCpu, CellCpus, Cells, HostTopology};

use ostler_conf_derive::element;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Problem;
use crate::values::YesNo;
use crate::xml::{Element, Reader, Root, Writer};

/// What a host is and which guests it can have: what libvirt's `<capabilities>` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// The host.
    pub host: CapableHost,
    /// The guests: one for each kind and architecture.
    pub guests: Vec<Guest>,
}

/// `<host>`: what a host is.
#[element]
pub struct CapableHost {
    /// Its identity.
    pub uuid: Option<Uuid>,
    /// Its processors.
    pub cpu: HostCpu,
    /// How it can sleep; absent: not known.
    #[xml(name = "power_management", keep)]
    pub power_management: Option<PowerManagement>,
    /// Whether devices' memory accesses can be bounded.
    pub iommu: Option<Iommu>,
    /// How guests can move.
    #[xml(name = "migration_features", keep)]
    pub migration_features: Option<MigrationFeatures>,
    /// What generated names of interfaces begin with.
    pub netprefix: Option<String>,
    /// Its NUMA nodes.
    pub topology: Option<HostTopology>,
    /// Its processors' caches.
    pub cache: Option<HostCaches>,
    /// How its memory's bandwidth can be shared out.
    #[xml(name = "memory_bandwidth")]
    pub memory_bandwidth: Option<MemoryBandwidth>,
    /// What separates guests from each other.
    #[xml(name = "secmodel")]
    pub secmodels: Vec<SecurityModel>,
}

/// `<power_management>`: how a host can sleep.
#[element]
pub struct PowerManagement {
    /// With its memory kept.
    #[xml(name = "suspend_mem", flag)]
    pub suspend_mem: bool,
    /// With its memory on disk.
    #[xml(name = "suspend_disk", flag)]
    pub suspend_disk: bool,
    /// With both.
    #[xml(name = "suspend_hybrid", flag)]
    pub suspend_hybrid: bool,
}

/// `<iommu support='yes'/>`: whether devices' memory accesses can be bounded.
#[element]
pub struct Iommu {
    /// Whether they can.
    #[xml(attr)]
    pub support: YesNo,
}

/// `<migration_features>`: how guests can move.
#[element]
pub struct MigrationFeatures {
    /// While they run.
    #[xml(flag)]
    pub live: bool,
    /// By which transports.
    #[xml(name = "uri_transports")]
    pub uri_transports: Option<UriTransports>,
}

/// `<uri_transports>`: transports of migrations.
#[element]
pub struct UriTransports {
    /// Their names.
    #[xml(name = "uri_transport")]
    pub uri_transports: Vec<String>,
}

/// `<secmodel>`: what separates guests from each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SecurityModel {
    /// Its name.
    pub model: String,
    /// Its domain of interpretation.
    pub doi: String,
    /// What guests have where they say nothing.
    pub baselabels: Vec<BaseLabel>,
}

/// `<baselabel type='kvm'>+107:+107</baselabel>`: what guests of a type have where they say nothing.
#[element]
pub struct BaseLabel {
    /// The type.
    #[xml(attr)]
    pub r#type: String,
    /// The label.
    #[xml(text)]
    pub label: String,
}

impl Element for SecurityModel {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(SecurityModel {
            model: reader.element("model")?.unwrap_or_default(),
            doi: reader.element("doi")?.unwrap_or_default(),
            baselabels: reader.elements("baselabel")?,
        })
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, w: &mut Writer) {
        // Both are written even when empty.
        w.element("model", true, |w| w.inline_text(&self.model));
        w.element("doi", true, |w| w.inline_text(&self.doi));
        for label in &self.baselabels {
            w.element("baselabel", true, |w| {
                label.attrs(w);
                label.body(w);
            });
        }
    }
}

impl Root for Capabilities {
    const NAME: &'static str = "capabilities";
}

impl Element for Capabilities {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        Ok(Capabilities { host: reader.required_element("host")?, guests: reader.elements("guest")? })
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, w: &mut Writer) {
        let mut part = |name: &str, attrs: &dyn Fn(&mut Writer), body: &dyn Fn(&mut Writer)| {
            w.blank_line();
            w.element(name, true, |w| {
                attrs(w);
                body(w);
            });
        };
        part("host", &|w| self.host.attrs(w), &|w| self.host.body(w));
        for guest in &self.guests {
            part("guest", &|w| guest.attrs(w), &|w| guest.body(w));
        }
        w.blank_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host and a guest that say everything once.
    const ALL: &str = include_str!("capabilities/all.xml");

    #[test]
    fn what_was_read_is_written_the_same() {
        let parsed = crate::parse::<Capabilities>(ALL).unwrap();
        assert_eq!(parsed.unknown, []);
        assert_eq!(crate::format(&parsed.value), ALL);
        let yaml = serde_json::to_string(&parsed.value).unwrap();
        assert_eq!(serde_json::from_str::<Capabilities>(&yaml).unwrap(), parsed.value);
    }
}
