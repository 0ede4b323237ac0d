//! Secrets: QEMU gets them encrypted, under a key that it reads from a file of the guest's folder.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use uuid::Uuid;

use super::{Args, Props, SecretName, Setup};

/// The object that holds the key.
const KEY: &str = "masterKey0";

pub(super) fn master_key(setup: &Setup<'_>, args: &mut Args) -> Result<()> {
    if let Some(key) = &setup.runtime.master_key {
        let file = key.file.to_string_lossy().into_owned();
        args.object(Props::object("secret", KEY).put("format", "raw").put("file", file));
    }
    Ok(())
}

/// An object `id` that holds a secret.
///
/// # Errors
/// There is no such secret, or no key to hand it over under.
pub(crate) fn object(setup: &Setup<'_>, id: &str, name: &SecretName) -> Result<Props> {
    let value = setup.runtime.secrets.get(name).ok_or_else(|| {
        let name = match name {
            SecretName::Uuid(uuid) => uuid.to_string(),
            SecretName::Usage(usage) => usage.clone(),
        };
        Error::new(ErrorCode::NoSecret, format!("there is no value of the secret '{name}'"))
    })?;
    of(setup, id, value)
}

/// An object `id` that holds this value.
///
/// # Errors
/// There is no key to hand it over under.
pub(crate) fn of(setup: &Setup<'_>, id: &str, value: &[u8]) -> Result<Props> {
    let key = setup.runtime.master_key.as_ref().ok_or_else(|| {
        Error::new(ErrorCode::InternalError, format!("the secret '{id}' can't be handed to QEMU: the guest has no key"))
    })?;
    let iv = (key.iv)();
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&key.key.into(), &iv.into());
    let data = cipher.encrypt_padded_vec::<Pkcs7>(value);
    Ok(Props::object("secret", id)
        .put("data", STANDARD.encode(data))
        .put("keyid", KEY)
        .put("iv", STANDARD.encode(iv))
        .put("format", "base64"))
}

/// The certificates `id` of a server or client, with the secret that opens their key before them.
///
/// # Errors
/// See [`object`].
pub(crate) fn certificates(
    setup: &Setup<'_>,
    args: &mut Args,
    id: &str,
    tls: &super::Tls,
    is_server: bool,
    secret_id: &str,
) -> Result<()> {
    if let Some(uuid) = tls.secret {
        args.object(named(setup, secret_id, uuid)?);
    }
    let verifies = !is_server || tls.verify;
    args.object(
        Props::object("tls-creds-x509", id)
            .put("dir", tls.dir.to_string_lossy().into_owned())
            .put("endpoint", if is_server { "server" } else { "client" })
            .put("verify-peer", verifies)
            .maybe("passwordid", tls.secret.map(|_| secret_id)),
    );
    Ok(())
}

fn named(setup: &Setup<'_>, id: &str, uuid: Uuid) -> Result<Props> {
    object(setup, id, &SecretName::Uuid(uuid))
}
