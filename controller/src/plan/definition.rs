//! How a definition is brought about: stored, changed live, or staged for a restart.

use ostler_conf::domain::{ClockBasis, GraphicsKind, LifecycleAction as OnEvent, Metadata};
use ostler_conf::values::YesNo;
use ostler_conf::{Domain, diff};
use ostler_crds::{Apply, PendingChange, RestartApproval};
use ostler_driver::{Change, LifecycleAction};

use super::{Action, Desired, Observed};

pub(super) struct DefinitionPlan {
    pub(super) actions: Vec<Action>,
    pub(super) pending: Vec<PendingChange>,
}

impl DefinitionPlan {
    pub(super) fn needs_restart(&self) -> bool {
        self.pending.iter().any(|change| change.apply == Apply::Restart)
    }
}

pub(super) fn plan(
    desired: &Desired<'_>,
    observed: &Observed<'_>,
    can_change: &dyn Fn(&Domain, &Change) -> bool,
) -> DefinitionPlan {
    let mut actions = Vec::new();
    if desired.deleted {
        return DefinitionPlan { actions, pending: Vec::new() };
    }
    let is_stored = observed.persistent.is_some_and(|stored| {
        stored == desired.definition || ostler_conf::format(stored) == ostler_conf::format(desired.definition)
    });
    if !is_stored {
        actions.push(Action::Define);
    }
    let Some(live) = observed.live else { return DefinitionPlan { actions, pending: Vec::new() } };
    let (mut pending, changes) = pending_changes(live, desired.definition, can_change);
    pending.extend(desired.changed_secrets.iter().map(|field| new_text(field)));
    actions.extend(changes.into_iter().map(Action::Change));
    let plan = DefinitionPlan { actions, pending };
    with_reboot_action(plan, desired, live)
}

/// A guest takes a new text at its start; neither is shown.
fn new_text(field: &str) -> PendingChange {
    PendingChange {
        path: format!("domain.{field}"),
        current: Some("the Secret's text at the last start".into()),
        desired: Some("the Secret's text now".into()),
        apply: Apply::Restart,
    }
}

/// While changes wait for the guest's own reboot, that reboot ends it; otherwise it does what the definition says.
fn with_reboot_action(mut plan: DefinitionPlan, desired: &Desired<'_>, live: &Domain) -> DefinitionPlan {
    let ends = desired.approval == RestartApproval::OnGuestReboot && plan.needs_restart();
    let wanted = if ends { OnEvent::Destroy } else { desired.definition.on_reboot.unwrap_or(OnEvent::Restart) };
    if live.on_reboot.unwrap_or(OnEvent::Restart) != wanted {
        plan.actions.push(Action::OnReboot(match wanted {
            OnEvent::Destroy | OnEvent::CoredumpDestroy => LifecycleAction::Destroy,
            OnEvent::Preserve => LifecycleAction::Preserve,
            OnEvent::Restart | OnEvent::RenameRestart | OnEvent::CoredumpRestart => LifecycleAction::Restart,
        }));
    }
    plan
}

/// What differs between a running guest and its desired definition, and the changes that can be made while it runs.
pub fn pending_changes(
    live: &Domain,
    desired: &Domain,
    can_change: &dyn Fn(&Domain, &Change) -> bool,
) -> (Vec<PendingChange>, Vec<Change>) {
    let (mut running, wanted) = (without_live_values(live), without_live_values(desired));
    forget_chosen_ports(&mut running, &wanted);
    forget_set_clock(&mut running, &wanted);
    if running == wanted {
        return (Vec::new(), Vec::new());
    }
    let changes: Vec<Change> =
        candidates(&running, &wanted).into_iter().filter(|change| can_change(live, change)).collect();
    let prefixes: Vec<String> = changes.iter().flat_map(|change| covered_paths(change, &running)).collect();
    let is_live = |path: &str| {
        prefixes.iter().any(|prefix| {
            path == prefix || path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
        })
    };
    let pending = diff::diff(&running, &wanted)
        .into_iter()
        .map(|difference| PendingChange {
            apply: if is_live(&difference.path) { Apply::Live } else { Apply::Restart },
            path: format!("domain.{}", difference.path),
            current: difference.current,
            desired: difference.desired,
        })
        .collect();
    (pending, changes)
}

/// The definition without what only a running guest has.
pub fn without_live_values(domain: &Domain) -> Domain {
    let mut domain = domain.clone();
    domain.id = None;
    // Decided by the plan itself, see `with_reboot_action`.
    domain.on_reboot = None;
    let is_ours = |alias: &ostler_conf::domain::Alias| !alias.name.starts_with("ua-");
    macro_rules! strip {
        ($($list:ident),*) => { $(for device in domain.devices.$list.iter_mut() { device.alias.take_if(|alias| is_ours(alias)); })* };
    }
    strip!(
        disks,
        controllers,
        interfaces,
        serials,
        parallels,
        consoles,
        channels,
        inputs,
        watchdogs,
        rngs,
        filesystems
    );
    strip!(smartcards, tpms, sounds, videos, hostdevs, redirdevs, hubs, panics, shmems, memories, cryptos);
    // There is one of each at most.
    strip!(memballoon, nvram, iommu, vsock, pstore);
    for graphics in &mut domain.devices.graphics {
        forget_ports(&mut graphics.kind);
    }
    for interface in &mut domain.devices.interfaces {
        // The names that drivers make for tap devices; a chosen name stays.
        let is_made = |dev: &str| ["vnet", "ot", "testnet"].iter().any(|prefix| dev.starts_with(prefix));
        interface.target.take_if(|target| target.dev.as_deref().is_none_or(is_made));
    }
    for console in &mut domain.devices.consoles {
        console.tty = None;
    }
    domain
}

/// Ports that each start chooses anew.
fn forget_ports(graphics: &mut GraphicsKind) {
    let is_on = |autoport: Option<YesNo>| autoport.is_some_and(|on| on.0);
    match graphics {
        GraphicsKind::Vnc(vnc) if is_on(vnc.autoport) => vnc.port = Some(-1),
        GraphicsKind::Spice(spice) if is_on(spice.autoport) => (spice.port, spice.tls_port) = (None, None),
        _ => {}
    }
}

/// Ports that the definition left open, without a word that says so in the running guest's.
fn forget_chosen_ports(running: &mut Domain, wanted: &Domain) {
    for (live, wanted) in running.devices.graphics.iter_mut().zip(&wanted.devices.graphics) {
        if let (GraphicsKind::Vnc(live), GraphicsKind::Vnc(wanted)) = (&mut live.kind, &wanted.kind)
            && wanted.websocket == Some(-1)
        {
            live.websocket = Some(-1);
        }
    }
}

/// What the guest set its clock to: its next run begins from the definition's seconds, as this one did. A running guest's are
/// beside universal time, which local time is whole quarters of an hour away from.
fn forget_set_clock(running: &mut Domain, wanted: &Domain) {
    const QUARTER: i64 = 900;
    let (Some(live), Some(wanted)) = (&mut running.clock, &wanted.clock) else { return };
    let (Some(begun), Some(seconds)) = (live.seconds().and(live.adjustment0.or(Some(0))), wanted.seconds()) else {
        return;
    };
    let is_it = match wanted.basis {
        Some(ClockBasis::Localtime) => begun.wrapping_sub(seconds) % QUARTER == 0,
        Some(ClockBasis::Utc) | None => begun == seconds,
    };
    live.adjustment0 = None;
    live.adjustment = Some(begun.to_string());
    if is_it {
        live.adjustment.clone_from(&wanted.adjustment);
        live.basis = wanted.basis;
    }
}

/// Changes that would bring the running guest nearer to the desired definition.
fn candidates(running: &Domain, wanted: &Domain) -> Vec<Change> {
    let mut changes = Vec::new();
    let (old, new) = (&running.devices, &wanted.devices);
    for disk in old.disks.iter().filter(|disk| !new.disks.iter().any(|other| other.name == disk.name)) {
        changes.push(Change::DetachDisk(disk.name.clone()));
    }
    for nic in old.interfaces.iter().filter(|nic| !new.interfaces.iter().any(|other| other.name == nic.name)) {
        changes.extend(nic.mac.as_ref().map(|mac| Change::DetachInterface(mac.address)));
    }
    for disk in new.disks.iter().filter(|disk| !old.disks.iter().any(|other| other.name == disk.name)) {
        changes.push(Change::AttachDisk(disk.clone()));
    }
    for nic in new.interfaces.iter().filter(|nic| !old.interfaces.iter().any(|other| other.name == nic.name)) {
        changes.push(Change::AttachInterface(nic.clone()));
    }
    let labels = |domain: &Domain| (domain.title.clone(), domain.description.clone(), domain.metadata.clone());
    if labels(running) != labels(wanted) {
        let mut labelled = running.clone();
        (labelled.title, labelled.description) = (wanted.title.clone(), wanted.description.clone());
        labelled.metadata.clone_from(&wanted.metadata);
        changes.push(Change::Labels(Box::new(labelled)));
    }
    changes
}

/// The fields whose difference a change settles.
fn covered_paths(change: &Change, running: &Domain) -> Vec<String> {
    match change {
        Change::AttachDisk(disk) => vec![format!("devices.disks[{}]", disk.name)],
        Change::DetachDisk(name) => vec![format!("devices.disks[{name}]")],
        Change::AttachInterface(nic) => vec![format!("devices.interfaces[{}]", nic.name)],
        Change::DetachInterface(mac) => {
            let nic = running.devices.interfaces.iter().find(|nic| nic.mac.as_ref().is_some_and(|m| m.address == *mac));
            nic.map(|nic| format!("devices.interfaces[{}]", nic.name)).into_iter().collect()
        }
        Change::Labels(_) => ["title", "description", "metadata"].map(str::to_owned).to_vec(),
    }
}

/// Two definitions that differ in nothing but our mark are the same to their users.
pub(crate) fn same_but_for_our_mark(one: &Domain, other: &Domain) -> bool {
    let bare = |domain: &Domain| {
        let mut domain = domain.clone();
        domain.metadata = domain.metadata.map(|metadata| Metadata { ostler: None, ..metadata });
        domain.metadata = domain.metadata.filter(|metadata| *metadata != Metadata::default());
        domain
    };
    diff::diff(&bare(one), &bare(other)).is_empty()
}
