//! Asking an emulator what it can do.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::json;

use super::accelerated::{cpus, host_cpu, hyperv, machines};
use super::capabilities::{Accelerated, Accelerator, Capabilities, Gic, Sev, Sgx};
use super::flags::{Flag, Flags};
use super::link::{AskError, Link, Monitor};
use super::properties::{AskedMachine, DEVICES, MACHINES, MIGRATION, OBJECTS, OPTIONS, TPM};
use super::schema::Schema;

#[derive(Deserialize)]
struct Ignored {}

#[derive(Deserialize)]
struct Version {
    qemu: VersionParts,
    #[serde(default)]
    package: String,
}

#[derive(Deserialize)]
struct VersionParts {
    major: u32,
    minor: u32,
    micro: u32,
}

#[derive(Deserialize)]
struct Target {
    arch: String,
}

#[derive(Deserialize)]
struct Kvm {
    enabled: bool,
    present: bool,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct CommandLineOption {
    option: String,
    parameters: Vec<Named>,
}

#[derive(Deserialize)]
struct MigrationCapability {
    capability: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SevAnswer {
    cbitpos: u32,
    reduced_phys_bits: u32,
    pdh: String,
    cert_chain: String,
    cpu0_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SgxAnswer {
    flc: bool,
    sgx1: bool,
    sgx2: bool,
    section_size: Option<u64>,
    #[serde(default)]
    sections: Vec<SgxSection>,
}

#[derive(Deserialize)]
struct SgxSection {
    node: u32,
    size: u64,
}

/// QEMU's names of architectures that libvirt spells otherwise.
const ARCHITECTURES: &[(&str, &str)] = &[("arm", "armv7l"), ("i386", "i686"), ("or1k", "or32")];

impl Capabilities {
    /// Asks an emulator that was started with every accelerator of the host. `known` is what the host has and QEMU doesn't tell.
    ///
    /// # Errors
    /// It is silent, or no QEMU.
    pub fn ask(link: &mut dyn Link, known: Flags) -> Result<Self, AskError> {
        let monitor = &mut Monitor::new(link);
        let _: Ignored = monitor.ask("qmp_capabilities")?;
        let Version { qemu: VersionParts { major, minor, micro }, package } = monitor.ask("query-version")?;
        let Target { arch } = monitor.ask("query-target")?;
        let spelling = ARCHITECTURES.iter().find(|(qemus, _)| *qemus == arch);
        let mut found = Capabilities {
            version: major * 1_000_000 + minor * 1000 + micro,
            package,
            arch: spelling.map_or(arch, |(_, libvirts)| (*libvirts).to_owned()),
            flags: known,
            ..Capabilities::default()
        };
        let schema: Schema = monitor.ask("query-qmp-schema")?;
        found.flags.extend(schema.flags().iter());
        drop(schema);
        let kvm: Option<Kvm> = monitor.try_ask("query-kvm", None)?;
        found.flags.extend(kvm.filter(|kvm| kvm.enabled && kvm.present).map(|_| Flag::Kvm));
        let types: Vec<Named> = monitor.ask("qom-list-types")?;
        let types: HashSet<String> = types.into_iter().map(|Named { name }| name).collect();
        found.add_types(types.iter().cloned());
        found.ask_properties(monitor, &types)?;
        let accelerator = found.native_accelerator();
        found.accelerated_mut(accelerator).machines = machines(monitor, &found.arch.clone())?;
        found.ask_machine_properties(monitor, accelerator)?;
        let cpus = cpus(monitor, &found.arch, &found.flags)?;
        found.flags.extend(cpus.iter().any(|cpu| cpu.name == "max").then_some(Flag::CpuMax));
        found.accelerated_mut(accelerator).cpus = cpus;
        found.ask_options(monitor)?;
        found.ask_platform(monitor)?;
        found.flags.extend(flags_of_arch(&found.arch).iter().copied());
        found.accelerated_mut(accelerator).host_cpu =
            host_cpu(monitor, &found.arch.clone(), &found.flags.clone(), "host")?;
        found.hyperv = hyperv(monitor, &found.arch, &found.flags)?;
        Ok(found)
    }

    /// Whether it should be asked again, started with its translator only.
    pub fn has_translator_besides(&self) -> bool {
        self.native_accelerator() != Accelerator::Tcg && self.has(Flag::Tcg)
    }

    /// Asks the same emulator, now started with its translator only.
    ///
    /// # Errors
    /// It is silent, or no QEMU.
    pub fn ask_translator(&mut self, link: &mut dyn Link) -> Result<(), AskError> {
        let monitor = &mut Monitor::new(link);
        let _: Ignored = monitor.ask("qmp_capabilities")?;
        let cpus = cpus(monitor, &self.arch, &self.flags)?;
        let host_cpu = host_cpu(monitor, &self.arch, &self.flags, "max")?;
        let machines = machines(monitor, &self.arch)?;
        self.tcg = Accelerated { host_cpu, cpus, machines, ..Accelerated::default() };
        Ok(())
    }

    /// What it was started with.
    fn native_accelerator(&self) -> Accelerator {
        match (self.has(Flag::Kvm), self.has(Flag::Hvf)) {
            (true, _) => Accelerator::Kvm,
            (false, true) => Accelerator::Hvf,
            (false, false) => Accelerator::Tcg,
        }
    }

    fn ask_properties(&mut self, monitor: &mut Monitor<'_>, types: &HashSet<String>) -> Result<(), AskError> {
        let devices = DEVICES.iter().map(|asked| ("device-list-properties", asked));
        let objects = OBJECTS.iter().filter(|asked| types.contains(asked.r#type));
        for (command, asked) in devices.chain(objects.map(|asked| ("qom-list-properties", asked))) {
            if asked.needs.is_none_or(|flag| self.has(flag)) {
                self.ask_type(monitor, command, asked.r#type, asked.properties)?;
            }
        }
        Ok(())
    }

    fn ask_machine_properties(&mut self, monitor: &mut Monitor<'_>, accelerator: Accelerator) -> Result<(), AskError> {
        for AskedMachine { name, shared, properties } in MACHINES {
            let machine = self.accelerated(accelerator).machine(Some(name));
            // What is no machine for a guest is there all the same.
            if machine.is_none() && *name != "none" {
                continue;
            }
            let own = machine.map_or(*name, |machine| &machine.name);
            let r#type = shared.map_or_else(|| format!("{own}-machine"), str::to_owned);
            self.ask_type(monitor, "qom-list-properties", &r#type, properties)?;
        }
        Ok(())
    }

    fn ask_type(
        &mut self,
        monitor: &mut Monitor<'_>,
        command: &str,
        r#type: &str,
        properties: &[(&str, Flag)],
    ) -> Result<(), AskError> {
        let there: Option<Vec<Named>> = monitor.try_ask(command, Some(json!({ "typename": r#type })))?;
        let there = there.unwrap_or_default();
        let is_there = |name: &str| there.iter().any(|property| property.name == name);
        self.flags.extend(properties.iter().filter(|(name, _)| is_there(name)).map(|(_, flag)| *flag));
        Ok(())
    }

    fn ask_options(&mut self, monitor: &mut Monitor<'_>) -> Result<(), AskError> {
        for command in ["query-tpm-models", "query-tpm-types"] {
            let names: Vec<String> = monitor.try_ask(command, None)?.unwrap_or_default();
            self.flags.extend(flags_named(TPM, names.iter().map(String::as_str)));
        }
        let options: Vec<CommandLineOption> = monitor.ask("query-command-line-options")?;
        let is_there = |option: &str, parameter: &str| {
            let mut options = options.iter().filter(|known| known.option == option);
            options.any(|known| known.parameters.iter().any(|known| known.name == parameter))
        };
        self.flags.extend(OPTIONS.iter().filter(|(option, of, _)| is_there(option, of)).map(|(_, _, flag)| *flag));
        let migration: Vec<MigrationCapability> = monitor.ask("query-migrate-capabilities")?;
        self.flags.extend(flags_named(MIGRATION, migration.iter().map(|known| known.capability.as_str())));
        Ok(())
    }

    /// What the host's processor has for guests. A type of object says no more than that QEMU knows of it.
    fn ask_platform(&mut self, monitor: &mut Monitor<'_>) -> Result<(), AskError> {
        if matches!(self.arch.as_str(), "aarch64" | "armv7l") {
            self.gic = monitor.try_ask::<Vec<Gic>>("query-gic-capabilities", None)?.unwrap_or_default();
        }
        if self.has(Flag::SevGuest) {
            let sev: Option<SevAnswer> = monitor.try_ask("query-sev-capabilities", None)?;
            if sev.is_none() {
                self.flags.remove(Flag::SevGuest);
                self.flags.remove(Flag::SevSnpGuest);
            }
            self.sev = sev.map(|sev| Sev {
                cbitpos: sev.cbitpos,
                reduced_phys_bits: sev.reduced_phys_bits,
                pdh: sev.pdh,
                cert_chain: sev.cert_chain,
                cpu0_id: sev.cpu0_id,
                ..Sev::default()
            });
        }
        if self.has(Flag::SgxEpc) {
            let sgx: Option<SgxAnswer> = monitor.try_ask("query-sgx-capabilities", None)?;
            if sgx.is_none() {
                self.flags.remove(Flag::SgxEpc);
            }
            self.sgx = sgx.map(|sgx| Sgx {
                flc: sgx.flc,
                sgx1: sgx.sgx1,
                sgx2: sgx.sgx2,
                section_size_kib: sgx
                    .section_size
                    .map_or_else(|| sgx.sections.iter().map(|section| section.size / 1024).sum(), |size| size / 1024),
                sections: sgx.sections.iter().map(|section| (section.node, section.size / 1024)).collect(),
            });
        }
        Ok(())
    }
}

fn flags_named<'a>(table: &[(&str, Flag)], names: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Flag> {
    let find = |name| table.iter().find(|(known, _)| *known == name).map(|(_, flag)| *flag);
    names.into_iter().filter_map(find).collect::<Vec<_>>().into_iter()
}

/// What all emulators of an architecture have, and no answer tells.
fn flags_of_arch(arch: &str) -> &'static [Flag] {
    match arch {
        "x86_64" | "i686" => &[Flag::CanonicalCpuFeatures],
        // It is on the board, and can't be added to another.
        "sparc" => &[Flag::Ncr53c90],
        _ => &[],
    }
}
