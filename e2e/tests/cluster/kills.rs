//! Agents and controllers that are killed at any moment of a claim, a move and a release.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ostler_e2e::cluster::node::Node;
use ostler_util::pidfd::Process;
use serde_json::{Value, json};

use crate::lab::{Lab, Space, claim_of, condition, is_ready, lab, leader_now, pool, with_disk, writer};

/// How often something is killed.
const KILLS: u32 = 50;
/// Which of the kills is the leading controller's.
const LEADERS_TURN: u32 = 8;
/// The longest wait before a kill, once what is killed is there: as long as a move takes.
const PATIENCE_MS: u64 = 1500;
const GUESTS: [&str; 3] = ["one", "two", "three"];

/// A number below `bound`, another one each time.
fn random(bound: u64) -> u64 {
    u64::try_from(uuid::Uuid::new_v4().as_u128() % u128::from(bound)).unwrap()
}

/// The guests' processes that have this image, on all nodes.
fn writers(lab: &Lab, image: &str) -> Vec<(&'static str, i32)> {
    let has = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(image)
    };
    let of = |node: &Node| node.guests().into_iter().filter(has).map(|pid| (node.name, pid)).collect::<Vec<_>>();
    lab.cluster.nodes().iter().flat_map(of).collect()
}

/// Moves a guest from host to host, and now and then has it deleted and made anew, until there were enough kills. Gives how often.
fn live(space: &Space<'_>, name: &str, enough: &AtomicBool) -> u32 {
    let mut round = 0;
    loop {
        round += 1;
        let at = claim_of(&space.get("domains", name)).0.to_owned();
        let to = if at == "node-a" { "node-b" } else { "node-a" };
        space.edit("domains", name, json!({"spec": {"placement": {"host": to}, "runStrategy": "Halted"}}));
        space.wait("domains", name, |domain| claim_of(domain).0 == to);
        space.edit("domains", name, json!({"spec": {"runStrategy": "Always"}}));
        space.wait("domains", name, |domain| is_ready(domain) && condition(domain, "Running").0 == "True");
        if enough.load(Ordering::Relaxed) {
            return round;
        }
        if round % 3 == 0 {
            space.lab.api().delete(&space.path("domains", name)).unwrap();
            space.wait("domains", name, Value::is_null);
            space.create("domains", &writer(name, "shared"));
            space.wait("domains", name, |domain| is_ready(domain) && condition(domain, "Running").0 == "True");
        }
    }
}

/// Ends an agent or the leading controller at once, at some moment; its pod starts another.
fn kill_one(lab: &Lab, number: u32) {
    let nodes = lab.cluster.nodes();
    let mut found = None;
    lab.wait_for("what is to be killed is there", || {
        found = if number.is_multiple_of(LEADERS_TURN) {
            leader_now(lab).map(|(_, _, pid)| ("controller", pid))
        } else {
            nodes[usize::try_from(number % 2).unwrap()].ostler("agent", None).map(|pid| ("agent", pid))
        };
        found.is_some()
    });
    let (what, pid) = found.unwrap();
    // The moment is to be any.
    std::thread::sleep(Duration::from_millis(random(PATIENCE_MS)));
    if let Ok(process) = Process::of(pid)
        && let Ok(Some(process)) = process.open()
    {
        process.kill().unwrap();
        eprintln!("kill {number}: {what} {pid}");
    }
}

#[test]
fn agents_and_controllers_killed_at_any_moment_leave_one_guest_of_each_and_all_run_in_the_end() {
    let lab = lab();
    let space = lab.space("kills");
    let shared = tempfile::tempdir_in("/srv").unwrap();
    std::fs::set_permissions(shared.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    for node in &lab.cluster.nodes() {
        lab.edit_host(node, json!({"allow": [{"name": "hostpaths"}]}));
    }
    let target = json!({"path": shared.path()});
    space.create("storagepools", &pool("shared", &json!({"shared": true, "pool": {"type": "dir", "target": target}})));
    for name in GUESTS {
        with_disk(&space, name, "shared");
        space.wait_ready("domains", name);
    }
    let images = GUESTS.map(|name| space.get("storagevolumes", name)["status"]["path"].as_str().unwrap().to_owned());

    let (enough, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for image in &images {
                    let writers = writers(&lab, image);
                    assert!(writers.len() <= 1, "{image} is written twice: {writers:?}");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let lives = GUESTS.map(|name| {
            let (space, enough) = (&space, &enough);
            scope.spawn(move || live(space, name, enough))
        });
        for number in 1..=KILLS {
            kill_one(&lab, number);
            assert!(!watching.is_finished(), "something runs twice");
        }
        enough.store(true, Ordering::Relaxed);
        let moves: Vec<_> = lives.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(watching.join().is_ok());
        let moves: u32 = moves.into_iter().map(|moves| moves.expect("a guest's life went on")).sum();
        eprintln!("{KILLS} kills, {moves} moves");
    });
    for (name, image) in GUESTS.iter().zip(&images) {
        let domain = space.wait_ready("domains", name);
        let writers = writers(&lab, image);
        let [(node, _)] = writers[..] else { panic!("{name} runs once: {writers:?}") };
        assert_eq!(node, claim_of(&domain).0);
    }
    for node in &lab.cluster.nodes() {
        lab.edit_host(node, json!({"allow": null}));
    }
    lab.wait_rolled_out();
    space.end();
}
