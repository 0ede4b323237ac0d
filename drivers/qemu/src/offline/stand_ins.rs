//! What a start would have found and opened, played by names and numbers: for a command line that is only shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ostler_conf::Domain;
use ostler_conf::domain::{
    Alias, CharSource, CharSourceUnixMode, DiskSource, GraphicsKind, HostdevSource, InterfaceSource, Listen,
    RngBackend, SmartcardMode, TpmBackend, VideoDriverName,
};
use ostler_util::spawn::FIRST_FD;
use serde_json::Value;
use uuid::Uuid;

use crate::args::interface::{queues, wants_vhost};
use crate::args::{
    Chain, CharFds, FdGroup, HugepageMount, Image, MasterKey, Monitor, Runtime, SecretName, Server, Settings, Tap, Tls,
    TpmFacts, VsockFacts,
};

/// The folders that a shown command line names.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Of durable state.
    pub state: PathBuf,
    /// Of state that lasts until the next boot.
    pub run: PathBuf,
}

/// The settings of a driver of which nothing was said.
pub fn settings(folders: &Folders) -> Settings {
    let shared = |name: &str| folders.run.join("qemu").join(name);
    let tls = |name: &str| Tls { dir: format!("/etc/pki/ostler-{name}").into(), verify: true, ..Tls::default() };
    let page = |name: &str, mib: u64, is_default| HugepageMount {
        dir: Path::new("/dev").join(name).join("ostler"),
        page: ostler_util::Size::from_mib(mib),
        is_default,
    };
    Settings {
        env: [("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned())].into(),
        memory_dir: folders.state.join("qemu/memory"),
        dbus_dir: shared("dbus"),
        channel_dir: shared("channel"),
        passt_dir: shared("passt"),
        hugepages: vec![page("hugepages", 2, true), page("hugepages1G", 1024, false)],
        vnc: Server { tls: tls("vnc"), ..Server::default() },
        spice: Server { tls: tls("spice"), ..Server::default() },
        chardev_tls: tls("chardev"),
        nbd_tls: tls("nbd"),
        vxhs_tls: tls("vxhs"),
        sasl_dir: "/etc/sasl2".into(),
        ..Settings::default()
    }
}

/// The facts of a run that is not going to be. `domain` is complete, its devices have their names ([`super::command_line::name_devices`]).
///
/// # Guarantees
/// Pure: the same domain has the same facts. Every secret has the same value, which is none of the host's.
pub fn runtime(domain: &Domain, folders: &Folders) -> Runtime {
    let uuid = domain.uuid.unwrap_or_default();
    let dir = folders.run.join("qemu").join(uuid.to_string());
    let mut fds = Numbers(FIRST_FD);
    let said = serde_json::to_value(domain).unwrap_or_default();
    Runtime {
        short_name: uuid.to_string(),
        master_key: Some(MasterKey { file: dir.join("master-key.aes"), key: [0; 32], iv: || [0; 16] }),
        monitor: Monitor::Descriptor(fds.next()),
        now: 0,
        utc_offset: 0,
        auto_nodes: vec![0],
        secrets: secrets(&said),
        incoming: None,
        images: images(domain, folders),
        transient: BTreeSet::new(),
        taps: taps(domain, &mut fds),
        missing: BTreeSet::new(),
        ports: BTreeMap::new(),
        fd_groups: fd_groups(&said, &mut fds),
        vdpa: vdpa(domain, &mut fds),
        vhost_scsi: of_hostdevs(domain, |source| match source {
            HostdevSource::ScsiHost(_) => Some(fds.next()),
            _ => None,
        }),
        scsi_generic: of_hostdevs(domain, |source| match source {
            HostdevSource::Scsi(scsi) => scsi.adapter.as_ref().map(|_| "sg0".to_owned()),
            _ => None,
        }),
        usb: of_hostdevs(domain, |source| match source {
            HostdevSource::Usb(usb) if usb.address.is_none() => Some((1, 1)),
            _ => None,
        }),
        nbdkit: BTreeSet::new(),
        chardevs: chardevs(domain, &mut fds),
        tpms: tpms(domain, &dir, &mut fds),
        videos: videos(domain, &mut fds),
        vsock: domain.devices.vsock.as_ref().map(|_| VsockFacts { fd: fds.next(), cid: 3 }),
        sockets: BTreeMap::new(),
        listen_addresses: listen_addresses(domain),
        cpu: None,
        render_node: Some("/dev/dri/renderD128".to_owned()),
        dir,
    }
}

/// The numbers of descriptors, in their order.
struct Numbers(i32);

impl Numbers {
    fn next(&mut self) -> i32 {
        self.0 += 1;
        self.0 - 1
    }

    fn take(&mut self, count: u32) -> Vec<i32> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn name(alias: &Option<Alias>) -> String {
    crate::args::alias(alias).to_owned()
}

/// Whatever could name a secret names this one: each identity, and each use.
fn secrets(said: &Value) -> BTreeMap<SecretName, Vec<u8>> {
    let mut names = BTreeSet::new();
    each_member(said, &mut |member, value| {
        names.extend(value.parse::<Uuid>().ok().map(SecretName::Uuid));
        names.extend((member == "usage").then(|| SecretName::Usage(value.to_owned())));
    });
    names.into_iter().map(|name| (name, b"secret".to_vec())).collect()
}

fn fd_groups(said: &Value, fds: &mut Numbers) -> BTreeMap<String, FdGroup> {
    let mut names = BTreeSet::new();
    each_member(said, &mut |member, value| names.extend((member == "fdgroup").then(|| value.to_owned())));
    names.into_iter().map(|name| (name, FdGroup { fds: fds.take(1), is_writable: true })).collect()
}

/// Shows each member that is a text, at any depth.
fn each_member(value: &Value, see: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_member(item, see)),
        Value::Object(members) => members.iter().for_each(|(name, value)| match value {
            Value::String(text) => see(name, text),
            other => each_member(other, see),
        }),
        _ => {}
    }
}

/// Volumes are files below the folder of pools; what other disks stand on is in their definitions.
fn images(domain: &Domain, folders: &Folders) -> BTreeMap<String, Chain> {
    let volumes = domain.devices.disks.iter().filter_map(|disk| match &disk.source {
        Some(DiskSource::Volume(volume)) => {
            let path = folders.state.join("pools").join(&volume.pool).join(&volume.volume);
            let mut image = Image::new(&path, disk.format(), false);
            *image.source.common_mut() = volume.common.clone();
            Some((disk.name.clone(), Chain { images: vec![image], is_whole: true }))
        }
        _ => None,
    });
    volumes.collect()
}

/// Whether the host's side of an interface is a device that is opened beforehand.
fn is_tap(source: &InterfaceSource) -> bool {
    use InterfaceSource as Source;
    matches!(source, Source::Ethernet(_) | Source::Network(_) | Source::Bridge(_) | Source::Direct(_))
}

fn taps(domain: &Domain, fds: &mut Numbers) -> BTreeMap<String, Tap> {
    let interfaces = domain.devices.interfaces.iter().filter(|interface| is_tap(&interface.source));
    let mut tap = |interface| {
        let count = queues(interface);
        Tap { fds: fds.take(count), vhosts: fds.take(if wants_vhost(interface) { count } else { 0 }) }
    };
    interfaces.map(|interface| (name(&interface.alias), interface)).map(|(name, it)| (name, tap(it))).collect()
}

fn vdpa(domain: &Domain, fds: &mut Numbers) -> BTreeMap<String, i32> {
    let of_interfaces = domain.devices.interfaces.iter().filter_map(|interface| match &interface.source {
        InterfaceSource::Vdpa(source) => Some(&source.dev),
        _ => None,
    });
    let of_disks = domain.devices.disks.iter().filter_map(|disk| match &disk.source {
        Some(DiskSource::Vhostvdpa(source)) => Some(&source.dev),
        _ => None,
    });
    let devices: BTreeSet<&String> = of_interfaces.chain(of_disks).collect();
    devices.into_iter().map(|device| (device.clone(), fds.next())).collect()
}

fn of_hostdevs<T>(domain: &Domain, mut fact: impl FnMut(&HostdevSource) -> Option<T>) -> BTreeMap<String, T> {
    let hostdevs = domain.devices.hostdevs.iter();
    hostdevs.filter_map(|hostdev| Some((name(&hostdev.alias), fact(&hostdev.source)?))).collect()
}

fn chardevs(domain: &Domain, fds: &mut Numbers) -> BTreeMap<String, CharFds> {
    let devices = &domain.devices;
    let mut all: Vec<(&Option<Alias>, Option<&CharSource>, bool)> = Vec::new();
    all.extend(devices.serials.iter().map(|it| (&it.alias, it.source.as_ref(), it.log.is_some())));
    all.extend(devices.parallels.iter().map(|it| (&it.alias, it.source.as_ref(), it.log.is_some())));
    all.extend(devices.channels.iter().map(|it| (&it.alias, it.source.as_ref(), it.log.is_some())));
    all.extend(devices.consoles.iter().map(|it| (&it.alias, it.source.as_ref(), it.log.is_some())));
    all.extend(devices.redirdevs.iter().map(|it| (&it.alias, Some(&it.source), false)));
    all.extend(devices.rngs.iter().filter_map(|it| match &it.backend {
        RngBackend::Egd(egd) => Some((&it.alias, Some(&egd.source), false)),
        _ => None,
    }));
    all.extend(devices.smartcards.iter().filter_map(|it| match &it.mode {
        SmartcardMode::Passthrough(mode) => Some((&it.alias, Some(&mode.source), false)),
        _ => None,
    }));
    let mut found = BTreeMap::new();
    for (alias, source, has_log) in all {
        // A serial console shares its port's.
        found.entry(name(alias)).or_insert_with(|| CharFds {
            socket: listens(source).then(|| fds.next()),
            file: matches!(source, Some(CharSource::File(_))).then(|| fds.next()),
            log: has_log.then(|| fds.next()),
        });
    }
    found
}

fn listens(source: Option<&CharSource>) -> bool {
    match source {
        Some(CharSource::Unix(unix)) => unix.mode != Some(CharSourceUnixMode::Connect) || unix.path.is_none(),
        _ => false,
    }
}

fn tpms(domain: &Domain, dir: &Path, fds: &mut Numbers) -> BTreeMap<String, TpmFacts> {
    let mut facts = |tpm: &ostler_conf::domain::Tpm| {
        let fact = match tpm.backend {
            TpmBackend::Passthrough(_) => TpmFacts::Passthrough { device: fds.next(), cancel: fds.next() },
            TpmBackend::Emulator(_) => TpmFacts::Emulator(dir.join("swtpm.sock")),
            TpmBackend::External(_) => return None,
        };
        Some((name(&tpm.alias), fact))
    };
    domain.devices.tpms.iter().filter_map(&mut facts).collect()
}

fn videos(domain: &Domain, fds: &mut Numbers) -> BTreeMap<String, i32> {
    let is_program = |video: &&ostler_conf::domain::Video| {
        video.driver.as_ref().and_then(|driver| driver.name) == Some(VideoDriverName::Vhostuser)
    };
    domain.devices.videos.iter().filter(is_program).map(|video| (name(&video.alias), fds.next())).collect()
}

fn listen_addresses(domain: &Domain) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for graphics in &domain.devices.graphics {
        let listens = match &graphics.kind {
            GraphicsKind::Vnc(vnc) => &vnc.listens,
            GraphicsKind::Spice(spice) => &spice.listens,
            _ => continue,
        };
        found.extend(listens.0.iter().filter_map(|listen| match listen {
            Listen::Network(listen) => Some((listen.network.clone(), "127.0.0.1".to_owned())),
            _ => None,
        }));
    }
    found
}
