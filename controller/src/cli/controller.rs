//! `ostler controller`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use ostler::controller;

use super::{Outcome, telemetry};

#[derive(Debug, Args)]
pub(super) struct ControllerArgs {
    /// Namespace of its own objects: Leases and certificate
    #[arg(long, env = "OSTLER_NAMESPACE", value_name = "NAMESPACE")]
    namespace: String,
    /// How the API server is reached; absent: as a pod, or by $KUBECONFIG
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Address of the admission webhook
    #[arg(long, default_value = "0.0.0.0:8443", value_name = "ADDRESS")]
    webhook_listen: SocketAddr,
    /// Further name of the webhook in its certificate, for an API server that reaches it by URL
    #[arg(long = "webhook-name", value_name = "NAME")]
    webhook_names: Vec<String>,
    /// Address of /metrics, /healthz and /readyz
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How many virtual CPUs may share one of a host's
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "NUMBER")]
    vcpus_per_cpu: u32,
    /// How logs are written
    #[arg(long, default_value = "text", env = "OSTLER_LOG_FORMAT")]
    log_format: telemetry::LogFormat,
    /// What is logged, as in "info" or "ostler=debug"
    #[arg(long, default_value = "info", env = "OSTLER_LOG", value_name = "FILTER")]
    log: String,
}

pub(super) fn run(args: ControllerArgs) -> Outcome {
    telemetry::start(args.log_format, &args.log)?;
    let config = controller::Config {
        namespace: args.namespace,
        kubeconfig: args.kubeconfig,
        webhook_listen: args.webhook_listen,
        webhook_names: args.webhook_names,
        listen: args.listen,
        vcpus_per_cpu: args.vcpus_per_cpu,
    };
    super::keep_from_core_dumps()?;
    let runtime = super::runtime()?;
    runtime.block_on(controller::run(config))?;
    Ok(0)
}
