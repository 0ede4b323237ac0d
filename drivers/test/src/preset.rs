//! What `test:///default` has from the start. Source: `virsh -c test:///default` of libvirt 11.3, `dumpxml`,
//! `net-dumpxml` and `pool-dumpxml`.

use ostler_conf::{Domain, Network, StoragePool, parse};
use ostler_driver::StartOptions;

use crate::storage::{POOL_CAPACITY, path};
use crate::world::{Entry, NetworkEntry, PoolEntry, World};

const DOMAIN: &str = include_str!("preset/domain.xml");
const NETWORK: &str = include_str!("preset/network.xml");
const POOL: &str = include_str!("preset/pool.xml");

/// The host at its start: one guest that runs, on the one network.
pub(crate) fn world() -> World {
    const WHOLE: &str = "the preset is a part of the program, and its test reads it";
    let mut world = World::default();
    let network = parse::<Network>(NETWORK).expect(WHOLE).strict().expect(WHOLE);
    let entry = NetworkEntry { definition: network, active: true, problem: None, leases: Vec::new() };
    world.networks.insert(entry.definition.name.clone(), entry);

    let pool = parse::<StoragePool>(POOL).expect(WHOLE).strict().expect(WHOLE);
    world.folders.insert(path(&pool), Default::default());
    let entry = PoolEntry { definition: pool, active: true, capacity_bytes: POOL_CAPACITY };
    world.pools.insert(entry.definition.name.clone(), entry);

    let domain = parse::<Domain>(DOMAIN).expect(WHOLE).strict().expect(WHOLE);
    let uuid = domain.uuid.expect(WHOLE);
    world.domains.insert(uuid, Entry { definition: Some(domain), ..Entry::default() });
    world.start(uuid, StartOptions::default()).expect(WHOLE);
    // Before anybody listens.
    world.deliver();
    world
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complete::complete;

    #[test]
    fn the_preset_is_as_libvirt_has_it() {
        let world = world();
        let (_, entry) = world.domains.iter().next().unwrap();
        let definition = entry.definition.as_ref().unwrap();
        assert_eq!(ostler_conf::format(definition), DOMAIN);
        assert_eq!(complete(definition, None).unwrap(), *definition);
        assert_eq!(ostler_conf::format(&world.networks["default"].definition), NETWORK);
        assert_eq!(ostler_conf::format(&world.pools["default-pool"].definition), POOL);
        assert!(entry.guest().is_ok());
    }
}
