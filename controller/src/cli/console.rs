//! `ostler console`.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context, bail};
use clap::Args;
use ostler::agent::{Request, Response, ask};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Namespace, Outcome, Place, out};

/// Ctrl+]
const ESCAPE: u8 = 0x1d;

#[derive(Debug, Args)]
pub(super) struct ConsoleArgs {
    /// Domain
    name: String,
    /// Console's alias, as in serial0; absent: the first
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    namespace: Namespace,
}

pub(super) fn run(args: &ConsoleArgs, place: &Place) -> Outcome {
    let request = Request::Console {
        namespace: args.namespace.namespace.clone(),
        name: args.name.clone(),
        device: args.device.clone(),
    };
    let console: OwnedFd = match ask(&place.run_dir, &request).context("ask the agent of this host; is it running?")? {
        Response::Pty(path) => File::options()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?
            .into(),
        Response::Socket(path) => {
            UnixStream::connect(&path).with_context(|| format!("open {}", path.display()))?.into()
        }
        Response::Error(message) => bail!("{message}"),
        Response::Value(_) => bail!("the agent gave another answer"),
    };
    let _raw = RawTerminal::enter(&console)?;
    if std::io::stdin().is_terminal() {
        out::note("connected; Ctrl+] leaves\r");
    }
    copy(console)
}

/// Copies in both directions until either ends or the escape is typed.
fn copy(console: OwnedFd) -> Outcome {
    let mut console = File::from(console);
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut input_open = true;
    let mut buffer = [0; 4096];
    loop {
        let stdin = std::io::stdin();
        let mut fds = vec![PollFd::new(&console, PollFlags::IN)];
        if input_open {
            fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
        }
        poll(&mut fds, None)?;
        let ready = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let (from_guest, from_user) = (ready(&fds[0]), fds.get(1).is_some_and(ready));
        if from_guest {
            match console.read(&mut buffer) {
                // EIO: the guest's end of a pseudo-terminal is gone.
                Ok(0) | Err(_) => return Ok(0),
                Ok(read) => {
                    output.write_all(&buffer[..read])?;
                    output.flush()?;
                }
            }
        }
        if from_user {
            match input.read(&mut buffer)? {
                0 => input_open = false,
                read if buffer[..read].contains(&ESCAPE) => return Ok(0),
                read => console.write_all(&buffer[..read])?,
            }
        }
    }
}

/// The terminal hands keys on as they are, until this is dropped.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter(console: &OwnedFd) -> anyhow::Result<Self> {
        // What goes through a pseudo-terminal of the guest's is not changed on the way.
        if let Ok(mut settings) = tcgetattr(console) {
            settings.make_raw();
            tcsetattr(console, OptionalActions::Now, &settings)?;
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(RawTerminal(None));
        }
        let old = tcgetattr(&stdin)?;
        let mut raw = old.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(RawTerminal(Some(old)))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(old) = &self.0 {
            // The terminal may be gone already.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, old);
        }
    }
}
