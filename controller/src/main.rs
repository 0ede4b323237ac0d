//! `ostler`: hypervisor hosts managed by Kubernetes. This file only wires.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
