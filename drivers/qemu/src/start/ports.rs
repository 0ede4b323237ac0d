//! TCP ports of this host for guests' screens: chosen at each start, where the definition leaves that open.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use ostler_conf::Domain;
use ostler_conf::domain::{GraphicsKind, Listen, Listens};
use ostler_driver::{Error, Result};
use ostler_util::ErrorCode;

/// The first port of a screen: VNC's display 0.
const SCREENS: u16 = 5900;
/// The first port of a screen in a browser.
const WEB_SOCKETS: u16 = 5700;

/// Ports that starts have chosen and whose QEMU may not listen yet.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<BTreeSet<u16>>);

/// Ports of one start: another one's for as long as this lives.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    ports: &'a Ports,
    mine: Vec<u16>,
}

impl Ports {
    /// Writes ports into `domain` where it leaves them open: the lowest that nobody listens on, on any address.
    ///
    /// # Caveats
    /// A program that is none of our guests can come first; then QEMU says so, and the start fails.
    ///
    /// # Errors
    /// `InternalError`: all are taken.
    pub(super) fn choose(&self, domain: &mut Domain) -> Result<Chosen<'_>> {
        let mut chosen = Chosen { ports: self, mine: Vec::new() };
        for graphics in &mut domain.devices.graphics {
            match &mut graphics.kind {
                GraphicsKind::Vnc(vnc) if has_ports(&vnc.listens) => {
                    let is_open = vnc.autoport.is_some_and(|on| on.0) || vnc.port.is_none_or(|port| port < 0);
                    chosen.fill(&mut vnc.port, is_open, SCREENS)?;
                    let is_open = vnc.websocket.is_some_and(|port| port < 0);
                    chosen.fill(&mut vnc.websocket, is_open, WEB_SOCKETS)?;
                }
                GraphicsKind::Spice(spice) if has_ports(&spice.listens) => {
                    let is_open = spice.autoport.is_some_and(|on| on.0) || spice.port.is_some_and(|port| port < 0);
                    chosen.fill(&mut spice.port, is_open, SCREENS)?;
                    // There are no certificates to encrypt with.
                    spice.tls_port.take_if(|port| *port < 0);
                }
                _ => {}
            }
        }
        Ok(chosen)
    }
}

impl Chosen<'_> {
    fn fill(&mut self, port: &mut Option<i32>, is_open: bool, first: u16) -> Result<()> {
        if !is_open {
            return Ok(());
        }
        let mut taken = self.ports.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (first..=u16::MAX).find(|port| !taken.contains(port) && is_free(*port)).ok_or_else(|| {
            let message = format!("all TCP ports from {first} on are taken");
            Error::new(ErrorCode::InternalError, message).at("devices.graphics")
        })?;
        taken.insert(free);
        self.mine.push(free);
        *port = Some(i32::from(free));
        Ok(())
    }
}

impl Drop for Chosen<'_> {
    fn drop(&mut self) {
        let mut taken = self.ports.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|port| !self.mine.contains(port));
    }
}

fn has_ports(listens: &Listens) -> bool {
    matches!(listens.0.first(), None | Some(Listen::Address(_) | Listen::Network(_)))
}

/// Whether nobody listens on the port. A host without IPv6 has nobody there.
fn is_free(port: u16) -> bool {
    let on_v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
    let is_taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    if on_v6.as_ref().err().is_some_and(is_taken) {
        return false;
    }
    drop(on_v6);
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(graphics: &str) -> Domain {
        let text =
            format!("<domain type='qemu'><name>g</name><memory>1</memory><devices>{graphics}</devices></domain>");
        ostler_conf::parse::<Domain>(&text).unwrap().strict().unwrap()
    }

    fn ports(domain: &Domain) -> (Option<i32>, Option<i32>) {
        match &domain.devices.graphics[0].kind {
            GraphicsKind::Vnc(vnc) => (vnc.port, vnc.websocket),
            GraphicsKind::Spice(spice) => (spice.port, spice.tls_port),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_starts_at_once_get_two_ports_and_none_that_is_taken() {
        let all = Ports::default();
        let mut guests: Vec<Domain> =
            (0..3).map(|_| guest("<graphics type='vnc' port='-1' autoport='yes' websocket='-1'/>")).collect();
        let first = all.choose(&mut guests[0]).unwrap();
        let (port, websocket) = ports(&guests[0]);
        let second = all.choose(&mut guests[1]).unwrap();
        assert_ne!(ports(&guests[1]).0, port);
        assert_ne!(ports(&guests[1]).1, websocket);
        assert!(port.unwrap() >= 5900 && (5700..65536).contains(&websocket.unwrap()));
        drop((first, second));
        assert!(all.0.lock().unwrap().is_empty());
        let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(somebody.local_addr().unwrap().port()));
    }

    #[test]
    fn what_is_said_stays() {
        let all = Ports::default();
        for (graphics, expected) in [
            ("<graphics type='vnc' port='5977' autoport='no'/>", (Some(5977), None)),
            ("<graphics type='vnc'><listen type='socket'/></graphics>", (None, None)),
            ("<graphics type='spice' port='5978' autoport='no' tlsPort='-1'/>", (Some(5978), None)),
        ] {
            let mut guest = guest(graphics);
            all.choose(&mut guest).unwrap();
            assert_eq!(ports(&guest), expected, "{graphics}");
        }
    }
}
