//! `<qemu:commandline>`: arguments handed to QEMU as they are.

use ostler_conf_derive::element;

/// Arguments and environment variables for QEMU, behind our own. Needs the grant `hypervisorargs`.
#[element]
pub struct QemuCommandline {
    /// Arguments, in order.
    #[xml(name = "qemu:arg")]
    pub args: Vec<QemuArg>,
    /// Environment variables.
    #[xml(name = "qemu:env")]
    pub env: Vec<QemuEnv>,
}

/// `<qemu:arg value='-trace'/>`: one argument.
#[element]
pub struct QemuArg {
    /// The argument.
    #[xml(attr)]
    pub value: String,
}

/// `<qemu:env name='A' value='b'/>`: one environment variable.
#[element]
pub struct QemuEnv {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// Its value; absent: unset.
    #[xml(attr)]
    pub value: Option<String>,
}
