//! The cluster's certificates: one authority, and who it vouches for.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::{Value, json};

/// Who signs.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate and key.
    pub identity: Identity,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What is shown.
    pub certificate: String,
    /// What is kept.
    pub key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// The generator's.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let identity = Identity { certificate, key: key.serialize_pem() };
        Ok(Authority { issuer: Issuer::new(params, key), identity })
    }

    /// A server under these names and addresses.
    ///
    /// # Errors
    /// A name that can't be one.
    pub fn server(&self, names: &[&str]) -> Result<Identity> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(CertificateParams::new(names)?, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A user of this name, in this group.
    ///
    /// # Errors
    /// The generator's.
    pub fn client(&self, user: &str, group: &str) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Result<Identity> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

impl Identity {
    /// Writes `NAME.crt` and `NAME.key`.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&self, directory: &Path, name: &str) -> Result<()> {
        fs::write(directory.join(format!("{name}.crt")), &self.certificate)?;
        fs::write(directory.join(format!("{name}.key")), &self.key)?;
        Ok(())
    }

    /// Writes `NAME.kubeconfig` beside `NAME.crt` and `NAME.key`, for the server at this address; `ca.crt` lies there too.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write_kubeconfig(&self, directory: &Path, name: &str, server: &str) -> Result<()> {
        self.write(directory, name)?;
        let path = |file: String| Value::from(directory.join(file).display().to_string());
        let cluster = json!({"server": server, "certificate-authority": path("ca.crt".to_owned())});
        let user =
            json!({"client-certificate": path(format!("{name}.crt")), "client-key": path(format!("{name}.key"))});
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "ostler", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "ostler", "context": {"cluster": "ostler", "user": name}}],
            "current-context": "ostler",
        });
        let text = serde_json::to_string_pretty(&config)?;
        fs::write(directory.join(format!("{name}.kubeconfig")), &text)?;
        Ok(())
    }
}
