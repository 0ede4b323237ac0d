//! From a pod to its host: what the agent makes must be the host's, not the pod's.
//!
//! The pod shares the host's processes and network. Its mounts it leaves, once what it needs of them is open.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ostler_util::namespace;

/// Where Kubernetes puts a pod's credentials.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the chart puts the pod's token for the controller.
const CONTROLLER_TOKEN: &str = "/var/run/secrets/ostler.dev/controller";

/// What the agent takes along from its pod.
#[derive(Debug)]
pub struct Pod {
    /// The way to the API server; its token and certificate are read anew when they change.
    pub config: kube::Config,
    /// The runtime that the image carries, if asked for.
    pub runtime: Option<PathBuf>,
    /// The file of the token for the controller; it too is read anew.
    pub token: Option<PathBuf>,
    /// Folders of the pod that stay open for as long as the agent lives.
    _folders: Vec<File>,
}

/// Takes what is needed of the pod, then enters the host's mounts and control groups. Before any thread is made.
///
/// # Errors
/// No credentials; a pod that does not share the host's processes (`hostPID: true`) or lacks the right to enter.
pub fn leave(runtime: Option<&Path>) -> anyhow::Result<Pod> {
    let mut config = kube::Config::incluster().context("read the pod's service account")?;
    let mut folders = Vec::new();
    let mut take_along = |path: &Path| -> anyhow::Result<PathBuf> {
        let folder = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc_path_only())
            .open(path)
            .with_context(|| format!("open {}", path.display()))?;
        let way = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        folders.push(folder);
        Ok(way)
    };
    let account = take_along(SERVICE_ACCOUNT.as_ref())?;
    config.auth_info.token_file = Some(account.join("token").display().to_string());
    config.root_cert_file = Some(account.join("ca.crt"));
    let runtime = runtime.map(&mut take_along).transpose()?;
    let token = Path::new(CONTROLLER_TOKEN);
    let token = if token.exists() { Some(take_along(token)?.join("token")) } else { None };
    namespace::enter_host().context(
        "enter the host's mounts: the pod needs hostPID: true and the capabilities SYS_ADMIN, SYS_CHROOT and SYS_PTRACE",
    )?;
    Ok(Pod { config, runtime, token, _folders: folders })
}

/// A descriptor that stands for a folder, whatever is mounted where.
fn libc_path_only() -> i32 {
    (rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY).bits().cast_signed()
}
