//! The device that the guest sees.

use ostler_conf::Domain;
use ostler_conf::domain::{Interface, InterfaceDriver, InterfaceSource, Teaming, TxMode, VirtioModel};
use ostler_driver::Result;

use super::super::hostdev::Rom as _;
use super::super::{Props, alias, escape, virtio};
use super::{is_ccw, is_virtio, queues};

/// What a device is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seat<'a> {
    /// Its place in the boot order.
    pub(crate) boot: Option<u32>,
    /// The parameter of its boot loader.
    pub(crate) loadparm: Option<&'a str>,
}

/// The properties of an interface's device.
///
/// # Errors
/// An address on a controller that is not there.
pub(crate) fn device(domain: &Domain, interface: &Interface, seat: &Seat<'_>) -> Result<Props> {
    let model = interface.model.as_ref().map_or("virtio", |model| model.r#type.as_str());
    let name = alias(&interface.alias);
    let props = if is_virtio(interface) || interface.model.is_none() {
        virtio_device(interface, model)
    } else {
        Props::driver(model)
    };
    props
        .put("netdev", format!("host{name}"))
        .put("id", name)
        .maybe("mac", interface.mac.as_ref().map(|mac| mac.address.to_string()))
        .maybe("bootindex", seat.boot)
        .maybe("loadparm", seat.loadparm)
        .address(domain, &interface.address)
        .map(|props| props.acpi_index(interface.acpi.as_ref()).rom(interface.rom.as_ref()))
}

/// A card that the board has already, in QEMU's older notation.
pub(super) fn of_board(interface: &Interface) -> String {
    let mac = interface.mac.as_ref().map(|mac| format!(",macaddr={}", mac.address)).unwrap_or_default();
    let model = interface.model.as_ref().map(|model| format!(",model={}", escape(&model.r#type))).unwrap_or_default();
    let name = alias(&interface.alias);
    format!("nic{mac},netdev=host{name}{model},id={name}")
}

fn virtio_device(interface: &Interface, model: &str) -> Props {
    let generation = match model {
        "virtio-transitional" => Some(VirtioModel::Transitional),
        "virtio-non-transitional" => Some(VirtioModel::NonTransitional),
        _ => None,
    };
    let driver = interface.driver.as_ref();
    let options = driver.map(|driver| &driver.virtio);
    let props = virtio::device("virtio-net", generation, &interface.address, options);
    let props = driver.map_or(props.clone(), |driver| tuned(props, driver));
    let count = queues(interface);
    let has_queues = count > 1 && !is_emulated_queue(interface);
    // A vector for each queue of both directions, one for changes, one for control.
    let vectors = (has_queues && !is_ccw(&interface.address)).then_some(2 * count + 2);
    let size = |value: Option<u32>| value.filter(|value| *value > 0);
    let is_persistent = matches!(interface.teaming, Some(Teaming::Persistent(_)));
    props
        .maybe("mq", has_queues.then_some(true))
        .maybe("vectors", vectors)
        .maybe("rx_queue_size", size(driver.and_then(|driver| driver.rx_queue_size)))
        .maybe("tx_queue_size", size(driver.and_then(|driver| driver.tx_queue_size)))
        .maybe("rss", driver.and_then(|driver| driver.rss).map(|on| on.0))
        .maybe("hash", driver.and_then(|driver| driver.rss_hash_report).map(|on| on.0))
        .maybe("host_mtu", interface.mtu.as_ref().map(|mtu| mtu.size))
        .maybe("failover", is_persistent.then_some(true))
}

/// QEMU's own network has one queue, whatever is asked for.
fn is_emulated_queue(interface: &Interface) -> bool {
    matches!(interface.source, InterfaceSource::User(_))
}

fn tuned(props: Props, driver: &InterfaceDriver) -> Props {
    let tx = driver.txmode.map(|mode| match mode {
        TxMode::Iothread => "bh",
        TxMode::Timer => "timer",
    });
    let (host, guest) = (driver.host.as_ref(), driver.guest.as_ref());
    props
        .maybe("tx", tx)
        .maybe("ioeventfd", driver.ioeventfd.map(|on| on.0))
        .maybe("event_idx", driver.event_idx.map(|on| on.0))
        .maybe("csum", host.and_then(|host| host.csum).map(|on| on.0))
        .maybe("gso", host.and_then(|host| host.gso).map(|on| on.0))
        .maybe("host_tso4", host.and_then(|host| host.tso4).map(|on| on.0))
        .maybe("host_tso6", host.and_then(|host| host.tso6).map(|on| on.0))
        .maybe("host_ecn", host.and_then(|host| host.ecn).map(|on| on.0))
        .maybe("host_ufo", host.and_then(|host| host.ufo).map(|on| on.0))
        .maybe("mrg_rxbuf", host.and_then(|host| host.mrg_rxbuf).map(|on| on.0))
        .maybe("guest_csum", guest.and_then(|guest| guest.csum).map(|on| on.0))
        .maybe("guest_tso4", guest.and_then(|guest| guest.tso4).map(|on| on.0))
        .maybe("guest_tso6", guest.and_then(|guest| guest.tso6).map(|on| on.0))
        .maybe("guest_ecn", guest.and_then(|guest| guest.ecn).map(|on| on.0))
        .maybe("guest_ufo", guest.and_then(|guest| guest.ufo).map(|on| on.0))
}
