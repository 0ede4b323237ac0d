//! The one error of the driver API.

use ostler_util::ErrorCode;

/// What a driver call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed driver call: libvirt's code, what was tried, the field at fault where there is one, and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// libvirt's error number.
    pub code: ErrorCode,
    /// What was tried, with which value, and what would be right. Lower case, no full stop, no secret.
    pub message: String,
    /// The field of the definition at fault, as in `devices.disks[vda].source`.
    pub field: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a caller can do about an error; reconcilers decide on this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The driver can't do it, now or later.
    Unsupported,
    /// What was named does not exist.
    NotFound,
    /// Something else holds the name or the resource.
    Conflict,
    /// The definition is wrong: only its author can mend it.
    Invalid,
    /// It may work later by itself (busy, timeout, I/O).
    Transient,
    /// A fault of ours or of the hypervisor.
    Internal,
}

impl Error {
    /// An error with libvirt's `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), field: None, source: None }
    }

    /// The same with a cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same with the field at fault.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// `operation` is nothing that `driver` can do.
    pub fn no_support(driver: &str, operation: &str) -> Self {
        Error::new(ErrorCode::NoSupport, format!("the {driver} driver does not support {operation}"))
    }

    /// A failed system call while doing `what`.
    pub fn system(what: impl Into<String>, source: std::io::Error) -> Self {
        Error::new(ErrorCode::SystemError, format!("{}: {source}", what.into())).with_source(source)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        use ErrorCode as C;
        match self.code {
            C::NoSupport | C::ArgumentUnsupported | C::OperationUnsupported => ErrorKind::Unsupported,
            C::NoDomain
            | C::NoNetwork
            | C::NoStoragePool
            | C::NoStorageVol
            | C::NoSecret
            | C::NoNwfilter
            | C::NoInterface
            | C::NoNodeDevice
            | C::NoNetworkPort
            | C::NoDomainMetadata
            | C::DeviceMissing => ErrorKind::NotFound,
            C::DomExist
            | C::NetworkExist
            | C::StorageVolExist
            | C::StoragePoolBuilt
            | C::NetworkPortExist
            | C::OperationInvalid => ErrorKind::Conflict,
            C::XmlError
            | C::XmlDetail
            | C::XmlInvalidSchema
            | C::ConfigUnsupported
            | C::InvalidArg
            | C::InvalidMac
            | C::NoName
            | C::NoOs
            | C::OsType
            | C::NoSource
            | C::NoTarget
            | C::Overflow
            | C::CpuIncompatible => ErrorKind::Invalid,
            C::ResourceBusy
            | C::OperationTimeout
            | C::SystemError
            | C::OperationAborted
            | C::AgentUnresponsive
            | C::NoConnect
            | C::HttpError => ErrorKind::Transient,
            _ => ErrorKind::Internal,
        }
    }
}

impl From<ostler_conf::Invalid> for Error {
    /// The first problem gives code and field; the message lists them all.
    fn from(invalid: ostler_conf::Invalid) -> Self {
        let first = invalid.first();
        Error { code: first.code, field: Some(first.path.clone()), message: invalid.to_string(), source: None }
    }
}
