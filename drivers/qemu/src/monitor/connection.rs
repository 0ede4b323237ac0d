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
use tokio::sync::{mpsc, oneshot, watch};
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
    /// The connection has ended, and most likely QEMU with it. Nothing follows.
    Closed,
}

/// The notices, in order.
pub(crate) type MonitorEvents = mpsc::UnboundedReceiver<Notice>;

/// What QEMU wants to hear before it takes other commands.
const NEGOTIATION: &str = "qmp_capabilities";

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
    /// Whether QEMU has greeted us: it does so once.
    greeted: watch::Sender<bool>,
    /// Whether QEMU takes other commands than the negotiation's.
    negotiated: watch::Sender<bool>,
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
            greeted: watch::channel(false).0,
            negotiated: watch::channel(false).0,
            silent: AtomicBool::new(false),
            notices,
        });
        let reader = tokio::spawn(read_all(shared.clone()));
        (Monitor { shared, reader, deadline }, events)
    }

    /// Waits for QEMU's greeting and ends the negotiation: the first thing to do. Its answer is not waited for: QEMU takes
    /// commands in their order, so that the next one's answer tells of both. After a timeout it may be done again.
    ///
    /// # Errors
    /// As [`Self::execute`]; `Silent` only before anything was said.
    pub(crate) async fn begin(&self) -> Result<(), MonitorError> {
        self.greeted().await?;
        let sent = self.shared.send(format!("{}\n", negotiation()).as_bytes(), None).await;
        sent.map_err(|source| match source.kind() {
            kind if is_end(kind) => MonitorError::Closed,
            _ => MonitorError::Send { command: NEGOTIATION.into(), source },
        })?;
        self.shared.negotiated.send_replace(true);
        Ok(())
    }

    /// The first thing to do in its place: the negotiation with a first command, in one piece that does not wait for the
    /// greeting, so that both sides wake once. QEMU greets whom it accepts before it reads what was sent meanwhile.
    ///
    /// # Errors
    /// As [`Self::execute`]. After `Silent` the negotiation is sent: other commands follow, best after [`Self::greeted`].
    pub(crate) async fn begin_with<T: DeserializeOwned>(&self, command: &str) -> Result<T, MonitorError> {
        let before = negotiation().to_string();
        let value = self.exchange(&before, command, Value::Null, None).await?;
        read(command, value)
    }

    /// Waits for QEMU's greeting.
    ///
    /// # Errors
    /// `Silent`.
    pub(crate) async fn greeted(&self) -> Result<(), MonitorError> {
        let mut greeted = self.shared.greeted.subscribe();
        if timeout(self.deadline, greeted.wait_for(|greeted| *greeted)).await.is_err() {
            self.shared.set_silent(true);
            return Err(MonitorError::Silent { command: "greeting".into(), timeout: self.deadline });
        }
        Ok(())
    }

    /// Sends a command, once the negotiation has ended, and waits for its answer.
    ///
    /// # Errors
    /// [`MonitorError`]. After `Silent` the command may still be carried out.
    pub(crate) async fn execute<T: DeserializeOwned>(
        &self,
        command: &str,
        arguments: Value,
    ) -> Result<T, MonitorError> {
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
        let mut negotiated = self.shared.negotiated.subscribe();
        let ready = negotiated.wait_for(|negotiated| *negotiated);
        if timeout(self.deadline, ready).await.is_err() {
            return Err(MonitorError::Silent { command: command.into(), timeout: self.deadline });
        }
        let value = self.exchange("", command, arguments, descriptor).await?;
        read(command, value)
    }

    /// Sends a command right after `before`, which is a negotiation or nothing, and waits for its answer.
    async fn exchange(
        &self,
        before: &str,
        command: &str,
        arguments: Value,
        descriptor: Option<OwnedFd>,
    ) -> Result<Value, MonitorError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut line = json!({ "execute": command, "id": id });
        if !arguments.is_null() {
            line["arguments"] = arguments;
        }
        let answer = self.shared.expect(id).ok_or(MonitorError::Closed)?;
        let exchange = async {
            let line = format!("{before}{line}\n");
            self.shared.send(line.as_bytes(), descriptor.as_ref().map(AsFd::as_fd)).await?;
            if !before.is_empty() {
                self.shared.negotiated.send_replace(true);
            }
            Ok::<_, io::Error>(answer.await)
        };
        match timeout(self.deadline, exchange).await {
            Ok(Ok(Ok(Ok(value)))) => Ok(value),
            Ok(Ok(Ok(Err(refusal)))) => Err(MonitorError::Refused { command: command.into(), refusal }),
            Ok(Ok(Err(_))) => Err(MonitorError::Closed),
            Ok(Err(source)) if is_end(source.kind()) => Err(MonitorError::Closed),
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
            let sent =
                self.stream.async_io(Interest::WRITABLE, || send_once(self.stream.as_fd(), line, descriptor)).await?;
            line = &line[sent..];
            descriptor = None;
        }
        Ok(())
    }

    fn receive(&self, line: &[u8]) {
        let Some(message) = Message::parse(line) else { return };
        self.set_silent(false);
        match message {
            Message::Greeting => drop(self.greeted.send_replace(true)),
            Message::Event(event) => drop(self.notices.send(Notice::Event(event))),
            Message::Answer(id, answer) => {
                // Whoever asked may have given up.
                let asked = self.lock().as_mut().and_then(|waiting| waiting.remove(&id));
                drop(asked.map(|asked| asked.send(answer)));
            }
        }
    }
}

fn negotiation() -> Value {
    json!({ "execute": NEGOTIATION })
}

fn read<T: DeserializeOwned>(command: &str, answer: Value) -> Result<T, MonitorError> {
    serde_json::from_value(answer).map_err(|source| MonitorError::Unexpected { command: command.into(), source })
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

/// Whether a failed write means that nobody is there any more: who ended with our connection still unaccepted resets it.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
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
    // Nobody listens any more: then nobody needs to know.
    let _ = shared.notices.send(Notice::Closed);
    // Whoever waits for the greeting or the negotiation learns of the end by its command.
    shared.greeted.send_replace(true);
    shared.negotiated.send_replace(true);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;

    /// A QEMU that says what the test wants.
    struct Peer(BufReader<UnixStream>);

    impl Peer {
        async fn hears(&mut self) -> Value {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            serde_json::from_str(&line).unwrap()
        }

        async fn says(&mut self, line: &str) {
            self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        }

        async fn answers(&mut self, answer: &str) -> String {
            let heard = self.hears().await;
            self.says(&format!("{{{answer}, \"id\": {}}}", heard["id"])).await;
            heard["execute"].as_str().unwrap().to_owned()
        }
    }

    fn pair(deadline: Duration) -> (Monitor, MonitorEvents, Peer) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (monitor, events) = Monitor::open(ours, deadline);
        (monitor, events, Peer(BufReader::new(theirs)))
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_qemu_that_ended_before_it_accepted_us_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitor.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let (monitor, _events) = Monitor::connect(&path, LONG).await.unwrap();
        drop(listener);
        monitor.shared.greeted.send_replace(true);
        assert!(matches!(monitor.begin().await, Err(MonitorError::Closed)));
        assert!(matches!(
            monitor.execute::<Value>("query-status", Value::Null).await,
            Err(MonitorError::Closed | MonitorError::Silent { .. })
        ));
    }

    async fn negotiated(deadline: Duration) -> (Monitor, MonitorEvents, Peer) {
        let (monitor, events, mut peer) = pair(deadline);
        peer.says(r#"{"QMP": {}}"#).await;
        monitor.begin().await.unwrap();
        assert_eq!(peer.hears().await, json!({ "execute": "qmp_capabilities" }));
        peer.says(r#"{"return": {}}"#).await;
        (monitor, events, peer)
    }

    #[tokio::test]
    async fn answers_find_their_commands_whatever_comes_between() {
        let (monitor, mut events, mut peer) = negotiated(LONG).await;
        let commands = async {
            tokio::join!(monitor.execute::<u32>("a", Value::Null), monitor.execute::<u32>("b", json!({"x": 1})))
        };
        let talk = async {
            let (a, b) = (peer.hears().await, peer.hears().await);
            assert_eq!((&a["execute"], &b["arguments"]["x"]), (&json!("a"), &json!(1)));
            peer.says(&format!(r#"{{"return": 2, "id": {}}}"#, b["id"])).await;
            peer.says(r#"{"event": "STOP"}"#).await;
            peer.says(&format!(r#"{{"error": {{"class": "C", "desc": "no"}}, "id": {}}}"#, a["id"])).await;
        };
        let ((a, b), ()) = tokio::join!(commands, talk);
        assert!(matches!(a, Err(MonitorError::Refused { refusal, .. }) if refusal.desc == "no"));
        assert_eq!(b.unwrap(), 2);
        assert!(matches!(events.recv().await, Some(Notice::Event(event)) if event.name == "STOP"));
    }

    #[tokio::test]
    async fn silence_is_told_once_and_its_end_too() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (monitor, mut events) = Monitor::open(ours, Duration::from_millis(20));
        let mut peer = Peer(BufReader::new(theirs));
        for _ in 0..2 {
            assert!(matches!(monitor.begin().await, Err(MonitorError::Silent { .. })));
        }
        assert!(monitor.is_silent());
        peer.says(r#"{"QMP": {}}"#).await;
        assert_eq!(events.recv().await, Some(Notice::Silent(true)));
        assert_eq!(events.recv().await, Some(Notice::Silent(false)));
        assert!(!monitor.is_silent());
    }

    #[tokio::test]
    async fn the_end_of_the_connection_ends_what_waits_and_what_comes() {
        let (monitor, mut events, mut peer) = negotiated(LONG).await;
        let (waiting, ()) = tokio::join!(monitor.execute::<Value>("a", Value::Null), async move {
            peer.hears().await;
            drop(peer);
        });
        assert!(matches!(waiting, Err(MonitorError::Closed)));
        assert!(matches!(monitor.execute::<Value>("b", Value::Null).await, Err(MonitorError::Closed)));
        assert_eq!(events.recv().await, Some(Notice::Closed));
    }

    #[tokio::test]
    async fn no_command_comes_before_the_negotiation() {
        let (monitor, _events, mut peer) = pair(LONG);
        let talk = async {
            peer.says(r#"{"QMP": {}}"#).await;
            (peer.hears().await["execute"].clone(), peer.answers(r#""return": {}"#).await)
        };
        let early = monitor.execute::<Value>("early", Value::Null);
        let (early, begun, heard) = tokio::join!(early, monitor.begin(), talk);
        early.unwrap();
        begun.unwrap();
        assert_eq!(heard, (json!("qmp_capabilities"), "early".into()));
    }

    #[tokio::test]
    async fn a_command_may_follow_the_negotiation_at_once() {
        let (monitor, _events, mut peer) = pair(LONG);
        let talk = async {
            peer.says(r#"{"QMP": {}}"#).await;
            let (first, second) = (peer.hears().await, peer.hears().await);
            assert_eq!((&first["execute"], &second["execute"]), (&json!("qmp_capabilities"), &json!("cont")));
            peer.says(r#"{"return": {}}"#).await;
            peer.says(&format!(r#"{{"return": {{}}, "id": {}}}"#, second["id"])).await;
        };
        let commands = async {
            monitor.begin().await.unwrap();
            monitor.execute::<Value>("cont", Value::Null).await.unwrap();
        };
        tokio::join!(commands, talk);
    }

    #[tokio::test]
    async fn a_first_command_goes_with_the_negotiation_and_waits_for_no_greeting() {
        let (monitor, mut events, mut peer) = pair(LONG);
        let talk = async {
            let mut heard = String::new();
            peer.0.read_line(&mut heard).await.unwrap();
            let heard: Vec<Value> =
                serde_json::Deserializer::from_str(&heard).into_iter().map(Result::unwrap).collect();
            assert_eq!(heard[0], json!({ "execute": "qmp_capabilities" }));
            assert_eq!((heard.len(), &heard[1]["execute"]), (2, &json!("query-status")));
            peer.says(r#"{"QMP": {}}"#).await;
            peer.says(r#"{"return": {}}"#).await;
            peer.says(&format!(r#"{{"return": "well", "id": {}}}"#, heard[1]["id"])).await;
            // Others may follow.
            peer.answers(r#""return": {}"#).await
        };
        let commands = async {
            assert_eq!(monitor.begin_with::<String>("query-status").await.unwrap(), "well");
            monitor.greeted().await.unwrap();
            monitor.execute::<Value>("cont", Value::Null).await.unwrap();
        };
        let ((), heard) = tokio::join!(commands, talk);
        assert_eq!(heard, "cont");
        assert!(events.try_recv().is_err(), "nothing is to be told");
    }

    #[tokio::test]
    async fn a_first_command_without_an_answer_is_told_and_others_may_follow() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (monitor, mut events) = Monitor::open(ours, Duration::from_millis(20));
        let mut peer = Peer(BufReader::new(theirs));
        assert!(matches!(monitor.begin_with::<Value>("query-status").await, Err(MonitorError::Silent { .. })));
        assert!(matches!(monitor.greeted().await, Err(MonitorError::Silent { .. })));
        assert_eq!(events.recv().await, Some(Notice::Silent(true)));
        peer.says(r#"{"QMP": {}}"#).await;
        monitor.greeted().await.unwrap();
        // Too late: nobody waits for it any more, and it is nobody else's.
        peer.says(r#"{"return": {}}"#).await;
        peer.says(r#"{"return": "late", "id": 1}"#).await;
        assert_eq!(events.recv().await, Some(Notice::Silent(false)));
        drop(peer);
        assert!(matches!(monitor.execute::<Value>("cont", Value::Null).await, Err(MonitorError::Closed)));
    }

    #[tokio::test]
    async fn the_end_of_the_connection_ends_the_wait_for_a_greeting() {
        let (monitor, _events, peer) = pair(LONG);
        drop(peer);
        assert!(matches!(monitor.begin().await, Err(MonitorError::Closed)));
        assert!(matches!(monitor.begin_with::<Value>("query-status").await, Err(MonitorError::Closed)));
    }

    #[tokio::test]
    async fn a_descriptor_goes_along() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"x").unwrap();
        send_once(ours.as_fd(), b"{}\n", Some(file.as_fd())).unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = rustix::net::RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 8];
        let slices = &mut [io::IoSliceMut::new(&mut bytes)];
        rustix::net::recvmsg(&theirs, slices, &mut ancillary, rustix::net::RecvFlags::empty()).unwrap();
        let rights = ancillary.drain().next().unwrap();
        let rustix::net::RecvAncillaryMessage::ScmRights(mut fds) = rights else { panic!("no descriptor") };
        let received = std::fs::File::from(fds.next().unwrap());
        assert_eq!(received.metadata().unwrap().len(), 1);
    }
}
