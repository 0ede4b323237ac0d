//! Where the driver keeps what it knows.

use std::path::PathBuf;

/// The driver's folders.
#[derive(Clone, Debug)]
pub struct Config {
    /// Durable state: pool definitions and volume records, below `storage/`.
    pub state_dir: PathBuf,
    /// Where pools without a path of their own live.
    pub pools_dir: PathBuf,
}
