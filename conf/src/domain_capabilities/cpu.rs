//! `<cpu>` of domain capabilities: which CPUs guests can have.

use ostler_conf_derive::element;

use super::Choice;
use crate::Problem;
use crate::domain::{CpuFeature, CpuMode, CpuModelFallback, MaxPhysAddr};
use crate::values::YesNo;
use crate::words;
use crate::xml::{Element, Reader, Writer};
use serde::{Deserialize, Serialize};

/// `<cpu>`: which CPUs guests can have.
#[element(open)]
pub struct CpuModes {
    /// By the mode of a guest's `<cpu>`.
    #[xml(name = "mode")]
    pub modes: Vec<CpuModeSupport>,
}

/// `<mode name='host-model' supported='yes'>`: whether guests can have a mode, and with what.
#[element]
pub struct CpuModeSupport {
    /// The mode.
    #[xml(attr)]
    pub name: CpuMode,
    /// Whether they can.
    #[xml(attr)]
    pub supported: YesNo,
    /// What can be said of it.
    #[xml(name = "enum")]
    pub enums: Vec<Choice>,
    /// What the guest gets.
    #[xml(flatten)]
    pub content: CpuModelSupport,
}

/// What a guest gets: one description of the host's CPU, or a choice of models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CpuModelSupport {
    /// Nothing more is known.
    #[default]
    None,
    /// As near to the host's as a named model and features can say.
    Host(HostModel),
    /// One of these.
    Models(CpuModels),
}

/// The host's CPU as guests get it with `host-model`.
#[element]
pub struct HostModel {
    /// The named model.
    pub model: Fallback,
    /// Its maker.
    pub vendor: Option<String>,
    /// How long a physical address is.
    pub maxphysaddr: Option<MaxPhysAddr>,
    /// What it has besides, or lacks.
    #[xml(name = "feature")]
    pub features: Vec<CpuFeature>,
}

/// `<model fallback='forbid'>EPYC-Genoa</model>`: a named model.
#[element]
pub struct Fallback {
    /// Whether another may be taken.
    #[xml(attr)]
    pub fallback: CpuModelFallback,
    /// Its name.
    #[xml(text)]
    pub name: String,
}

/// Named models, each followed by what keeps it from being used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CpuModels {
    /// The models.
    pub models: Vec<(ModelEntry, Option<CpuBlockers>)>,
}

words! {
    /// Whether guests can have a CPU model here.
    pub enum Usable {
        /// They can.
        Yes = "yes",
        /// The host lacks something of it.
        No = "no",
        /// It can't be told.
        Unknown = "unknown",
    }
}

/// `<model usable='yes' vendor='Intel' canonical='Haswell-v4'>Haswell-noTSX-IBRS</model>`: a named model.
#[element]
pub struct ModelEntry {
    /// Whether guests can have it here.
    #[xml(attr)]
    pub usable: Usable,
    /// Whether it is about to go.
    #[xml(attr)]
    pub deprecated: Option<YesNo>,
    /// Its maker.
    #[xml(attr)]
    pub vendor: String,
    /// The versioned name that it stands for.
    #[xml(attr)]
    pub canonical: Option<String>,
    /// Its name.
    #[xml(text)]
    pub name: String,
}

/// `<blockers model='Haswell'>`: what the host lacks of a model.
#[element]
pub struct CpuBlockers {
    /// The model.
    #[xml(attr)]
    pub model: String,
    /// Features.
    #[xml(name = "feature")]
    pub features: Vec<crate::capabilities::HostFeature>,
}

impl Element for CpuModelSupport {
    fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        match reader.attr::<CpuMode>("name")? {
            Some(CpuMode::Custom) => {
                let mut blockers = reader.elements::<CpuBlockers>("blockers")?;
                let models = reader.elements::<ModelEntry>("model")?.into_iter().map(|model| {
                    let at = blockers.iter().position(|blockers| blockers.model == model.name);
                    (model, at.map(|at| blockers.remove(at)))
                });
                let models: Vec<_> = models.collect();
                Ok(if models.is_empty() {
                    CpuModelSupport::None
                } else {
                    CpuModelSupport::Models(CpuModels { models })
                })
            }
            Some(CpuMode::HostModel) if reader.child_or_absent("model").is_present() => {
                HostModel::read(reader).map(CpuModelSupport::Host)
            }
            _ => Ok(CpuModelSupport::None),
        }
    }

    fn attrs(&self, _: &mut Writer) {}

    fn body(&self, w: &mut Writer) {
        match self {
            CpuModelSupport::None => {}
            CpuModelSupport::Host(host) => host.body(w),
            CpuModelSupport::Models(CpuModels { models }) => {
                for (model, blockers) in models {
                    child(w, "model", model);
                    blockers.iter().for_each(|blockers| child(w, "blockers", blockers));
                }
            }
        }
    }
}

fn child(w: &mut Writer, name: &str, element: &impl Element) {
    w.element(name, true, |w| {
        element.attrs(w);
        element.body(w);
    });
}
