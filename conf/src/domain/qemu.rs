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

/// `<qemu:capabilities>`: what we believe of QEMU, whatever it says.
#[element]
pub struct QemuCapabilities {
    /// What it can.
    #[xml(name = "qemu:add")]
    pub add: Vec<QemuCapability>,
    /// What it can't.
    #[xml(name = "qemu:del")]
    pub del: Vec<QemuCapability>,
}

/// `<qemu:add capability='blockdev'/>`: something that QEMU can.
#[element]
pub struct QemuCapability {
    /// Its name.
    #[xml(attr)]
    pub capability: String,
}

/// `<qemu:deprecation behavior='crash'/>`: what QEMU does where something deprecated is used.
#[element]
pub struct QemuDeprecation {
    /// What QEMU does: omit, reject or crash.
    #[xml(attr)]
    pub behavior: Option<String>,
}

/// `<qemu:override>`: properties of QEMU's devices, set by hand.
#[element]
pub struct QemuOverride {
    /// By device.
    #[xml(name = "qemu:device")]
    pub devices: Vec<QemuOverrideDevice>,
}

/// `<qemu:device alias='hostdev0'>`: a device whose properties are set by hand.
#[element]
pub struct QemuOverrideDevice {
    /// Its alias.
    #[xml(attr)]
    pub alias: String,
    /// The part that the guest sees.
    #[xml(name = "qemu:frontend")]
    pub frontend: Option<QemuFrontend>,
}

/// `<qemu:frontend>`: the part of a device that the guest sees.
#[element]
pub struct QemuFrontend {
    /// Its properties.
    #[xml(name = "qemu:property")]
    pub properties: Vec<QemuProperty>,
}

/// `<qemu:property name='x-igd-opregion' type='bool' value='true'/>`: a property.
#[element]
pub struct QemuProperty {
    /// Its name.
    #[xml(attr)]
    pub name: String,
    /// What it is.
    #[xml(attr)]
    pub r#type: QemuPropertyKind,
    /// Its value; absent: the property is left out.
    #[xml(attr)]
    pub value: Option<String>,
}

crate::words! {
    /// What a property is.
    pub enum QemuPropertyKind {
        String = "string", Unsigned = "unsigned", Signed = "signed", Bool = "bool", Remove = "remove",
    }
}
