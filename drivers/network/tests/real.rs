//! Real bridges, rules and dnsmasq, in a network namespace of the test's own.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ostler_conf::{ErrorCode, MacAddress, Network, parse};
use ostler_driver::{Connection, Event, Events, NetworkEvent, Networks, PortRequest};
use ostler_driver_network::{Config, NetworkDriver};
use ostler_util::pidfd::Process;
use ostler_util::run::Run;
use ostler_util::{namespace, tap};
use uuid::Uuid;

const LAN: &str = "<network><name>lan</name><forward mode='nat'/><bridge name='obtest0'/><ip address='10.77.0.1' prefix='24'><dhcp><range start='10.77.0.10' end='10.77.0.20'/></dhcp></ip></network>";

/// A deadline far above what any step takes, for machines that are slow at times.
const DEADLINE: Duration = Duration::from_secs(60);

struct Place {
    directory: tempfile::TempDir,
    driver: NetworkDriver,
}

/// Runs `test` on a thread with a network of its own; whatever it made goes with the namespace, and dnsmasq is stopped.
fn in_own_network<F: Future<Output = Place>>(test: impl FnOnce(Place) -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        namespace::isolate_network().expect("this test needs root, for network namespaces");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let place = Place { driver: open(directory.path()).await, directory };
            let place = test(place).await;
            for network in place.driver.list().await.unwrap() {
                for port in place.driver.ports().await.unwrap() {
                    place.driver.delete_ports(port.owner, None).await.unwrap();
                }
                place.driver.stop(&network.name).await.unwrap();
            }
            place.driver.close().await.unwrap();
        });
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

async fn open(directory: &Path) -> NetworkDriver {
    NetworkDriver::open(Config::new(directory.join("state"), directory.join("run"))).await.unwrap()
}

fn network(text: &str) -> Network {
    parse::<Network>(text).unwrap().strict().unwrap()
}

fn tool(program: &str, args: &[&str]) -> String {
    let output = Run::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", output.error_text());
    String::from_utf8(output.stdout).unwrap()
}

async fn wait_for(events: &mut Events, wanted: NetworkEvent) {
    let wait =
        async { while !matches!(events.recv().await.unwrap(), Event::Network { event, .. } if event == wanted) {} };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("{wanted:?} was not told"));
}

fn dnsmasq(directory: &Path, uuid: Uuid) -> Process {
    let text = std::fs::read(directory.join(format!("run/network/{uuid}/process.json"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn dnsmasq_pid(directory: &Path, uuid: Uuid) -> i32 {
    dnsmasq(directory, uuid).pid
}

#[test]
fn a_network_comes_up_and_goes_without_a_trace() {
    in_own_network(|place| async move {
        let stored = place.driver.define(&network(LAN)).await.unwrap();
        place.driver.start("lan").await.unwrap();
        assert!(tool("ip", &["-4", "address", "show", "obtest0"]).contains("10.77.0.1/24"));
        assert!(tool("nft", &["list", "ruleset"]).contains("masquerade"));
        let process = dnsmasq(place.directory.path(), stored.uuid.unwrap());
        let pid = process.pid;
        let gives_root_away = async {
            // It does so right after it said that it serves.
            while std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("Uid:\t0\t") {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(DEADLINE, gives_root_away).await.expect("dnsmasq gives root away");
        place.driver.start("lan").await.unwrap();
        assert_eq!(dnsmasq_pid(place.directory.path(), stored.uuid.unwrap()), pid, "what is right is left as it is");
        place.driver.stop("lan").await.unwrap();
        assert!(!tool("ip", &["link", "show"]).contains("obtest0"));
        assert!(!tool("nft", &["list", "ruleset"]).contains("ostler"));
        // Who has ended may still wait for init to notice.
        assert!(process.open().unwrap().is_none());
        place.driver.undefine("lan").await.unwrap();
        assert_eq!(place.driver.get("lan").await.unwrap_err().code, ErrorCode::NoNetwork);
        place
    });
}

#[test]
fn what_is_lost_is_made_again_with_its_guests_plugged_in() {
    in_own_network(|place| async move {
        let stored = place.driver.define(&network(LAN)).await.unwrap();
        place.driver.start("lan").await.unwrap();
        let mac = MacAddress([0x52, 0x54, 0, 0, 0, 1]);
        let request = PortRequest { owner: Uuid::from_u128(7), owner_name: "guest".into(), mac };
        let port = place.driver.create_port("lan", &request).await.unwrap();
        assert_eq!(place.driver.create_port("lan", &request).await.unwrap(), port, "the same guest gets the same port");
        let _guest = tap::open(&port.tap).unwrap();
        place.driver.plug_port(&port).await.unwrap();
        assert!(tool("ip", &["link", "show", &port.tap]).contains("master obtest0"));
        assert_eq!(place.driver.stop("lan").await.unwrap_err().code, ErrorCode::ResourceBusy);

        let mut events = place.driver.events();
        tool("nft", &["flush", "ruleset"]);
        wait_for(&mut events, NetworkEvent::Healed).await;
        assert!(tool("nft", &["list", "ruleset"]).contains("masquerade"));

        let mut events = place.driver.events();
        tool("ip", &["link", "delete", "obtest0"]);
        wait_for(&mut events, NetworkEvent::Healed).await;
        assert!(tool("ip", &["link", "show", &port.tap]).contains("master obtest0"));
        assert!(tool("ip", &["-4", "address", "show", "obtest0"]).contains("10.77.0.1/24"));

        let mut events = place.driver.events();
        let old = dnsmasq_pid(place.directory.path(), stored.uuid.unwrap());
        tool("kill", &["-9", &old.to_string()]);
        wait_for(&mut events, NetworkEvent::Healed).await;
        assert_ne!(dnsmasq_pid(place.directory.path(), stored.uuid.unwrap()), old);
        place
    });
}

#[test]
fn a_network_outlives_its_driver() {
    in_own_network(|place| async move {
        let stored = place.driver.define(&network(LAN)).await.unwrap();
        place.driver.start("lan").await.unwrap();
        let pid = dnsmasq_pid(place.directory.path(), stored.uuid.unwrap());
        place.driver.close().await.unwrap();
        let next = open(place.directory.path()).await;
        assert!(next.get("lan").await.unwrap().active);
        next.start("lan").await.unwrap();
        assert_eq!(dnsmasq_pid(place.directory.path(), stored.uuid.unwrap()), pid);
        Place { driver: next, ..place }
    });
}

#[test]
fn a_subnet_that_the_host_routes_is_refused_before_anything_changes() {
    in_own_network(|place| async move {
        tool("ip", &["link", "add", "uplink", "type", "bridge"]);
        tool("ip", &["address", "add", "10.77.0.200/16", "dev", "uplink"]);
        tool("ip", &["link", "set", "uplink", "up"]);
        place.driver.define(&network(LAN)).await.unwrap();
        let error = place.driver.start("lan").await.unwrap_err();
        assert_eq!(error.code, ErrorCode::OperationFailed);
        assert!(error.to_string().contains("10.77.0.0/16 by uplink"), "{error}");
        assert!(!tool("ip", &["link", "show"]).contains("obtest0"));
        place
    });
}

#[test]
fn somebody_elses_drop_is_told_and_left_alone() {
    in_own_network(|place| async move {
        tool(
            "nft",
            &["add table inet other; add chain inet other f { type filter hook forward priority 0; policy drop; }"],
        );
        place.driver.define(&network(LAN)).await.unwrap();
        place.driver.start("lan").await.unwrap();
        let (reason, message) = place.driver.get("lan").await.unwrap().problem.unwrap();
        assert_eq!(reason, "ForwardBlocked");
        assert!(message.contains("inet other f"), "{message}");
        assert!(tool("nft", &["list", "ruleset"]).contains("policy drop"));
        place
    });
}

#[test]
fn a_guest_gets_its_address_from_the_network() {
    in_own_network(|place| async move {
        place.driver.define(&network(LAN)).await.unwrap();
        place.driver.start("lan").await.unwrap();
        // A guest is another network namespace at the end of a cable.
        tool("ip", &["link", "add", "cable0", "type", "veth", "peer", "name", "cable1"]);
        tool("ip", &["link", "set", "cable0", "master", "obtest0", "up"]);
        tool("ip", &["link", "set", "cable1", "up"]);
        let mut events = place.driver.events();
        let client = tokio::task::spawn_blocking(|| {
            tool("busybox", &["udhcpc", "-i", "cable1", "-n", "-q", "-f", "-t", "20", "-T", "1", "-s", "/bin/true"])
        });
        wait_for(&mut events, NetworkEvent::Leases).await;
        client.await.unwrap();
        let wait = async {
            loop {
                let leases = place.driver.leases("lan").await.unwrap();
                if let Some(lease) = leases.first() {
                    return lease.clone();
                }
                wait_for(&mut events, NetworkEvent::Leases).await;
            }
        };
        let lease = tokio::time::timeout(DEADLINE, wait).await.unwrap();
        assert!(matches!(lease.address, IpAddr::V4(address) if address.octets()[..3] == [10, 77, 0]), "{lease:?}");
        assert_eq!(lease.prefix, 24);
        // Deleted, the guest says nothing more: its address is given back for it.
        place.driver.release_leases("lan", lease.mac).await.unwrap();
        let wait = async {
            while !place.driver.leases("lan").await.unwrap().is_empty() {
                wait_for(&mut events, NetworkEvent::Leases).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("the lease is gone");
        place.driver.release_leases("lan", lease.mac).await.unwrap();
        place
    });
}
