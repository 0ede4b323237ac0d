//! `<bandwidth>`: limits of traffic. libvirt: formatnetwork.html#quality-of-service.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use crate::Problem;

/// `<bandwidth>`: limits of traffic, seen from the guest or, on a network, from the host.
#[element]
pub struct Bandwidth {
    /// The number of the traffic class on the bridge; never in a definition.
    #[xml(attr, name = "classID")]
    #[serde(skip)]
    pub class_id: Option<u32>,
    /// What comes in.
    pub inbound: Option<Rate>,
    /// What goes out.
    pub outbound: Option<Rate>,
}

/// `<inbound average='1000' peak='5000' burst='1024'/>`: a limit of traffic in one direction.
#[element]
pub struct Rate {
    /// Kilobytes a second in the long run.
    #[xml(attr)]
    pub average: Option<u64>,
    /// Kilobytes a second in a burst.
    #[xml(attr)]
    pub peak: Option<u64>,
    /// Kilobytes a second that are promised whatever others do.
    #[xml(attr)]
    pub floor: Option<u64>,
    /// Kilobytes that may pass at the speed of a burst.
    #[xml(attr)]
    pub burst: Option<u64>,
}

impl Bandwidth {
    /// The driver-independent rules; `path` is where it stands.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |path: String, message: &str| problems.push(Problem::new(ErrorCode::XmlDetail, path, message));
        if let Some(rate) = &self.inbound {
            if rate.average.is_none() && rate.floor.is_none() {
                add(format!("{path}.inbound.average"), "a limit needs an average, or a floor");
            }
            if rate.average.is_none() && (rate.peak.is_some() || rate.burst.is_some()) {
                add(format!("{path}.inbound.average"), "peak and burst need an average");
            }
        }
        if let Some(rate) = &self.outbound {
            if rate.average.is_none() {
                add(format!("{path}.outbound.average"), "a limit needs an average");
            }
            if rate.floor.is_some() {
                add(format!("{path}.outbound.floor"), "only what comes in can have a floor");
            }
        }
        problems
    }
}
