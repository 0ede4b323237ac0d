//! The command line: a pure function of a definition, the emulator's abilities, the driver's settings and what was found and
//! opened for this run. One file for each family of devices; [`FAMILIES`] is libvirt's order of them.

mod address;
mod audio;
pub mod block;
mod boot;
mod channel;
mod chardev;
mod clock;
mod console;
mod controller;
mod cpu;
mod crypto;
pub(crate) mod disk;
mod environment;
mod filesystem;
mod firmware;
mod graphics;
mod hostdev;
mod hub;
mod input;
pub(crate) mod interface;
mod iommu;
mod iothread;
mod launch_security;
mod machine;
mod memballoon;
mod memory;
mod memory_device;
mod monitor;
mod numa;
mod nvram;
mod panic;
mod parallel;
mod platform;
mod power;
mod props;
mod pstore;
mod redirdev;
mod rng;
mod runtime;
mod secret;
mod serial;
mod settings;
pub(crate) mod shmem;
mod smartcard;
mod smbios;
mod sound;
mod throttle;
mod topology;
mod tpm;
mod video;
mod virtio;
mod vmcoreinfo;
mod vsock;
mod watchdog;

pub(crate) use controller::driver as controller_driver;
pub(crate) use input::driver as input_driver;
pub use runtime::{
    Chain, CharFds, FdGroup, Image, MasterKey, Monitor, NetworkPort, Runtime, SecretName, Tap, TpmFacts, VsockFacts,
};
pub use settings::{HostNode, HugepageMount, Server, Settings, Tls};

use ostler_conf::Domain;
use ostler_driver::Result;
use serde_json::Value;

use self::boot::BootOrder;
pub use self::props::options as option_list;
use self::props::{Props, escape, on_off, options};
use crate::probe::{Capabilities, Flag};

/// All that a command line is made of.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The guest, its devices with their aliases, its memory in whole blocks.
    pub(crate) domain: &'a Domain,
    /// What its emulator can do.
    pub(crate) capabilities: &'a Capabilities,
    /// How the driver is set up.
    pub(crate) settings: &'a Settings,
    /// What was found and opened for this run.
    pub(crate) runtime: &'a Runtime,
    /// Which device the firmware tries when.
    pub(crate) boot: BootOrder,
}

/// What a QEMU is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Its environment, whole and in order.
    pub env: Vec<(String, String)>,
    /// The program and its arguments.
    pub args: Vec<String>,
}

/// What writes a family's part of the command line.
type Family = fn(&Setup<'_>, &mut Args) -> Result<()>;

/// The families, in libvirt's order: a device comes after the bus that it sits on.
const FAMILIES: &[Family] = &[
    machine::name,
    secret::master_key,
    disk::managed_reservations,
    firmware::flash,
    machine::machine,
    machine::accelerator,
    cpu::cpu,
    firmware::rom,
    memory::memory,
    topology::all,
    iothread::all,
    throttle::all,
    numa::all,
    machine::uuid,
    smbios::all,
    machine::generation,
    monitor::all,
    clock::all,
    power::all,
    boot::all,
    iommu::all,
    controller::globals,
    controller::before_hubs,
    hub::all,
    controller::after_hubs,
    memory_device::all,
    disk::all,
    filesystem::all,
    interface::all,
    smartcard::all,
    serial::all,
    parallel::all,
    channel::all,
    console::all,
    tpm::all,
    input::all,
    audio::all,
    graphics::all,
    video::all,
    sound::all,
    watchdog::all,
    redirdev::all,
    hostdev::all,
    machine::incoming,
    memballoon::all,
    rng::all,
    nvram::all,
    vmcoreinfo::all,
    launch_security::all,
    machine::by_hand,
    machine::sandbox,
    panic::all,
    shmem::all,
    vsock::all,
    crypto::all,
    pstore::all,
    machine::async_teardown,
    machine::messages,
];

/// What a QEMU that runs `domain` is started with.
///
/// # Errors
/// What QEMU can't do; `check` refuses it before.
pub fn command_line(
    domain: &Domain,
    capabilities: &Capabilities,
    settings: &Settings,
    runtime: &Runtime,
) -> Result<CommandLine> {
    let mut domain = domain.clone();
    // What was defined before ports were chosen at once gets them at each start, as with libvirt.
    crate::complete::usb::assign(&mut domain)?;
    crate::alias::assign(&mut domain);
    memory::align(&mut domain)?;
    let setup = Setup { domain: &domain, capabilities, settings, runtime, boot: BootOrder::of(&domain) };
    let list = vec![domain.devices.emulator.clone().unwrap_or_default()];
    let mut args = Args { env: environment::inherited(&setup), list, sets: 0 };
    for family in FAMILIES {
        family(&setup, &mut args)?;
    }
    Ok(CommandLine { env: args.env, args: args.list })
}

/// A command line that grows.
#[derive(Debug, Default)]
pub(crate) struct Args {
    env: Vec<(String, String)>,
    list: Vec<String>,
    /// The next set of descriptors.
    sets: u32,
}

impl Args {
    fn flag(&mut self, name: &str) {
        self.list.push(name.to_owned());
    }

    pub(crate) fn option(&mut self, name: &str, value: impl Into<String>) {
        self.list.extend([name.to_owned(), value.into()]);
    }

    pub(crate) fn json(&mut self, name: &str, value: &Value) {
        self.option(name, value.to_string());
    }

    fn env(&mut self, name: &str, value: impl Into<String>) {
        self.env.push((name.to_owned(), value.into()));
    }

    /// An object. All QEMUs that we take read them as JSON.
    pub(crate) fn object(&mut self, props: Props) {
        self.json("-object", &props.into_value());
    }

    /// A device, as the guest's overrides want it.
    pub(crate) fn device(&mut self, setup: &Setup<'_>, props: Props) {
        let value = overridden(setup.domain, props.into_value());
        if setup.capabilities.has(Flag::DeviceJsonHotplug) {
            self.json("-device", &value);
        } else {
            self.option("-device", options(&value, "driver"));
        }
    }

    /// The device that gives a PCI device of s390 its identity there, before the device itself.
    fn zpci(
        &mut self,
        setup: &Setup<'_>,
        place: &Option<ostler_conf::domain::Address>,
        of: &Option<ostler_conf::domain::Alias>,
    ) {
        if let Some(zpci) = address::zpci(setup.domain, place, of) {
            self.device(setup, zpci);
        }
    }

    /// The host's side of an interface.
    pub(crate) fn netdev(&mut self, setup: &Setup<'_>, value: &Value) {
        if setup.capabilities.has(Flag::NetdevJson) {
            self.json("-netdev", value);
        } else {
            self.option("-netdev", options(value, "type"));
        }
    }

    /// A descriptor by a path that QEMU can open.
    pub(crate) fn descriptor(&mut self, fd: i32, what: &str) -> String {
        let set = self.sets;
        self.sets += 1;
        self.option("-add-fd", format!("set={set},fd={fd},opaque={what}"));
        format!("/dev/fdset/{set}")
    }
}

/// A device's properties after `<qemu:override>`: each that is named there is taken out, and put at the end with its value.
fn overridden(domain: &Domain, mut value: Value) -> Value {
    use ostler_conf::domain::QemuPropertyKind as Kind;
    let id = value["id"].as_str().map(str::to_owned);
    let devices = domain.qemu_override.iter().flat_map(|all| &all.devices);
    let properties = devices
        .filter(|device| Some(&device.alias) == id.as_ref())
        .flat_map(|device| &device.frontend)
        .flat_map(|frontend| &frontend.properties);
    for property in properties {
        let Some(members) = value.as_object_mut() else { break };
        members.shift_remove(&property.name);
        let text = property.value.as_deref().unwrap_or_default();
        let replaced = match property.r#type {
            Kind::Remove => continue,
            Kind::String => Value::from(text),
            Kind::Unsigned => text.parse::<u64>().map(Value::from).unwrap_or(Value::Null),
            Kind::Signed => text.parse::<i64>().map(Value::from).unwrap_or(Value::Null),
            Kind::Bool => Value::from(text == "true"),
        };
        members.insert(property.name.clone(), replaced);
    }
    value
}

/// A JSON object without the members that are null.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Props::default().extend(members).into_value()
}

pub(crate) fn alias(alias: &Option<ostler_conf::domain::Alias>) -> &str {
    alias.as_ref().map_or("", |alias| &alias.name)
}

#[cfg(test)]
mod tests;
