//! What can be set only once QEMU runs, before its CPUs do, and what only it knows then.

use ostler_conf::Domain;
use ostler_conf::domain::{Connected, DiskBus, GraphicsKind, IoTune, LifecycleAction, LinkState, MemballoonModel};
use ostler_conf::values::Confidential;
use ostler_driver::{Error, Result, Secrets};
use ostler_util::ErrorCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::chardevs;
use crate::monitor::Monitor;

/// Brings a new QEMU in line with the guest's definition.
pub(super) async fn settle(monitor: &Monitor, domain: &mut Domain, secrets: &Secrets) -> Result<()> {
    chardevs::learn_terminals(monitor, domain).await?;
    if domain.on_reboot == Some(LifecycleAction::Destroy) || domain.on_reboot == Some(LifecycleAction::Preserve) {
        monitor.execute::<Value>("set-action", json!({ "reboot": "shutdown" })).await?;
    }
    for interface in domain
        .devices
        .interfaces
        .iter()
        .filter(|nic| nic.link.as_ref().is_some_and(|link| link.state == LinkState::Down))
    {
        let name = interface.alias.as_ref().map(|alias| &alias.name);
        monitor.execute::<Value>("set_link", json!({ "name": name, "up": false })).await?;
    }
    plug_cpus(monitor, domain).await?;
    limit_disks(monitor, domain).await?;
    set_passwords(monitor, domain, secrets).await?;
    set_balloon(monitor, domain).await
}

async fn set_balloon(monitor: &Monitor, domain: &Domain) -> Result<()> {
    let Some(balloon) = domain.devices.memballoon.as_ref() else { return Ok(()) };
    if matches!(balloon.model, MemballoonModel::None | MemballoonModel::Xen) {
        return Ok(());
    }
    let current = domain.current_memory.as_ref().map_or(0, |memory| memory.size.0.kib());
    if current > 0 && current < domain.memory_kib() {
        monitor.execute::<Value>("balloon", json!({ "value": current * 1024 })).await?;
    }
    if let (Some(stats), Some(alias)) = (&balloon.stats, &balloon.alias) {
        let path = format!("/machine/peripheral/{}", alias.name);
        let period = json!({ "path": path, "property": "guest-stats-polling-interval", "value": stats.period });
        monitor.execute::<Value>("qom-set", period).await?;
    }
    Ok(())
}

/// A screen that asks for a password.
struct Locked<'a> {
    name: &'a str,
    protocol: &'static str,
    password: &'a Confidential,
    connected: Option<Connected>,
}

fn locked_screens(domain: &Domain) -> impl Iterator<Item = Locked<'_>> {
    domain.devices.graphics.iter().filter_map(|graphics| {
        let (protocol, password, connected) = match &graphics.kind {
            GraphicsKind::Vnc(vnc) => ("vnc", &vnc.passwd, vnc.connected),
            GraphicsKind::Spice(spice) => ("spice", &spice.passwd, spice.connected),
            _ => return None,
        };
        Some(Locked { name: &graphics.name, protocol, password: password.as_ref()?, connected })
    })
}

/// The passwords of all screens are at hand: none is shown to everybody instead.
pub(super) fn check_passwords(domain: &Domain, secrets: &Secrets) -> Result<()> {
    locked_screens(domain).try_for_each(|screen| password_of(&screen, secrets).map(drop))
}

fn password_of<'a>(screen: &Locked<'a>, secrets: &'a Secrets) -> Result<&'a str> {
    secrets.text(screen.password).ok_or_else(|| {
        let message = format!("the Secret that keeps the password of {} is not at hand, or holds no text", screen.name);
        Error::new(ErrorCode::NoSecret, message).at(format!("devices.graphics[{}]", screen.name))
    })
}

/// Passwords of screens: never in arguments, which everybody on the host can read.
async fn set_passwords(monitor: &Monitor, domain: &Domain, secrets: &Secrets) -> Result<()> {
    for screen in locked_screens(domain) {
        let mut arguments = json!({ "protocol": screen.protocol, "password": password_of(&screen, secrets)? });
        if let Some(connected) = screen.connected {
            arguments["connected"] = json!(connected.word());
        }
        monitor.execute::<Value>("set_password", arguments).await?;
        let never = json!({ "protocol": screen.protocol, "time": "never" });
        monitor.execute::<Value>("expire_password", never).await?;
    }
    Ok(())
}

/// Limits of single disks; those of groups are on the command line.
async fn limit_disks(monitor: &Monitor, domain: &Domain) -> Result<()> {
    for disk in &domain.devices.disks {
        let (Some(tune), Some(alias)) = (&disk.iotune, &disk.alias) else { continue };
        // The block device of a virtio disk is behind its seat on a bus.
        let below = if disk.target.bus == Some(DiskBus::Virtio) { "/virtio-backend" } else { "" };
        let id = format!("/machine/peripheral/{}{below}", alias.name);
        monitor.execute::<Value>("block_set_io_throttle", throttle(&id, tune)).await?;
    }
    Ok(())
}

fn throttle(id: &str, tune: &IoTune) -> Value {
    let limits = [
        ("bps", tune.total_bytes_sec),
        ("bps_rd", tune.read_bytes_sec),
        ("bps_wr", tune.write_bytes_sec),
        ("iops", tune.total_iops_sec),
        ("iops_rd", tune.read_iops_sec),
        ("iops_wr", tune.write_iops_sec),
    ];
    let bursts = [
        ("bps_max", tune.total_bytes_sec_max),
        ("bps_rd_max", tune.read_bytes_sec_max),
        ("bps_wr_max", tune.write_bytes_sec_max),
        ("iops_max", tune.total_iops_sec_max),
        ("iops_rd_max", tune.read_iops_sec_max),
        ("iops_wr_max", tune.write_iops_sec_max),
        ("iops_size", tune.size_iops_sec),
        ("bps_max_length", tune.total_bytes_sec_max_length),
        ("bps_rd_max_length", tune.read_bytes_sec_max_length),
        ("bps_wr_max_length", tune.write_bytes_sec_max_length),
        ("iops_max_length", tune.total_iops_sec_max_length),
        ("iops_rd_max_length", tune.read_iops_sec_max_length),
        ("iops_wr_max_length", tune.write_iops_sec_max_length),
    ];
    let mut arguments: Map<String, Value> =
        limits.map(|(name, value)| (name.to_owned(), json!(value.unwrap_or(0)))).into_iter().collect();
    arguments.extend(
        bursts
            .into_iter()
            .filter_map(|(name, value)| value.filter(|value| *value > 0).map(|value| (name.to_owned(), json!(value)))),
    );
    arguments.insert("id".to_owned(), json!(id));
    if let Some(group) = &tune.group_name {
        arguments.insert("group".to_owned(), json!(group));
    }
    Value::Object(arguments)
}

/// Plugs in the virtual CPUs that can be taken out again, in their order.
async fn plug_cpus(monitor: &Monitor, domain: &Domain) -> Result<()> {
    #[derive(Deserialize)]
    struct Seat {
        #[serde(rename = "type")]
        driver: String,
        props: Map<String, Value>,
    }
    let vcpus = domain.vcpus.iter().flat_map(|vcpus| &vcpus.vcpus);
    let mut wanted: Vec<_> = vcpus.filter(|vcpu| vcpu.enabled.0 && vcpu.hotpluggable.is_some_and(|on| on.0)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    wanted.sort_by_key(|vcpu| (vcpu.order, vcpu.id));
    let mut seats: Vec<Seat> = monitor.execute("query-hotpluggable-cpus", Value::Null).await?;
    // QEMU tells the last first.
    seats.reverse();
    for vcpu in wanted {
        let Some(Seat { driver, props }) = seats.get(vcpu.id as usize) else { continue };
        let mut arguments = props.clone();
        arguments.insert("driver".to_owned(), json!(driver));
        arguments.insert("id".to_owned(), json!(format!("vcpu{}", vcpu.id)));
        monitor.execute::<Value>("device_add", Value::Object(arguments)).await?;
    }
    Ok(())
}
