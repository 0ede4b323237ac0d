//! The demo's four manifests as a test's subject.

use std::process::Command;

use crate::host::Host;

/// The network.
pub const NETWORK: &str = include_str!("../../examples/demo/network.yaml");
/// The pool.
pub const POOL: &str = include_str!("../../examples/demo/pool.yaml");
/// The volume.
pub const VOLUME: &str = include_str!("../../examples/demo/volume.yaml");
/// The domain.
pub const DOMAIN: &str = include_str!("../../examples/demo/domain.yaml");

/// The binary under test, built by the caller's own cargo.
pub fn binary() -> String {
    let mut command = Command::new(env!("CARGO"));
    // What cargo tells a test of its own package is nothing to another build: scripts that look at it would run anew each time, and
    // with them half of what there is.
    let is_ours =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"].iter().any(|it| name.starts_with(it));
    for (name, _) in std::env::vars().filter(|(name, _)| is_ours(name)) {
        command.env_remove(name);
    }
    let output = command.args(["build", "-q", "-p", "ostler"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var("CARGO_TARGET_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../target").to_owned());
    format!("{target}/debug/ostler")
}

/// The demo's guest, in the host's own folders and with these words on its kernel's command line.
pub fn guest(words: &str) -> String {
    DOMAIN
        .replace("/var/lib/ostler/demo", "GUEST")
        .replace("/var/log/ostler-demo-console.log", "ROOT/console.log")
        .replace("ostler.name=hello", &format!("ostler.name=hello {words}"))
}

/// A host with an agent at work on the four manifests.
pub fn host_with_guest(words: &str) -> Host {
    let mut host = Host::new(binary());
    host.install_guest();
    host.start_agent();
    for (name, text) in [("d.yaml", guest(words).as_str()), ("v.yaml", VOLUME), ("p.yaml", POOL), ("n.yaml", NETWORK)] {
        host.apply(name, text);
    }
    host
}

/// What the guest wrote on its console.
pub fn console(host: &Host) -> String {
    String::from_utf8_lossy(&std::fs::read(host.path("console.log")).unwrap_or_default()).into_owned()
}

/// Waits until the guest has booted and has its address.
pub fn wait_booted(host: &Host) {
    host.wait_for("the guest greets with its address", |host| console(host).contains("OSTLER-GUEST-READY 192.168.77."));
}

/// Carries out a verb that must succeed.
pub fn done(host: &Host, verb: &str) {
    let (code, text) = host.ostler(&[verb, "hello"]);
    assert_eq!(code, 0, "{text}");
}

/// Deletes an object that is there.
pub fn delete(host: &Host, kind: &str, name: &str) {
    let (code, text) = host.ostler(&["delete", kind, name]);
    assert_eq!(code, 0, "{text}");
}

/// Deletes all four, the domain first.
pub fn delete_all(host: &Host) {
    delete(host, "dom", "hello");
    delete_all_but_the_domain(host);
}

/// Deletes what the domain stood on.
pub fn delete_all_but_the_domain(host: &Host) {
    for (kind, name) in [("vol", "hello-data"), ("pool", "images"), ("vnet", "lan")] {
        delete(host, kind, name);
    }
}
