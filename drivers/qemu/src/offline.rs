//! Definitions without a host: completed and checked exactly as on one, against facts that the caller gives.

pub mod command_line;
pub mod stand_ins;
mod status;

pub use status::read_status;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ostler_conf::domain::GraphicsKind;
use ostler_conf::{Domain, parse};
use ostler_driver::{Cpus, Error, Result};
use ostler_util::ErrorCode;

use crate::checker::check_definition;
use crate::complete::firmware::Descriptor;
use crate::complete::{Host, Settings, complete_live};
use crate::probe::Capabilities;
use command_line::CommandLine;
use stand_ins::Folders;

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

/// Asks an emulator what it can do. It runs for a moment, with no machine; nothing is kept.
///
/// # Errors
/// There is no such program, or it doesn't answer.
pub fn ask(emulator: &Path) -> Result<Capabilities> {
    crate::probe::ask(emulator)
}

/// The firmware that descriptors in `folder` describe; without one, what is installed on this host.
pub fn firmware(folder: Option<&Path>) -> Vec<Descriptor> {
    folder.map_or_else(crate::firmware::installed, |folder| crate::firmware::descriptors(&[folder]))
}

/// The emulator of a definition that names none.
pub fn emulator(definition: &Domain) -> PathBuf {
    crate::complete::default_emulator(definition.os.r#type.arch.as_deref())
}

/// What an emulator can do, as it was found out before: libvirt's saved capabilities, or what an agent has kept.
///
/// # Errors
/// It is neither.
pub fn read_capabilities(text: &str) -> Result<Capabilities> {
    if text.trim_start().starts_with('<') {
        return Ok(Capabilities::from_saved(text)?);
    }
    crate::probe::read_kept(text).map_err(|error| {
        let message = format!("neither libvirt's saved capabilities (<qemuCaps>) nor what an agent keeps: {error}");
        Error::new(ErrorCode::ConfigUnsupported, message).with_source(error)
    })
}

impl Setting {
    /// The command line that a start of `definition` would run, with stand-ins for what a start finds and opens.
    ///
    /// # Guarantees
    /// Pure. A port that a start would choose is the first one. No secret is shown, nor what one is encrypted to.
    ///
    /// # Errors
    /// What [`Setting::complete`] refuses, and what the emulator can't do.
    pub fn command_line(&self, definition: &Domain, folders: &Folders, cpus: &dyn Cpus) -> Result<CommandLine> {
        let mut domain = self.complete(definition, Age::New)?;
        command_line::name_devices(&mut domain);
        domain.devices.graphics.iter_mut().for_each(|graphics| choose_ports(&mut graphics.kind));
        let mut runtime = stand_ins::runtime(&domain, folders);
        runtime.cpu = command_line::settle_cpu(&domain, &self.capabilities, None, cpus)?;
        let mut line =
            command_line::command_line(&domain, &self.capabilities, &stand_ins::settings(folders), &runtime)?;
        line.args.iter_mut().for_each(hide_secret);
        Ok(line)
    }
}

fn choose_ports(graphics: &mut GraphicsKind) {
    match graphics {
        GraphicsKind::Vnc(vnc) if vnc.autoport.is_some_and(|on| on.0) => vnc.port = Some(5900),
        GraphicsKind::Spice(spice) if spice.autoport.is_some_and(|on| on.0) => spice.port = Some(5900),
        _ => {}
    }
}

/// What a definition says itself (a cookie) is encrypted under a key that anybody could know here.
fn hide_secret(argument: &mut String) {
    let Ok(mut object) = serde_json::from_str::<serde_json::Value>(argument) else { return };
    if object["qom-type"] == "secret" && object["data"].is_string() {
        object["data"] = "SECRET".into();
        *argument = object.to_string();
    }
}
