//! `<storagepoolCapabilities>`: which pools there are, and the formats of each. libvirt: formatstoragecaps.html.

use ostler_conf_derive::element;

use crate::storage_pool::{PoolFormatName, PoolType, formats_of};
use crate::storage_volume::{VolumeFormatName, formats_in};
use crate::values::YesNo;

/// Which pools there are: what libvirt's `<storagepoolCapabilities>` says.
#[element(root = "storagepoolCapabilities", open)]
pub struct StoragePoolCapabilities {
    /// Every type of pool.
    #[xml(name = "pool")]
    pub pools: Vec<PoolSupport>,
}

/// `<pool type='dir' supported='yes'>`: a type of pool.
#[element(open)]
pub struct PoolSupport {
    /// The type.
    #[xml(attr)]
    pub r#type: PoolType,
    /// Whether this host can have such pools.
    #[xml(attr)]
    pub supported: YesNo,
    /// The layouts of their data.
    pub pool_options: Option<FormatOptions>,
    /// The formats of their volumes.
    pub vol_options: Option<FormatOptions>,
}

/// `<volOptions>`: formats.
#[element(open)]
pub struct FormatOptions {
    /// The one that counts where none is given.
    pub default_format: FormatOption,
    /// All.
    #[xml(keep)]
    pub r#enum: FormatEnum,
}

/// `<defaultFormat type='raw'/>`: a format.
#[element]
pub struct FormatOption {
    /// Its name.
    #[xml(attr)]
    pub r#type: String,
}

/// `<enum name='targetFormatType'>`: formats.
#[element(open)]
pub struct FormatEnum {
    /// What they are of.
    #[xml(attr)]
    pub name: String,
    /// Their names.
    #[xml(name = "value")]
    pub values: Vec<String>,
}

impl StoragePoolCapabilities {
    /// Every type of pool, of which a host can have these.
    pub fn of(supported: &[PoolType]) -> Self {
        let pools = PoolType::ALL.iter().map(|r#type| PoolSupport {
            r#type: *r#type,
            supported: YesNo(supported.contains(r#type)),
            pool_options: pool_options(*r#type),
            vol_options: volume_options(*r#type),
        });
        StoragePoolCapabilities { pools: pools.collect() }
    }
}

fn options(name: &str, default: &str, values: Vec<String>) -> FormatOptions {
    FormatOptions {
        default_format: FormatOption { r#type: default.to_owned() },
        r#enum: FormatEnum { name: name.to_owned(), values },
    }
}

fn pool_options(pool: PoolType) -> Option<FormatOptions> {
    let mut formats: Vec<PoolFormatName> = formats_of(pool).to_vec();
    let default = *formats.first()?;
    formats.sort_unstable();
    let names = formats.iter().map(ToString::to_string).collect();
    Some(options("sourceFormatType", default.word(), names))
}

fn volume_options(pool: PoolType) -> Option<FormatOptions> {
    let mut formats: Vec<VolumeFormatName> = formats_in(pool).to_vec();
    let default = *formats.first()?;
    // An image in such a pool is what it is; libvirt names no choice.
    if pool == PoolType::Rbd {
        return Some(options("targetFormatType", default.word(), Vec::new()));
    }
    // libvirt names the absence of a format too, though it takes none for an image.
    formats.push(VolumeFormatName::None);
    formats.sort_unstable();
    formats.dedup();
    Some(options("targetFormatType", default.word(), formats.iter().map(ToString::to_string).collect()))
}
