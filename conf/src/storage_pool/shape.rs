//! Which parts a pool of each type has, and what follows from that.

use super::{
    Bytes, PoolAdapter, PoolDir, PoolFormat, PoolFormatName, PoolSource, PoolTarget, PoolType, SourceText, StoragePool,
};

/// The parts of a pool's source, and of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Host,
    Device,
    Dir,
    Adapter,
    Name,
    InitiatorName,
    Target,
}

use Part::{Adapter, Device, Dir, Host, InitiatorName, Name, Target};

/// What a pool of a type is made of.
pub(super) struct Shape {
    /// The parts it has; others say nothing.
    pub(super) parts: &'static [Part],
    /// The layouts there are; the first counts where none is given.
    pub(super) formats: &'static [PoolFormatName],
}

/// libvirt: storage.html, a chapter for each type.
pub(super) const fn shape(r#type: PoolType) -> Shape {
    use PoolFormatName as F;
    const FILE_SYSTEMS: &[F] = &[
        F::Auto,
        F::Ext2,
        F::Ext3,
        F::Ext4,
        F::Ufs,
        F::Iso9660,
        F::Udf,
        F::Gfs,
        F::Gfs2,
        F::Vfat,
        F::HfsPlus,
        F::Xfs,
        F::Ocfs2,
        F::Vmfs,
    ];
    const NETWORK_FILE_SYSTEMS: &[F] = &[F::Auto, F::Nfs, F::Glusterfs, F::Cifs];
    const TABLES: &[F] = &[F::Unknown, F::Dos, F::Dvh, F::Gpt, F::Mac, F::Bsd, F::Pc98, F::Sun, F::Lvm2];
    let (parts, formats): (&[Part], &[F]) = match r#type {
        PoolType::Dir | PoolType::Mpath => (&[Target], &[]),
        PoolType::Fs => (&[Device, Target], FILE_SYSTEMS),
        PoolType::Netfs => (&[Host, Dir, Target], NETWORK_FILE_SYSTEMS),
        PoolType::Logical => (&[Name, Device, Target], &[F::Lvm2, F::Unknown]),
        PoolType::Disk => (&[Device, Target], TABLES),
        PoolType::Iscsi => (&[Host, Device, InitiatorName, Target], &[]),
        PoolType::IscsiDirect => (&[Host, Device, InitiatorName], &[]),
        PoolType::Scsi => (&[Adapter, Target], &[]),
        PoolType::Rbd | PoolType::Sheepdog => (&[Host, Name], &[]),
        PoolType::Gluster => (&[Host, Dir, Name], &[]),
        PoolType::Zfs => (&[Name, Device, Target], &[]),
        PoolType::Vstorage => (&[Name, Target], &[]),
    };
    Shape { parts, formats }
}

/// The layouts of a type, the default first.
pub(crate) const fn formats_of(r#type: PoolType) -> &'static [PoolFormatName] {
    shape(r#type).formats
}

impl Shape {
    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// The path as libvirt keeps it: one slash for several, none at the end. Two at the start, and no more, have a meaning of
/// their own.
fn single_slashes(path: &mut String) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let start = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    *path = format!("{start}{}", parts.join("/"));
}

/// Drops what says nothing for a pool of its type, and what only a pool that is there tells.
pub(super) fn settle(pool: &mut StoragePool) {
    // libvirt always writes them, and a definition never says them.
    for bytes in [&mut pool.capacity, &mut pool.allocation, &mut pool.available] {
        *bytes = Some(Bytes::default());
    }
    let shape = shape(pool.r#type.unwrap_or(PoolType::Dir));
    if let Some(source) = &mut pool.source {
        settle_source(source, &shape);
    }
    if let Some(target) = &mut pool.target {
        target.path.iter_mut().for_each(single_slashes);
        target.permissions.iter_mut().for_each(super::Permissions::settle);
    }
    pool.target.take_if(|_| !shape.has(Target));
    pool.refresh.take_if(|refresh| refresh.volume.as_ref().is_none_or(|volume| volume.allocation.is_none()));
    // The name of the data can stand for the pool's.
    if pool.name.is_empty()
        && let Some(name) = pool.source.as_ref().and_then(|source| source.name.as_ref())
    {
        pool.name.clone_from(name);
    }
}

fn settle_source(source: &mut PoolSource, shape: &Shape) {
    let PoolSource { hosts, devices, dir, adapter, name, initiator, format, auth: _, vendor, product, protocol: _ } =
        source;
    if !shape.has(Host) {
        hosts.clear();
    }
    if !shape.has(Device) {
        devices.clear();
    }
    dir.take_if(|_| !shape.has(Dir));
    dir.iter_mut().for_each(|dir| single_slashes(&mut dir.path));
    adapter.take_if(|adapter| !shape.has(Adapter) || says_nothing(adapter));
    name.take_if(|_| !shape.has(Name));
    initiator
        .take_if(|initiator| !shape.has(InitiatorName) || initiator.iqn.as_ref().is_none_or(|iqn| iqn.name.is_none()));
    format.take_if(|format| shape.formats.is_empty() || format.r#type.is_none());
    for text in [vendor, product] {
        text.take_if(|SourceText { name }| name.is_empty());
    }
    for device in devices {
        device.free_extent = None;
    }
}

fn says_nothing(adapter: &PoolAdapter) -> bool {
    match adapter {
        PoolAdapter::ScsiHost(adapter) => adapter.name.is_none() && adapter.parentaddr.is_none(),
        PoolAdapter::FcHost(_) => false,
    }
}

pub(super) fn complete(pool: &mut StoragePool) {
    let r#type = *pool.r#type.get_or_insert(PoolType::Dir);
    let shape = shape(r#type);
    let source = pool.source.get_or_insert_default();
    if let Some(default) = shape.formats.first() {
        source.format.get_or_insert(PoolFormat { r#type: Some(*default) });
    }
    if shape.has(Name) && r#type != PoolType::Rbd && !pool.name.is_empty() {
        source.name.get_or_insert_with(|| pool.name.clone());
    }
    if r#type == PoolType::Gluster {
        source.dir.get_or_insert_with(|| PoolDir { path: "/".to_owned() });
    }
    // The kernel makes these folders; nobody chooses them.
    let folder = match r#type {
        PoolType::Logical => "/dev",
        PoolType::Zfs => "/dev/zvol",
        _ => return,
    };
    let name = source.name.as_deref().unwrap_or(&pool.name);
    pool.target.get_or_insert_with(PoolTarget::default).path = Some(format!("{folder}/{name}"));
}
