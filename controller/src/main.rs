//! `ostler`: hypervisor hosts managed by Kubernetes. This file only wires.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
