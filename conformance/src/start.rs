//! The command lines of a suite, tried on a real QEMU: started with its CPUs stopped, asked how it is, and told to quit.
//!
//! What a command line names is not there on this machine: stand-ins are (`stage`), KVM becomes TCG, and much memory less
//! (`line`). What QEMU refuses must have a reason in that (`reasons`).

mod line;
mod reasons;
mod said;
mod stage;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use ostler_driver_qemu::offline::command_line::CommandLine;
use ostler_util::cgroup::Entrances;
use ostler_util::pidfd::Process;
use ostler_util::spawn::Spawn;

use super::case::{Case, Outcome};
use super::{cases, qemu_args};
use said::Said;
use stage::Stage;

/// How many are tried at once.
const WORKERS: usize = 2;
/// Much more than QEMU takes for any step here.
const DEADLINE: Duration = Duration::from_secs(60);

/// What came of trying a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// QEMU began, and waited for us.
    Accepted,
    /// QEMU refused it, for the sake of the stand-ins or of this machine.
    Refused {
        /// Its words.
        said: String,
        /// Why it said so; `None`: nothing here explains it.
        reason: Option<&'static str>,
    },
    /// It was not tried.
    LeftOut(String),
}

/// Tries every command line of a suite that is for `arch` on `emulator`; `seen` is shown each as it comes.
///
/// # Errors
/// A corpus that can't be read; a place for the tries that can't be made: it takes root.
pub fn start(
    corpus: &Path,
    suite: &str,
    arch: &str,
    emulator: &Path,
    seen: &(dyn Fn(&str, &Tried) + Sync),
) -> anyhow::Result<Vec<(String, Tried)>> {
    let corpus = corpus.canonicalize().with_context(|| format!("find {}", corpus.display()))?;
    let cases: Vec<Case> = cases(&corpus, suite)?
        .into_iter()
        .filter(|case| case.outcome() == Outcome::Accepted && case.param("arch") == arch)
        .filter(|case| !case.param_of_expect("args").is_empty())
        .collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        let work = || {
            let stage = Stage::new()?;
            while let Some((at, case)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                cases.get(at).map(|case| (at, case))
            } {
                let tried = try_case(case, emulator, &stage).with_context(|| case.name.clone())?;
                seen(&case.name, &tried);
                results.lock().expect("no one panics with it").insert(at, (case.name.clone(), tried));
            }
            anyhow::Ok(())
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    Ok(results.into_inner().expect("all have ended").into_values().collect())
}

fn try_case(case: &Case, emulator: &Path, stage: &Stage) -> anyhow::Result<Tried> {
    let line = match qemu_args::command_line_of(case, qemu_args::Asked::Tests) {
        Ok(line) => line,
        Err(error) => return Ok(Tried::LeftOut(format!("there is no command line: {error}"))),
    };
    let all = Said::all(&line.args);
    if let Some(reason) = reasons::left_out(&all) {
        return Ok(Tried::LeftOut(reason.to_owned()));
    }
    let said = run(&line, &all, emulator, stage)?;
    Ok(match said {
        None => Tried::Accepted,
        Some(said) => Tried::Refused { reason: reasons::of_refusal(&said, || qemu_args::wrapped(case).is_ok()), said },
    })
}

/// Starts QEMU, and ends it; `Some`: what it said when it refused.
fn run(line: &CommandLine, all: &[Said<'_>], emulator: &Path, stage: &Stage) -> anyhow::Result<Option<String>> {
    let (args, descriptors) = line::on_this_machine(&line.args);
    let mut set = stage.set(all)?;
    let mut fds = Vec::new();
    let mut monitor: Option<PathBuf> = None;
    for (number, descriptor) in descriptors.iter().enumerate() {
        let (fd, listening) = set.open(descriptor, number, all)?;
        if matches!(descriptor, line::Descriptor::Listening(of) if of.contains("charmonitor")) {
            monitor = listening;
        }
        fds.push(fd);
    }
    let output = stage.output();
    fs::write(&output, "")?;
    let root = stage.root();
    let spawn = Spawn {
        program: "/usr/sbin/chroot".into(),
        args: [root.as_os_str(), emulator.as_os_str()]
            .into_iter()
            .map(Into::into)
            .chain(args.iter().skip(1).map(Into::into))
            .collect(),
        env: line.env.iter().map(|(name, value)| format!("{name}={value}").into()).collect(),
        directory: "/".into(),
        credentials: None,
        cgroups: Entrances::default(),
        output: OpenOptions::new().append(true).open(&output)?,
        fds,
    };
    let process = spawn.detached()?;
    let status = ask(&monitor.context("the command line has no monitor")?);
    end(&process, status.is_err())?;
    drop(set);
    match status {
        Ok(_) => Ok(None),
        Err(error) => {
            Ok(Some(refusal(&fs::read_to_string(&output)?).unwrap_or_else(|| format!("it did not answer: {error}"))))
        }
    }
}

/// How QEMU is; then it is told to quit.
fn ask(monitor: &Path) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(monitor)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let hear = |lines: &mut Lines<BufReader<UnixStream>>, what: &str| loop {
        let line = lines.next().context("QEMU has ended")??;
        if line.contains("\"error\"") {
            anyhow::bail!("{line}");
        }
        if line.contains(what) {
            return Ok(line);
        }
    };
    hear(&mut lines, "\"QMP\"")?;
    stream.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-status\"}")?;
    let status = hear(&mut lines, "\"status\"")?;
    stream.write_all(b"{\"execute\":\"quit\"}")?;
    // It drops what it was told by one who leaves before the answer.
    while lines.next().is_some_and(|line| line.is_ok()) {}
    Ok(status)
}

/// Waits for QEMU's end, and brings it about where it doesn't come.
fn end(process: &Process, is_refused: bool) -> anyhow::Result<()> {
    let Some(handle) = process.open()? else { return Ok(()) };
    // One that didn't answer in time does not end either.
    if !handle.wait(if is_refused { Duration::from_secs(1) } else { DEADLINE }) {
        handle.kill()?;
        handle.wait(DEADLINE);
    }
    Ok(())
}

/// The last thing that QEMU complained of.
fn refusal(output: &str) -> Option<String> {
    let lines = output.lines().filter(|line| !line.contains("warning:") && !line.trim().is_empty());
    // Before it stand the time and its own name.
    lines
        .map(|line| line.split_once("qemu-system-x86_64: ").map_or(line, |(_, said)| said))
        .next_back()
        .map(str::to_owned)
}

/// As a report: how many of which.
pub fn summary(tried: &[(String, Tried)]) -> String {
    let mut counts: BTreeMap<(u8, String), usize> = BTreeMap::new();
    for (_, tried) in tried {
        let key = match tried {
            Tried::Accepted => (0, "accepted".to_owned()),
            Tried::Refused { reason: Some(reason), .. } => (1, format!("refused: {reason}")),
            Tried::Refused { reason: None, .. } => (2, "refused, and nothing explains it".to_owned()),
            Tried::LeftOut(reason) => (3, format!("left out: {reason}")),
        };
        *counts.entry(key).or_default() += 1;
    }
    let mut lines: Vec<String> = counts.iter().map(|((_, what), count)| format!("{count:>5}  {what}")).collect();
    let count = |is: fn(&Tried) -> bool| tried.iter().filter(|(_, tried)| is(tried)).count();
    let left_out = count(|tried| matches!(tried, Tried::LeftOut(_)));
    lines.push(format!(
        "{:>5}  command lines: {} tried, {} accepted, {} refused ({} not explained), {left_out} left out",
        tried.len(),
        tried.len() - left_out,
        count(|tried| *tried == Tried::Accepted),
        count(|tried| matches!(tried, Tried::Refused { .. })),
        count(|tried| matches!(tried, Tried::Refused { reason: None, .. })),
    ));
    lines.join("\n") + "\n"
}
