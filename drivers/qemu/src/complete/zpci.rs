//! Identities of PCI devices in guests of s390.

use std::collections::BTreeSet;

use ostler_conf::Domain;
use ostler_conf::domain::{Address, PciAddress, ZpciAddress};
use ostler_conf::values::{Hex, HexLong};

use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

use super::machine::{Arch, arch};
use super::{Host, pci};
use crate::probe::Flag;

/// Gives every PCI device an identity and a function, those that are left: identities count from 1, functions from 0.
///
/// # Errors
/// An identity of 0; any where there are none.
pub(super) fn assign(domain: &mut Domain, host: &Host) -> Result<()> {
    let is_there = arch(domain) == Arch::S390 && host.capabilities.has(Flag::Zpci);
    let (mut identities, mut functions) = (BTreeSet::new(), BTreeSet::new());
    let mut result = Ok(());
    pci::each_address(domain, &host.settings, &mut |address| {
        let Some(Address::Pci(PciAddress { zpci: Some(zpci), .. })) = address else { return };
        if !is_there {
            result = Err(Error::new(ErrorCode::ConfigUnsupported, "PCI devices have no zpci identity on this machine"));
        } else if zpci.uid.is_some_and(|uid| uid.0 == 0) {
            result = Err(Error::new(ErrorCode::XmlError, "a zpci uid is 0x0001 to 0xffff"));
        }
        identities.extend(zpci.uid.map(|uid| uid.0));
        functions.extend(zpci.fid.map(|fid| fid.0));
    });
    result?;
    if !is_there {
        return Ok(());
    }
    // Those that have a part come first.
    for begun in [true, false] {
        pci::each_address(domain, &host.settings, &mut |address| {
            let Some(Address::Pci(address)) = address else { return };
            if begun && address.zpci.is_none() {
                return;
            }
            let zpci = address.zpci.get_or_insert(ZpciAddress { uid: None, fid: None });
            if zpci.uid.is_none() {
                zpci.uid = (1..=0xffff).find(|uid| identities.insert(*uid)).map(Hex);
            }
            if zpci.fid.is_none() {
                zpci.fid = (0..=u64::from(u32::MAX)).find(|fid| functions.insert(*fid)).map(HexLong);
            }
        });
    }
    Ok(())
}
