//! Counts how many of the cases taken from libvirt's own tests hold, suite by suite.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Parser, ValueEnum};
use ostler_conformance::{Ratchet, Suite, Tried};

/// Runs the cases of a corpus and prints how many hold.
#[derive(Debug, Parser)]
#[command(name = "conformance")]
struct Args {
    /// The corpus's folder
    #[arg(long, env = "OSTLER_CORPUS", default_value = "../shared/corpus")]
    corpus: PathBuf,
    /// Only these suites
    #[arg(long = "suite")]
    suites: Vec<String>,
    /// Name what does not hold, and why
    #[arg(long)]
    failures: bool,
    /// text: a line for each suite; json: an object for each case
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail where a case that conformance/held.json names does not hold
    #[arg(long)]
    ratchet: bool,
    /// Bring conformance/held.json up to date with what holds
    #[arg(long)]
    write: bool,
    /// Start a real QEMU, stopped, on the command lines of qemuxmlconf for x86_64, with stand-ins for what they name (root)
    #[arg(long, conflicts_with_all = ["suites", "ratchet", "write"])]
    start: bool,
    /// Ask a libvirt that runs on this machine what becomes of the definitions of e2e/definitions, and compare (root)
    #[arg(long, conflicts_with_all = ["suites", "ratchet", "write", "start"])]
    live: bool,
    /// Folder that keeps libvirt's answers, as a corpus; answers that are there are not asked for again
    #[arg(long, value_name = "DIR", requires = "live")]
    answers: Option<PathBuf>,
    /// The QEMU to start
    #[arg(long, default_value = "/usr/bin/qemu-system-x86_64", requires = "start")]
    emulator: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.start {
        return start(&args);
    }
    if args.live {
        return live(&args);
    }
    let suites = ostler_conformance::run(&args.corpus, &args.suites)?;
    match args.format {
        Format::Text => print_text(&suites, args.failures)?,
        Format::Json => print_json(&suites)?,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("held.json");
    let mut ratchet = Ratchet::read(&path)?;
    let lost = ratchet.lost(&suites);
    if args.write {
        ratchet.update(&suites);
        ratchet.write(&path)?;
    }
    if args.ratchet && !lost.is_empty() {
        bail!("cases that held before don't any more:\n{}", lost.join("\n"));
    }
    Ok(())
}

fn start(args: &Args) -> anyhow::Result<()> {
    let seen = |case: &str, tried: &Tried| {
        let line = match tried {
            Tried::Refused { reason: None, said } => format!("  {case}: NOT EXPLAINED: {said}\n"),
            Tried::Refused { reason: Some(_), said } if args.failures => format!("  {case}: {said}\n"),
            Tried::Refused { .. } | Tried::Accepted | Tried::LeftOut(_) => return,
        };
        // The summary tells of it again, if nobody reads here.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    };
    let tried = ostler_conformance::start(&args.corpus, "qemuxmlconf", "x86_64", &args.emulator, &seen)?;
    std::io::stdout().lock().write_all(ostler_conformance::summary(&tried).as_bytes())?;
    let unexplained = |tried: &Tried| matches!(tried, Tried::Refused { reason: None, .. });
    match tried.iter().filter(|(_, tried)| unexplained(tried)).count() {
        0 => Ok(()),
        count => bail!("{count} command lines are refused, and nothing explains it"),
    }
}

fn live(args: &Args) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let corpus = args.answers.as_deref().unwrap_or(temporary.path());
    if !corpus.join("manifest").exists() {
        let definitions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/definitions");
        ostler_conformance::record(&definitions, corpus)?;
    }
    let suites = ostler_conformance::run(corpus, &[])?;
    match args.format {
        Format::Text => print_text(&suites, true),
        Format::Json => print_json(&suites),
    }
}

fn print_text(suites: &[Suite], failures: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for suite in suites {
        let note = if suite.served { "" } else { "  not served" };
        writeln!(out, "{:<28} {}/{}{note}", suite.name, suite.passed(), suite.results.len())?;
        if failures && suite.served {
            for (case, verdict) in &suite.results {
                match verdict {
                    Err(why) => writeln!(out, "  {case}: {why}")?,
                    Ok(Some(remark)) => writeln!(out, "  (holds) {case}: {remark}")?,
                    Ok(None) => {}
                }
            }
        }
    }
    Ok(())
}

fn print_json(suites: &[Suite]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for suite in suites {
        for (case, verdict) in &suite.results {
            let why = verdict.as_ref().map_or_else(Some, Option::as_ref);
            let line = serde_json::json!({ "suite": suite.name, "case": case, "pass": verdict.is_ok(), "why": why });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
