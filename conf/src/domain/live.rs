//! What only a running guest has, which people paste into definitions with the rest.

use super::{
    Alias, CharSource, DataStoreSource, Disk, DiskSource, Domain, GraphicsKind, HostdevSource, InterfaceSource, Listen,
    SeclabelKind,
};
use crate::values::Rare;

/// How the names of taps begin that libvirt, and we, make.
const MADE_TAPS: &[&str] = &["vnet", "vif", "macvtap", "macvlan"];

impl Domain {
    /// Drops what libvirt tells of a running guest and never reads from a definition: numbers, names and paths that are
    /// made at each start.
    pub fn forget_live(&mut self) {
        self.forget_run();
        for source in self.devices.disks.iter_mut().flat_map(Disk::sources_mut) {
            let common = source.common_mut();
            common.index = None;
            match common.data_store.as_mut().and_then(|store| store.source.as_mut()) {
                Some(DataStoreSource::File(file)) => file.index = None,
                Some(DataStoreSource::Block(block)) => block.index = None,
                None => {}
            }
        }
    }

    /// Drops what libvirt leaves out where it writes a running guest as a definition. Images keep their numbers.
    pub fn forget_run(&mut self) {
        self.id = None;
        self.clock.iter_mut().for_each(|clock| clock.adjustment0 = None);
        let devices = &mut self.devices;
        macro_rules! aliases {
            ($($list:ident),*) => { $(devices.$list.iter_mut().for_each(|device| {
                forget_alias(&mut device.alias);
            });)* };
        }
        aliases!(
            disks,
            controllers,
            filesystems,
            interfaces,
            smartcards,
            serials,
            parallels,
            consoles,
            channels,
            inputs,
            tpms,
            sounds,
            videos,
            hostdevs,
            redirdevs,
            hubs,
            watchdogs,
            memballoon,
            rngs,
            nvram,
            panics,
            shmems,
            memories,
            iommu,
            vsock,
            cryptos
        );
        for disk in &mut devices.disks {
            disk.mirror = None;
            (disk.private_data, disk.secrets_placement) = (Rare::default(), None);
            disk.sources_mut().for_each(forget_source);
        }
        for interface in &mut devices.interfaces {
            interface.actual = Rare::default();
            let is_made = |dev: &String| MADE_TAPS.iter().any(|prefix| dev.starts_with(prefix));
            if let Some(target) = &mut interface.target {
                target.dev.take_if(|dev| is_made(dev));
            }
            if let InterfaceSource::Network(source) = &mut interface.source {
                (source.bridge, source.portid) = (None, None);
            }
        }
        for hostdev in &mut devices.hostdevs {
            if let HostdevSource::Pci(pci) = &mut hostdev.source {
                pci.original_states = None;
            }
            if let HostdevSource::Scsi(scsi) = &mut hostdev.source {
                scsi.private_data = Rare::default();
            }
        }
        let sources = devices.serials.iter_mut().map(|device| &mut device.source);
        let sources = sources.chain(devices.parallels.iter_mut().map(|device| &mut device.source));
        let sources = sources.chain(devices.consoles.iter_mut().map(|device| &mut device.source));
        for source in sources.chain(devices.channels.iter_mut().map(|device| &mut device.source)) {
            if let Some(CharSource::Pty(pty)) = source {
                pty.path = None;
            }
        }
        for graphics in &mut devices.graphics {
            let listens = match &mut graphics.kind {
                GraphicsKind::Vnc(vnc) => &mut vnc.listens,
                GraphicsKind::Rdp(rdp) => &mut rdp.listens,
                GraphicsKind::Spice(spice) => &mut spice.listens,
                GraphicsKind::Sdl(_)
                | GraphicsKind::Desktop(_)
                | GraphicsKind::EglHeadless(_)
                | GraphicsKind::Dbus(_) => {
                    continue;
                }
            };
            for listen in &mut listens.0 {
                match listen {
                    Listen::Network(listen) => listen.address = None,
                    Listen::Address(listen) => {
                        let is_default = listen.from_config.take().is_some_and(|from_config| from_config != 0);
                        listen.address.take_if(|_| is_default);
                        listen.auto_generated = None;
                    }
                    Listen::Socket(listen) => {
                        let is_default = listen.from_config.take().is_some_and(|from_config| from_config != 0);
                        let is_made = listen.auto_generated.take().is_some_and(|made| made.0);
                        listen.socket.take_if(|_| is_default || is_made);
                    }
                    Listen::None(_) => {}
                }
            }
        }
        if let Some(tune) = &mut self.cputune {
            tune.cachetunes.iter_mut().for_each(|part| part.id = None);
            tune.memorytunes.iter_mut().for_each(|part| part.id = None);
        }
        for label in &mut self.seclabels {
            label.imagelabel = None;
            label.label.take_if(|_| label.r#type == Some(SeclabelKind::Dynamic));
        }
        for console in &mut devices.consoles {
            console.tty = None;
        }
        for channel in &mut devices.channels {
            if let Some(target) = &mut channel.target {
                target.state = None;
            }
        }
    }
}

fn forget_source(source: &mut DiskSource) {
    if let DiskSource::Volume(volume) = source {
        volume.actual = None;
    }
    if let DiskSource::Network(network) = source {
        network.tls_from_config = None;
    }
    let common = source.common_mut();
    common.private_data = Rare::default();
    match common.data_store.as_mut().and_then(|store| store.source.as_mut()) {
        Some(DataStoreSource::File(file)) => file.private_data = Rare::default(),
        Some(DataStoreSource::Block(block)) => block.private_data = Rare::default(),
        None => {}
    }
    // What was not labelled was found out at start.
    common.seclabels.retain(|label| label.labelskip.is_none());
}

/// Names that users chose begin with "ua-"; all others are made at each start.
fn forget_alias(alias: &mut Option<Alias>) {
    alias.take_if(|alias| !alias.name.starts_with("ua-"));
}
