//! Prints what this machine's processors are, by the named models.

#![allow(clippy::print_stdout, reason = "a tool says what it found")]

use ostler_driver::Cpus as _;

fn main() -> anyhow::Result<()> {
    println!("{:#?}", ostler_driver_cpu::CpuDriver.host()?);
    Ok(())
}
