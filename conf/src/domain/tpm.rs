//! `<tpm>`

use ostler_conf_derive::{element, union};
use uuid::Uuid;

use super::{Address, Alias};
use crate::values::YesNo;
use crate::words;

/// A trusted platform module.
#[element]
pub struct Tpm {
    /// A label for people and for lists. XML keeps it in our metadata.
    #[xml(skip)]
    pub name: String,
    /// What the guest sees.
    #[xml(attr)]
    pub model: Option<TpmModel>,
    /// What does it.
    pub backend: TpmBackend,
    /// The hypervisor's name for the device.
    pub alias: Option<Alias>,
    /// Where it sits.
    pub address: Option<Address>,
}

/// `<backend type='emulator'>`: what does a TPM.
#[union(tag = "type")]
pub enum TpmBackend {
    /// A TPM of the host. Needs a grant.
    Passthrough(TpmPassthrough),
    /// swtpm.
    Emulator(TpmEmulator),
    /// A process that runs already. Needs a grant.
    External(TpmExternal),
}

/// `<device path='/dev/tpm0'/>`: a TPM of the host.
#[element]
pub struct TpmPassthrough {
    /// Its path; absent: `/dev/tpm0`.
    #[xml(attr, name = "path", on = "device")]
    pub device: Option<String>,
}

/// swtpm.
#[element]
pub struct TpmEmulator {
    /// The version.
    #[xml(attr)]
    pub version: Option<TpmVersion>,
    /// Whether the state outlives the guest.
    #[xml(attr, name = "persistent_state")]
    pub persistent_state: Option<YesNo>,
    /// How much is logged.
    #[xml(attr)]
    pub debug: Option<u32>,
    /// The secret that encrypts its state.
    #[xml(attr, name = "secret", on = "encryption")]
    pub encryption: Option<Uuid>,
    /// Its banks of hashes.
    #[xml(name = "active_pcr_banks")]
    pub active_pcr_banks: Option<PcrBanks>,
    /// Where its state is.
    pub source: Option<TpmState>,
    /// Which algorithms it has.
    pub profile: Option<TpmProfile>,
}

/// `<active_pcr_banks><sha256/></active_pcr_banks>`: banks of hashes.
#[element]
pub struct PcrBanks {
    /// SHA-1.
    #[xml(flag)]
    pub sha1: bool,
    /// SHA-256.
    #[xml(flag)]
    pub sha256: bool,
    /// SHA-384.
    #[xml(flag)]
    pub sha384: bool,
    /// SHA-512.
    #[xml(flag)]
    pub sha512: bool,
}

/// `<source type='dir' path='/x'/>`: where swtpm's state is.
#[element]
pub struct TpmState {
    /// Whether it is a file or a folder.
    #[xml(attr)]
    pub r#type: TpmStateKind,
    /// The path. Needs a grant.
    #[xml(attr)]
    pub path: String,
}

/// `<profile source='local:restricted'/>`: which algorithms swtpm has.
#[element]
pub struct TpmProfile {
    /// Where it comes from.
    #[xml(attr)]
    pub source: Option<String>,
    /// What happens to algorithms that the host's policy disables.
    #[xml(attr)]
    pub remove_disabled: Option<RemoveDisabled>,
    /// Its name.
    #[xml(attr, name = "name")]
    #[serde(rename = "profile")]
    pub name: Option<String>,
}

/// `<source type='unix' mode='connect' path='/x.sock'/>`: a process that runs already.
#[element]
pub struct TpmExternal {
    /// How it is reached.
    pub source: Option<TpmExternalSource>,
}

/// `<source type='unix' …/>`: how a process is reached.
#[element]
pub struct TpmExternalSource {
    /// The kind of socket.
    #[xml(attr)]
    pub r#type: super::SocketKind,
    /// Who connects.
    #[xml(attr)]
    pub mode: Option<super::CharSourceUnixMode>,
    /// Its path.
    #[xml(attr)]
    pub path: String,
}

words! {
    /// What a guest sees as TPM.
    pub enum TpmModel { Tis = "tpm-tis", Crb = "tpm-crb", Spapr = "tpm-spapr", SpaprProxy = "spapr-tpm-proxy", }

    /// A version of TPM.
    pub enum TpmVersion { V12 = "1.2", V20 = "2.0", }

    /// Whether swtpm's state is a file or a folder.
    pub enum TpmStateKind { File = "file", Dir = "dir", }

    /// What happens to disabled algorithms.
    pub enum RemoveDisabled { Check = "check", FipsHost = "fips-host", }
}
