//! A host's way to the API server, which can be cut: what a host sees of a server that is down, or out of its reach.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::host::Host;

/// Carries connections from a host's own loopback interface to the same address of this machine.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Relay {
    /// A relay from `host` to `address`. It ends with the host's network, and this process.
    pub fn new(host: &Host, address: SocketAddr) -> Self {
        let listener = host.inside(|| TcpListener::bind(address)).unwrap();
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let relay = Relay { address, open: open.clone() };
        // This thread is in our own network; only the listener is in the host's.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut open = open.lock().unwrap();
                // While it is cut, a client is turned away at once.
                let Some(streams) = open.as_mut() else { continue };
                streams.extend(connect(client, address).unwrap_or_default());
            }
        });
        relay
    }

    /// Ends all connections, and lets none through any more.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().take().into_iter().flatten() {
            // One that has ended already can't be ended.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        *self.open.lock().unwrap() = Some(Vec::new());
    }

    /// The server's address, on both sides.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn connect(client: TcpStream, address: SocketAddr) -> io::Result<Vec<TcpStream>> {
    let server = TcpStream::connect(address)?;
    let streams = vec![client.try_clone()?, server.try_clone()?];
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || {
            // Either side's end is the other's.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
    Ok(streams)
}
