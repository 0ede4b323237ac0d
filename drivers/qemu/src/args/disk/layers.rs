//! A disk's images as layers with names, and what else is laid over them.

use ostler_conf::Domain;
use ostler_conf::domain::{
    BackingImage, BlockSource, DataStoreSource, Disk, DiskCache, DiskDevice, DiskSource, EncryptionEngine,
    EncryptionFormat, FileSource, ImageFormatName, NetworkDiskSource, SourceCommon,
};
use ostler_driver::Result;
use serde_json::{Value, json};

use super::super::block::{self, Access, Descriptors, Layer, Names};
use super::super::{Args, Chain, Image, Props, Runtime, SecretName, Setup, Tls, secret};
use crate::probe::{Capabilities, Flag};

/// The object of the helper that all disks share.
pub(super) const MANAGED_RESERVATIONS: &str = "pr-helper0";

/// How much GlusterFS's library says: libvirt's choice.
pub(super) const GLUSTER_DEBUG: Option<u32> = Some(4);

/// What the next image is numbered by.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Of its nodes.
    pub(super) node: usize,
    /// Of its set of descriptors.
    pub(super) set: u32,
}

/// A disk's images, and what is laid over them.
#[derive(Debug)]
pub(crate) struct Stack {
    /// The images, top first.
    pub(crate) layers: Vec<Layer>,
    /// Whether these are all.
    is_whole: bool,
    /// The descriptors of each layer, with what they are called.
    descriptors: Vec<Vec<(u32, i32, String)>>,
    /// What is laid over the images, from the bottom.
    filters: Vec<Value>,
    /// How many sets of descriptors it takes.
    pub(super) sets: u32,
}

impl Stack {
    /// The node that the device stands on.
    pub(crate) fn top(&self) -> String {
        let filter = self.filters.last().and_then(|filter| filter["node-name"].as_str());
        filter.unwrap_or_else(|| self.layers.first().map_or("", Layer::top)).to_owned()
    }

    /// All nodes, from the bottom.
    pub(crate) fn nodes(&self) -> Result<Vec<Value>> {
        let mut nodes: Vec<Value> = self.layer_nodes()?.into_iter().flatten().collect();
        nodes.extend(self.filters.iter().cloned());
        Ok(nodes)
    }

    /// The names of all nodes, from the top.
    pub(crate) fn names(&self) -> Vec<String> {
        let filters = self.filters.iter().rev().filter_map(|filter| filter["node-name"].as_str().map(str::to_owned));
        let layers = self.layers.iter().flat_map(|layer| {
            let Names { storage, slice, format, .. } = &layer.names;
            format.iter().chain(slice).chain([storage]).cloned().collect::<Vec<String>>()
        });
        filters.chain(layers).collect()
    }

    /// The nodes of each layer, from the bottom one; where an image keeps its data elsewhere, those of that first.
    fn layer_nodes(&self) -> Result<Vec<Vec<Value>>> {
        let mut all = block::chain(&self.layers, self.is_whole)?;
        for (nodes, layer) in all.iter_mut().zip(self.layers.iter().rev()) {
            if let Some(data) = &layer.data {
                nodes.splice(0..0, data.nodes(&block::Below::Unsaid)?);
            }
        }
        Ok(all)
    }

    /// Writes objects and nodes, from the bottom.
    pub(super) fn write(&self, setup: &Setup<'_>, args: &mut Args) -> Result<()> {
        let layers = self.layers.iter().zip(&self.descriptors).rev();
        for ((layer, descriptors), nodes) in layers.zip(self.layer_nodes()?) {
            layer_objects(setup, args, layer)?;
            for (set, fd, name) in descriptors {
                args.option("-add-fd", format!("set={set},fd={fd},opaque={name}"));
            }
            nodes.iter().for_each(|node| args.json("-blockdev", node));
        }
        self.filters.iter().for_each(|filter| args.json("-blockdev", filter));
        Ok(())
    }
}

/// The objects that a layer needs: reservations, passwords, cookies, passphrases, certificates.
pub(crate) fn layer_objects(setup: &Setup<'_>, args: &mut Args, layer: &Layer) -> Result<()> {
    let Names { auth, cookies, encryption, tls, reservations, .. } = &layer.names;
    let common = layer.source.common();
    let helper = common.reservations.as_ref().and_then(|reservations| reservations.source.as_ref());
    if let (Some(id), Some(helper)) = (reservations.as_ref().filter(|id| *id != MANAGED_RESERVATIONS), helper) {
        args.object(Props::object("pr-manager-helper", id.clone()).put("path", helper.path.clone()));
    }
    let password = common.auth.as_ref().and_then(|auth| auth.secret.as_ref());
    if let (Some(id), Some(password)) = (auth, password) {
        args.object(secret::object(setup, id, &secret_name(password.uuid, password.usage.as_ref()))?);
    }
    if let (Some(id), DiskSource::Network(source)) = (cookies, &layer.source) {
        args.object(secret::of(setup, id, block::cookie_text(source).as_bytes())?);
    }
    let passphrases = common.encryption.iter().flat_map(|encryption| &encryption.secrets);
    for (id, passphrase) in encryption.iter().zip(passphrases) {
        args.object(secret::object(setup, id, &secret_name(passphrase.uuid, passphrase.usage.as_ref()))?);
    }
    if let (Some(id), DiskSource::Network(source)) = (tls, &layer.source) {
        let certificates = match source.protocol {
            ostler_conf::domain::NetworkProtocol::Vxhs => &setup.settings.vxhs_tls,
            _ => &setup.settings.nbd_tls,
        };
        secret::certificates(setup, args, id, certificates, false, &format!("{id}-secret0"))?;
    }
    Ok(())
}

fn secret_name(uuid: Option<uuid::Uuid>, usage: Option<&String>) -> SecretName {
    match (uuid, usage) {
        (Some(uuid), _) => SecretName::Uuid(uuid),
        (None, usage) => SecretName::Usage(usage.cloned().unwrap_or_default()),
    }
}

/// What layers depend on besides the disks.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) runtime: &'a Runtime,
    /// The certificates of disks on NBD servers.
    pub(super) tls: Tls,
    /// Whether plain bytes need a node of their own: jobs of older QEMUs can't do without.
    pub(super) raw_has_node: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(runtime: &'a Runtime, capabilities: &Capabilities, tls: &Tls) -> Self {
        let raw_has_node = !capabilities.has(Flag::BlockjobBackingMaskProtocol);
        Facts { runtime, tls: tls.clone(), raw_has_node }
    }
}

/// The stack of each disk. Nodes are numbered from the last disk to the first, each chain from its top; a drive that stands on
/// no node takes a number as well.
pub(super) fn all(domain: &Domain, facts: &Facts<'_>, first_set: u32) -> Result<Vec<Option<Stack>>> {
    let mut numbers = Numbers { node: 1, set: first_set };
    let mut stacks = Vec::new();
    for disk in domain.devices.disks.iter().rev() {
        if is_left_out(disk, facts.runtime) {
            stacks.push(None);
            continue;
        }
        stacks.push(match chain(disk, facts.runtime) {
            Some(chain) => Some(of(disk, &chain, &mut numbers, facts)),
            None => {
                numbers.node += 1;
                None
            }
        });
    }
    stacks.reverse();
    Ok(stacks)
}

pub(super) fn count(domain: &Domain, facts: &Facts<'_>) -> usize {
    let mut numbers = Numbers { node: 1, set: 0 };
    for disk in domain.devices.disks.iter().rev().filter(|disk| !is_left_out(disk, facts.runtime)) {
        match chain(disk, facts.runtime) {
            Some(chain) => drop(of(disk, &chain, &mut numbers, facts)),
            None => numbers.node += 1,
        }
    }
    numbers.node - 1
}

/// Whether the guest goes without: a drive is empty then, a disk is not there.
pub(super) fn is_left_out(disk: &Disk, runtime: &Runtime) -> bool {
    runtime.missing.contains(&disk.name) && matches!(disk.device(), DiskDevice::Disk | DiskDevice::Lun)
}

/// What was found for this run, else what the definition says.
fn chain(disk: &Disk, runtime: &Runtime) -> Option<Chain> {
    if matches!(disk.source, Some(DiskSource::Vhostuser(_))) || runtime.missing.contains(&disk.name) {
        return None;
    }
    runtime.images.get(&disk.name).cloned().or_else(|| Chain::defined(disk))
}

impl Chain {
    /// The images as the definition tells them; `None` for an empty drive.
    pub fn defined(disk: &Disk) -> Option<Chain> {
        let top = Image {
            source: disk.source.clone()?,
            format: disk.format(),
            metadata_cache: disk.driver.as_ref().and_then(|driver| cache_size(driver.metadata_cache.as_ref())),
            is_host_cdrom: disk.source.as_ref().and_then(DiskSource::path) == Some("/dev/cdrom"),
        };
        if is_empty(&top.source) {
            return None;
        }
        let below = disk.backing_chain.iter().flat_map(|chain| &chain.0);
        let below = below.filter_map(|image: &BackingImage| {
            let format = image.format.as_ref();
            Some(Image {
                source: image.source.clone()?,
                format: format.and_then(|format| format.r#type).unwrap_or(ImageFormatName::Raw),
                metadata_cache: format.and_then(|format| cache_size(format.metadata_cache.as_ref())),
                is_host_cdrom: false,
            })
        });
        let images = std::iter::once(top).chain(below).collect();
        let is_whole =
            disk.backing_chain.as_ref().is_some_and(|chain| chain.0.last().is_none_or(|last| !last.detect_below));
        Some(Chain { images, is_whole })
    }
}

fn cache_size(cache: Option<&ostler_conf::domain::MetadataCache>) -> Option<u64> {
    cache.and_then(|cache| cache.max_size.as_ref()).map(|size| size.0.bytes())
}

fn is_empty(source: &DiskSource) -> bool {
    match source {
        DiskSource::File(source) => source.file.is_none(),
        DiskSource::Block(source) => source.dev.is_none(),
        DiskSource::Dir(source) => source.dir.is_none(),
        _ => false,
    }
}

/// The stack of one disk.
pub(super) fn of(disk: &Disk, chain: &Chain, numbers: &mut Numbers, facts: &Facts<'_>) -> Stack {
    let first_set = numbers.set;
    let mut layers = Vec::new();
    let mut descriptors = Vec::new();
    for (depth, image) in chain.images.iter().enumerate() {
        let (layer, fds) = layer(disk, image, depth, numbers, facts);
        layers.push(layer);
        descriptors.push(fds);
    }
    let mut top = layers.first().map_or("", Layer::top).to_owned();
    let mut filters = Vec::new();
    if disk.driver.as_ref().and_then(|driver| driver.copy_on_read).is_some_and(|on| on.0) {
        let name = format!("libvirt-CoR-{}", disk.name);
        filters.push(json!({ "driver": "copy-on-read", "node-name": name, "file": top, "discard": "unmap" }));
        top = name;
    }
    for filter in disk.throttlefilters.iter().flat_map(|filters| &filters.filters) {
        let name = format!("libvirt-{}-filter", numbers.node);
        numbers.node += 1;
        let group = format!("throttle-{}", filter.group);
        filters.push(json!({ "driver": "throttle", "node-name": name, "throttle-group": group, "file": top }));
        top = name;
    }
    Stack { layers, is_whole: chain.is_whole, descriptors, filters, sets: numbers.set - first_set }
}

type Fds = Vec<(u32, i32, String)>;

fn layer(disk: &Disk, image: &Image, depth: usize, numbers: &mut Numbers, facts: &Facts<'_>) -> (Layer, Fds) {
    let number = numbers.node;
    numbers.node += 1;
    let mut source = image.source.clone();
    // What a pool's volume needs, its pool tells.
    if depth == 0 && !matches!(disk.source, Some(DiskSource::Volume(_))) {
        // A definition of old has these in the disk, a new one in its source.
        let common = source.common_mut();
        common.auth = common.auth.take().or_else(|| disk.auth.clone());
        common.encryption = common.encryption.take().or_else(|| disk.encryption.clone());
    }
    let driver = disk.driver.as_ref();
    let mut access = Access {
        read_only: depth > 0 || disk.readonly,
        cache: cache_mode(disk),
        io: driver.and_then(|driver| driver.io),
        discard: driver.and_then(|driver| driver.discard),
        detect_zeroes: driver.and_then(|driver| driver.detect_zeroes).filter(|_| depth == 0),
        discard_no_unref: driver.and_then(|driver| driver.discard_no_unref).map(|on| on.0).filter(|_| depth == 0),
        metadata_cache: image.metadata_cache,
        is_floppy: disk.device() == DiskDevice::Floppy,
        is_host_cdrom: image.is_host_cdrom && disk.device() == DiskDevice::Cdrom,
        descriptors: None,
        gluster_debug: GLUSTER_DEBUG,
        socket: served(&source, facts.runtime, number),
    };
    let storage = format!("libvirt-{number}-storage");
    let fds = descriptors(&source, &storage, &mut access, numbers, facts.runtime);
    let data = data_layer(&source, &access, numbers, facts);
    let mut names = names(&source, image.format, number, facts, access.socket.is_some());
    let needs_writable_format = image.format == ImageFormatName::Raw
        && access.read_only
        && access.descriptors.as_ref().is_some_and(|descriptors| descriptors.are_writable);
    if needs_writable_format && names.format.is_none() {
        names.format = Some(format!("libvirt-{number}-format"));
    }
    (Layer { source, format: image.format, access, names, data }, fds)
}

/// The names of an image's nodes and objects.
fn names(source: &DiskSource, format: ImageFormatName, number: usize, facts: &Facts<'_>, is_served: bool) -> Names {
    let common = source.common();
    let encryption = common.encryption.as_ref();
    let is_luks = encryption.is_some_and(|encryption| {
        encryption.engine != Some(EncryptionEngine::Librbd)
            && matches!(encryption.format, EncryptionFormat::Luks | EncryptionFormat::Luks2 | EncryptionFormat::LuksAny)
    });
    let has_format = format != ImageFormatName::Raw || is_luks || facts.raw_has_node;
    let storage = format!("libvirt-{number}-storage");
    let slice = common.slices.as_ref().filter(|slices| !slices.slices.is_empty());
    let reservations = common.reservations.as_ref().map(|reservations| {
        if reservations.managed.is_some_and(|managed| managed.0) {
            MANAGED_RESERVATIONS.to_owned()
        } else {
            format!("pr-helper-{storage}")
        }
    });
    let network = match source {
        DiskSource::Network(network) if !is_served => Some(network),
        _ => None,
    };
    let is_encrypted = |network: &NetworkDiskSource| {
        use ostler_conf::domain::NetworkProtocol::{Nbd, Vxhs};
        matches!(network.protocol, Nbd | Vxhs) && network.tls.map_or(facts.tls.on, |tls| tls.0)
    };
    let mut names = Names {
        slice: slice.map(|_| format!("libvirt-{number}-slice-sto")),
        format: has_format.then(|| format!("libvirt-{number}-format")),
        auth: network.and(common.auth.as_ref()).map(|_| format!("{storage}-auth-secret0")),
        cookies: network.and_then(|network| network.cookies.as_ref()).map(|_| format!("{storage}-httpcookie-secret0")),
        tls: network.filter(|network| is_encrypted(network)).map(|_| format!("obj{storage}_tls0")),
        reservations,
        encryption: Vec::new(),
        storage,
    };
    let top = names.format.as_ref().or(names.slice.as_ref()).unwrap_or(&names.storage);
    let secrets = encryption.map_or(0, |encryption| encryption.secrets.len());
    names.encryption = (0..secrets).map(|at| format!("{top}-encryption-secret{at}")).collect();
    names
}

/// An image that others write to must not be cached on this host.
pub(super) fn cache_mode(disk: &Disk) -> Option<DiskCache> {
    let given = disk.driver.as_ref().and_then(|driver| driver.cache).filter(|cache| *cache != DiskCache::Default);
    given.or(if disk.shareable && !disk.readonly { Some(DiskCache::None) } else { None })
}

/// The socket of the program that reaches an image in QEMU's place.
fn served(source: &DiskSource, runtime: &Runtime, number: usize) -> Option<String> {
    let DiskSource::Network(network) = source else { return None };
    let is_served = runtime.nbdkit.contains(network.protocol.word());
    let path = || runtime.dir.join(format!("nbdkit-libvirt-{number}-storage.socket"));
    is_served.then(|| path().to_string_lossy().into_owned())
}

/// The descriptors that an image is opened by, where there are some.
fn descriptors(
    source: &DiskSource,
    storage: &str,
    access: &mut Access,
    numbers: &mut Numbers,
    runtime: &Runtime,
) -> Fds {
    let (fds, are_writable, is_vdpa) = match source {
        DiskSource::File(FileSource { fdgroup: Some(group), .. }) => match runtime.fd_groups.get(group) {
            Some(group) => (group.fds.clone(), group.is_writable, false),
            None => return Vec::new(),
        },
        DiskSource::Vhostvdpa(source) => match runtime.vdpa.get(&source.dev) {
            Some(fd) => (vec![*fd], false, true),
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let set = numbers.set;
    numbers.set += 1;
    let path = format!("/dev/fdset/{set}");
    access.descriptors = Some(Descriptors { path, are_several: fds.len() > 1 || is_vdpa, are_writable });
    let name = |at: usize| if is_vdpa { format!("{storage}-vdpa") } else { format!("{storage}{at}") };
    fds.iter().enumerate().map(|(at, fd)| (set, *fd, name(at))).collect()
}

/// Where a qcow2 image keeps its data: a layer that is used like the image itself.
fn data_layer(source: &DiskSource, access: &Access, numbers: &mut Numbers, facts: &Facts<'_>) -> Option<Box<Layer>> {
    let store = source.common().data_store.as_ref()?;
    let source = match store.source.as_ref()? {
        DataStoreSource::File(file) => DiskSource::File(FileSource {
            file: Some(file.file.clone()),
            fdgroup: None,
            common: SourceCommon::default(),
        }),
        DataStoreSource::Block(block) => {
            DiskSource::Block(BlockSource { dev: Some(block.dev.clone()), common: SourceCommon::default() })
        }
    };
    let number = numbers.node;
    numbers.node += 1;
    let format = store.format.as_ref().and_then(|format| format.r#type).unwrap_or(ImageFormatName::Raw);
    let names = names(&source, format, number, facts, false);
    let access = Access { descriptors: None, metadata_cache: None, discard_no_unref: None, ..access.clone() };
    Some(Box::new(Layer { source, format, access, names, data: None }))
}
