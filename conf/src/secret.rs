//! `<secret>`: what a password is for; never the password itself. libvirt: formatsecret.html.

use ostler_conf_derive::{element, union};
use uuid::Uuid;

use crate::values::YesNo;
use crate::{Invalid, Problem};
use ostler_util::ErrorCode;

/// A secret: what libvirt's `<secret>` says.
#[element(root = "secret", after_read)]
pub struct Secret {
    /// Whether it is kept in memory only.
    #[xml(attr)]
    pub ephemeral: Option<YesNo>,
    /// Whether its value is never given back.
    #[xml(attr)]
    pub private: Option<YesNo>,
    /// The identity; chosen once.
    #[xml(code = "InternalError")]
    pub uuid: Option<Uuid>,
    /// A description for people.
    pub description: Option<String>,
    /// What it is for; absent: nothing in particular.
    pub usage: Option<SecretUsage>,
}

/// What a secret is for, and the name by which a user of that kind finds it; `type=` on `<usage>` names the kind.
#[union(tag = "type")]
pub enum SecretUsage {
    /// Nothing in particular: the same as no usage.
    None(SecretUsageNone),
    /// Opens an encrypted volume.
    Volume(SecretUsageVolume),
    /// A user of a Ceph cluster.
    Ceph(SecretUsageName),
    /// An initiator's password for an iSCSI target.
    Iscsi(SecretUsageTarget),
    /// Opens the key of a TLS certificate.
    Tls(SecretUsageName),
    /// Opens an emulated TPM's state.
    Vtpm(SecretUsageName),
}

/// Nothing in particular.
#[element]
pub struct SecretUsageNone {}

/// `<volume>/images/a.img</volume>`: the volume's path.
#[element]
pub struct SecretUsageVolume {
    /// The path.
    pub volume: String,
}

/// `<name>client.admin</name>`: a name.
#[element]
pub struct SecretUsageName {
    /// The name.
    pub name: String,
}

/// `<target>iqn.2013-07.com.example:a</target>`: an iSCSI target.
#[element]
pub struct SecretUsageTarget {
    /// Its name.
    pub target: String,
}

impl SecretUsage {
    /// The name by which a user of this kind finds the secret.
    pub fn id(&self) -> &str {
        match self {
            SecretUsage::None(_) => "",
            SecretUsage::Volume(usage) => &usage.volume,
            SecretUsage::Ceph(usage) | SecretUsage::Tls(usage) | SecretUsage::Vtpm(usage) => &usage.name,
            SecretUsage::Iscsi(usage) => &usage.target,
        }
    }
}

impl Secret {
    fn after_read(&mut self) {
        self.usage.take_if(|usage| matches!(usage, SecretUsage::None(_)));
    }

    /// Fills in the driver-independent defaults, as libvirt does. What is set stays.
    pub fn complete(&mut self) {
        self.ephemeral.get_or_insert(YesNo(false));
        self.private.get_or_insert(YesNo(false));
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        match &self.usage {
            Some(usage) if usage.id().is_empty() => {
                Err(Problem::new(ErrorCode::XmlError, "usage", "the usage needs a name of what it is for").into())
            }
            _ => Ok(()),
        }
    }
}
