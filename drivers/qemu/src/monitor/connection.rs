//! A connection to one QEMU's monitor.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::message::Message;
use super::{MonitorError, QmpEvent, Refusal};

/// The longest line that we take: the schema of QEMU 10 has 300 kB.
const MAX_LINE: usize = 16 << 20;

/// What a monitor tells without being asked.
#[derive(Debug, PartialEq)]
pub(crate) enum Notice {
    /// Something happened in QEMU.
    Event(QmpEvent),
    /// QEMU stopped answering (`true`), or answers again.
    Silent(bool),
}

/// The notices, in order; it ends with the connection.
pub(crate) type MonitorEvents = mpsc::UnboundedReceiver<Notice>;

type Answer = oneshot::Sender<Result<Value, Refusal>>;

/// A connection to one QEMU's monitor. Commands may be sent at the same time; each has its own deadline.
///
/// A QEMU that does not answer is reported by a [`Notice`], and so is its first word after that. Nothing else is done
/// about it: neither the guest nor anybody else's commands are touched.
#[derive(Debug)]
pub(crate) struct Monitor {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
    deadline: Duration,
}

#[derive(Debug)]
struct Shared {
    stream: UnixStream,
    /// Whole commands only: two at once would mix.
    sending: tokio::sync::Mutex<()>,
    next_id: AtomicU64,
    /// Commands that wait for an answer; `None` once the connection has ended.
    waiting: Mutex<Option<HashMap<u64, Answer>>>,
    greeting: tokio::sync::Notify,
    silent: AtomicBool,
    notices: mpsc::UnboundedSender<Notice>,
}

impl Monitor {
    /// Connects to the socket at `path`. QEMU may not have begun to listen to it yet.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) async fn connect(path: &Path, deadline: Duration) -> io::Result<(Monitor, MonitorEvents)> {
        Ok(Self::open(UnixStream::connect(path).await?, deadline))
    }

    /// Takes over a connected socket.
    pub(crate) fn open(stream: UnixStream, deadline: Duration) -> (Monitor, MonitorEvents) {
        let (notices, events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            stream,
            sending: tokio::sync::Mutex::new(()),
            next_id: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
            greeting: tokio::sync::Notify::new(),
            silent: AtomicBool::new(false),
            notices,
        });
        let reader = tokio::spawn(read_all(shared.clone()));
        (Monitor { shared, reader, deadline }, events)
    }

    /// Waits for QEMU's greeting and ends the negotiation: the first thing to do. After a timeout it may be done again.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub(crate) async fn negotiate(&self) -> Result<(), MonitorError> {
        let greeting = self.shared.greeting.notified();
        if timeout(self.deadline, greeting).await.is_err() {
            self.shared.set_silent(true);
            return Err(MonitorError::Silent { command: "greeting".into(), timeout: self.deadline });
        }
        self.execute::<Value>("qmp_capabilities", Value::Null).await.map(drop)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// [`MonitorError`]. After `Silent` the command may still be carried out.
    pub(crate) async fn execute<T: DeserializeOwned>(&self, command: &str, arguments: Value) -> Result<T, MonitorError> {
        self.execute_with(command, arguments, None).await
    }

    /// The same, handing over a descriptor.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub(crate) async fn execute_with<T: DeserializeOwned>(
        &self,
        command: &str,
        arguments: Value,
        descriptor: Option<OwnedFd>,
    ) -> Result<T, MonitorError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = json!({ "execute": command, "id": id });
        if !arguments.is_null() {
            line["arguments"] = arguments;
        }
        let answer = self.shared.expect(id).ok_or(MonitorError::Closed)?;
        let exchange = async {
            self.shared.send(format!("{line}\n").as_bytes(), descriptor.as_ref().map(AsFd::as_fd)).await?;
            Ok::<_, io::Error>(answer.await)
        };
        match timeout(self.deadline, exchange).await {
            Ok(Ok(Ok(Ok(value)))) => {
                serde_json::from_value(value).map_err(|source| MonitorError::Unexpected { command: command.into(), source })
            }
            Ok(Ok(Ok(Err(refusal)))) => Err(MonitorError::Refused { command: command.into(), refusal }),
            Ok(Ok(Err(_))) => Err(MonitorError::Closed),
            Ok(Err(source)) if source.kind() == io::ErrorKind::BrokenPipe => Err(MonitorError::Closed),
            Ok(Err(source)) => Err(MonitorError::Send { command: command.into(), source }),
            Err(_) => {
                self.shared.lock().as_mut().map(|waiting| waiting.remove(&id));
                self.shared.set_silent(true);
                Err(MonitorError::Silent { command: command.into(), timeout: self.deadline })
            }
        }
    }

    /// Whether QEMU has stopped answering.
    pub(crate) fn is_silent(&self) -> bool {
        self.shared.silent.load(Ordering::Relaxed)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Answer>>> {
        // A panic in between can't leave the map half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, id: u64) -> Option<oneshot::Receiver<Result<Value, Refusal>>> {
        let (sender, receiver) = oneshot::channel();
        self.lock().as_mut()?.insert(id, sender);
        Some(receiver)
    }

    fn set_silent(&self, silent: bool) {
        if self.silent.swap(silent, Ordering::Relaxed) != silent {
            // Nobody listens any more: then nobody needs to know.
            let _ = self.notices.send(Notice::Silent(silent));
        }
    }

    async fn send(&self, mut line: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let _whole = self.sending.lock().await;
        let mut descriptor = descriptor;
        while !line.is_empty() {
            let sent = self.stream.async_io(Interest::WRITABLE, || send_once(self.stream.as_fd(), line, descriptor)).await?;
            line = &line[sent..];
            descriptor = None;
        }
        Ok(())
    }

    fn receive(&self, line: &[u8]) {
        let Some(message) = Message::parse(line) else { return };
        self.set_silent(false);
        match message {
            Message::Greeting => self.greeting.notify_one(),
            Message::Event(event) => drop(self.notices.send(Notice::Event(event))),
            Message::Answer(id, answer) => {
                // Whoever asked may have given up.
                let asked = self.lock().as_mut().and_then(|waiting| waiting.remove(&id));
                drop(asked.map(|asked| asked.send(answer)));
            }
        }
    }
}

fn send_once(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    Ok(sendmsg(socket, &[io::IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

/// Reads until the connection ends; then every command that waits learns it.
async fn read_all(shared: Arc<Shared>) {
    let mut pending: Vec<u8> = Vec::with_capacity(4096);
    loop {
        let read = shared.stream.async_io(Interest::READABLE, || {
            pending.reserve(4096);
            rustix::io::read(&shared.stream, rustix::buffer::spare_capacity(&mut pending)).map_err(io::Error::from)
        });
        match read.await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let mut rest = pending.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            shared.receive(&rest[..end]);
            rest = &rest[end + 1..];
        }
        let used = pending.len() - rest.len();
        pending.drain(..used);
        if pending.len() > MAX_LINE {
            break;
        }
    }
    *shared.lock() = None;
}
