//! What must never happen to a user's data, guests and definitions.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use ostler_e2e::demo::{NETWORK, VOLUME, binary, guest, host_with_guest, wait_booted};
use ostler_e2e::host::Host;
use serde_json::Value;

/// A guest that boots nothing: its firmware looks for a disk for ever.
fn idle(name: &str, devices: &str) -> String {
    format!(
        "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {{name: {name}}}\nspec:\n  shutdown: {{timeout: 0s, force: true}}\n  domain:\n    memory: {{size: 64Mi}}\n    os: {{type: {{machine: q35}}}}\n    devices:\n{devices}"
    )
}

fn file_disk(path: &str, more: &str) -> String {
    format!("      disks:\n      - {{name: vda, driver: {{type: raw}}, source: {{file: {{file: {path}}}}}{more}}}\n")
}

/// The stored definition of the only domain.
fn definition(host: &Host) -> String {
    let files = fs::read_dir(host.path("s/qemu")).unwrap().flatten().map(|entry| entry.path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "xml")).unwrap();
    fs::read_to_string(file).unwrap()
}

fn image(host: &Host) -> PathBuf {
    let path = host.path("image.raw");
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&path, Some(4321), Some(4322)).unwrap();
    path
}

fn owner(path: &PathBuf) -> (u32, u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
}

#[test]
fn a_file_goes_back_to_its_owner_also_after_a_crash() {
    let mut host = Host::new(binary());
    let image = image(&host);
    let before = owner(&image);
    host.start_agent();
    let text = idle("one", &file_disk("ROOT/image.raw", ""));
    host.apply("one.yaml", &text);
    host.wait_ready("domains", "one", "True/Ready");
    assert_ne!(owner(&image), before, "it is its guest's while that writes it");
    host.kill_agent();
    for pid in host.guests() {
        Command::new("kill").args(["-9", &pid.to_string()]).output().unwrap();
    }
    host.apply("one.yaml", &text.replace("  shutdown:", "  runStrategy: Halted\n  shutdown:"));
    host.start_agent();
    host.wait_for("the file is its owner's again", |_| owner(&image) == before);
    host.wait_ready("domains", "one", "True/Ready");
}

#[test]
fn two_domains_never_write_one_image() {
    let mut host = Host::new(binary());
    image(&host);
    host.start_agent();
    host.apply("one.yaml", &idle("one", &file_disk("ROOT/image.raw", "")));
    host.wait_ready("domains", "one", "True/Ready");
    host.apply("two.yaml", &idle("two", &file_disk("ROOT/image.raw", "")));
    host.wait_for("the second is refused", |host| host.condition("domains", "two", "Ready").starts_with("False/"));
    assert_eq!(host.guests().len(), 1);
    // With a word from both, both run.
    host.apply(
        "one.yaml",
        &idle("one", &file_disk("ROOT/image.raw", ", shareable: true"))
            .replace("  shutdown:", "  disruption: {restartApproval: Automatic}\n  shutdown:"),
    );
    host.apply("two.yaml", &idle("two", &file_disk("ROOT/image.raw", ", shareable: true")));
    host.wait_for("both run", |host| host.guests().len() == 2);
}

#[test]
fn an_image_in_use_is_neither_resized_nor_deleted_behind_its_guest() {
    let host = host_with_guest("");
    wait_booted(&host);
    let path =
        host.object("storagevolumes", "hello-data").pointer("/status/path").and_then(Value::as_str).unwrap().to_owned();
    let before = fs::read(&path).unwrap();
    host.apply("v.yaml", &VOLUME.replace("1Gi", "2Gi"));
    host.wait_for("the growth waits", |host| {
        host.condition("storagevolumes", "hello-data", "Ready").starts_with("False/")
    });
    host.remove("v.yaml");
    host.wait_ready("storagevolumes", "hello-data", "False/InUse");
    assert_eq!(fs::read(&path).unwrap(), before);
    host.apply("v.yaml", &VOLUME.replace("1Gi", "2Gi"));
    host.remove("d.yaml");
    host.wait_for("the volume goes with its last user", |host| host.object("domains", "hello") == Value::Null);
}

#[test]
fn dropping_one_of_three_cards_and_reordering_leaves_the_others_as_they_were() {
    let mut host = Host::new(binary());
    host.start_agent();
    let cards = |names: &[&str]| {
        let list: String = names
            .iter()
            .map(|name| format!("      - {{name: {name}, model: {{type: virtio}}, source: {{user: {{}}}}}}\n"))
            .collect();
        idle("one", &format!("      interfaces:\n{list}")).replace("  shutdown:", "  runStrategy: Halted\n  shutdown:")
    };
    let interfaces = |xml: &str| -> Vec<String> {
        let mut found: Vec<String> = xml
            .split("<interface ")
            .skip(1)
            .map(|part| part.split("</interface>").next().unwrap().to_owned())
            .collect();
        found.sort();
        found
    };
    let generation = |host: &Host, n: i64| {
        host.object("domains", "one").pointer("/status/observedGeneration") == Some(&Value::from(n))
    };
    host.apply("one.yaml", &cards(&["a", "b", "c"]));
    host.wait_for("it is defined", |host| {
        generation(host, 1) && host.condition("domains", "one", "Ready") == "True/Ready"
    });
    let first = interfaces(&definition(&host));
    assert_eq!(first.len(), 3);
    host.apply("one.yaml", &cards(&["c", "a", "b"]));
    host.wait_for("it is reordered", |host| generation(host, 2));
    assert_eq!(interfaces(&definition(&host)), first, "byte for byte");
    host.apply("one.yaml", &cards(&["c", "a"]));
    host.wait_for("one is dropped", |host| generation(host, 3));
    let left = interfaces(&definition(&host));
    assert!(left.len() == 2 && left.iter().all(|card| first.contains(card)), "{left:?}");
}

#[test]
fn a_foreign_domain_of_the_same_name_is_a_reported_conflict() {
    let mut host = Host::new(binary());
    let xml = "<domain type='qemu'>\n  <name>default_one</name>\n  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>\n  <memory unit='KiB'>65536</memory>\n  <os>\n    <type arch='x86_64' machine='pc-q35-10.0'>hvm</type>\n  </os>\n</domain>\n";
    fs::create_dir_all(host.path("s/qemu")).unwrap();
    let file = host.path("s/qemu/6695eb01-f6a4-8304-79aa-97f2502e193f.xml");
    fs::write(&file, xml).unwrap();
    host.apply("one.yaml", &idle("one", "").replace("    devices:\n", ""));
    host.start_agent();
    host.wait_ready("domains", "one", "False/Conflict");
    assert_eq!(fs::read_to_string(&file).unwrap(), xml);
    assert!(host.guests().is_empty());
}

#[test]
fn a_damaged_state_file_touches_no_guest() {
    let mut host = Host::new(binary());
    host.start_agent();
    host.apply("one.yaml", &idle("one", "").replace("    devices:\n", ""));
    host.wait_ready("domains", "one", "True/Ready");
    let guests = host.guests();
    host.kill_agent();
    let folder = host.path("r/qemu");
    let live = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_dir() && !path.ends_with("log") && !path.ends_with("own"))
        .unwrap();
    for entry in fs::read_dir(&live).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        fs::write(entry.path(), "not what it was").unwrap();
    }
    host.start_agent();
    host.wait_for("the damage is told", |host| host.condition("domains", "one", "Ready").starts_with("False/"));
    assert_eq!(host.guests(), guests);
}

#[test]
fn a_guests_own_reboot_brings_in_what_waits_for_it() {
    let host = host_with_guest("ostler.reboot=20");
    wait_booted(&host);
    let guests = host.guests();
    let text = guest("ostler.reboot=20")
        .replace("size: 256Mi", "size: 320Mi")
        .replace("  shutdown:", "  disruption: {restartApproval: OnGuestReboot}\n  shutdown:");
    host.apply("d.yaml", &text);
    host.wait_ready("domains", "hello", "True/RestartPending");
    assert_eq!(host.guests(), guests);
    host.wait_for("its reboot starts the new definition", |host| !host.guests().is_empty() && host.guests() != guests);
    host.wait_for("nothing is pending", |host| host.status("hello", "/pendingChanges") == Value::Null);
}

#[test]
fn a_full_disk_is_a_named_condition_and_loses_nothing() {
    let mut host = Host::new(binary());
    let small = host.path("small");
    fs::create_dir(&small).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs"]).arg(&small).status().unwrap();
    assert!(mounted.success());
    host.start_agent();
    host.apply("p.yaml", "apiVersion: ostler.dev/v1alpha1\nkind: StoragePool\nmetadata: {name: images}\nspec: {hostSelector: {}, pool: {target: {path: ROOT/small}}}\n");
    host.wait_ready("storagepools", "images", "True/Ready");
    let precious = small.join("precious");
    fs::write(&precious, vec![7; 200 << 10]).unwrap();
    let raw = "apiVersion: ostler.dev/v1alpha1\nkind: StorageVolume\nmetadata: {name: big}\nspec:\n  pool: images\n  placement: {}\n  volume: {capacity: 10Mi, allocation: 10Mi, target: {format: {type: raw}}}\n";
    host.apply("v.yaml", raw);
    host.wait_for("the full disk is told", |host| {
        host.condition("storagevolumes", "big", "Ready") == "False/SystemError"
    });
    let left: Vec<_> = fs::read_dir(&small).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["precious"], "nothing half made stays");
    host.kill_agent();
    Command::new("umount").arg(&small).status().unwrap();
}

#[test]
fn a_manifest_that_turns_bad_or_is_replaced_deletes_nothing() {
    let mut host = Host::new(binary());
    host.start_agent();
    host.apply("n.yaml", NETWORK);
    host.apply("one.yaml", &idle("one", "").replace("    devices:\n", ""));
    host.wait_ready("domains", "one", "True/Ready");
    let guests = host.guests();
    let refused = |host: &Host| host.ostler(&["get", "host", "-o", "yaml"]).1.contains("reason: Refused");
    host.apply(
        "one.yaml",
        "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {name: one}\nspec: {domain: {memory: ",
    );
    host.wait_for("the bad manifest is told", refused);
    assert_eq!(host.guests(), guests);
    host.apply("one.yaml", "# Nothing is left of it.\n");
    host.wait_for("the empty manifest is told", |host| {
        host.ostler(&["get", "host", "-o", "yaml"]).1.contains("holds no manifest any more")
    });
    assert_eq!(host.guests(), guests);
    // An editor moves the file away and writes another of its name.
    let path = host.path("m/one.yaml");
    fs::rename(&path, host.path("m/one.yaml~")).unwrap();
    fs::write(&path, idle("one", "").replace("    devices:\n", "").replace("64Mi", "65Mi")).unwrap();
    host.wait_ready("domains", "one", "True/RestartPending");
    assert_eq!(host.guests(), guests);
}

#[test]
fn a_lun_on_a_file_is_refused_for_a_new_disk_of_a_running_guest_too() {
    let mut host = Host::new(binary());
    host.start_agent();
    let text = idle("one", "").replace("    devices:\n", "");
    host.apply("one.yaml", &text);
    host.wait_ready("domains", "one", "True/Ready");
    let before = definition(&host);
    let with_lun = text.clone()
        + "    devices:\n      disks:\n      - {name: sda, device: lun, source: {file: {file: /x}}, target: {bus: scsi}}\n";
    host.apply("one.yaml", &with_lun);
    host.wait_for("it is refused with its field", |host| {
        host.ostler(&["get", "host", "-o", "yaml"]).1.contains("devices.disks[sda].device")
    });
    assert_eq!(definition(&host), before, "nothing is stored");
}
