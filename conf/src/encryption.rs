//! `<encryption>`: how an image is encrypted. libvirt: formatstorageencryption.html.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;
use uuid::Uuid;

use crate::{Problem, words};

/// `<encryption format='luks'>`: how an image is encrypted.
#[element(open)]
pub struct Encryption {
    /// The format.
    #[xml(attr, code = "ConfigUnsupported")]
    pub format: EncryptionFormat,
    /// Who encrypts; absent: QEMU.
    #[xml(attr, code = "ConfigUnsupported")]
    pub engine: Option<EncryptionEngine>,
    /// What opens it.
    #[xml(name = "secret")]
    pub secrets: Vec<EncryptionSecret>,
    /// How it is encrypted, where it is made.
    pub cipher: Option<Cipher>,
    /// How its blocks are told apart, where it is made.
    pub ivgen: Option<Ivgen>,
}

words! {
    /// A format of encryption.
    pub enum EncryptionFormat {
        /// What the image's format has.
        Default = "default",
        /// The old one of qcow.
        Qcow = "qcow",
        /// LUKS, version 1.
        Luks = "luks",
        /// LUKS, version 2.
        Luks2 = "luks2",
        /// LUKS, either version.
        LuksAny = "luks-any",
    }

    /// Who encrypts.
    pub enum EncryptionEngine {
        /// QEMU.
        Qemu = "qemu",
        /// Ceph's client.
        Librbd = "librbd",
    }

    /// What opens an image.
    pub enum EncryptionSecretType {
        /// A passphrase.
        Passphrase = "passphrase",
    }
}

/// `<secret type='passphrase' uuid='…'/>`: what opens an image, by the secret's uuid or usage.
#[element]
pub struct EncryptionSecret {
    /// What it is.
    #[xml(attr, code = "ConfigUnsupported")]
    pub r#type: EncryptionSecretType,
    /// The secret's uuid.
    #[xml(attr)]
    pub uuid: Option<Uuid>,
    /// What the secret is for.
    #[xml(attr)]
    pub usage: Option<String>,
}

/// `<cipher name='aes' size='256' mode='cbc' hash='sha256'/>`: how an image is encrypted.
#[element]
pub struct Cipher {
    /// The cipher.
    #[xml(attr)]
    pub name: String,
    /// The key's length in bits.
    #[xml(attr)]
    pub size: u32,
    /// How blocks are chained.
    #[xml(attr)]
    pub mode: Option<String>,
    /// How keys are hashed.
    #[xml(attr)]
    pub hash: Option<String>,
}

/// `<ivgen name='plain64' hash='sha256'/>`: how blocks are told apart.
#[element]
pub struct Ivgen {
    /// The way.
    #[xml(attr)]
    pub name: String,
    /// How it is hashed.
    #[xml(attr)]
    pub hash: Option<String>,
}

impl Encryption {
    /// Only LUKS lets one choose how.
    pub(crate) fn settle(&mut self) {
        match self.format {
            EncryptionFormat::Luks | EncryptionFormat::Luks2 | EncryptionFormat::LuksAny => {}
            EncryptionFormat::Default | EncryptionFormat::Qcow => (self.cipher, self.ivgen) = (None, None),
        }
    }

    /// The driver-independent rules; `path` is where it stands.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, secret) in self.secrets.iter().enumerate() {
            if secret.uuid.is_some() == secret.usage.is_some() {
                let message = "a secret is told by its uuid or its usage";
                problems.push(Problem::new(ErrorCode::XmlError, format!("{path}.secrets[{index}]"), message));
            }
        }
        if self.ivgen.is_some() && self.cipher.is_none() {
            problems.push(Problem::new(ErrorCode::XmlError, format!("{path}.cipher"), "ivgen needs a cipher"));
        }
        problems
    }
}
