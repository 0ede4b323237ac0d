//! Definitions without a host: completed and checked exactly as on one, against facts that the caller gives.

pub mod command_line;
mod status;

pub use status::read_status;

use std::path::PathBuf;
use std::sync::Arc;

use ostler_conf::{Domain, parse};
use ostler_driver::Result;

use crate::checker::check_definition;
use crate::complete::{Host, Settings, complete_live};
use crate::probe::Capabilities;

/// An emulator with what it can do, and what else a definition depends on. Pure: nothing is looked up.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The emulator of definitions that name none.
    pub emulator: PathBuf,
    /// What it can do.
    pub capabilities: Arc<Capabilities>,
    /// Whether guests run under KVM where a definition leaves it open.
    pub kvm: bool,
    /// The host, and the driver on it.
    pub settings: Arc<Settings>,
}

/// Whose defaults a definition takes where it leaves something open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is a new one: today's.
    New,
    /// It was made before defaults changed: the old ones.
    Old,
}

impl Setting {
    /// What `xml` becomes when it is defined.
    ///
    /// # Errors
    /// What can't be read, and what [`ostler_driver::Domains::define`] refuses.
    pub fn define(&self, xml: &str, age: Age) -> Result<Domain> {
        self.complete(&parse::<Domain>(xml)?.value, age)
    }

    /// What `definition` becomes when it is defined.
    ///
    /// # Errors
    /// What [`ostler_driver::Domains::define`] refuses.
    pub fn complete(&self, definition: &Domain, age: Age) -> Result<Domain> {
        let host = Host {
            is_new: age == Age::New,
            settings: self.settings.clone(),
            ..Host::new(self.emulator.clone(), self.capabilities.clone(), self.kvm)
        };
        check_definition(definition, None, &host)
    }

    /// What `xml`, the document of a guest that runs, says of it: nothing is forgotten.
    ///
    /// # Errors
    /// What can't be read, or completed.
    pub fn read_live(&self, xml: &str) -> Result<Domain> {
        let host = Host {
            is_new: false,
            settings: self.settings.clone(),
            ..Host::new(self.emulator.clone(), self.capabilities.clone(), self.kvm)
        };
        complete_live(&parse::<Domain>(xml)?.value, &host)
    }
}
