//! What the test driver fills in, as libvirt's does.

use ostler_conf::domain::{Alias, CharSource, DiskSource, Domain, DomainType, InterfaceSource, Mac};
use ostler_conf::{ErrorCode, MacAddress};
use ostler_driver::{Result, Warning};
use uuid::Uuid;

use crate::world::World;

/// The architecture of libvirt's test host.
const ARCH: &str = "i686";

/// `spec` as it will be stored: laid over `last`, completed, and checked.
pub(crate) fn complete(spec: &Domain, last: Option<&Domain>) -> Result<Domain> {
    // What contradicts itself before anything is added is the author's.
    spec.validate()?;
    let mut domain = spec.clone();
    forget_live_values(&mut domain);
    if let Some(last) = last {
        domain.carry_over(last);
    }
    domain.uuid.get_or_insert_with(Uuid::new_v4);
    domain.r#type.get_or_insert(DomainType::Test);
    domain.os.r#type.arch.get_or_insert_with(|| ARCH.to_owned());
    domain.complete();
    for interface in &mut domain.devices.interfaces {
        interface.mac.get_or_insert_with(random_mac);
    }
    domain.validate()?;
    Ok(domain)
}

fn random_mac() -> Mac {
    let random = Uuid::new_v4();
    let [a, b, c, ..] = *random.as_bytes();
    Mac::new(MacAddress::with_prefix(MacAddress::QEMU_PREFIX, [a, b, c]))
}

/// What only a running guest has: people paste live definitions.
pub(crate) fn forget_live_values(domain: &mut Domain) {
    domain.id = None;
    let devices = &mut domain.devices;
    macro_rules! forget_aliases {
        ($($list:ident),*) => { $(for device in &mut devices.$list {
            // Names that users chose begin with "ua-"; all others are made at each start.
            device.alias.take_if(|alias: &mut Alias| !alias.name.starts_with("ua-"));
        })* };
    }
    forget_aliases!(disks, controllers, interfaces, serials, consoles, channels, inputs, watchdogs, rngs);
    for interface in &mut devices.interfaces {
        interface.target = None;
        if let InterfaceSource::Network(source) = &mut interface.source {
            source.bridge = None;
        }
    }
    let sources = devices.serials.iter_mut().map(|serial| &mut serial.source);
    for source in sources.chain(devices.consoles.iter_mut().map(|console| &mut console.source)) {
        if let Some(CharSource::Pty(pty)) = source {
            pty.path = None;
        }
    }
    for console in &mut devices.consoles {
        console.tty = None;
    }
}

/// What `definition` refers to and is absent now, with the code that its start fails with.
pub(crate) fn absent(world: &World, definition: &Domain) -> Vec<(ErrorCode, Warning)> {
    let mut absent = Vec::new();
    let mut add = |code, field: String, message: String| absent.push((code, Warning { field, message }));
    for disk in &definition.devices.disks {
        let field = format!("devices.disks[{}].source", disk.name);
        match &disk.source {
            Some(DiskSource::Volume(source)) => {
                if let Err(error) = world.resolve(&source.pool, &source.volume) {
                    add(error.code, field, error.message);
                }
            }
            source => {
                let path = source.as_ref().and_then(DiskSource::path);
                if let Some(path) = path.filter(|path| world.missing_files.contains(std::path::Path::new(path))) {
                    add(ErrorCode::SystemError, field, format!("{path}: No such file or directory"));
                }
            }
        }
    }
    for (field, path) in [("os.kernel", &definition.os.kernel), ("os.initrd", &definition.os.initrd)] {
        if let Some(path) = path.as_deref().filter(|path| world.missing_files.contains(std::path::Path::new(path))) {
            add(ErrorCode::SystemError, field.to_owned(), format!("{path}: No such file or directory"));
        }
    }
    for interface in &definition.devices.interfaces {
        let InterfaceSource::Network(source) = &interface.source else { continue };
        let field = format!("devices.interfaces[{}].source", interface.name);
        match world.network(&source.network) {
            Err(error) => add(error.code, field, error.message),
            Ok(network) if !network.active => {
                add(ErrorCode::OperationInvalid, field, format!("the network '{}' is not active", source.network));
            }
            Ok(_) => {}
        }
    }
    absent
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copied from `virsh -c test:///default` of libvirt 11.3, without what it leaves to be filled in.
    const SPEC: &str = "<domain type='test'><name>a</name><memory>1024</memory><os><type>hvm</type></os><devices>
        <disk type='file'><source file='/x'/><target dev='sda'/></disk><interface type='user'/><serial type='pty'/></devices></domain>";

    fn parse(text: &str) -> Domain {
        ostler_conf::parse::<Domain>(text).unwrap().strict().unwrap()
    }

    #[test]
    fn fills_in_what_libvirt_does() {
        let domain = complete(&parse(SPEC), None).unwrap();
        assert_eq!((domain.r#type, domain.os.r#type.arch.as_deref()), (Some(DomainType::Test), Some("i686")));
        let mac = domain.devices.interfaces[0].mac.as_ref().unwrap().address;
        assert_eq!(mac.0[..3], MacAddress::QEMU_PREFIX);
        assert_eq!((domain.devices.controllers.len(), domain.devices.consoles.len()), (1, 1));
        assert!(domain.uuid.is_some() && domain.devices.disks[0].address.is_some());
    }

    #[test]
    fn what_was_completed_stays() {
        let first = complete(&parse(SPEC), None).unwrap();
        assert_eq!(complete(&parse(SPEC), Some(&first)).unwrap(), first);
        assert_eq!(complete(&first, Some(&first)).unwrap(), first);
    }

    #[test]
    fn a_live_definition_becomes_a_definition() {
        let first = complete(&parse(SPEC), None).unwrap();
        let mut live = first.clone();
        live.id = Some(3);
        live.devices.disks[0].alias = Some(Alias { name: "scsi0-0-0".into() });
        assert_eq!(complete(&live, Some(&first)).unwrap(), first);
    }
}
