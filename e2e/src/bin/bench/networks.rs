//! A NAT network against the same done with `ip`, `nft` and `dnsmasq` by hand.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ostler_conf::{Network, parse};
use ostler_driver::{Connection, Networks};
use ostler_driver_network::{Config, NetworkDriver};
use ostler_util::{namespace, tap};

use crate::report::{Goal, Report, median, ms};

const ROUNDS: usize = 15;
/// What the last round set going has come to rest.
const QUIET: Duration = Duration::from_millis(300);

pub(crate) fn measure(_binary: &str, report: &mut Report) {
    // A namespace of its own; it goes with the thread.
    let (ours, theirs) = std::thread::spawn(|| {
        namespace::isolate_network().unwrap();
        tap::bring_up("lo").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(rounds())
    })
    .join()
    .unwrap();
    report.add("NAT network start", "ms", ours, Some(theirs), "ip, nft and dnsmasq by hand", Goal::Ratio(2.0));
}

async fn rounds() -> (f64, f64) {
    // As /run on a host that runs for years.
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let driver = NetworkDriver::open(Config::new(place.path().join("state"), place.path().join("run"))).await.unwrap();
    let text = "<network><name>bench</name><forward mode='nat'/><bridge name='obbench'/><ip address='10.78.0.1' prefix='24'><dhcp><range start='10.78.0.10' end='10.78.0.200'/></dhcp></ip></network>";
    let stored = driver.define(&parse::<Network>(text).unwrap().strict().unwrap()).await.unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut rules = String::new();
    for _ in 0..ROUNDS {
        tokio::time::sleep(QUIET).await;
        let start = Instant::now();
        driver.start("bench").await.unwrap();
        ours.push(ms(start.elapsed()));
        rules = tool("nft", &["list", "ruleset"]);
        driver.stop("bench").await.unwrap();
    }
    // The rules and the configuration are the driver's own, so both sides do the same.
    driver.start("bench").await.unwrap();
    let folder = place.path().join("run/network").join(stored.uuid.unwrap().to_string());
    let configuration = std::fs::read_to_string(folder.join("dnsmasq.conf")).unwrap();
    driver.stop("bench").await.unwrap();
    std::fs::create_dir_all(&folder).unwrap();
    let hand = place.path().join("hand");
    std::fs::create_dir(&hand).unwrap();
    std::fs::write(hand.join("rules"), rules).unwrap();
    let pid_file = hand.join("dnsmasq.pid");
    let lines: Vec<String> = configuration
        .lines()
        .map(|line| match line.split_once('=') {
            Some(("pid-file", _)) => format!("pid-file={}", pid_file.display()),
            _ => line.to_owned(),
        })
        // Those name files that the driver removes with the network.
        .filter(|line| !line.starts_with("dhcp-hostsfile") && !line.starts_with("addn-hosts"))
        .collect();
    std::fs::write(hand.join("dnsmasq.conf"), lines.join("\n")).unwrap();
    for _ in 0..ROUNDS {
        tokio::time::sleep(QUIET).await;
        let start = Instant::now();
        by_hand(&hand);
        theirs.push(ms(start.elapsed()));
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        tool("kill", &["-9", pid.trim()]);
        tool("ip", &["link", "delete", "obbench"]);
        tool("nft", &["flush", "ruleset"]);
        std::fs::remove_file(&pid_file).unwrap();
    }
    driver.undefine("bench").await.unwrap();
    driver.close().await.unwrap();
    (median(ours), median(theirs))
}

/// As an administrator would.
fn by_hand(hand: &Path) {
    tool("ip", &["link", "add", "obbench", "address", "52:54:00:00:00:01", "type", "bridge", "stp_state", "1"]);
    tool("ip", &["address", "add", "10.78.0.1/24", "broadcast", "+", "dev", "obbench"]);
    tool("ip", &["link", "set", "obbench", "up"]);
    tool("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
    tool("nft", &["-f", &hand.join("rules").display().to_string()]);
    // It returns once it serves.
    tool("dnsmasq", &[&format!("--conf-file={}", hand.join("dnsmasq.conf").display())]);
}

fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
