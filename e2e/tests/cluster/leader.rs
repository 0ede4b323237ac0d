//! A controller's leader whose time stands still while another takes over.

use ostler_util::pidfd::{PidFd, Process};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::lab::{Lab, Space, claim_of, is_ready, lab, leader, leading_pod, places, small, uuid_of};

/// A process that stands still until this goes.
struct Paused(Pid);

impl Paused {
    fn new(pid: i32) -> Self {
        let pid = Pid::from_raw(pid).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        Paused(pid)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// All claims of a namespace, by name.
fn claims(space: &Space<'_>, names: &[String]) -> Vec<(String, String, i64)> {
    let of = |name: &String| {
        let domain = space.get("domains", name);
        let (host, number) = claim_of(&domain);
        (name.clone(), host.to_owned(), number)
    };
    names.iter().map(of).collect()
}

/// What a pod has changed of domains' status since an entry of the audit log.
fn claims_by(lab: &Lab, pod: &str, since: usize) -> Vec<Value> {
    let is_it = |entry: &Value| {
        let of = &entry["objectRef"];
        entry["user"]["extra"]["authentication.kubernetes.io/pod-name"][0] == pod
            && of["resource"] == "domains"
            && of["subresource"] == "status"
            && entry["verb"] == "patch"
            && entry["responseStatus"]["code"] == 200
    };
    lab.cluster.audit().into_iter().skip(since).filter(is_it).collect()
}

#[test]
fn a_leader_whose_clock_stood_still_gives_no_claim_any_more() {
    let lab = lab();
    let space = lab.space("leader");
    space.create("domains", &small("first", json!({})));
    let first = space.wait_ready("domains", "first");
    let (from, to) = match claim_of(&first) {
        ("node-a", 1) => ("node-a", "node-b"),
        _ => ("node-b", "node-a"),
    };
    let names: Vec<String> = (0..8).map(|number| format!("web-{number}")).collect();

    // It stands still with decisions half-way: some are written, some under way, some not begun.
    let (pod, node, pid) = leader(&lab);
    let process: PidFd = Process::of(pid).unwrap().open().unwrap().expect("it runs");
    let paused = std::thread::scope(|scope| {
        scope.spawn(|| names.iter().for_each(|name| drop(space.create("domains", &small(name, json!({}))))));
        lab.wait_for("the first of them has a claim", || {
            let one = lab.api().find(&space.path("domains", &names[2])).unwrap_or_default();
            !claim_of(&one).0.is_empty()
        });
        Paused::new(pid)
    });
    lab.wait_for("another replica leads", || leading_pod(&lab).is_some_and(|other| other != pod));
    for name in &names {
        assert_eq!(claim_of(&space.wait("domains", name, is_ready)).1, 1, "{name} was placed once");
    }
    // What the paused one knows of this guest is wrong by now.
    space.edit("domains", "first", json!({"spec": {"placement": {"host": to}, "runStrategy": "Halted"}}));
    space.wait("domains", "first", |domain| claim_of(domain).0 == to);
    space.edit("domains", "first", json!({"spec": {"runStrategy": "Always"}}));
    space.wait_ready("domains", "first");
    let all: Vec<String> = names.iter().cloned().chain(["first".to_owned()]).collect();
    let before = claims(&space, &all);

    // It wakes up, finds that it leads no more, and ends; its pod starts another.
    assert!(!process.has_ended(), "nobody ended it meanwhile");
    let since = lab.cluster.audit().len();
    drop(paused);
    lab.wait_for("it ends", || process.has_ended());
    lab.wait_for("its pod is back", || node.ostler("controller", Some(&pod)).is_some());
    lab.wait_rolled_out();
    let written = claims_by(&lab, &pod, since);
    let is_claim = |entry: &&Value| {
        let name = entry["objectRef"]["name"].as_str().unwrap_or_default();
        entry["objectRef"]["namespace"] == "leader" && all.iter().any(|known| known == name)
    };
    assert!(written.iter().find(is_claim).is_none(), "{written:#?}");
    assert_eq!(claims(&space, &all), before, "no claim has changed");
    for (name, host, _) in &before {
        assert_eq!(places(&lab, &uuid_of(&space, name)), [host.as_str()], "{name} (first was on {from})");
    }
    space.end();
}
