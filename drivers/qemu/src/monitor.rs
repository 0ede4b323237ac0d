//! QMP: QEMU's control protocol, one JSON object a line over a unix socket.

mod connection;
mod message;

pub(crate) use connection::{Monitor, MonitorEvents, Notice};
pub(crate) use message::{QmpEvent, Refusal};

use std::time::Duration;

use ostler_driver::Error;
use ostler_util::ErrorCode;

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MonitorError {
    /// QEMU closed the connection: it has ended, or is about to.
    #[error("QEMU closed its monitor")]
    Closed,
    /// No answer within the deadline. The guest may be well.
    #[error("QEMU did not answer '{command}' within {timeout:?}")]
    Silent { command: String, timeout: Duration },
    /// QEMU refused.
    #[error("QEMU refused '{command}': {refusal}")]
    Refused { command: String, refusal: Refusal },
    /// The answer was of another kind than expected.
    #[error("QEMU answered '{command}' with what was not expected")]
    Unexpected {
        command: String,
        #[source]
        source: serde_json::Error,
    },
    /// The command could not be sent.
    #[error("send '{command}' to QEMU")]
    Send {
        command: String,
        #[source]
        source: std::io::Error,
    },
}

impl From<MonitorError> for Error {
    fn from(error: MonitorError) -> Self {
        let code = match &error {
            MonitorError::Silent { .. } => ErrorCode::OperationTimeout,
            MonitorError::Refused { .. } => ErrorCode::OperationFailed,
            MonitorError::Closed | MonitorError::Send { .. } => ErrorCode::OperationAborted,
            MonitorError::Unexpected { .. } => ErrorCode::InternalError,
        };
        Error::new(code, error.to_string()).with_source(error)
    }
}
