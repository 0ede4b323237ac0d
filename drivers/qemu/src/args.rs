//! The command line: a pure function of a definition, the emulator's abilities and what was opened for this run.

mod address;
mod boot;
mod chardev;
mod controller;
pub(crate) mod disk;
pub(crate) mod interface;
mod machine;
mod small_devices;

pub(crate) use controller::driver as controller_driver;
pub(crate) use small_devices::input_driver;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ostler_conf::Domain;
use ostler_driver::Result;
use serde_json::Value;

use self::boot::BootOrder;

/// What was found and opened for one run of a guest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runtime {
    /// The listening socket of the monitor.
    pub(crate) monitor: i32,
    /// The image of each disk that has one, with the chain below it, by target.
    pub(crate) images: BTreeMap<String, Chain>,
    /// The tap device of each interface that has one, by alias.
    pub(crate) taps: BTreeMap<String, Tap>,
    /// What character devices were opened for, by alias.
    pub(crate) chardevs: BTreeMap<String, CharFds>,
}

/// An image with those that it stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The images, top first.
    pub(crate) images: Vec<Image>,
    /// Whether these are all: then QEMU is not to follow what an image says.
    pub(crate) is_whole: bool,
}

/// An image as QEMU opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// The file or block device.
    pub(crate) path: PathBuf,
    /// QEMU's name of the format.
    pub(crate) format: String,
    /// Whether it is a block device.
    pub(crate) is_block: bool,
}

/// An open tap device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// The device.
    pub(crate) fd: i32,
    /// The kernel's virtio back end for it.
    pub(crate) vhost: Option<i32>,
}

/// What was opened for a character device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CharFds {
    /// A listening socket.
    pub(crate) socket: Option<i32>,
    /// A file that output goes to.
    pub(crate) file: Option<i32>,
    /// A file that output goes to as well.
    pub(crate) log: Option<i32>,
}

/// The arguments of a QEMU that runs `domain`, whose devices have their aliases.
///
/// # Errors
/// What QEMU can't do; `check` refuses it before.
pub(crate) fn arguments(domain: &Domain, runtime: &Runtime) -> Result<Vec<String>> {
    let mut args = Args::default();
    let boot = BootOrder::of(domain);
    machine::before_devices(domain, runtime, &mut args)?;
    controller::all(domain, &mut args)?;
    disk::all(domain, runtime, &boot, &mut args)?;
    interface::all(domain, runtime, &boot, &mut args)?;
    chardev::all(domain, runtime, &mut args)?;
    small_devices::all(domain, &mut args)?;
    args.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    args.option("-msg", "timestamp=on");
    for arg in domain.qemu_commandline.iter().flat_map(|commandline| &commandline.args) {
        args.list.push(arg.value.clone());
    }
    Ok(args.list)
}

/// A command line that grows.
#[derive(Debug, Default)]
struct Args {
    list: Vec<String>,
    /// The next set of descriptors.
    sets: u32,
}

impl Args {
    fn flag(&mut self, name: &str) {
        self.list.push(name.to_owned());
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.list.extend([name.to_owned(), value.into()]);
    }

    fn json(&mut self, name: &str, value: &Value) {
        self.option(name, value.to_string());
    }

    fn device(&mut self, value: &Value) {
        self.json("-device", value);
    }

    /// A descriptor by a path that QEMU can open.
    fn descriptor(&mut self, fd: i32, what: &str) -> String {
        let set = self.sets;
        self.sets += 1;
        self.option("-add-fd", format!("set={set},fd={fd},opaque={what}"));
        format!("/dev/fdset/{set}")
    }
}

/// A text in a list of options: commas are doubled.
fn escape(text: &str) -> String {
    text.replace(',', ",,")
}

/// A JSON object without the members that are null.
fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(
        members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn alias(alias: &Option<ostler_conf::domain::Alias>) -> &str {
    alias.as_ref().map_or("", |alias| &alias.name)
}

#[cfg(test)]
mod tests;
