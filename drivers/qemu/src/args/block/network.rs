//! Storage on other machines: one driver of QEMU's for each protocol.

use ostler_conf::domain::{
    EncryptionFormat, HostTransport, NetworkDiskSource, NetworkHost, NetworkProtocol as Protocol,
};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;
use serde_json::{Value, json};

use super::storage::{Members, Purpose};
use super::{Layer, unsupported, uri};
use crate::args::object;

pub(super) fn members(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    let mut members = vec![("driver", json!(source.protocol.word()))];
    members.extend(match source.protocol {
        Protocol::Nbd => nbd(layer, source, purpose)?,
        Protocol::Rbd => rbd(layer, source, purpose)?,
        Protocol::Iscsi => iscsi(layer, source, purpose)?,
        Protocol::Gluster => gluster(layer, source, purpose)?,
        Protocol::Http | Protocol::Https | Protocol::Ftp | Protocol::Ftps | Protocol::Tftp => {
            curl(layer, source, purpose)?
        }
        Protocol::Ssh => ssh(source)?,
        Protocol::Nfs => nfs(source)?,
        Protocol::Vxhs => vxhs(layer, source, purpose)?,
        Protocol::Sheepdog => return Err(unsupported("QEMU speaks sheepdog no more")),
    });
    Ok(members)
}

fn nbd(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    let runs = purpose == Purpose::Run;
    let delay = source.reconnect.as_ref().map(|reconnect| reconnect.delay).filter(|delay| runs && *delay > 0);
    let tls = layer.names.tls.as_ref().filter(|_| runs);
    Ok(vec![
        ("server", socket(only_host(source)?, source.protocol)),
        ("export", json!(source.name)),
        ("tls-creds", json!(tls)),
        ("tls-hostname", json!(source.tls_hostname.as_ref().filter(|_| runs))),
        ("reconnect-delay", json!(delay)),
    ])
}

fn rbd(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    let name = source.name.as_deref().unwrap_or_default();
    let (pool, image) = name.split_once('/').ok_or_else(|| wrong_name(source, "POOL/IMAGE"))?;
    let servers: Vec<Value> = source.hosts.iter().map(|host| plain(host, source.protocol)).collect();
    let user = layer.source.common().auth.as_ref().filter(|_| purpose == Purpose::Run);
    let encryption = layer.encryption().filter(|_| purpose == Purpose::Run && layer.is_decrypted_by_library());
    let encrypt = encryption.map(|encryption| {
        // The image's own passphrase is first, then those of the images that it was cloned from.
        layer.names.encryption.iter().rev().fold(Value::Null, |parent, key| {
            let format = match encryption.format {
                EncryptionFormat::Luks2 => "luks2",
                EncryptionFormat::LuksAny => "luks-any",
                EncryptionFormat::Luks | EncryptionFormat::Default | EncryptionFormat::Qcow => "luks",
            };
            object([("format", json!(format)), ("key-secret", json!(key)), ("parent", parent)])
        })
    });
    Ok(vec![
        ("pool", json!(pool)),
        ("image", json!(image)),
        ("snapshot", json!(source.snapshot)),
        ("conf", json!(source.config)),
        ("server", if servers.is_empty() { Value::Null } else { json!(servers) }),
        ("encrypt", json!(encrypt)),
        ("user", json!(user.map(|auth| &auth.username))),
        ("auth-client-required", json!(user.map(|_| ["cephx", "none"]))),
        ("key-secret", json!(user.and(layer.names.auth.as_ref()))),
    ])
}

fn iscsi(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    let host = only_host(source)?;
    let name = host.name.as_deref().unwrap_or_default();
    let port = port(host, source.protocol);
    let portal = if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
    let whole = source.name.as_deref().unwrap_or_default();
    let (target, lun) = match whole.split_once('/') {
        Some((target, lun)) => (target, lun.parse::<u32>().map_err(|_| wrong_name(source, "TARGET/LUN"))?),
        None => (whole, 0),
    };
    let auth = layer.source.common().auth.as_ref().filter(|_| purpose == Purpose::Run);
    Ok(vec![
        ("portal", json!(portal)),
        ("target", json!(target)),
        ("lun", json!(lun)),
        ("transport", json!("tcp")),
        ("user", json!(auth.map(|auth| &auth.username))),
        ("password-secret", json!(auth.and(layer.names.auth.as_ref()))),
        ("initiator-name", json!(source.initiator.as_ref().map(|initiator| &initiator.iqn))),
    ])
}

fn gluster(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    let name = source.name.as_deref().unwrap_or_default();
    let (volume, path) = name.split_once('/').ok_or_else(|| wrong_name(source, "VOLUME/PATH"))?;
    let servers: Vec<Value> = source.hosts.iter().map(|host| socket(host, source.protocol)).collect();
    Ok(vec![
        ("volume", json!(volume)),
        ("path", json!(path)),
        ("server", json!(servers)),
        ("debug", json!(layer.access.gluster_debug.filter(|_| purpose == Purpose::Run))),
    ])
}

fn curl(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    only_host(source)?;
    let auth = layer.source.common().auth.as_ref().filter(|_| purpose == Purpose::Run);
    let verify = source.ssl.as_ref().map(|ssl| ssl.verify.0);
    // A header of an image has no secret to name: there they stand as they are.
    let cookies = source.cookies.as_ref().filter(|_| purpose == Purpose::Place).map(|_| cookie_text(source));
    Ok(vec![
        ("url", json!(uri::of(source))),
        ("username", json!(auth.map(|auth| &auth.username))),
        ("password-secret", json!(auth.and(layer.names.auth.as_ref()))),
        ("sslverify", json!(verify)),
        ("cookie", json!(cookies)),
        ("cookie-secret", json!(layer.names.cookies.as_ref().filter(|_| purpose == Purpose::Run))),
        ("timeout", json!(source.timeout.filter(|seconds| *seconds > 0))),
        ("readahead", json!(source.readahead.filter(|bytes| *bytes > 0))),
    ])
}

/// HTTP cookies as the header has them.
pub(in crate::args) fn cookie_text(source: &NetworkDiskSource) -> String {
    let cookies = source.cookies.iter().flat_map(|cookies| &cookies.cookies);
    cookies
        .map(|cookie| format!("{}={}", cookie.name, cookie.value.text().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join("; ")
}

fn ssh(source: &NetworkDiskSource) -> Result<Members> {
    let user = source.common.auth.as_ref().map(|auth| &auth.username);
    let user = user.or(source.identity.as_ref().and_then(|identity| identity.username.as_ref()));
    Ok(vec![
        ("path", json!(source.name)),
        ("server", plain(only_host(source)?, source.protocol)),
        ("user", json!(user)),
    ])
}

fn nfs(source: &NetworkDiskSource) -> Result<Members> {
    let host = only_host(source)?;
    let number = |name: &Option<String>| match name {
        None => Ok(None),
        Some(name) => name.trim_start_matches('+').parse::<u32>().map(Some).map_err(|_| {
            unsupported(format!("'{name}' is no number of a user or group ('+1000'), as which NFS servers know them"))
        }),
    };
    let identity = source.identity.as_ref();
    Ok(vec![
        ("server", json!({ "host": host.name, "type": "inet" })),
        ("path", json!(source.name)),
        ("user", json!(identity.map_or(Ok(None), |identity| number(&identity.user))?)),
        ("group", json!(identity.map_or(Ok(None), |identity| number(&identity.group))?)),
    ])
}

fn vxhs(layer: &Layer, source: &NetworkDiskSource, purpose: Purpose) -> Result<Members> {
    Ok(vec![
        ("tls-creds", json!(layer.names.tls.as_ref().filter(|_| purpose == Purpose::Run))),
        ("vdisk-id", json!(source.name)),
        ("server", plain(only_host(source)?, source.protocol)),
    ])
}

fn socket(host: &NetworkHost, protocol: Protocol) -> Value {
    match host.transport {
        Some(HostTransport::Unix) => json!({ "type": "unix", "path": host.socket }),
        Some(HostTransport::Tcp | HostTransport::Rdma) | None => {
            json!({ "type": "inet", "host": host.name, "port": port(host, protocol).to_string() })
        }
    }
}

fn plain(host: &NetworkHost, protocol: Protocol) -> Value {
    json!({ "host": host.name, "port": port(host, protocol).to_string() })
}

pub(super) fn port(host: &NetworkHost, protocol: Protocol) -> u16 {
    host.port.filter(|port| *port > 0).or(protocol.default_port()).unwrap_or(0)
}

fn only_host(source: &NetworkDiskSource) -> Result<&NetworkHost> {
    match source.hosts.as_slice() {
        [host] => Ok(host),
        hosts => {
            let count = hosts.len();
            let message = format!("a disk of the protocol '{}' has one <host>, not {count}", source.protocol);
            Err(Error::new(ErrorCode::InternalError, message))
        }
    }
}

fn wrong_name(source: &NetworkDiskSource, shape: &str) -> Error {
    let name = source.name.as_deref().unwrap_or_default();
    unsupported(format!("the name '{name}' of a disk of the protocol '{}' is not {shape}", source.protocol))
}
