//! The main job on one host, with a real guest.

use std::process::Command;

use ostler_e2e::demo::{
    NETWORK, binary, delete, delete_all, delete_all_but_the_domain, done, guest, host_with_guest, wait_booted,
};
use ostler_e2e::host::Host;
use serde_json::Value;

#[test]
fn four_manifests_in_any_order_make_a_guest_with_an_address_and_deletion_leaves_nothing() {
    let host = host_with_guest("");
    wait_booted(&host);
    for (plural, name) in
        [("domains", "hello"), ("networks", "lan"), ("storagepools", "images"), ("storagevolumes", "hello-data")]
    {
        host.wait_ready(plural, name, "True/Ready");
    }
    host.wait_for("the status tells the guest's address", |host| {
        host.status("hello", "/addresses/0").as_str().is_some_and(|a| a.starts_with("192.168.77."))
    });
    let address = host.status("hello", "/addresses/0").as_str().unwrap().to_owned();
    assert!(host.tool("ping", &["-c", "1", "-W", "10", &address]).contains(" 0% packet loss"));
    let [pid] = host.guests()[..] else { panic!("one guest: {:?}", host.guests()) };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_ne!(field("Uid:").split('\t').next(), Some("0"));
    assert_eq!(field("CapEff:"), "0000000000000000");
    assert_eq!((field("Seccomp:").as_str(), field("NoNewPrivs:").as_str(), field("PPid:").as_str()), ("2", "1", "1"));
    let volume =
        host.object("storagevolumes", "hello-data").pointer("/status/path").and_then(Value::as_str).unwrap().to_owned();
    assert!(std::path::Path::new(&volume).exists());
    let leases = |host: &Host| {
        let files = std::fs::read_dir(host.path("s/network")).unwrap().flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "leases"));
        files.map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>()
    };
    assert!(leases(&host).contains(&address));
    delete(&host, "dom", "hello");
    host.wait_for("its address is free again", |host| !leases(host).contains(&address));
    delete_all_but_the_domain(&host);
    host.wait_for("nothing is left", |host| host.leftovers().is_empty());
    assert!(!std::path::Path::new(&volume).exists(), "its policy says Delete");
}

#[test]
fn a_guest_outlives_the_agent_and_a_suspended_one_stays_so() {
    let mut host = host_with_guest("");
    wait_booted(&host);
    let guests = host.guests();
    done(&host, "suspend");
    host.kill_agent();
    host.start_agent();
    host.wait_for("the next agent sees it paused", |host| host.status("hello", "/phase") == "Paused");
    assert_eq!(host.guests(), guests, "the same process");
    done(&host, "resume");
    host.wait_for("it runs on", |host| host.status("hello", "/phase") == "Running");
    host.stop_agent();
    assert_eq!(host.guests(), guests);
    host.start_agent();
    done(&host, "restart");
    assert_ne!(host.guests(), guests, "a restart is a new process");
    delete_all(&host);
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn what_is_lost_heals_with_the_guest_connected() {
    let host = host_with_guest("");
    wait_booted(&host);
    host.wait_for("its address is known", |host| host.status("hello", "/addresses/0").is_string());
    let address = host.status("hello", "/addresses/0").as_str().unwrap().to_owned();
    let answers = |host: &Host| host.tool("ping", &["-c", "1", "-W", "2", &address]).contains(" 0% packet loss");
    host.tool("nft", &["flush", "ruleset"]);
    host.wait_for("the rules are back", |host| host.tool("nft", &["list", "ruleset"]).contains("masquerade"));
    let bridge = host.tool("ip", &["-o", "link", "show", "type", "bridge"]).split(": ").nth(1).unwrap().to_owned();
    host.tool("ip", &["link", "delete", &bridge]);
    host.wait_for("the guest is on the bridge again", answers);
    let old = host.dnsmasqs();
    host.kill_dnsmasq();
    host.wait_for("another dnsmasq serves", |host| !host.dnsmasqs().is_empty() && host.dnsmasqs() != old);
    let guests = host.guests();
    for pid in &guests {
        Command::new("kill").args(["-9", &pid.to_string()]).output().unwrap();
    }
    host.wait_for("a killed QEMU is followed by another", |host| !host.guests().is_empty() && host.guests() != guests);
}

#[test]
fn a_host_that_was_rebooted_brings_its_guests_back_as_they_were() {
    let mut host = host_with_guest("");
    wait_booted(&host);
    host.wait_ready("domains", "hello", "True/Ready");
    let identity = |host: &Host| host.status("hello", "/resolved");
    let before = identity(&host);
    let definition = |host: &Host| {
        let folder = std::fs::read_dir(host.path("s/qemu")).unwrap().flatten();
        let file = folder.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "xml")).unwrap();
        std::fs::read_to_string(file).unwrap()
    };
    let xml = definition(&host);
    host.power_failure();
    host.start_agent();
    host.wait_for("it runs again", |host| host.guests().len() == 1 && host.status("hello", "/phase") == "Running");
    assert_eq!(identity(&host), before);
    assert_eq!(definition(&host), xml, "byte for byte");
}

#[test]
fn a_crash_loop_backs_off_and_a_halted_guest_stays_off() {
    let host = host_with_guest("ostler.crashloop=1");
    host.wait_for("a crash loop is told", |host| host.condition("domains", "hello", "Ready") == "False/CrashLoop");
    host.apply("d.yaml", &guest("ostler.crashloop=1").replace("Always", "Halted"));
    host.wait_ready("domains", "hello", "True/Ready");
    assert_eq!(host.status("hello", "/phase"), "Stopped");
    assert!(host.guests().is_empty());
}

#[test]
fn a_guest_that_ignores_its_shutdown_is_reported_and_left_alone_until_force_is_set() {
    let host = host_with_guest("ostler.noacpi=1");
    wait_booted(&host);
    let halted = guest("ostler.noacpi=1").replace("Always", "Halted");
    host.apply("d.yaml", &halted.replace("timeout: 20s, force: true", "timeout: 2s, force: false"));
    host.wait_ready("domains", "hello", "False/ShutdownTimeout");
    assert_eq!(host.guests().len(), 1);
    host.apply("d.yaml", &halted.replace("timeout: 20s, force: true", "timeout: 2s, force: true"));
    host.wait_for("it is ended", |host| host.guests().is_empty());
    host.wait_ready("domains", "hello", "True/Ready");
}

#[test]
fn a_change_that_needs_a_restart_waits_for_its_approval() {
    let host = host_with_guest("");
    wait_booted(&host);
    host.wait_ready("domains", "hello", "True/Ready");
    let guests = host.guests();
    let larger = guest("").replace("size: 256Mi", "size: 320Mi");
    host.apply("d.yaml", &larger);
    host.wait_ready("domains", "hello", "True/RestartPending");
    assert_eq!(host.condition("domains", "hello", "ConfigurationApplied"), "False/RestartPending");
    let pending = host.status("hello", "/pendingChanges");
    assert!(
        pending
            .as_array()
            .unwrap()
            .iter()
            .any(|change| change["path"] == "domain.memory.size" && change["apply"] == "Restart"),
        "{pending}"
    );
    assert_eq!(host.guests(), guests, "nothing disruptive without consent");
    // A person's word is consent, for this change only.
    done(&host, "restart");
    host.wait_for("it was restarted", |host| !host.guests().is_empty() && host.guests() != guests);
    host.wait_ready("domains", "hello", "True/Ready");
    assert_eq!(host.status("hello", "/pendingChanges"), Value::Null);
    let (guests, larger) = (host.guests(), guest("").replace("size: 256Mi", "size: 352Mi"));
    host.apply("d.yaml", &larger);
    host.wait_ready("domains", "hello", "True/RestartPending");
    assert_eq!(host.guests(), guests);
    host.apply("d.yaml", &larger.replace("  shutdown:", "  disruption: {restartApproval: Automatic}\n  shutdown:"));
    host.wait_for("it was restarted", |host| !host.guests().is_empty() && host.guests() != guests);
    host.wait_ready("domains", "hello", "True/Ready");
    assert_eq!(host.status("hello", "/pendingChanges"), Value::Null);
}

#[test]
fn bad_manifests_are_refused_whole_while_others_go_on() {
    let mut host = Host::new(binary());
    host.start_agent();
    host.apply("bad.yaml", "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {name: bad}\nspec:\n  domain:\n    memory: {size: 64Mi}\n    devices:\n      disks:\n      - {name: sda, device: lun, source: {file: {file: /x}}}\n");
    host.apply("n.yaml", NETWORK);
    host.wait_ready("networks", "lan", "True/WaitingForFirstUse");
    host.wait_for("the refusal is told", |host| {
        let (_, text) = host.ostler(&["get", "host", "-o", "yaml"]);
        text.contains("bad.yaml:9:") && text.contains("spec.domain.devices.disks[sda].device")
    });
    assert_eq!(host.object("domains", "bad"), Value::Null);
    let (code, text) = host.ostler(&["validate", "-f", &host.path("m/bad.yaml").display().to_string()]);
    assert_eq!(code, 1);
    assert!(text.contains("block device"), "{text}");
}

#[test]
fn a_directory_that_vanishes_deletes_nothing() {
    let host = host_with_guest("");
    wait_booted(&host);
    let guests = host.guests();
    let (here, away) = (host.path("m"), host.path("away"));
    let lost = |host: &Host| host.ostler(&["get", "host", "-o", "yaml"]).1.contains("reason: Lost");
    std::fs::rename(&here, &away).unwrap();
    host.wait_for("the loss is told", lost);
    assert_eq!(host.guests(), guests);
    std::fs::rename(&away, &here).unwrap();
    host.wait_for("it is found again", |host| !lost(host));
    // Without anything in it, somebody must have meant it.
    let files: Vec<_> = ["d.yaml", "v.yaml", "p.yaml", "n.yaml"]
        .iter()
        .map(|name| (name, std::fs::read_to_string(here.join(name)).unwrap()))
        .collect();
    for (name, _) in &files {
        host.remove(name);
    }
    host.wait_for("the deletion is held", |host| {
        host.ostler(&["get", "host", "-o", "yaml"]).1.contains("DeletionHeld")
    });
    assert_eq!(host.guests(), guests);
    for (name, text) in &files {
        host.apply(name, text);
    }
    host.wait_ready("domains", "hello", "True/Ready");
    assert_eq!(host.guests(), guests);
}

#[test]
fn a_second_agent_waits_and_names_the_first() {
    let mut host = Host::new(binary());
    host.start_agent();
    host.wait_for("the first is at work", |host| host.path("r/agent.sock").exists());
    let first = host.agent_pid();
    let log = host.path("second.log");
    let mut second = Command::new("nsenter")
        .arg(format!("--net=/proc/{first}/ns/net"))
        .args([&binary(), "--state-dir"])
        .arg(host.path("s"))
        .arg("--run-dir")
        .arg(host.path("r"))
        .args(["agent", "--listen", "none", "--manifests"])
        .arg(host.path("m"))
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    host.wait_for("the second names the first", |_| {
        std::fs::read_to_string(&log).unwrap().contains(&format!("another agent (pid {first})"))
    });
    host.stop_agent();
    host.wait_for("the second takes over", |_| std::fs::read_to_string(&log).unwrap().contains("the agent is at work"));
    second.kill().unwrap();
    second.wait().unwrap();
}
