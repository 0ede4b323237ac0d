//! Suites that read a document, complete it, and write it again.

use ostler_conf::storage_pool::{Bytes, PoolType};
use ostler_conf::xml::Root;
use ostler_conf::xml::Value as _;
use ostler_conf::{
    HostInterface, Invalid, Network, NetworkPort, Nwfilter, NwfilterBinding, Secret, Size, StoragePool,
    StoragePoolCapabilities, StorageVolume, format, parse,
};

use super::case::{Case, Verdict};
use super::compare::verdict;

/// Reads the input as libvirt's define does (what is unknown is left out), lets `settle` complete and check it, and
/// writes it.
fn round_trip<T: Root>(case: &Case, settle: impl FnOnce(&mut T) -> Result<(), Invalid>) -> Verdict {
    let read = |text: &str| {
        let mut value = parse::<T>(text)?.value;
        settle(&mut value)?;
        Ok(format(&value))
    };
    verdict(case, read(&case.input()?))
}

pub(super) fn network(case: &Case) -> Verdict {
    round_trip::<Network>(case, |network| {
        network.complete();
        network.validate()
    })
}

/// libvirt's test driver knows no other driver's namespaces.
pub(super) fn network_of_test_driver(case: &Case) -> Verdict {
    round_trip::<Network>(case, |network| {
        network.dnsmasq_options = None;
        network.complete();
        network.validate()
    })
}

/// libvirt's bridge driver gives a bridge without a name the first free one of its own; nothing else is defined here. (Our
/// driver's bridges have names of ours.)
pub(super) fn network_of_bridge_driver(case: &Case) -> Verdict {
    round_trip::<Network>(case, |network| {
        network.complete();
        if let Some(bridge) = network.bridge.as_mut().filter(|bridge| bridge.stp.is_some()) {
            bridge.name.get_or_insert_with(|| "virbr0".to_owned());
        }
        network.validate()
    })
}

pub(super) fn storage_pool(case: &Case) -> Verdict {
    round_trip::<StoragePool>(case, |pool| {
        pool.complete();
        pool.validate()
    })
}

/// libvirt's test driver knows no other driver's namespaces, and claims that every pool has 100 GiB, all free.
pub(super) fn storage_pool_of_test_driver(case: &Case) -> Verdict {
    round_trip::<StoragePool>(case, |pool| {
        (pool.fs_mount_options, pool.rbd_config_options) = (None, None);
        pool.complete();
        pool.validate()?;
        let all = Bytes(Size::from_mib(100 << 10));
        (pool.capacity, pool.available) = (Some(all), Some(all));
        Ok(())
    })
}

/// libvirt's test driver keys a volume by its path; the cases' pool is a directory at `/images`.
pub(super) fn storage_volume_of_test_driver(case: &Case) -> Verdict {
    round_trip::<StorageVolume>(case, |volume| {
        volume.validate_in(PoolType::Dir)?;
        volume.complete(PoolType::Dir);
        let path = format!("/images/{}", volume.name);
        volume.key = Some(path.clone());
        volume.target.get_or_insert_default().path = Some(path);
        Ok(())
    })
}

/// The case's pool says of which type the volume's is; a case without one has a directory.
pub(super) fn storage_volume(case: &Case) -> Verdict {
    let pool = match case.further_input("pool") {
        Ok(text) => parse::<StoragePool>(&text).map_err(|error| format!("pool: {error}"))?.value.r#type,
        Err(_) => None,
    };
    let pool = pool.unwrap_or(PoolType::Dir);
    let may_lack_capacity = case.param("parse_flags") == "VIR_VOL_XML_PARSE_NO_CAPACITY";
    round_trip::<StorageVolume>(case, |volume| {
        if may_lack_capacity {
            volume.capacity.get_or_insert_default();
        }
        volume.validate_in(pool)?;
        volume.complete(pool);
        Ok(())
    })
}

pub(super) fn secret(case: &Case) -> Verdict {
    round_trip::<Secret>(case, |secret| {
        secret.complete();
        secret.validate()
    })
}

pub(super) fn host_interface(case: &Case) -> Verdict {
    round_trip::<HostInterface>(case, |interface| interface.validate())
}

pub(super) fn network_port(case: &Case) -> Verdict {
    round_trip::<NetworkPort>(case, |port| port.validate())
}

pub(super) fn nwfilter_binding(case: &Case) -> Verdict {
    round_trip::<NwfilterBinding>(case, |_| Ok(()))
}

pub(super) fn nwfilter(case: &Case) -> Verdict {
    round_trip::<Nwfilter>(case, |filter| {
        filter.validate()?;
        filter.complete();
        Ok(())
    })
}

/// The host has the types of pools that the case names.
pub(super) fn storage_pool_capabilities(case: &Case) -> Verdict {
    let types = case.param("pool_types");
    let supported = match types.as_array() {
        None => PoolType::ALL.to_vec(),
        Some(names) => names
            .iter()
            .map(|name| PoolType::parse(name.as_str().unwrap_or_default()))
            .collect::<Result<Vec<_>, String>>()?,
    };
    verdict(case, Ok(format(&StoragePoolCapabilities::of(&supported))))
}
