//! What only a running guest has, which people paste into definitions with the rest.

use super::{Alias, CharSource, Domain, GraphicsKind, InterfaceSource, Listen, SeclabelKind};

/// How the names of taps begin that libvirt, and we, make.
const MADE_TAPS: &[&str] = &["vnet", "vif", "macvtap", "macvlan"];

impl Domain {
    /// Drops what libvirt tells of a running guest and never reads from a definition: numbers, names and paths that are
    /// made at each start.
    pub fn forget_live(&mut self) {
        self.id = None;
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
            let images = disk.backing_chain.iter_mut().flat_map(|chain| &mut chain.0);
            let sources = images.filter_map(|image| image.source.as_mut());
            sources.chain(disk.source.as_mut()).for_each(|source| {
                let common = source.common_mut();
                common.index = None;
                // What was not labelled was found out at start.
                common.seclabels.retain(|label| label.labelskip.is_none());
            });
        }
        for interface in &mut devices.interfaces {
            let is_made = |dev: &String| MADE_TAPS.iter().any(|prefix| dev.starts_with(prefix));
            if let Some(target) = &mut interface.target {
                target.dev.take_if(|dev| is_made(dev));
            }
            if let InterfaceSource::Network(source) = &mut interface.source {
                (source.bridge, source.portid) = (None, None);
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
                if let Listen::Network(listen) = listen {
                    listen.address = None;
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

/// Names that users chose begin with "ua-"; all others are made at each start.
fn forget_alias(alias: &mut Option<Alias>) {
    alias.take_if(|alias| !alias.name.starts_with("ua-"));
}
