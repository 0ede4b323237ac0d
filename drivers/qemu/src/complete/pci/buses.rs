//! Buses with their places, free and taken.

use std::fmt;
use std::ops::Range;

use ostler_conf::domain::{ControllerModel as Model, PciAddress};
use ostler_conf::values::OnOff;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

/// What sort of bus a device needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// PCI Express, where a device can be plugged in; conventional PCI on machines without Express.
    Express,
    /// Conventional PCI, where a device can be plugged in.
    Conventional,
    /// The root complex.
    Root,
    /// What a bridge or port of this model needs.
    Bridge(Model),
}

/// Sorts of plugs, as a set.
type Plugs = u16;

const PCI: Plugs = 1;
const PCIE: Plugs = 1 << 1;
const ROOT_PORT: Plugs = 1 << 2;
const UPSTREAM: Plugs = 1 << 3;
const DOWNSTREAM: Plugs = 1 << 4;
const DMI: Plugs = 1 << 5;
const EXPANDER: Plugs = 1 << 6;
const PCIE_EXPANDER: Plugs = 1 << 7;
const BRIDGE: Plugs = 1 << 8;
const PCIE_TO_PCI: Plugs = 1 << 9;
/// Not a sort: whether devices can come and go.
const HOTPLUG: Plugs = 1 << 15;

const SORTS: Plugs = !HOTPLUG;
/// A person may put a device of either sort on the other's bus.
const ENDPOINTS: Plugs = PCI | PCIE;

const SLOTS: usize = 32;
const FUNCTIONS: u32 = 8;

/// What a bus of each model offers, in which slots, and what it needs itself.
const BUSES: &[(Model, Plugs, Range<u32>, Plugs)] = &[
    (Model::PciRoot, PCI | BRIDGE | EXPANDER | HOTPLUG, 1..32, 0),
    (Model::PciBridge, PCI | BRIDGE | HOTPLUG, 1..32, BRIDGE),
    (Model::PciExpanderBus, PCI | BRIDGE | HOTPLUG, 0..32, EXPANDER),
    (Model::PcieRoot, PCIE | ROOT_PORT | DMI | PCIE_EXPANDER | PCIE_TO_PCI, 1..32, 0),
    (Model::DmiToPciBridge, PCI | BRIDGE, 0..32, DMI),
    (Model::PcieToPciBridge, PCI | BRIDGE | HOTPLUG, 1..32, PCIE_TO_PCI | HOTPLUG),
    (Model::PcieRootPort, PCIE | UPSTREAM | PCIE_TO_PCI | HOTPLUG, 0..1, ROOT_PORT),
    (Model::PcieSwitchDownstreamPort, PCIE | UPSTREAM | PCIE_TO_PCI | HOTPLUG, 0..1, DOWNSTREAM),
    (Model::PcieSwitchUpstreamPort, DOWNSTREAM, 0..32, UPSTREAM),
    (Model::PcieExpanderBus, ROOT_PORT | DMI, 0..32, PCIE_EXPANDER),
];

fn facts(model: Model) -> (Plugs, Range<u32>, Plugs) {
    let found = BUSES.iter().find(|(of, ..)| *of == model);
    found.map_or((0, 0..0, 0), |(_, offers, slots, needs)| (*offers, slots.clone(), *needs))
}

/// A place on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) bus: u32,
    pub(crate) slot: u32,
    pub(crate) function: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0000:{:02x}:{:02x}.{:x}", self.bus, self.slot, self.function)
    }
}

/// What a machine's buses begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// A PCI bus.
    Pci,
    /// PCI Express.
    Pcie,
    /// As many PCI buses as one likes, each with a bridge of the host's own.
    Many,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Who is where; an empty name is the chipset.
    taken: [Option<String>; FUNCTIONS as usize],
    /// Whether ports may be added beside those that are here.
    shared: bool,
    /// Whether there are ports only.
    ports: bool,
}

impl Slot {
    fn is_free(&self) -> bool {
        self.taken.iter().all(Option::is_none)
    }
}

#[derive(Clone, Debug)]
struct Bus {
    model: Model,
    offers: Plugs,
    slots: Range<u32>,
    taken: Vec<Slot>,
    /// Devices of one group share a bus with no other; a bus with a device has its group.
    group: u32,
}

impl Bus {
    fn new(model: Model) -> Self {
        let (offers, slots, _) = facts(model);
        Bus { model, offers, slots, taken: vec![Slot::default(); SLOTS], group: 0 }
    }

    fn is_empty(&self) -> bool {
        self.taken.iter().all(Slot::is_free)
    }
}

/// The buses of a machine.
#[derive(Debug)]
pub(crate) struct Buses {
    root: Root,
    /// Whether buses are added where none has room.
    extend: bool,
    buses: Vec<Bus>,
    /// How many there were at first.
    given: usize,
}

impl Buses {
    /// The buses of these models, in order; `extend` says whether more may be added.
    pub(crate) fn new(root: Root, models: &[Model], extend: bool) -> Self {
        let buses: Vec<Bus> = models.iter().map(|model| Bus::new(*model)).collect();
        Buses { root, extend, given: buses.len(), buses }
    }

    /// The buses that were added.
    pub(crate) fn added(&self) -> Vec<(u32, Model)> {
        (0..).zip(&self.buses).skip(self.given).map(|(index, bus)| (index, bus.model)).collect()
    }

    pub(crate) fn is_extended(&self) -> bool {
        self.buses.len() > self.given
    }

    /// Whether there is room for one more bridge at least.
    pub(crate) fn has_room_for_bridge(&self) -> bool {
        self.buses.iter().any(|bus| bus.slots.clone().any(|slot| bus.taken[slot as usize].is_free()))
    }

    fn needs(&self, connection: Connection) -> Plugs {
        match connection {
            Connection::Express if self.root == Root::Pcie => PCIE | HOTPLUG,
            Connection::Express | Connection::Conventional => PCI | HOTPLUG,
            Connection::Root if self.root == Root::Pcie => PCIE,
            Connection::Root => PCI,
            Connection::Bridge(model) => facts(model).2,
        }
    }

    /// Whether a bus is of the sort that a device needs.
    pub(crate) fn fits(&self, connection: Connection, bus: u32) -> bool {
        let needs = self.needs(connection);
        self.buses.get(bus as usize).is_some_and(|bus| fits(needs, bus.offers))
    }

    /// Takes a place for the chipset.
    pub(crate) fn reserve(&mut self, place: Place) {
        if let Some(bus) = self.buses.get_mut(place.bus as usize) {
            bus.taken[place.slot as usize].taken[place.function as usize] = Some(String::new());
        }
    }

    /// Gives a place back.
    pub(crate) fn release(&mut self, place: Place) {
        if let Some(bus) = self.buses.get_mut(place.bus as usize) {
            bus.taken[place.slot as usize].taken[place.function as usize] = None;
        }
    }

    /// Whether anything is in a slot.
    pub(crate) fn slot_is_taken(&self, bus: u32, slot: u32) -> bool {
        self.buses.get(bus as usize).is_some_and(|bus| !bus.taken[slot as usize].is_free())
    }

    /// Groups count where each can have a bridge of the host's own.
    fn group(&self, group: u32) -> u32 {
        if self.root == Root::Many { group } else { 0 }
    }

    /// Enters a device that has an address.
    pub(crate) fn enter(&mut self, connection: Connection, address: &PciAddress, group: u32, path: &str) -> Result<()> {
        let (domain, number, slot, function) = address.key();
        let place = Place { bus: number, slot, function };
        let wrong = |message: String| Err(Error::new(ErrorCode::XmlError, message).at(path));
        let (needs, group) = (self.needs(connection), self.group(group));
        if domain != 0 {
            return wrong(format!("PCI domain {domain:#06x} does not exist: the machine has 0x0000 only"));
        }
        let Some(bus) = self.buses.get_mut(number as usize) else {
            return wrong(format!("there is no PCI bus {number:#04x}"));
        };
        let offers = bus.offers | if bus.offers & ENDPOINTS == 0 { 0 } else { ENDPOINTS } | HOTPLUG;
        if !fits(needs, offers) {
            return wrong(format!("{place}: a bus of model '{}' is of another sort than the device needs", bus.model));
        }
        if !bus.slots.contains(&slot) || function >= FUNCTIONS {
            let (first, last) = (bus.slots.start, bus.slots.end - 1);
            return wrong(format!("{place}: a bus of model '{}' has slots {first:#04x} to {last:#04x}", bus.model));
        }
        match &bus.taken[slot as usize].taken[function as usize] {
            None => {}
            Some(other) if other.is_empty() => return wrong(format!("{place} is part of the chipset")),
            Some(other) => {
                return wrong(format!("{place} is the place of {} already", other.trim_end_matches(".address")));
            }
        }
        if bus.is_empty() {
            bus.group = group;
        }
        let slot = &mut bus.taken[slot as usize];
        // Ports may be added beside ports that are several already.
        let is_port = matches!(connection, Connection::Bridge(Model::PcieRootPort));
        let is_multifunction = function != 0 || address.multifunction == Some(OnOff(true));
        slot.shared = is_port && (slot.is_free() || slot.ports) && (slot.shared || is_multifunction);
        slot.ports = is_port && (slot.is_free() || slot.ports);
        slot.taken[function as usize] = Some(path.to_owned());
        Ok(())
    }

    /// The first free place for a device, taken; buses are added if need be and allowed.
    pub(crate) fn place(&mut self, connection: Connection, group: u32, path: &str) -> Result<Place> {
        let (needs, group) = (self.needs(connection), self.group(group));
        let shares = matches!(connection, Connection::Bridge(Model::PcieRootPort));
        let found = self.free(needs, shares, group);
        let place = match found {
            Some(place) => place,
            None => {
                self.grow(needs, path)?;
                self.free(needs, shares, group).ok_or_else(|| no_room(path))?
            }
        };
        let bus = &mut self.buses[place.bus as usize];
        if bus.is_empty() {
            bus.group = group;
        }
        let slot = &mut bus.taken[place.slot as usize];
        slot.shared |= shares && place.function == 0;
        slot.taken[place.function as usize] = Some(path.to_owned());
        Ok(place)
    }

    /// On a bus of the device's group, else on one that is empty.
    fn free(&self, needs: Plugs, shares: bool, group: u32) -> Option<Place> {
        let of_group = |_: u32, bus: &Bus| bus.group == group;
        // The first bus is everybody's.
        let is_empty = |number: u32, bus: &Bus| number != 0 && bus.group == 0 && bus.is_empty();
        self.free_on(needs, shares, of_group).or_else(|| self.free_on(needs, shares, is_empty))
    }

    fn free_on(&self, needs: Plugs, shares: bool, may: impl Fn(u32, &Bus) -> bool) -> Option<Place> {
        let buses = (0..).zip(&self.buses).filter(|(number, bus)| fits(needs, bus.offers) && may(*number, bus));
        buses.flat_map(|(number, bus)| bus.slots.clone().map(move |slot| (number, bus, slot))).find_map(
            |(bus, of, number)| {
                let slot = &of.taken[number as usize];
                let beside = || (1..FUNCTIONS).find(|function| slot.taken[*function as usize].is_none());
                let function = if slot.is_free() { Some(0) } else { beside().filter(|_| shares && slot.shared) };
                function.map(|function| Place { bus, slot: number, function })
            },
        )
    }

    /// Adds the bus, and what it sits on, that a device needs.
    fn grow(&mut self, needs: Plugs, path: &str) -> Result<()> {
        if !self.extend || self.buses.is_empty() || self.buses.len() > 0xff {
            return Err(no_room(path));
        }
        let has_port = || self.free(ROOT_PORT, true, 0).is_some();
        match self.root {
            Root::Many if needs & PCI != 0 => self.buses.push(Bus::new(Model::PciRoot)),
            Root::Pci if needs & PCI != 0 => self.buses.push(Bus::new(Model::PciBridge)),
            Root::Pcie if needs & PCI != 0 => {
                // A bridge sits in a port, and comes with one.
                self.place(Connection::Bridge(Model::PcieRootPort), 0, path)?;
                self.buses.push(Bus::new(Model::PcieRootPort));
                self.place(Connection::Bridge(Model::PcieToPciBridge), 0, path)?;
                self.buses.push(Bus::new(Model::PcieToPciBridge));
            }
            Root::Pcie if needs & (PCIE | UPSTREAM | PCIE_TO_PCI) != 0 && has_port() => {
                self.place(Connection::Bridge(Model::PcieRootPort), 0, path)?;
                self.buses.push(Bus::new(Model::PcieRootPort));
            }
            Root::Pcie if needs & BRIDGE != 0 => {
                self.grow(PCI, path)?;
            }
            Root::Pci | Root::Pcie | Root::Many => return Err(no_room(path)),
        }
        Ok(())
    }

    /// The first function of a slot says so where it has others beside it.
    pub(crate) fn mark_multifunction(&self, address: &mut PciAddress) {
        let (_, bus, slot, function) = address.key();
        let slot = self.buses.get(bus as usize).and_then(|bus| bus.taken.get(slot as usize));
        let has_others = slot.is_some_and(|slot| slot.taken[1..].iter().any(Option::is_some));
        if function == 0 && has_others {
            address.multifunction.get_or_insert(OnOff(true));
        }
    }
}

fn fits(needs: Plugs, offers: Plugs) -> bool {
    needs & offers & SORTS != 0 && (needs & HOTPLUG == 0 || offers & HOTPLUG != 0)
}

fn no_room(path: &str) -> Error {
    Error::new(ErrorCode::InternalError, "no PCI bus has room for this device").at(path)
}
