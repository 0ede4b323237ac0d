//! A cluster of two nodes: how soon guests run after `kubectl apply`, what that costs the API server, and what agents weigh.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ostler_e2e::cluster::api::Api;
use ostler_e2e::cluster::install::{Kind, NAMESPACE};
use ostler_e2e::cluster::{Cluster, groups};
use ostler_util::passwd;
use ostler_util::pidfd::Process;
use serde_json::{Value, json};

use crate::by_hand::{self, Prepared};
use crate::report::{Goal, Report, median, ms, percentile};

/// Starts of one guest.
const ROUNDS: usize = 10;
/// Guests at once.
const MANY: usize = 20;
/// Starts of them: how one goes hangs on what else the machine does that second.
const ROUNDS_OF_MANY: usize = 3;
/// Guests on one host while its agent is weighed.
const LOADED: usize = 50;
/// Objects of hosts that are none.
const OTHERS: usize = 5000;
/// So many guests of one processor each have to fit.
const ROOM: &[&str] = &["--set", "controller.extraArgs={--vcpus-per-cpu=100}"];
/// Clients that make them.
const CLIENTS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(600);
const SETTLE: Duration = Duration::from_secs(10);
const AT_REST: Duration = Duration::from_secs(60);

const DOMAINS: &str = "/apis/ostler.dev/v1alpha1/namespaces/default/domains";

pub(crate) fn measure(binary: &str, wanted: &dyn Fn(&str) -> bool, report: &mut Report) {
    let program = std::env::current_exe().unwrap().with_file_name("cluster");
    let cluster = Cluster::for_tests(program.to_str().unwrap()).unwrap_or_else(|error| panic!("{error:#}"));
    install(&cluster, binary, report);
    let lab = Lab { cluster };
    report.add("agent's memory, idle", "MiB", lab.agent(), None, "", Goal::AtMost(30.0));
    report.add("controller's memory, idle", "MiB", lab.memory("controller"), None, "", Goal::None);
    for (name, measure) in
        [("cluster-start", starts as fn(&Lab, &mut Report)), ("cluster-rest", at_rest), ("cluster-weight", weights)]
    {
        if wanted(name) {
            measure(&lab, report);
        }
    }
}

/// Images are there before the clock starts.
fn install(cluster: &Cluster, binary: &str, report: &mut Report) {
    let say = |line: &str| eprintln!("  {line}");
    cluster.load_binary(binary.as_ref(), Kind::Plain).unwrap();
    let start = Instant::now();
    cluster.install(binary.as_ref(), Kind::Plain, ROOM, &say).unwrap_or_else(|error| panic!("{error:#}"));
    for node in cluster.nodes() {
        let path = format!("/apis/ostler.dev/v1alpha1/hosts/{}", node.name);
        cluster.api().wait(&path, DEADLINE, |host| condition(host, "Ready") == "True").unwrap();
    }
    report.add("helm install to both hosts Ready", "s", start.elapsed().as_secs_f64(), None, "", Goal::None);
}

struct Lab {
    cluster: Cluster,
}

impl Lab {
    /// Makes guests one after the other; gives for each the milliseconds from the answer to its Running on a watch.
    fn start(&self, names: &[String], spec: &Value) -> Vec<f64> {
        let api = self.cluster.api();
        let version = api.get(DOMAINS).unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        let events = api.watch(&format!("{DOMAINS}?watch=true&timeoutSeconds=600&resourceVersion={version}")).unwrap();
        let (mut made, mut running) = (BTreeMap::new(), BTreeMap::new());
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                for event in events {
                    let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                    if condition(&event["object"], "Running") == "True" && names.contains(&name) {
                        running.entry(name).or_insert_with(Instant::now);
                    }
                    if running.len() == names.len() {
                        break;
                    }
                }
            });
            for name in names {
                create(api, &guest(name, spec));
                made.insert(name.clone(), Instant::now());
            }
            watching.join().unwrap();
        });
        let time = |name| running.get(name).map(|end| ms(end.saturating_duration_since(made[name])));
        names.iter().map(|name| time(name).expect("the watch told of it in time")).collect()
    }

    fn delete(&self, names: &[String]) {
        for name in names {
            self.cluster.api().delete(&format!("{DOMAINS}/{name}")).unwrap();
        }
        for name in names {
            self.cluster.api().wait(&format!("{DOMAINS}/{name}"), DEADLINE, Value::is_null).unwrap();
        }
    }

    /// The command lines of all guests.
    fn command_lines(&self) -> Vec<Vec<String>> {
        let pids = self.cluster.nodes().into_iter().flat_map(|node| node.guests());
        pids.map(command_line).collect()
    }

    /// The resident memory of the larger of two processes, in MiB.
    fn memory(&self, verb: &str) -> f64 {
        let is_it = |pid: &i32| command_line(*pid).get(..2) == Some(&["/usr/bin/ostler".to_owned(), verb.to_owned()]);
        let nodes = self.cluster.nodes();
        let pids = nodes.iter().flat_map(|node| groups::pids(&node.cgroup()).unwrap()).filter(is_it);
        pids.map(resident_mib).fold(0.0, f64::max)
    }

    fn agent(&self) -> f64 {
        self.memory("agent")
    }

    /// Our writes to the API server so far, but Leases: resource and name of each.
    fn writes(&self) -> Vec<(String, String)> {
        let prefix = format!("system:serviceaccount:{NAMESPACE}:ostler-");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_write = |entry: &Value| {
            matches!(entry["verb"].as_str(), Some("create" | "update" | "patch" | "delete"))
                && text(&entry["user"]["username"]).starts_with(&prefix)
                && entry["objectRef"]["resource"] != "leases"
        };
        let audit = self.cluster.audit().into_iter().filter(is_write);
        audit.map(|entry| (text(&entry["objectRef"]["resource"]), text(&entry["objectRef"]["name"]))).collect()
    }
}

/// Where fifty guests boot at once on two processors, a controller may lose its lease, and be asked again a moment later.
pub(crate) fn create(api: &Api, domain: &Value) {
    let end = Instant::now() + DEADLINE;
    while let Err(error) = api.create(DOMAINS, domain) {
        assert!(error.to_string().contains("failed calling webhook") && Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// A guest without anything to boot, so that only its start counts.
fn guest(name: &str, more: &Value) -> Value {
    let mut domain = json!({
        "apiVersion": "ostler.dev/v1alpha1", "kind": "Domain", "metadata": {"name": name},
        "spec": {
            "shutdown": {"timeout": "0s", "force": true},
            "domain": {"vcpu": {"count": 1}, "memory": {"size": "16Mi"}, "os": {"type": {"machine": "q35"}}},
        },
    });
    let more = more.as_object().cloned().unwrap_or_default();
    domain["spec"].as_object_mut().unwrap().extend(more);
    domain
}

pub(crate) fn condition(object: &Value, type_: &str) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == type_));
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default().to_owned()
}

fn command_line(pid: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn resident_mib(pid: i32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn starts(lab: &Lab, report: &mut Report) {
    let always = json!({"runStrategy": "Always"});
    // The first guest finds out what QEMU can do.
    for node in ["node-a", "node-b"] {
        let spec = json!({"runStrategy": "Always", "placement": {"host": node}});
        lab.start(&[node.to_owned()], &spec);
    }
    lab.delete(&["node-a".to_owned(), "node-b".to_owned()]);
    let mut one = Vec::new();
    for round in 0..ROUNDS {
        let name = [format!("one{round}")];
        one.extend(lab.start(&name, &always));
        lab.delete(&name);
    }
    let (mut many, mut lines) = (Vec::new(), Vec::new());
    let (mut to_domain, mut events) = (0, 0);
    for round in 0..ROUNDS_OF_MANY {
        let names = names(&format!("many{round}-"), MANY);
        many.extend(lab.start(&names, &always));
        lines = lab.command_lines();
        std::thread::sleep(SETTLE);
        let writes = lab.writes();
        for name in &names {
            let count =
                |of: &dyn Fn(&str, &str) -> bool| writes.iter().filter(|(what, object)| of(what, object)).count();
            to_domain = to_domain.max(count(&|what, object| what == "domains" && object == name));
            events = events.max(count(&|what, object| what == "events" && object.starts_with(&format!("{name}."))));
        }
        lab.delete(&names);
    }
    let (one_by_hand, many_by_hand) = by_hand(&lines);
    let goal = (1000.0_f64).max(1.5 * many_by_hand);
    let against = "the same QEMU command line by hand";
    report.add(
        "apply to Running, 1 domain, p50",
        "ms",
        median(one.clone()),
        Some(one_by_hand),
        against,
        Goal::More(60.0),
    );
    report.add(
        "apply to Running, 1 domain, p95",
        "ms",
        percentile(&mut one, 95),
        Some(one_by_hand),
        against,
        Goal::None,
    );
    let against = "the same 20 command lines by hand, all at once";
    let p50 = median(many.clone());
    report.add("apply to Running, 20 domains, p50", "ms", p50, Some(many_by_hand), against, Goal::AtMost(goal.round()));
    report.add(
        "apply to Running, 20 domains, p95",
        "ms",
        percentile(&mut many, 95),
        Some(many_by_hand),
        against,
        Goal::None,
    );
    report.add("writes to a domain until it runs, most", "", to_domain as f64, None, "", Goal::AtMost(6.0));
    report.add("events of a domain until it runs, most", "", events as f64, None, "", Goal::AtMost(3.0));
}

/// The middle of what one, and of what all at once take, started without us.
fn by_hand(lines: &[Vec<String>]) -> (f64, f64) {
    let user = passwd::find("ostler-qemu").unwrap().expect("the agents made the guests' user");
    let folder = tempfile::Builder::new().prefix("ob").tempdir_in("/var/tmp").unwrap();
    std::os::unix::fs::chown(folder.path(), Some(user.uid), Some(user.gid)).unwrap();
    let mut number = 0;
    let mut run = |lines: &[Vec<String>]| -> Vec<f64> {
        let prepare = |line: &Vec<String>| {
            number += 1;
            Prepared::new(line, folder.path(), &user, number)
        };
        let prepared: Vec<Prepared> = lines.iter().map(prepare).collect();
        let done: Vec<(f64, Process)> = std::thread::scope(|scope| {
            let threads: Vec<_> = prepared.into_iter().map(|one| scope.spawn(|| one.run())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (_, process) in &done {
            by_hand::kill(process);
        }
        done.into_iter().map(|(time, _)| time).collect()
    };
    let one = (0..ROUNDS).flat_map(|_| run(&lines[..1])).collect();
    let many = (0..ROUNDS_OF_MANY).flat_map(|_| run(lines)).collect();
    (median(one), median(many))
}

fn at_rest(lab: &Lab, report: &mut Report) {
    std::thread::sleep(SETTLE);
    let before = lab.writes().len();
    std::thread::sleep(AT_REST);
    let written = (lab.writes().len() - before) as f64;
    report.add("writes in a minute at rest, but Leases", "", written, None, "", Goal::AtMost(0.0));
}

fn weights(lab: &Lab, report: &mut Report) {
    let guests = names("weight", LOADED);
    lab.start(&guests, &json!({"runStrategy": "Once", "placement": {"host": "node-a"}}));
    std::thread::sleep(SETTLE);
    let most = 30.0 + 0.3 * LOADED as f64;
    let loaded = lab.agent();
    report.add("agent's memory, 50 guests", "MiB", loaded, None, "", Goal::AtMost(most));
    report.add("controller's memory, 50 guests", "MiB", lab.memory("controller"), None, "", Goal::None);
    let api = lab.cluster.api();
    // Nobody else may give a claim.
    let controller = &api.acting_as(format!("system:serviceaccount:{NAMESPACE}:ostler-controller"));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                for number in (client..OTHERS).step_by(CLIENTS) {
                    let name = format!("other{number}");
                    let spec = json!({"runStrategy": "Halted", "placement": {"host": "node-z"}});
                    create(api, &guest(&name, &spec));
                    let claim = json!({"status": {"host": "node-z", "claim": 1}});
                    controller
                        .merge(&format!("{DOMAINS}/{name}/status"), &claim)
                        .unwrap_or_else(|error| panic!("{error}"));
                }
            });
        }
    });
    std::thread::sleep(SETTLE);
    report.add(
        "agent's memory, and 5000 of other hosts",
        "MiB",
        lab.agent(),
        Some(loaded),
        "without them",
        Goal::AtMost(most),
    );
    report.add("controller's memory, and 5000 of other hosts", "MiB", lab.memory("controller"), None, "", Goal::None);
}
