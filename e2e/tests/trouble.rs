//! A host in trouble: what can't be written or read is told, and nothing is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ostler_e2e::demo::{NETWORK, binary};
use ostler_e2e::host::Host;

/// A guest that boots nothing: its firmware looks for a disk for ever.
fn idle(name: &str, memory: &str) -> String {
    format!(
        "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {{name: {name}}}\nspec:\n  shutdown: {{timeout: 0s, force: true}}\n  domain:\n    memory: {{size: {memory}}}\n    os: {{type: {{machine: q35}}}}\n"
    )
}

/// A mount that goes with the test.
struct Mount(PathBuf);

impl Mount {
    fn new(args: &[&str], place: &Path) -> Self {
        let output = Command::new("mount").args(args).arg(place).output().unwrap();
        assert!(output.status.success(), "mount {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Mount(place.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).output();
    }
}

fn host_says(host: &Host, word: &str) -> bool {
    host.ostler(&["get", "host", "-o", "yaml"]).1.contains(word)
}

#[test]
fn a_read_only_state_folder_is_a_named_condition_and_loses_nothing() {
    let mut host = Host::new(binary());
    host.start_agent();
    host.apply("one.yaml", &idle("one", "64Mi"));
    host.wait_ready("domains", "one", "True/Ready");
    let (guests, state) = (host.guests(), host.path("s"));
    let here = state.display().to_string();
    let mount = Mount::new(&["--bind", &here], &state);
    let status = Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&state).status().unwrap();
    assert!(status.success());
    // A change, a new object, and an end of the guest: none of them can be written down.
    host.apply("one.yaml", &idle("one", "96Mi"));
    host.apply("two.yaml", &idle("two", "64Mi"));
    host.wait_for("the new manifests wait, with the reason", |host| {
        host_says(host, "reason: Refused") && host_says(host, "Read-only file system")
    });
    assert_eq!(host.guests(), guests, "the guest goes on");
    for pid in &guests {
        Command::new("kill").args(["-9", &pid.to_string()]).output().unwrap();
    }
    host.wait_for("a status that can't be written is told", |host| host_says(host, "type: StatusWritten"));
    drop(mount);
    host.wait_ready("domains", "two", "True/Ready");
    host.wait_for("both run as they should", |host| {
        host.guests().len() == 2 && host.condition("domains", "one", "Ready").starts_with("True/")
    });
    host.wait_for("nothing is left to tell", |host| {
        !host_says(host, "type: StatusWritten") && host_says(host, "AllAccepted")
    });
}

#[test]
fn manifests_that_are_unmounted_or_unreadable_delete_nothing() {
    let mut host = Host::new(binary());
    let manifests = host.path("m");
    let mount = Mount::new(&["-t", "tmpfs", "-o", "mode=700", "tmpfs"], &manifests);
    host.start_agent();
    host.apply("n.yaml", NETWORK);
    host.apply("one.yaml", &idle("one", "64Mi"));
    host.wait_ready("domains", "one", "True/Ready");
    let guests = host.guests();
    // The folder below the mount is there, and empty.
    drop(mount);
    host.wait_for("the loss is told", |host| host_says(host, "reason: Lost"));
    assert_eq!(host.guests(), guests);
    // So it is for the next agent, which has never seen the manifests.
    host.stop_agent();
    host.start_agent();
    host.wait_for("it is told again", |host| {
        host_says(host, "reason: Lost") || host_says(host, "reason: DeletionHeld")
    });
    assert_eq!(host.guests(), guests);
    // A file in the folder's place can't be listed, whoever asks.
    fs::remove_dir(&manifests).unwrap();
    fs::write(&manifests, "").unwrap();
    host.wait_for("that is told too", |host| host_says(host, "reason: Lost"));
    assert_eq!(host.guests(), guests);
    fs::remove_file(&manifests).unwrap();
    fs::create_dir(&manifests).unwrap();
    host.apply("n.yaml", NETWORK);
    host.apply("one.yaml", &idle("one", "64Mi"));
    host.wait_for("all is well again", |host| host_says(host, "AllAccepted"));
    host.wait_ready("domains", "one", "True/Ready");
    assert_eq!(host.guests(), guests);
}

#[test]
fn a_manifest_half_written_is_waited_for_and_keeps_nobody_else_waiting() {
    let mut host = Host::new(binary());
    host.start_agent();
    host.apply("one.yaml", &idle("one", "64Mi"));
    host.wait_ready("domains", "one", "True/Ready");
    let guests = host.guests();
    let text = idle("one", "96Mi");
    let mut file = fs::File::create(host.path("m/one.yaml")).unwrap();
    std::io::Write::write_all(&mut file, &text.as_bytes()[..text.len() - 20]).unwrap();
    host.apply("two.yaml", &idle("two", "64Mi"));
    host.wait_ready("domains", "two", "True/Ready");
    assert!(host.guests().iter().any(|pid| guests.contains(pid)));
    assert_eq!(host.condition("domains", "one", "Ready"), "True/Ready", "what it was stays");
    std::io::Write::write_all(&mut file, &text.as_bytes()[text.len() - 20..]).unwrap();
    drop(file);
    host.wait_ready("domains", "one", "True/RestartPending");
}
