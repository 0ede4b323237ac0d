//! The webhook's certificates, made by ourselves: a CA of one certificate, whose key is thrown away once it has signed it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::ObjectMeta;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

/// How long a certificate is valid.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// It is valid a little before it is made: clocks differ.
const SKEW: Duration = Duration::from_secs(3600);
/// When it is replaced, and for which names it was made.
const RENEW_AFTER: &str = "ostler.dev/renew-after";
const NAMES: &str = "ostler.dev/names";
/// What cert-manager leaves on a Secret that it looks after.
const CERT_MANAGER: &str = "cert-manager.io/certificate-name";
const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// What can go wrong with certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None could be made.
    #[error("make a certificate for {names}")]
    Make {
        /// For whom.
        names: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A Secret's fields are not what they should be.
    #[error("read the certificate of secret {0}: {1}")]
    Read(String, String),
}

/// What is to be done about the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing; look again after this time.
    Keep(Duration),
    /// There is none: make it.
    Make,
    /// It is old, or not what it should be: replace it, the old CA staying trusted.
    Rotate,
    /// Another looks after it.
    LeaveAlone,
}

/// What is to be done about the Secret that holds the webhook's certificate.
pub fn step(secret: Option<&Secret>, names: &[String], now: Timestamp) -> Step {
    let Some(secret) = secret else { return Step::Make };
    let annotation = |name: &str| secret.metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned();
    if annotation(CERT_MANAGER).is_some() {
        return Step::LeaveAlone;
    }
    let renew_after = annotation(RENEW_AFTER).and_then(|text| text.parse::<Timestamp>().ok());
    match renew_after {
        Some(renew) if renew > now && annotation(NAMES) == Some(names.join(",")) && certified_key(secret).is_ok() => {
            Step::Keep(Duration::try_from(renew.duration_since(now)).unwrap_or_default())
        }
        _ => Step::Rotate,
    }
}

/// A new Secret. Who trusts its CAs trusts `old`'s certificate too.
///
/// # Errors
/// A name that can't stand in a certificate.
pub fn make(name: &str, names: &[String], old: Option<&Secret>, now: SystemTime) -> Result<Secret, Error> {
    let issue = || -> Result<(String, String, String), rcgen::Error> {
        let mut ca = CertificateParams::new(Vec::<String>::new())?;
        ca.distinguished_name = common_name("ostler webhook CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (ca.not_before, ca.not_after) = ((now - SKEW).into(), (now + LIFE).into());
        let issuer = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let mut leaf = CertificateParams::new(names.to_vec())?;
        leaf.distinguished_name = common_name("ostler webhook");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (leaf.not_before, leaf.not_after) = ((now - SKEW).into(), (now + LIFE).into());
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;
        Ok((issuer.pem(), certificate.pem(), key.serialize_pem()))
    };
    let (ca, certificate, key) = issue().map_err(|source| Error::Make { names: names.join(", "), source })?;
    // The old bundle's first is the CA of the certificate that is served until this one is; older ones have served.
    let trusted = old.and_then(bundle).and_then(|old| String::from_utf8(old.0.clone()).ok());
    let trusted = trusted.as_deref().and_then(first_certificate).unwrap_or_default();
    let renew = Timestamp::try_from(now + LIFE * 2 / 3).unwrap_or_default();
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: old.and_then(|old| old.metadata.resource_version.clone()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "ostler-controller".to_owned())])),
            annotations: Some(BTreeMap::from([
                (RENEW_AFTER.to_owned(), renew.to_string()),
                (NAMES.to_owned(), names.join(",")),
            ])),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(BTreeMap::from([
            (CA.to_owned(), ByteString(format!("{ca}{trusted}").into_bytes())),
            (CERTIFICATE.to_owned(), ByteString(certificate.into_bytes())),
            (KEY.to_owned(), ByteString(key.into_bytes())),
        ])),
        ..Secret::default()
    })
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn first_certificate(bundle: &str) -> Option<&str> {
    const END: &str = "-----END CERTIFICATE-----\n";
    // rcgen ends lines as PEM's readers take both.
    let bundle = bundle.strip_prefix('\n').unwrap_or(bundle);
    bundle.find("-----END CERTIFICATE-----").map(|at| bundle.get(..at + END.len()).unwrap_or(bundle))
}

/// The CAs that the API server must trust.
pub fn bundle(secret: &Secret) -> Option<&ByteString> {
    secret.data.as_ref()?.get(CA)
}

/// The certificate with its key, as TLS serves it.
///
/// # Errors
/// A field that is missing or no PEM.
pub fn certified_key(secret: &Secret) -> Result<Arc<CertifiedKey>, Error> {
    let wrong = |what: &str| Error::Read(secret.metadata.name.clone().unwrap_or_default(), what.to_owned());
    let field = |name: &str| {
        let data = secret.data.as_ref().and_then(|data| data.get(name));
        data.ok_or_else(|| wrong(&format!("it has no {name}")))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&field(CERTIFICATE)?.0).collect();
    let chain = chain.map_err(|error| wrong(&format!("{CERTIFICATE}: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(&format!("{CERTIFICATE} holds no certificate")));
    }
    // The error may tell of the key's bytes: it is not passed on.
    let key = PrivateKeyDer::from_pem_slice(&field(KEY)?.0).map_err(|_| wrong(&format!("{KEY} is no private key")))?;
    let key = any_supported_type(&key).map_err(|_| wrong(&format!("{KEY} is of a kind that is not supported")))?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::client::WebPkiServerVerifier;
    use tokio_rustls::rustls::client::danger::ServerCertVerifier;
    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
    use tokio_rustls::rustls::{RootCertStore, crypto};

    use super::*;

    const NAME: &str = "ostler-webhook.system.svc";

    fn names() -> Vec<String> {
        vec![NAME.to_owned(), "127.0.0.1".to_owned()]
    }

    fn made(old: Option<&Secret>) -> Secret {
        make("tls", &names(), old, SystemTime::now()).unwrap()
    }

    /// Whether who trusts `trusted`'s bundle takes the certificate of `served` for `name`, by rustls' own verifier.
    fn is_trusted(trusted: &Secret, served: &Secret, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        for ca in CertificateDer::pem_slice_iter(&bundle(trusted).unwrap().0) {
            roots.add(ca.unwrap()).unwrap();
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let key = certified_key(served).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&key.cert[0], &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn the_certificate_is_trusted_by_its_bundle_for_its_names_only() {
        let secret = made(None);
        assert!(is_trusted(&secret, &secret, NAME) && is_trusted(&secret, &secret, "127.0.0.1"));
        assert!(!is_trusted(&secret, &secret, "ostler-webhook.other.svc"));
        assert!(!is_trusted(&made(None), &secret, NAME), "another CA");
        assert!(certified_key(&secret).unwrap().keys_match().is_ok());
    }

    #[test]
    fn over_a_rotation_both_certificates_are_trusted_and_older_ones_are_not() {
        let first = made(None);
        let second = made(Some(&first));
        assert!(is_trusted(&second, &first, NAME) && is_trusted(&second, &second, NAME));
        assert!(!is_trusted(&first, &second, NAME), "it really is another CA");
        let third = made(Some(&second));
        assert!(is_trusted(&third, &second, NAME) && !is_trusted(&third, &first, NAME));
    }

    #[test]
    fn it_is_replaced_after_two_thirds_of_its_life_or_for_other_names() {
        let secret = made(None);
        let day = |day: i64| Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_hours(24 * day);
        assert!(
            matches!(step(Some(&secret), &names(), day(0)), Step::Keep(wait) if wait > Duration::from_secs(240 * 86400))
        );
        assert!(matches!(step(Some(&secret), &names(), day(243)), Step::Keep(_)));
        assert_eq!(step(Some(&secret), &names(), day(244)), Step::Rotate);
        assert_eq!(step(Some(&secret), &[NAME.to_owned()], day(0)), Step::Rotate);
        assert_eq!(step(None, &names(), day(0)), Step::Make);
    }

    #[test]
    fn what_is_damaged_is_replaced_and_what_is_anothers_is_left_alone() {
        let mut secret = made(None);
        secret.data.as_mut().unwrap().insert(KEY.into(), ByteString(b"nonsense".to_vec()));
        assert_eq!(step(Some(&secret), &names(), Timestamp::now()), Step::Rotate);
        assert_eq!(
            certified_key(&secret).unwrap_err().to_string(),
            "read the certificate of secret tls: tls.key is no private key"
        );
        secret.metadata.annotations.get_or_insert_default().insert(CERT_MANAGER.into(), "x".into());
        assert_eq!(step(Some(&secret), &names(), Timestamp::now()), Step::LeaveAlone);
    }
}
