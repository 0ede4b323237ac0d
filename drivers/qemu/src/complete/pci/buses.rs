//! Buses with their places, free and taken.

use std::collections::BTreeMap;
use std::fmt;

use ostler_conf::Domain;
use ostler_conf::domain::{Address, ControllerModel as Model};
use ostler_conf::values::OnOff;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use crate::complete::MachineFamily;

/// What sort of bus a device needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// PCI Express, where a device can be plugged in; conventional PCI on machines without Express.
    Express,
    /// Conventional PCI.
    Conventional,
    /// The root complex, several to a slot.
    RootPort,
    /// The root complex.
    Root,
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

/// The buses of a machine.
#[derive(Debug)]
pub(crate) struct Buses {
    family: MachineFamily,
    /// Whether buses are added where none has room.
    extend: bool,
    models: BTreeMap<u32, Model>,
    /// Who sits where; an empty name is the chipset.
    taken: BTreeMap<Place, String>,
    added: Vec<(u32, Model)>,
    /// Slots into which ports may be added: those that this run began.
    begun: Vec<(u32, u32)>,
}

const SLOTS: u32 = 32;
const FUNCTIONS: u32 = 8;

impl Buses {
    pub(crate) fn new(family: MachineFamily, extend: bool) -> Self {
        let mut taken = BTreeMap::new();
        let chipset: &[(u32, &[u32])] = match family {
            // ISA bridge, IDE, USB and ACPI of PIIX3.
            MachineFamily::I440fx => &[(0, &[0]), (1, &[0, 3])],
            // LPC bridge and SMBus of ICH9.
            MachineFamily::Q35 => &[(0, &[0]), (0x1f, &[0, 3])],
        };
        for (slot, functions) in chipset {
            for function in *functions {
                taken.insert(Place { bus: 0, slot: *slot, function: *function }, String::new());
            }
        }
        Buses { family, extend, models: BTreeMap::new(), taken, added: Vec::new(), begun: Vec::new() }
    }

    pub(crate) fn add(&mut self, index: u32, model: Model) {
        self.models.insert(index, model);
    }

    pub(crate) fn added(&self) -> Vec<(u32, Model)> {
        self.added.clone()
    }

    /// Enters a device that has an address.
    pub(crate) fn enter(&mut self, address: &Option<Address>, path: &str) -> Result<()> {
        let address = match address {
            None => return Ok(()),
            Some(Address::Pci(address)) => address,
            Some(_) => return Err(Error::new(ErrorCode::XmlError, "this device has an address of type 'pci'").at(path)),
        };
        let (domain, bus, slot, function) = address.key();
        let place = Place { bus, slot, function };
        let wrong = |message: String| Err(Error::new(ErrorCode::XmlError, message).at(path));
        if domain != 0 {
            return wrong(format!("PCI domain {domain:#06x} does not exist: the machine has 0x0000 only"));
        }
        let Some(model) = self.models.get(&bus) else { return wrong(format!("there is no PCI bus {bus:#04x}")) };
        let slots = slots_of(*model);
        if !slots.contains(&slot) {
            return wrong(format!(
                "{place}: a bus of model '{model}' has slots {:#04x} to {:#04x}",
                slots.start,
                slots.end - 1
            ));
        }
        match self.taken.get(&place) {
            None => drop(self.taken.insert(place, path.to_owned())),
            Some(other) if other.is_empty() => return wrong(format!("{place} is part of the chipset")),
            Some(other) => {
                return wrong(format!("{place} is the place of {} already", other.trim_end_matches(".address")));
            }
        }
        Ok(())
    }

    /// The first free place for a device, taken; buses are added if need be and allowed.
    pub(crate) fn place(&mut self, connection: Connection, path: &str) -> Result<Place> {
        loop {
            if let Some(place) = self.free(connection) {
                if connection == Connection::RootPort && place.function == 0 {
                    self.begun.push((place.bus, place.slot));
                }
                self.taken.insert(place, path.to_owned());
                return Ok(place);
            }
            let index = self.models.keys().next_back().map_or(0, |last| last + 1);
            let has_room =
                self.extend && index <= 0xff && connection != Connection::RootPort && connection != Connection::Root;
            if !has_room {
                return Err(Error::new(ErrorCode::InternalError, "no PCI bus has room for this device").at(path));
            }
            self.extend_for(connection, index, path)?;
        }
    }

    fn extend_for(&mut self, connection: Connection, index: u32, path: &str) -> Result<()> {
        match (self.family, connection) {
            (MachineFamily::Q35, Connection::Conventional) => {
                // The bridge itself sits in a root port.
                self.place(Connection::Express, path)?;
                let index = self.models.keys().next_back().map_or(0, |last| last + 1);
                self.grow(index, Model::PcieToPciBridge);
            }
            (MachineFamily::Q35, _) => {
                self.place(Connection::RootPort, path)?;
                self.grow(index, Model::PcieRootPort);
            }
            // Its own place comes first in the second round; what then has none moves behind it.
            (MachineFamily::I440fx, _) => self.grow(index, Model::PciBridge),
        }
        Ok(())
    }

    fn grow(&mut self, index: u32, model: Model) {
        self.models.insert(index, model);
        self.added.push((index, model));
    }

    fn free(&self, connection: Connection) -> Option<Place> {
        if connection == Connection::RootPort {
            return self.free_for_port();
        }
        let buses = self.models.iter().filter(|(bus, _)| self.fits(connection, **bus));
        let mut places =
            buses.flat_map(|(bus, model)| slots_of(*model).map(|slot| Place { bus: *bus, slot, function: 0 }));
        places.find(|place| !self.slot_is_taken(place.bus, place.slot))
    }

    /// Whether a bus is of the sort that a device needs.
    pub(crate) fn fits(&self, connection: Connection, bus: u32) -> bool {
        let Some(model) = self.models.get(&bus).copied() else { return false };
        match (connection, self.family) {
            (Connection::Express, MachineFamily::Q35) => model == Model::PcieRootPort,
            (Connection::Express | Connection::Conventional, MachineFamily::I440fx) => {
                matches!(model, Model::PciRoot | Model::PciBridge)
            }
            (Connection::Conventional, MachineFamily::Q35) => {
                matches!(model, Model::PcieToPciBridge | Model::PciBridge)
            }
            (Connection::Root | Connection::RootPort, _) => matches!(model, Model::PcieRoot),
        }
    }

    /// Root ports share slots; one that a definition filled before is left as it is.
    fn free_for_port(&self) -> Option<Place> {
        let bus = self.models.iter().find(|(_, model)| **model == Model::PcieRoot).map(|(bus, _)| *bus)?;
        let in_begun = self
            .begun
            .iter()
            .filter(|(of, _)| *of == bus)
            .flat_map(|(bus, slot)| (1..FUNCTIONS).map(|function| Place { bus: *bus, slot: *slot, function }));
        let fresh =
            (1..SLOTS).filter(|slot| !self.slot_is_taken(bus, *slot)).map(|slot| Place { bus, slot, function: 0 });
        in_begun.chain(fresh).find(|place| !self.taken.contains_key(place))
    }

    /// The first function of a slot that this run began says so where it has others beside it.
    pub(crate) fn mark_multifunction(&self, domain: &mut Domain) {
        for controller in &mut domain.devices.controllers {
            let Some(Address::Pci(address)) = &mut controller.address else { continue };
            let (_, bus, slot, function) = address.key();
            let first = Place { bus, slot, function: 1 };
            let has_others = self.taken.range(first..=Place { function: FUNCTIONS, ..first }).next().is_some();
            if function == 0 && has_others && self.begun.contains(&(bus, slot)) {
                address.multifunction = Some(OnOff(true));
            }
        }
    }

    fn slot_is_taken(&self, bus: u32, slot: u32) -> bool {
        let first = Place { bus, slot, function: 0 };
        self.taken.range(first..=Place { function: FUNCTIONS, ..first }).next().is_some()
    }

    /// One free root port at least.
    pub(crate) fn ensure_spare_port(&mut self) {
        let index = self.models.keys().next_back().map_or(0, |last| last + 1);
        if self.free(Connection::Express).is_none() && index <= 0xff && self.free(Connection::RootPort).is_some() {
            self.grow(index, Model::PcieRootPort);
        }
    }
}

/// The slots that a bus has.
fn slots_of(model: Model) -> std::ops::Range<u32> {
    match model {
        Model::PcieRootPort => 0..1,
        _ => 1..SLOTS,
    }
}
