//! A fleet in one API server: what a thousand hosts and their guests ask of the controller, and of the server.
//!
//! The server, etcd and the controller are real, each a process; so are the chart's roles, policies and flow control. Nodes are objects
//! only. The agents are the agent's own code, each with its own connection and its own node's token, all in this process: what is
//! left out is the hypervisor, in whose place a driver keeps guests in memory ([`agents`]), and their pods. Guests have a network and no
//! volumes. All of it shares this machine's processors, so that times are those of a server that is busy; what is the controller's own
//! part of them is told apart by the server's audit log.

mod agents;
mod claims;
mod metrics;
mod place;
mod requests;
mod weight;

use std::time::{Duration, Instant};

use agents::Fleet;
use claims::{Claims, Pace};
use metrics::Metrics;
use place::Place;
use requests::{By, Log, Request};
use weight::Weight;

use crate::report::{Goal, Report, ms, percentile};

/// How large the fleet is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) hosts: usize,
    pub(crate) domains: usize,
}

/// So many domains are made at a pace, after the others: at most, and so many of a hundred.
const PACED: usize = 600;
const PACED_PERCENT: usize = 10;
/// Time between two of them: what the server bears on two processors with all the agents beside it.
const PACE: Duration = Duration::from_millis(100);
/// Nobody has written anything but Leases for so long: then all is settled.
const SETTLED: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(60);
pub(crate) const DEADLINE: Duration = Duration::from_secs(1200);

pub(crate) fn measure(binary: &str, size: Size, report: &mut Report) {
    let mut place = Place::new(binary, report);
    let mut fleet = Fleet::new(&place, size.hosts);
    let start = Instant::now();
    fleet.begin(&place);
    report.add("fleet: all agents started to all hosts Ready", "s", seconds(start), None, "", Goal::None);
    let claims = Claims::watch(place.api());
    let paced = (size.domains * PACED_PERCENT / 100).clamp(1, PACED);
    fill(&place, &claims, size.domains - paced, report);
    pace(&place, &claims, size.domains - paced..size.domains, report);
    settle(&place.log());
    weigh(&place, report);
    restart_half(&place, &mut fleet, report);
    restart_controller(&mut place, report);
}

fn seconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// Guests as fast as they are taken up.
fn fill(place: &Place, claims: &Claims, count: usize, report: &mut Report) {
    let before = place.metrics();
    let start = Instant::now();
    let mut times = claims.make(place.api(), 0..count, Pace::AsTheyAreTaken);
    claims.wait_running(count);
    let took = seconds(start);
    report.add("fill: first create to all but the last Running", "s", took, None, "", Goal::None);
    report.add("fill: domains Running in a second", "1/s", count as f64 / took, None, "", Goal::None);
    report.add("fill: create to claim, p50", "ms", percentile(&mut times, 50), None, "", Goal::None);
    report.add("fill: create to claim, p99", "ms", percentile(&mut times, 99), None, "", Goal::None);
    policies(&before, &place.metrics(), report);
}

/// What the policies cost the server: all of them for a write, and which of them looks how often whether it is asked at all.
fn policies(before: &Metrics, after: &Metrics, report: &mut Report) {
    let counted = after.since(before);
    let mean = |series: &str, labels: &[&str]| {
        let of = |part: &str| counted.sum(&format!("{series}_{part}"), labels);
        (of("sum") * 1000.0 / of("count").max(1.0), of("count"))
    };
    let against = "by the API server's own counters";
    let all = "apiserver_admission_controller_admission_duration_seconds";
    let (time, writes) = mean(all, &["name=\"ValidatingAdmissionPolicy\"", "operation=\"UPDATE\""]);
    report.add("fill: all policies, of an update", "ms", time, None, against, Goal::None);
    for policy in ["ostler-agent", "ostler-controller", "ostler-fenced", "ostler-grants-domains"] {
        let label = format!("name=\"{policy}\"");
        let (time, looks) = mean("apiserver_admission_match_condition_evaluation_seconds", &[&label]);
        eprintln!("  {policy}: its conditions were looked at {looks} times in {writes} updates, {time:.3} ms each");
    }
    for (resource, verb, line) in [
        ("hosts", "APPLY", "fill: an agent's write of a Host's status"),
        ("domains", "APPLY", "fill: an agent's write of a Domain's status"),
        ("domains", "PATCH", "fill: the controller's write of a claim"),
    ] {
        let labels = [format!("resource=\"{resource}\""), format!("verb=\"{verb}\"")];
        let status = ["group=\"ostler.dev\"", "subresource=\"status\"", &labels[0], &labels[1]];
        let (time, _) = mean("apiserver_request_duration_seconds", &status);
        report.add(line, "ms", time, None, against, Goal::None);
    }
}

/// Guests one after the other, at a rate that leaves the server room.
fn pace(place: &Place, claims: &Claims, numbers: std::ops::Range<usize>, report: &mut Report) {
    let (log, controller) = (place.log(), place.controller_metrics());
    let mark = log.mark();
    let start = Instant::now();
    let (count, total) = (numbers.len(), numbers.end);
    let mut times = claims.make(place.api(), numbers.clone(), Pace::Every(PACE));
    let rate = count as f64 / seconds(start);
    claims.wait_running(total);
    let controller = place.controller_metrics().since(&controller);
    report.add("paced: domains made in a second", "1/s", rate, None, "", Goal::None);
    report.add("paced: create to claim, p50", "ms", percentile(&mut times, 50), None, "", Goal::None);
    report.add("paced: create to claim, p99", "ms", percentile(&mut times, 99), None, "", Goal::AtMost(1000.0));
    let mut parts = requests::parts(&log.since(mark), numbers.map(claims::name));
    for (part, half, most) in [
        (&mut parts.noticed, "paced: of it until the controller's first write, p50", "paced: the same, p99"),
        (&mut parts.written, "paced: of it the two writes of a claim, p50", "paced: the same two, p99"),
    ] {
        let against = "by the server's audit log";
        report.add(half, "ms", percentile(part, 50), None, against, Goal::None);
        report.add(most, "ms", percentile(part, 99), None, against, Goal::None);
    }
    let decisions = controller.sum("ostler_controller_decision_seconds_count", &[]);
    let time = controller.sum("ostler_controller_decision_seconds_sum", &[]);
    let against = "by the controller's own metrics";
    report.add("paced: a decision, mean", "ms", time * 1000.0 / decisions.max(1.0), None, against, Goal::None);
    let most = controller.quantile("ostler_controller_decision_seconds", 0.99) * 1000.0;
    report.add("paced: a decision, p99 is at most", "ms", most, None, against, Goal::None);
}

/// Waits until nobody writes any more.
fn settle(log: &Log) {
    let end = Instant::now() + DEADLINE;
    loop {
        let mark = log.mark();
        std::thread::sleep(SETTLED);
        let writes = log.since(mark).into_iter().filter(|request| request.by != By::Others && request.is_write());
        let writes: Vec<Request> = writes.filter(|request| request.resource != "leases").collect();
        if writes.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "it does not settle: {:?}", writes.first());
    }
}

fn weigh(place: &Place, report: &mut Report) {
    let Weight { resident, private, peak } = place.controller_weight();
    report.add("controller's memory, resident", "MB", resident, None, "", Goal::AtMost(500.0));
    report.add("controller's memory, private", "MB", private, None, "", Goal::None);
    report.add("controller's memory, at its peak", "MB", peak, None, "", Goal::AtMost(500.0));
    for (program, line) in [("kube-apiserver", "API server's memory, resident"), ("etcd", "etcd's memory, resident")] {
        report.add(line, "MB", Weight::of(weight::child(program)).resident, None, "", Goal::None);
    }
}

/// What a minute costs the server.
struct Minute {
    requests: Vec<Request>,
    /// The server's processor time, in seconds.
    processor: f64,
    /// What it wrote, to its clients, to etcd and to its log, in MB.
    written: f64,
}

impl Minute {
    fn of(log: &Log, act: impl FnOnce()) -> Self {
        let server = weight::child("kube-apiserver");
        let (mark, processor, written) = (log.mark(), weight::processor(server), weight::written(server));
        let start = Instant::now();
        act();
        std::thread::sleep(WINDOW.saturating_sub(start.elapsed()));
        Minute {
            requests: log.since(mark),
            processor: weight::processor(server) - processor,
            written: weight::written(server) - written,
        }
    }

    fn by(&self, by: By) -> f64 {
        self.requests.iter().filter(|request| request.by == by).count() as f64 / WINDOW.as_secs_f64()
    }

    fn verb(&self, verb: &str) -> f64 {
        let is_it = |request: &&Request| request.by == By::Agents && request.verb == verb;
        self.requests.iter().filter(is_it).count() as f64 / WINDOW.as_secs_f64()
    }
}

/// Half of the agents end at the same moment, as if they were killed, and start anew at once.
fn restart_half(place: &Place, fleet: &mut Fleet, report: &mut Report) {
    let log = place.log();
    let quiet = Minute::of(&log, || {});
    requests::show("the quiet minute", &quiet.requests);
    let mut times = Vec::new();
    let busy = Minute::of(&log, || times = fleet.restart_half());
    requests::show("the minute after half of the agents were restarted", &busy.requests);
    let against = "a quiet minute";
    let all = (busy.by(By::Agents), quiet.by(By::Agents));
    report.add("restart: agents' requests in a second", "1/s", all.0, Some(all.1), against, Goal::Ratio(3.0));
    for (verb, line) in [
        ("get", "restart: of them get"),
        ("list", "restart: of them list"),
        ("watch", "restart: of them watch"),
        ("create", "restart: of them create"),
        ("patch", "restart: of them patch"),
    ] {
        report.add(line, "1/s", busy.verb(verb), Some(quiet.verb(verb)), against, Goal::None);
    }
    let controller = (busy.by(By::Controller), quiet.by(By::Controller));
    let line = "restart: controller's requests in a second";
    report.add(line, "1/s", controller.0, Some(controller.1), against, Goal::None);
    report.add("restart: API server's processor time", "s", busy.processor, Some(quiet.processor), against, Goal::None);
    report.add("restart: API server's bytes written", "MB", busy.written, Some(quiet.written), against, Goal::None);
    report.add("restart: until an agent knows its objects, p50", "s", percentile(&mut times, 50), None, "", Goal::None);
    report.add(
        "restart: until an agent knows its objects, last",
        "s",
        percentile(&mut times, 100),
        None,
        "",
        Goal::None,
    );
}

/// What a controller needs that finds all of it there.
fn restart_controller(place: &mut Place, report: &mut Report) {
    let start = Instant::now();
    place.restart_controller();
    report.add("controller's restart: to ready", "ms", ms(start.elapsed()), None, "", Goal::None);
    place.wait_leading();
    settle(&place.log());
    let Weight { resident, private: _, peak } = place.controller_weight();
    report.add("controller's memory after a restart, resident", "MB", resident, None, "", Goal::AtMost(500.0));
    report.add("controller's memory after a restart, peak", "MB", peak, None, "", Goal::AtMost(500.0));
}
