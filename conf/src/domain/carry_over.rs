//! What was completed once stays: a definition that leaves things open takes over what was chosen for it before.

use super::labels::is_made;
use super::{Controller, Domain, Interface, Loader, Memballoon, Os, RngBackend, Serial, SerialTargetKind};

/// Machine types by family: what an alias stands for, and how the names of its versions begin.
const FAMILIES: &[(&str, &str)] =
    &[("pc", "pc-i440fx-"), ("q35", "pc-q35-"), ("virt", "virt-"), ("microvm", "microvm")];

impl Domain {
    /// Lays this definition over `old`, the complete one before it: what is open here and was chosen there is taken over.
    ///
    /// A device is known by its key: a disk by its target, an interface by its MAC address or else its name, a controller
    /// by kind and number, any other by its name. A new device takes over nothing, and none is taken over whole except
    /// controllers (others sit behind them) and the memory balloon.
    ///
    /// # Guarantees
    /// What this definition says stays as it is. With [`complete`](Domain::complete) after it, a device that both have is
    /// written in the same bytes as before, whatever else came, went or changed its place in a list.
    ///
    /// # Caveats
    /// What a user once said and says no more can't be told from what was chosen; only what drivers choose (identity,
    /// machine, processor, buses, models, addresses) is taken over. Places on a bus are those of a machine: with another
    /// family of machines or another architecture, they are chosen anew.
    pub fn carry_over(&mut self, old: &Domain) {
        self.forget_made_names();
        fill(&mut self.uuid, &old.uuid);
        fill(&mut self.r#type, &old.r#type);
        fill(&mut self.cpu, &old.cpu);
        fill(&mut self.devices.emulator, &old.devices.emulator);
        carry_machine(self, old);
        carry_firmware(self, old);
        carry_macs(&mut self.devices.interfaces, &old.devices.interfaces);
        carry_models(self, old);
        if is_same_machine(self, old) {
            // By what the models are now: a place is right for one bus only.
            carry_controllers(&mut self.devices.controllers, &old.devices.controllers);
            carry_addresses(self, old);
        }
        self.label_devices();
    }

    /// Names that were made from a device's place, in the lists into which devices are put before others, are made anew.
    pub(super) fn forget_made_names(&mut self) {
        for (at, controller) in self.devices.controllers.iter_mut().enumerate() {
            forget_made_name(&mut controller.name, "controller", at);
        }
        for (at, console) in self.devices.consoles.iter_mut().enumerate() {
            forget_made_name(&mut console.name, "console", at);
        }
        for (at, video) in self.devices.videos.iter_mut().enumerate() {
            forget_made_name(&mut video.name, "video", at);
        }
    }
}

fn forget_made_name(name: &mut String, prefix: &str, at: usize) {
    if is_made(name, prefix, at) {
        name.clear();
    }
}

fn fill<T: Clone>(value: &mut Option<T>, old: &Option<T>) {
    if value.is_none() {
        value.clone_from(old);
    }
}

/// The family of a machine type, which may be an alias.
fn family(machine: &str) -> Option<&'static str> {
    let found = FAMILIES.iter().find(|(alias, versions)| machine == *alias || machine.starts_with(versions));
    found.map(|(alias, _)| *alias)
}

/// An alias, or no word at all, means the version that it stood for the first time.
fn carry_machine(new: &mut Domain, old: &Domain) {
    fill(&mut new.os.r#type.arch, &old.os.r#type.arch);
    let Some(kept) = &old.os.r#type.machine else { return };
    let is_open = match new.os.r#type.machine.as_deref() {
        None => true,
        Some(machine) => FAMILIES.iter().any(|(alias, _)| machine == *alias) && family(machine) == family(kept),
    };
    if is_open {
        new.os.r#type.machine = Some(kept.clone());
    }
}

/// The firmware that was chosen stays, and so does its memory, as long as the definition asks for nothing that it is not.
fn carry_firmware(new: &mut Domain, old: &Domain) {
    let Some(was) = old.os.loader.as_ref().filter(|loader| loader.path.is_some()) else { return };
    if !wants_firmware_of(new, old) {
        return;
    }
    let os = &mut new.os;
    fill(&mut os.firmware, &old.os.firmware);
    fill(&mut os.firmware_features, &old.os.firmware_features);
    let loader = os.loader.get_or_insert_default();
    fill(&mut loader.path, &was.path);
    fill(&mut loader.r#type, &was.r#type);
    fill(&mut loader.readonly, &was.readonly);
    fill(&mut loader.secure, &was.secure);
    fill(&mut loader.stateless, &was.stateless);
    fill(&mut loader.format, &was.format);
    if let Some(was) = &old.os.nvram {
        let nvram = os.nvram.get_or_insert_default();
        fill(&mut nvram.format, &was.format);
        if nvram.source.is_none() {
            fill(&mut nvram.template, &was.template);
            fill(&mut nvram.template_format, &was.template_format);
            if nvram.path.is_none() {
                nvram.path.clone_from(&was.path);
                nvram.source.clone_from(&was.source);
            }
        }
    }
    // What it needs to keep its memory out of the guest's reach was chosen with it.
    if let Some(smm) = old.features.as_ref().and_then(|features| features.smm.as_ref()).filter(|_| is_secure(was)) {
        new.features.get_or_insert_default().smm.get_or_insert_with(|| smm.clone());
    }
}

fn is_secure(loader: &Loader) -> bool {
    loader.secure.is_some_and(|secure| secure.0)
}

/// Whether what `new` says of its firmware is true of the one that `old` has. One that asks for none has none.
fn wants_firmware_of(new: &Domain, old: &Domain) -> bool {
    fn agrees<T: PartialEq>(new: Option<&T>, old: Option<&T>) -> bool {
        new.is_none() || new == old
    }
    let (os, was) = (&new.os, &old.os);
    let (loader, before) = (os.loader.as_ref(), was.loader.as_ref());
    macro_rules! same {
        ($($field:ident)*) => { $(agrees(
            loader.and_then(|loader| loader.$field.as_ref()),
            before.and_then(|loader| loader.$field.as_ref()),
        ))&&* };
    }
    let is_asked_for = match os.firmware {
        Some(kind) => was.firmware == Some(kind),
        None => loader.is_some_and(|loader| loader.path.is_some()),
    };
    let features = |of: &Os| of.firmware_features.iter().flat_map(|all| all.features.clone()).collect::<Vec<_>>();
    let has = features(was);
    let template = |of: &Os| of.nvram.as_ref().and_then(|nvram| nvram.template.clone());
    let smm = new.features.as_ref().and_then(|features| features.smm.as_ref()).and_then(|smm| smm.state);
    is_asked_for
        && same!(path r#type readonly secure stateless format)
        && features(os).iter().all(|feature| has.contains(feature))
        && agrees(template(os).as_ref(), template(was).as_ref())
        && !(before.is_some_and(is_secure) && smm.is_some_and(|state| !state.0))
}

fn is_same_machine(new: &Domain, old: &Domain) -> bool {
    let (new, old) = (&new.os.r#type, &old.os.r#type);
    let is_same_family = match (new.machine.as_deref(), old.machine.as_deref()) {
        (Some(one), Some(other)) if family(one).is_some() => family(one) == family(other),
        (one, other) => one == other,
    };
    new.arch == old.arch && is_same_family
}

fn has_mac(list: &[Interface], interface: &Interface) -> bool {
    interface.mac.is_some() && list.iter().any(|other| other.mac == interface.mac)
}

fn carry_macs(new: &mut [Interface], old: &[Interface]) {
    for at in 0..new.len() {
        if new[at].mac.is_none() {
            let same = old.iter().find(|other| other.name == new[at].name);
            // Not one that another interface was given by its definition.
            let mac = same.filter(|same| !has_mac(new, same)).and_then(|same| same.mac.clone());
            new[at].mac = mac;
        }
    }
}

/// What an interface was before: the one with its MAC address, or else the one of its name whose MAC is no longer used.
fn old_interface<'a>(index: usize, new: &[Interface], old: &'a [Interface]) -> Option<&'a Interface> {
    let interface = &new[index];
    let by_mac = old.iter().find(|other| other.mac.is_some() && other.mac == interface.mac);
    by_mac.or_else(|| old.iter().find(|other| other.name == interface.name && !has_mac(new, other)))
}

/// Calls `$carry` for each device of a list beside its old self.
macro_rules! each_pair {
    ($new:expr, $old:expr, $list:ident, |$device:ident, $before:ident| $carry:block) => {
        for $device in &mut $new.devices.$list {
            if let Some($before) = $old.devices.$list.iter().find(|other| other.name == $device.name) $carry
        }
    };
}

fn carry_models(new: &mut Domain, old: &Domain) {
    each_pair!(new, old, disks, |disk, before| {
        if disk.device() == before.device() {
            fill(&mut disk.target.bus, &before.target.bus);
        }
    });
    for at in 0..new.devices.interfaces.len() {
        if let Some(before) = old_interface(at, &new.devices.interfaces, &old.devices.interfaces) {
            fill(&mut new.devices.interfaces[at].model, &before.model);
        }
    }
    each_pair!(new, old, serials, |serial, before| {
        fill(&mut serial.target, &before.target);
    });
    each_pair!(new, old, inputs, |input, before| {
        if input.r#type == before.r#type {
            fill(&mut input.bus, &before.bus);
        }
    });
    each_pair!(new, old, rngs, |rng, before| {
        if let (RngBackend::Random(backend), RngBackend::Random(before)) = (&mut rng.backend, &before.backend) {
            fill(&mut backend.path, &before.path);
        }
    });
    if new.devices.memballoon.is_none() {
        // An alias belongs to one run.
        let before = old.devices.memballoon.as_ref();
        new.devices.memballoon = before.map(|balloon| Memballoon { alias: None, ..balloon.clone() });
    }
}

/// All controllers stay, in their order; new ones stand behind them.
fn carry_controllers(list: &mut Vec<Controller>, old: &[Controller]) {
    super::complete::number_controllers(list);
    let mut given = std::mem::take(list);
    for (at, before) in old.iter().enumerate() {
        let is_it = |new: &Controller| new.r#type == before.r#type && new.index == before.index;
        let Some(place) = given.iter().position(is_it) else {
            let mut kept = before.clone();
            kept.alias = None;
            forget_made_name(&mut kept.name, "controller", at);
            list.push(kept);
            continue;
        };
        let mut controller = given.remove(place);
        let is_same_model = controller.model.is_none() || controller.model == before.model;
        if is_same_model {
            fill(&mut controller.model, &before.model);
            fill(&mut controller.ports, &before.ports);
            fill(&mut controller.model_name, &before.model_name);
            fill(&mut controller.target, &before.target);
            fill(&mut controller.address, &before.address);
        }
        list.push(controller);
    }
    list.extend(given);
}

fn carry_addresses(new: &mut Domain, old: &Domain) {
    each_pair!(new, old, disks, |disk, before| {
        if disk.target.bus == before.target.bus {
            fill(&mut disk.address, &before.address);
        }
    });
    for at in 0..new.devices.interfaces.len() {
        if let Some(before) = old_interface(at, &new.devices.interfaces, &old.devices.interfaces)
            && new.devices.interfaces[at].model == before.model
        {
            fill(&mut new.devices.interfaces[at].address, &before.address);
        }
    }
    each_pair!(new, old, serials, |serial, before| {
        if serial_kind(serial) == serial_kind(before) {
            fill(&mut serial.address, &before.address);
        }
    });
    each_pair!(new, old, channels, |channel, before| {
        fill(&mut channel.address, &before.address);
    });
    each_pair!(new, old, inputs, |input, before| {
        if input.bus == before.bus {
            fill(&mut input.address, &before.address);
        }
    });
    each_pair!(new, old, watchdogs, |watchdog, before| {
        if watchdog.model == before.model {
            fill(&mut watchdog.address, &before.address);
        }
    });
    each_pair!(new, old, rngs, |rng, before| {
        if rng.model == before.model {
            fill(&mut rng.address, &before.address);
        }
    });
    if let (Some(balloon), Some(before)) = (&mut new.devices.memballoon, &old.devices.memballoon)
        && balloon.model == before.model
    {
        fill(&mut balloon.address, &before.address);
    }
}

fn serial_kind(serial: &Serial) -> Option<SerialTargetKind> {
    serial.target.as_ref().and_then(|target| target.r#type)
}

#[cfg(test)]
mod tests;
