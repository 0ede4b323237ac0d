//! Options that are handed on as they are.

use ostler_conf_derive::element;

/// `<fs:mount_opts>`: options of the mount.
#[element]
pub struct FsMountOptions {
    /// The options.
    #[xml(name = "fs:option")]
    pub options: Vec<FsOption>,
}

/// `<fs:option name='sync'/>`: an option of the mount.
#[element]
pub struct FsOption {
    /// The option.
    #[xml(attr)]
    pub name: String,
}

/// `<rbd:config_opts>`: options of Ceph's client.
#[element]
pub struct RbdConfigOptions {
    /// The options.
    #[xml(name = "rbd:option")]
    pub options: Vec<RbdOption>,
}

/// `<rbd:option name='client_mount_timeout' value='45'/>`: an option of Ceph's client.
#[element]
pub struct RbdOption {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its value.
    #[xml(attr)]
    pub value: String,
}
