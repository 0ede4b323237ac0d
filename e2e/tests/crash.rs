//! The agent dies at any line: the next one converges, with one guest and nothing leaked.

use std::time::Duration;

use ostler_e2e::demo::{NETWORK, POOL, VOLUME, binary, delete_all, guest};
use ostler_e2e::host::Host;

/// As many points as the project promises.
const POINTS: u64 = 50;

/// The longest life of an agent here: starting a guest is over within.
const LIFE_MS: u64 = 900;

/// Times that are spread over an agent's life, the same on every run.
fn life(point: u64) -> Duration {
    Duration::from_millis((point * 617) % LIFE_MS)
}

#[test]
fn the_agent_is_killed_at_many_points_of_start_and_stop() {
    let mut host = Host::new(binary());
    host.install_guest();
    let on = guest("ostler.noacpi=1").replace("timeout: 20s", "timeout: 0s");
    let off = on.replace("Always", "Halted");
    for (name, text) in [("v.yaml", VOLUME), ("p.yaml", POOL), ("n.yaml", NETWORK)] {
        host.apply(name, text);
    }
    // What the probes of QEMU cost once is not what is tested here.
    host.apply("d.yaml", &on);
    host.start_agent();
    host.wait_ready("domains", "hello", "True/Ready");
    for point in 0..POINTS {
        host.apply("d.yaml", if point % 2 == 0 { &off } else { &on });
        // Not a wait for something: the moment of death is the test's subject.
        std::thread::sleep(life(point));
        host.kill_agent();
        assert!(host.guests().len() <= 1, "started twice at point {point}");
        host.start_agent();
    }
    host.apply("d.yaml", &on);
    host.wait_for("one guest runs in the end", |host| {
        host.status("hello", "/phase") == "Running" && host.guests().len() == 1
    });
    host.wait_ready("domains", "hello", "True/Ready");
    delete_all(&host);
    host.wait_for("nothing is left", |host| host.leftovers().is_empty());
}
