//! Measures what users wait for and pay, each beside the same done by hand in the same run. `./dev bench` runs it.

#![allow(clippy::unwrap_used, reason = "a bench that can't measure ends there")]

mod agent;
mod by_hand;
mod cluster;
mod documents;
mod fleet;
mod guests;
mod networks;
mod qemu;
mod reference;
mod report;
mod volumes;

use report::Report;

fn main() {
    let binary =
        std::env::var("OSTLER_BINARY").expect("OSTLER_BINARY names the binary to measure: ./dev bench sets it");
    let json = std::env::args().any(|arg| arg == "--json");
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let mut report = Report::new(json);
    if std::env::args().any(|arg| arg == "--fleet") {
        let size = fleet::Size { hosts: number("--hosts", 1000), domains: number("--domains", 20_000) };
        fleet::measure(&binary, size, &mut report);
        return report.print();
    }
    if std::env::args().any(|arg| arg == "--cluster") {
        cluster::measure(&binary, &wanted, &mut report);
        return report.print();
    }
    for (name, measure) in [
        ("documents", documents::measure as fn(&str, &mut Report)),
        ("qemu", qemu::measure),
        ("volumes", volumes::measure),
        ("networks", networks::measure),
        ("agent", agent::measure),
        ("guests-start", guests::starts),
        ("guests-rest", guests::paused),
    ] {
        if wanted(name) {
            eprintln!("measuring {name} …");
            measure(&binary, &mut report);
        }
    }
    report.print();
}

/// The number that follows an option.
fn number(option: &str, default: usize) -> usize {
    let given = std::env::args().skip_while(|arg| arg != option).nth(1);
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{option} takes a number, not '{text}'")))
}
