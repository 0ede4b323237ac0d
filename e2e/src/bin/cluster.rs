//! A Kubernetes of two nodes on this machine: up, down, and what goes into it.

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use ostler_e2e::cluster::image::Image;
use ostler_e2e::cluster::install::Kind;
use ostler_e2e::cluster::node::Node;
use ostler_e2e::cluster::place::Place;
use ostler_e2e::cluster::{Cluster, down, init};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Which cluster: several can stand side by side.
    #[arg(long, global = true, default_value_t = 0, env = "OSTLER_CLUSTER")]
    id: u8,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make it.
    Up,
    /// Remove it, and everything of it.
    Down,
    /// Install the charts with this binary, or bring what is installed up to date.
    Install {
        /// The static binary.
        binary: PathBuf,
        /// Bring QEMU, firmware and tools along in the image, as for nodes that have none.
        #[arg(long)]
        runtime: bool,
    },
    /// Give images, as `docker save` writes them, to both nodes.
    Load { archives: Vec<PathBuf> },
    /// Write an image with this binary, as `docker save` does.
    Image {
        /// The static binary.
        binary: PathBuf,
        /// The image's name.
        name: String,
        /// The file to be.
        archive: PathBuf,
        /// Put QEMU, firmware and tools into it too, for hosts that have none.
        #[arg(long)]
        runtime: bool,
    },
    /// Show its nodes and pods.
    Status,
    /// Run a program on a node.
    Exec {
        node: String,
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Be a node's first process.
    #[command(hide = true)]
    Init { cluster: u8, node: String, bin: PathBuf },
}

fn main() -> ExitCode {
    let Arguments { id, command } = Arguments::parse();
    match run(Place(id), command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(place: Place, command: Verb) -> Result<ExitCode> {
    let program = std::env::current_exe()?;
    let started = Instant::now();
    let say = |line: &str| eprintln!("{:6.1} s  {line}", started.elapsed().as_secs_f32());
    match command {
        Verb::Up => {
            let cluster = Cluster::up(place, program, &say).with_context(|| {
                format!(
                    "the cluster did not come up; its logs are in {}; 'down' removes it",
                    place.directory().display()
                )
            })?;
            println!("export KUBECONFIG={}", cluster.kubeconfig().display());
        }
        Verb::Down => down(place)?,
        Verb::Install { binary, runtime } => {
            let kind = if runtime { Kind::Runtime("") } else { Kind::Plain };
            let cluster = Cluster::find(place, program)?;
            cluster.install(&binary, kind, &[], &say)?;
            cluster.install_guest()?;
        }
        Verb::Load { archives } => {
            let cluster = Cluster::find(place, program)?;
            archives.iter().try_for_each(|archive: &PathBuf| cluster.load(archive))?;
        }
        Verb::Image { binary, name, archive, runtime } => {
            let image = if runtime { Image::ostler_runtime(&name, &binary, "") } else { Image::ostler(&name, &binary) };
            image?.write_file(&archive)?;
        }
        Verb::Status => {
            let (code, text) = Cluster::find(place, program)?.kubectl(&["get", "nodes,pods", "-A", "-o", "wide"]);
            print!("{text}");
            return Ok(ExitCode::from(u8::from(code != 0)));
        }
        Verb::Exec { node, program, args } => {
            let status = find(place, &node)?.command(Path::new(&program))?.args(args).status()?;
            return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
        }
        Verb::Init { cluster, node, bin } => init::run(&find(Place(cluster), &node)?, &bin)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn find(place: Place, name: &str) -> Result<Node> {
    let node = Node::all(place).into_iter().find(|node| node.name == name);
    node.with_context(|| format!("there is no node {name:?}: node-a and node-b are there"))
}
