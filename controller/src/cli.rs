//! The command line.

mod console;
mod controller;
mod convert;
mod crds;
mod delete;
mod documents;
mod get;
mod manifests;
mod operation;
mod out;
mod plan;
mod probe;
mod telemetry;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use ostler::agent;
use ostler_crds::Verb;
use ostler_crds::grants::Grant;

/// Exit codes, as `--help` tells them.
mod exit {
    pub(super) const FAILED: u8 = 1;
    pub(super) const DIFFERENT: u8 = 3;
    pub(super) const NOT_FOUND: u8 = 4;
}

/// Threads for calls that block: as many as the engine looks at objects at once, and some for who asks.
const BLOCKING: usize = 64;

/// Hypervisor hosts managed by Kubernetes: domains, networks and storage as declarative manifests.
#[derive(Debug, Parser)]
#[command(
    name = "ostler",
    version,
    propagate_version = true,
    after_long_help = "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 something would change (plan), 4 not found.\n\nExamples:\n  ostler agent --manifests /etc/ostler/manifests\n  ostler get dom -o wide --watch\n  ostler validate -f web.yaml\n  ostler restart web --namespace shop"
)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the agent of this host keeps its state.
#[derive(Clone, Debug, Args)]
struct Place {
    /// Folder of durable state
    #[arg(long, global = true, env = "OSTLER_STATE_DIR", default_value = "/var/lib/ostler", value_name = "DIR")]
    state_dir: PathBuf,
    /// Folder of state that lasts until the next boot
    #[arg(long, global = true, env = "OSTLER_RUN_DIR", default_value = "/run/ostler", value_name = "DIR")]
    run_dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run this host as its manifests, or its cluster, say
    #[command(
        after_help = "Examples:\n  ostler agent --manifests /etc/ostler/manifests --listen 127.0.0.1:9465\n  ostler agent --cluster --kubeconfig admin.conf --node node-a --namespace ostler-system\n\nIn a cluster verbs are objects (kubectl create -f a DomainOperation), and 'ostler get' on a host shows what that host kept."
    )]
    Agent(AgentArgs),
    /// Run a cluster's controller: hosts, claims, and the admission webhook
    #[command(after_help = "Example:\n  ostler controller --namespace ostler-system --kubeconfig ~/.kube/config")]
    Controller(controller::ControllerArgs),
    /// Show objects and their state
    #[command(after_help = "Examples:\n  ostler get all -A\n  ostler get dom web -o yaml\n  ostler get dom --watch")]
    Get(get::GetArgs),
    /// Check manifests, or documents of libvirt's, without an agent
    #[command(
        after_help = "Examples:\n  ostler validate -f examples/demo\n  virsh dumpxml web | ostler validate --schema -"
    )]
    Validate(manifests::ValidateArgs),
    /// Show what applying a manifest would change, while the guest runs or at its restart
    #[command(after_help = "Example:\n  ostler plan -f web.yaml --exit-code")]
    Plan(plan::PlanArgs),
    /// Convert libvirt's XML to a manifest, a manifest to libvirt's XML, or either to QEMU's command line
    #[command(
        after_help = "Examples:\n  virsh dumpxml web | ostler convert - > web.yaml\n  ostler convert web.yaml --to xml\n  ostler convert /etc/libvirt --host node-a --out manifests\n  ostler convert --to qemu-argv -f web.yaml"
    )]
    Convert(convert::ConvertArgs),
    /// Delete an object with its manifest
    #[command(after_help = "Example:\n  ostler delete dom web")]
    Delete(delete::DeleteArgs),
    /// Open a guest's console; Ctrl+] leaves it
    #[command(after_help = "Example:\n  ostler console web")]
    Console(console::ConsoleArgs),
    /// Start a guest
    #[command(after_help = "Example:\n  ostler start web")]
    Start(operation::VerbArgs),
    /// Ask a guest to shut down
    #[command(after_help = "Example:\n  ostler shutdown web --timeout 60s")]
    Shutdown(operation::VerbArgs),
    /// End a guest as by pulling its plug
    #[command(name = "poweroff", after_help = "Example:\n  ostler poweroff web")]
    PowerOff(operation::VerbArgs),
    /// Shut a guest down and start it, with the changes that wait for it
    #[command(after_help = "Example:\n  ostler restart web")]
    Restart(operation::VerbArgs),
    /// Ask a guest to reboot
    #[command(after_help = "Example:\n  ostler reboot web")]
    Reboot(operation::VerbArgs),
    /// Reset a guest as by its button
    #[command(after_help = "Example:\n  ostler reset web")]
    Reset(operation::VerbArgs),
    /// Stop a guest's CPUs
    #[command(after_help = "Example:\n  ostler suspend web")]
    Suspend(operation::VerbArgs),
    /// Let a guest's CPUs go on
    #[command(after_help = "Example:\n  ostler resume web")]
    Resume(operation::VerbArgs),
    /// Stop every guest, as its onHostShutdown says, before this host goes down
    #[command(after_help = "Example:\n  ostler host-shutdown --timeout 120s")]
    HostShutdown(operation::HostShutdownArgs),
    /// Print the CRDs as YAML
    #[command(after_help = "Example:\n  ostler crds | kubectl apply --server-side -f -")]
    Crds(crds::CrdsArgs),
    /// Ask a component how it is, over HTTP
    #[command(after_help = "Example:\n  ostler probe http://127.0.0.1:9437/readyz")]
    Probe(probe::ProbeArgs),
    /// Print a shell's completion script
    #[command(after_help = "Example:\n  ostler completion bash > /etc/bash_completion.d/ostler")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  ostler man | man -l -")]
    Man,
}

#[derive(Debug, Args)]
struct AgentArgs {
    /// Directory of manifests
    #[arg(long, value_name = "DIR", required_unless_present = "cluster", conflicts_with = "cluster")]
    manifests: Option<PathBuf>,
    /// Delete the objects of the last manifest when it is removed
    #[arg(long, conflicts_with = "cluster")]
    allow_empty: bool,
    /// Take objects from a cluster's API server; in a pod: the cluster's own, for the pod's host
    #[arg(long)]
    cluster: bool,
    /// Way to the API server from outside of the cluster
    #[arg(long, value_name = "FILE", requires = "cluster")]
    kubeconfig: Option<PathBuf>,
    /// This host's Node
    #[arg(long, env = "NODE_NAME", required_if_eq("cluster", "true"), value_name = "NAME")]
    node: Option<String>,
    /// Namespace of the agent's Lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "ostler-system", value_name = "NAME")]
    namespace: String,
    /// Id of a cluster that this one replaces (the uid of its namespace kube-system): `adopt: Orphaned` takes its guests over
    #[arg(long = "former-owner", requires = "cluster", value_name = "UID")]
    former_owners: Vec<String>,
    /// File of this host's token for the controller, which hands out what domains keep in Secrets; in a pod: the chart's
    #[arg(long, requires = "cluster", value_name = "FILE")]
    controller_token: Option<PathBuf>,
    /// Folder with a runtime to lay down on the host and start guests from: 'digest' and 'runtime/bin/…'
    #[arg(long, env = "OSTLER_RUNTIME", value_name = "DIR")]
    runtime: Option<PathBuf>,
    /// Control group for guests, in every hierarchy; default: 'ostler', in a pod below the group of the host's first process
    #[arg(long, env = "OSTLER_CGROUP", value_name = "PATH")]
    cgroup: Option<String>,
    /// Address of /metrics, /healthz and /readyz; "none": nowhere; default: 127.0.0.1:9465, in a cluster 127.0.0.1:9437
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Grants that hold on this host where its Host has no spec.allow, as in "hostpaths,hostnetworks"; default: none
    #[arg(long, value_delimiter = ',', value_name = "GRANT", requires = "cluster")]
    allow: Vec<Grant>,
    /// Drivers to open, the default first
    #[arg(long, default_value = "qemu", value_delimiter = ',', value_name = "DRIVER")]
    drivers: Vec<String>,
    /// Emulator of definitions that name none
    #[arg(long, value_name = "FILE")]
    emulator: Option<PathBuf>,
    /// User that guests run as; made if it is missing
    #[arg(long, default_value = "ostler-qemu", value_name = "USER")]
    qemu_user: String,
    /// How logs are written
    #[arg(long, default_value = "text", env = "OSTLER_LOG_FORMAT")]
    log_format: telemetry::LogFormat,
    /// What is logged, as in "info" or "ostler=debug"
    #[arg(long, default_value = "info", env = "OSTLER_LOG", value_name = "FILTER")]
    log: String,
}

/// Which namespace.
#[derive(Clone, Debug, Args)]
struct Namespace {
    /// The namespace
    #[arg(short, long, default_value = "default")]
    namespace: String,
}

/// How data are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

/// How a command ended, when it did not fail.
type Outcome = anyhow::Result<u8>;

pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Agent(args) => run_agent(args, &cli.place),
        Command::Controller(args) => controller::run(args),
        Command::Get(args) => get::run(&args, &cli.place),
        Command::Validate(args) => manifests::validate(&args),
        Command::Plan(args) => plan::run(&args, &cli.place),
        Command::Convert(args) => convert::run(&args, &cli.place),
        Command::Delete(args) => delete::run(&args, &cli.place),
        Command::Console(args) => console::run(&args, &cli.place),
        Command::Start(args) => operation::run(Verb::Start, &args, &cli.place),
        Command::Shutdown(args) => operation::run(Verb::Shutdown, &args, &cli.place),
        Command::PowerOff(args) => operation::run(Verb::PowerOff, &args, &cli.place),
        Command::Restart(args) => operation::run(Verb::Restart, &args, &cli.place),
        Command::Reboot(args) => operation::run(Verb::Reboot, &args, &cli.place),
        Command::Reset(args) => operation::run(Verb::Reset, &args, &cli.place),
        Command::Suspend(args) => operation::run(Verb::Suspend, &args, &cli.place),
        Command::Resume(args) => operation::run(Verb::Resume, &args, &cli.place),
        Command::HostShutdown(args) => operation::host_shutdown(&args, &cli.place),
        Command::Crds(args) => crds::run(&args),
        Command::Probe(args) => probe::run(&args),
        Command::Completion { shell } => {
            print_generated(|out| clap_complete::generate(shell, &mut Cli::command(), "ostler", out))
        }
        Command::Man => print_generated(|out| {
            // A buffer takes all that is written.
            let _ = clap_mangen::Man::new(Cli::command()).render(out);
        }),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if out::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            out::error(&format!("{error:#}"));
            ExitCode::from(exit::FAILED)
        }
    }
}

/// The memory of what holds secrets goes into no core dump, and no process without privileges looks into it.
fn keep_from_core_dumps() -> anyhow::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("keep this process' memory out of core dumps")
}

fn run_agent(args: AgentArgs, place: &Place) -> Outcome {
    telemetry::start(args.log_format, &args.log)?;
    let default = if args.cluster { "127.0.0.1:9437" } else { "127.0.0.1:9465" };
    let listen: Option<SocketAddr> = match args.listen.as_deref().unwrap_or(default) {
        "none" => None,
        address => Some(address.parse().map_err(|error| anyhow::anyhow!("--listen {address}: {error}"))?),
    };
    // Before there are threads: a pod's agent goes over to its host.
    let is_pod = args.cluster && args.kubeconfig.is_none();
    let pod = if is_pod { Some(agent::pod::leave(args.runtime.as_deref())?) } else { None };
    let cgroup = match &args.cgroup {
        Some(path) => path.trim_matches('/').to_owned(),
        None if is_pod => {
            let host =
                ostler_util::cgroup::of_the_host().context("find the control group of the host's first process")?;
            host.join("ostler").display().to_string()
        }
        None => "ostler".to_owned(),
    };
    keep_from_core_dumps()?;
    let runtime = runtime()?;
    let (objects, laid) = match (&pod, &args.kubeconfig, &args.manifests) {
        (Some(pod), ..) => (cluster(pod.config.clone(), pod.token.clone(), &args), pod.runtime.clone()),
        (None, Some(file), _) => {
            let config = runtime.block_on(agent::kubeconfig(file))?;
            (cluster(config, None, &args), args.runtime)
        }
        (None, None, Some(manifests)) => {
            (agent::Objects::Directory { manifests: manifests.clone(), allow_empty: args.allow_empty }, args.runtime)
        }
        (None, None, None) => anyhow::bail!("say --manifests DIR or --cluster"),
    };
    let config = agent::Config {
        objects,
        state_dir: place.state_dir.clone(),
        run_dir: place.run_dir.clone(),
        listen,
        drivers: args.drivers,
        emulator: args.emulator,
        qemu_user: args.qemu_user,
        cgroup,
        runtime: laid,
    };
    runtime.block_on(agent::run(config))?;
    Ok(0)
}

/// What agent and controller run on: few threads, which rest most of the time.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    ostler_util::memory::keep_in_few_heaps();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(BLOCKING).enable_all().build()
}

/// `token`: the pod's own for the controller.
fn cluster(config: kube::Config, token: Option<PathBuf>, args: &AgentArgs) -> agent::Objects {
    agent::Objects::Cluster {
        config: Box::new(config),
        node: args.node.clone().unwrap_or_default(),
        namespace: args.namespace.clone(),
        allow: args.allow.clone(),
        former_owners: args.former_owners.clone(),
        token: args.controller_token.clone().or(token),
    }
}

fn print_generated(generate: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let mut text = Vec::new();
    generate(&mut text);
    out::print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("ostler {}", command.get_name())), "{}", command.get_name());
        }
    }
}
