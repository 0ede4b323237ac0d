//! `<launchSecurity>` and `<keywrap>`: guests that the host can't look into.

use ostler_conf_derive::{element, union};

use crate::values::{HexLong, OnOff, YesNo};
use crate::words;

/// `<launchSecurity type='sev'>`: how the host is kept from looking into the guest.
#[union(tag = "type")]
pub enum LaunchSecurity {
    /// AMD's.
    Sev(Sev),
    /// AMD's, third generation.
    SevSnp(SevSnp),
    /// The one of s390.
    S390Pv(S390Pv),
}

/// AMD's encrypted memory.
#[element]
pub struct Sev {
    /// Whether hashes of kernel, initial RAM disk and command line are measured.
    #[xml(attr)]
    pub kernel_hashes: Option<YesNo>,
    /// The bit of an address that means encryption.
    pub cbitpos: Option<u32>,
    /// How many bits an address loses.
    pub reduced_phys_bits: Option<u32>,
    /// What is allowed, bit by bit.
    pub policy: HexLong<4>,
    /// The guest owner's key, in base 64.
    pub dh_cert: Option<String>,
    /// The guest owner's session, in base 64.
    pub session: Option<String>,
}

/// AMD's encrypted and protected memory.
#[element]
pub struct SevSnp {
    /// Whether hashes of kernel, initial RAM disk and command line are measured.
    #[xml(attr)]
    pub kernel_hashes: Option<YesNo>,
    /// Whether the author's key is part of the identity.
    #[xml(attr)]
    pub author_key: Option<YesNo>,
    /// Whether the chip's own key signs.
    #[xml(attr)]
    pub vcek: Option<YesNo>,
    /// The bit of an address that means encryption.
    pub cbitpos: Option<u32>,
    /// How many bits an address loses.
    pub reduced_phys_bits: Option<u32>,
    /// What is allowed, bit by bit.
    pub policy: HexLong<8>,
    /// Workarounds that the guest sees, in base 64.
    pub guest_visible_workarounds: Option<String>,
    /// Who the guest is, in base 64.
    pub id_block: Option<String>,
    /// Who says so, in base 64.
    pub id_auth: Option<String>,
    /// The host's own data, in base 64.
    pub host_data: Option<String>,
}

/// Nothing to say.
#[element]
pub struct S390Pv {}

/// `<keywrap>`: whether a guest's keys are wrapped.
#[element]
pub struct Keywrap {
    /// By cipher.
    #[xml(name = "cipher")]
    pub ciphers: Vec<KeywrapCipher>,
}

/// `<cipher name='aes' state='off'/>`: whether keys of a cipher are wrapped.
#[element]
pub struct KeywrapCipher {
    /// The cipher.
    #[xml(attr)]
    pub name: KeywrapCipherName,
    /// Whether keys of this cipher are wrapped.
    #[xml(attr)]
    pub state: OnOff,
}

words! {
    /// A cipher whose keys can be wrapped.
    pub enum KeywrapCipherName { Aes = "aes", Dea = "dea", }
}
