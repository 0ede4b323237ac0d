//! dnsmasq: addresses and names for a network's guests. One process a network, outside of the agent's life.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ostler_conf::Network;
use ostler_conf::network::{DhcpLease, Ip, LeaseUnit};
use ostler_driver::{Error, Result};
use ostler_util::cgroup::Hierarchies;
use ostler_util::pidfd::{PidFd, Process};
use ostler_util::spawn::Spawn;
use ostler_util::watch::DirectoryWatch;
use ostler_util::{ErrorCode, file, passwd};
use rustix::event::{PollFd, PollFlags, poll};

use crate::check::bridge_name;
use crate::config::Config;

/// dnsmasq needs milliseconds to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// It serves within milliseconds as well, but machines are slow at times.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The network's configuration file. Keys and their order are libvirt's, but for the last ones, which say where our files
/// are and as whom it runs.
pub(crate) fn configuration(config: &Config, network: &Network) -> String {
    let run = config.run(network.uuid.unwrap_or_default());
    let mut out = String::from("## Made by Ostler for one network; changes are lost.\nstrict-order\n");
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes all");
    let dns = network.dns.as_ref();
    let has_dns = dns.and_then(|dns| dns.enable).is_none_or(|enable| enable.0);
    for forwarder in dns.iter().flat_map(|dns| &dns.forwarders) {
        line(match (&forwarder.domain, forwarder.addr) {
            (Some(domain), addr) => {
                format!("server=/{domain}/{}", addr.map_or_else(|| "#".to_owned(), |addr| addr.to_string()))
            }
            (None, addr) => format!("server={}", addr.map(|addr| addr.to_string()).unwrap_or_default()),
        });
    }
    let only_ours = dns.is_some_and(|dns| dns.forwarders.iter().any(|forwarder| forwarder.domain.is_none()));
    if only_ours {
        line("no-resolv".into());
    }
    if let Some(domain) = &network.domain {
        if domain.local_only.is_some_and(|only| only.0) {
            line(format!("local=/{}/", domain.name));
        }
        line(format!("domain={}", domain.name));
        line("expand-hosts".into());
    }
    if dns.and_then(|dns| dns.forward_plain_names).is_some_and(|forward| !forward.0) {
        line("domain-needed".into());
        line("local=//".into());
    }
    if !has_dns {
        line("port=0".into());
    }
    line("except-interface=lo".into());
    line("bind-dynamic".into());
    line(format!("interface={}", bridge_name(network)));
    for txt in dns.iter().flat_map(|dns| &dns.txts) {
        line(format!("txt-record={},{}", txt.name, txt.value.as_deref().unwrap_or_default()));
    }
    for srv in dns.iter().flat_map(|dns| &dns.srvs) {
        line(srv_record(srv));
    }
    if network.forward.is_none() {
        line("dhcp-option=3".into());
        line("no-resolv".into());
        line("ra-param=*,0,0".into());
    }
    address_service(network, &run, &mut line);
    line(format!("pid-file={}", run.join("dnsmasq.pid").display()));
    line(format!("dhcp-leasefile={}", config.leases(network.uuid.unwrap_or_default()).display()));
    line(format!("user={}", config.dnsmasq_user));
    // Asking who has an address before giving it away costs each guest three seconds; only our guests are on the bridge.
    line("no-ping".into());
    out
}

fn srv_record(srv: &ostler_conf::network::DnsSrv) -> String {
    // Both are there: conf's rules say so.
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let mut text = format!("srv-host=_{}._{}", part(&srv.service), part(&srv.protocol));
    if let Some(domain) = &srv.domain {
        write!(text, ".{domain}").expect("a String takes all");
    }
    if let Some(target) = &srv.target {
        write!(text, ",{target},{},{},{}", srv.port.unwrap_or(1), srv.priority.unwrap_or(0), srv.weight.unwrap_or(0))
            .expect("a String takes all");
    }
    text
}

fn address_service(network: &Network, run: &Path, line: &mut impl FnMut(String)) {
    let with_dhcp: Vec<&Ip> = network.ips.iter().filter(|ip| ip.dhcp.is_some()).collect();
    let (mut addresses, mut has_ipv4) = (0_u128, false);
    for ip in &with_dhcp {
        let (Some(dhcp), Some(address)) = (&ip.dhcp, ip.address) else { continue };
        for range in &dhcp.ranges {
            let lease = range.lease.as_ref().map(|lease| format!(",{}", lease_time(lease))).unwrap_or_default();
            let size = match address {
                IpAddr::V4(_) => mask(ip.prefix_length()),
                IpAddr::V6(_) => ip.prefix_length().to_string(),
            };
            line(format!("dhcp-range={},{},{size}{lease}", range.start, range.end));
            addresses += span(range.start, range.end);
        }
        // Hosts alone give away nothing to strangers.
        if dhcp.ranges.is_empty() && !dhcp.hosts.is_empty() {
            let length = if address.is_ipv4() { String::new() } else { format!(",{}", ip.prefix_length()) };
            line(format!("dhcp-range={address},static{length}"));
        }
        if address.is_ipv4() {
            has_ipv4 = true;
            line("dhcp-no-override".into());
            line("dhcp-authoritative".into());
        }
    }
    if addresses > 0 {
        line(format!("dhcp-lease-max={addresses}"));
    }
    if !with_dhcp.is_empty() {
        line(format!("dhcp-hostsfile={}", run.join("hostsfile").display()));
    }
    line(format!("addn-hosts={}", run.join("addnhosts").display()));
    if let Some(mtu) = network.mtu.as_ref().filter(|_| has_ipv4) {
        line(format!("dhcp-option=option:mtu,{}", mtu.size));
    }
    let dhcp6 = with_dhcp.iter().any(|ip| ip.address.is_some_and(|address| address.is_ipv6()));
    if dhcp6 {
        return line("enable-ra".into());
    }
    for address in network.ips.iter().filter_map(|ip| ip.address).filter(IpAddr::is_ipv6) {
        line(format!("dhcp-range={address},ra-only"));
    }
}

fn mask(prefix: u8) -> String {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    std::net::Ipv4Addr::from_bits(bits).to_string()
}

fn span(start: IpAddr, end: IpAddr) -> u128 {
    match (start, end) {
        (IpAddr::V4(start), IpAddr::V4(end)) => u128::from(end.to_bits().saturating_sub(start.to_bits())) + 1,
        (IpAddr::V6(start), IpAddr::V6(end)) => end.to_bits().saturating_sub(start.to_bits()) + 1,
        _ => 0,
    }
}

fn lease_time(lease: &DhcpLease) -> String {
    match (lease.expiry, lease.unit.unwrap_or(LeaseUnit::Minutes)) {
        (0, _) => "infinite".into(),
        (n, LeaseUnit::Seconds) => format!("{n}"),
        (n, LeaseUnit::Minutes) => format!("{n}m"),
        (n, LeaseUnit::Hours) => format!("{n}h"),
    }
}

/// Guests that always get the same address, a line each.
pub(crate) fn hosts_file(network: &Network) -> String {
    let mut out = String::new();
    for ip in &network.ips {
        for host in ip.dhcp.iter().flat_map(|dhcp| &dhcp.hosts) {
            let who = host.mac.clone().or_else(|| host.id.as_ref().map(|id| format!("id:{id}")));
            let address = host.ip.map(|ip| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() });
            // Version 6 has its name before the address, version 4 behind it.
            let is_ipv6 = host.ip.is_some_and(|ip| ip.is_ipv6());
            let parts = if is_ipv6 { [who, host.name.clone(), address] } else { [who, address, host.name.clone()] };
            let lease = host.lease.as_ref().map(lease_time);
            let parts: Vec<String> = parts.into_iter().flatten().chain(lease).collect();
            writeln!(out, "{}", parts.join(",")).expect("a String takes all");
        }
    }
    out
}

/// Names that are known without a guest, a line each.
fn names_file(network: &Network) -> String {
    let hosts = network.dns.iter().flat_map(|dns| &dns.hosts);
    let with_address = hosts.filter_map(|host| host.ip.map(|ip| (ip, &host.hostnames)));
    with_address.map(|(ip, names)| format!("{ip}\t{}\n", names.join("\t"))).collect()
}

/// Whether the network has anything to serve.
pub(crate) fn is_needed(network: &Network) -> bool {
    !network.ips.is_empty()
}

/// Writes the files; gives whether the configuration is another one than before.
fn write_files(config: &Config, network: &Network) -> io::Result<bool> {
    let run = config.run(network.uuid.unwrap_or_default());
    let mut changed = false;
    for (name, text) in [
        ("hostsfile", hosts_file(network)),
        ("addnhosts", names_file(network)),
        ("dnsmasq.conf", configuration(config, network)),
    ] {
        let path = run.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        file::write_atomic(&path, text.as_bytes(), 0o644)?;
        changed = true;
    }
    Ok(changed)
}

/// The network's dnsmasq, if it runs.
pub(crate) fn running(config: &Config, network: &Network) -> Option<(Process, PidFd)> {
    let text = std::fs::read(config.run(network.uuid.unwrap_or_default()).join("process.json")).ok()?;
    let process: Process = serde_json::from_slice(&text).ok()?;
    let fd = process.open().ok()??;
    Some((process, fd))
}

/// Starts dnsmasq, or a new one where its configuration changed. Gives whether it did.
///
/// Flow: 1. the files are written; 2. the process starts in a control group named by the network; 3. it is noted. A crash
/// between 2 and 3 leaves a process that the next start finds by its group and ends.
pub(crate) fn ensure(config: &Config, network: &Network) -> Result<bool> {
    let name = &network.name;
    let system = |what: &str, error: io::Error| Error::system(format!("{what} dnsmasq for network '{name}'"), error);
    let changed = write_files(config, network).map_err(|error| system("configure", error))?;
    if running(config, network).is_some() && !changed {
        return Ok(false);
    }
    stop(config, network)?;
    let run = config.run(network.uuid.unwrap_or_default());
    passwd::find_or_create(&config.dnsmasq_user).map_err(|error| system("make the user of", error))?;
    let group = Hierarchies::discover()
        .map_err(|error| system("find the control groups for", error))?
        .group(group_path(config, network));
    group.create().map_err(|error| system("make the control group of", error))?;
    let pid_file = run.join("dnsmasq.pid");
    file::remove_durably(&pid_file).map_err(|error| system("clean up after", error))?;
    let watch = DirectoryWatch::open(&run).map_err(|error| system("watch", error))?;
    let output = File::create(run.join("dnsmasq.log")).map_err(|error| system("make the log of", error))?;
    let spawn = Spawn {
        program: config.dnsmasq.clone(),
        args: vec!["--keep-in-foreground".into(), format!("--conf-file={}", run.join("dnsmasq.conf").display()).into()],
        env: vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(), "LC_ALL=C".into()],
        directory: "/".into(),
        credentials: None,
        cgroups: group.entrances().map_err(|error| system("open the control group of", error))?,
        output,
        fds: Vec::new(),
    };
    let process = spawn.detached().map_err(|error| {
        Error::new(ErrorCode::OperationFailed, format!("start dnsmasq for network '{name}': {error}"))
            .with_source(error)
    })?;
    let text = serde_json::to_vec(&process).expect("a process has only text keys");
    file::write_atomic(&run.join("process.json"), &text, 0o600).map_err(|error| system("note", error))?;
    await_readiness(&process, &watch, &pid_file).map_err(|error| {
        let log = std::fs::read_to_string(run.join("dnsmasq.log")).unwrap_or_default();
        let said = log.lines().last().unwrap_or_default();
        Error::new(ErrorCode::OperationFailed, format!("dnsmasq of network '{name}' does not serve: {error}: {said}"))
            .with_source(error)
    })?;
    Ok(true)
}

/// dnsmasq writes its pid once it serves; one that can't serve ends.
fn await_readiness(process: &Process, watch: &DirectoryWatch, pid_file: &Path) -> io::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if pid_file.exists() {
            return Ok(());
        }
        let ended = || io::Error::other("it ended");
        let fd = process.open()?.ok_or_else(ended)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        let left = rustix::event::Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(watch, PollFlags::IN), PollFd::new(&fd, PollFlags::IN)];
        poll(&mut fds, Some(&left))?;
        watch.changed();
    }
}

fn group_path(config: &Config, network: &Network) -> String {
    format!("{}/network-{}", config.cgroup, network.uuid.unwrap_or_default())
}

/// Ends dnsmasq and whatever else is in its control group.
pub(crate) fn stop(config: &Config, network: &Network) -> Result<()> {
    let system = |error| Error::system(format!("stop dnsmasq of network '{}'", network.name), error);
    if let Some((_, fd)) = running(config, network) {
        fd.terminate().map_err(system)?;
        if !fd.wait(STOP_TIMEOUT) {
            fd.kill().map_err(system)?;
            fd.wait(STOP_TIMEOUT);
        }
    }
    let group = Hierarchies::discover().map_err(system)?.group(group_path(config, network));
    group.kill(STOP_TIMEOUT).map_err(system)?;
    group.remove().map_err(system)
}

#[cfg(test)]
mod tests {
    use ostler_conf::parse;

    use super::*;

    fn network(body: &str) -> Network {
        let text = format!("<network><name>n</name><uuid>00000000-0000-0000-0000-000000000001</uuid>{body}</network>");
        parse::<Network>(&text).unwrap().strict().unwrap()
    }

    /// The lines between the common head and the lines of our own.
    fn lines(body: &str) -> Vec<String> {
        let text = configuration(&Config::new("/s", "/r"), &network(body));
        let lines: Vec<String> = text.lines().skip(2).map(str::to_owned).collect();
        let end = lines.iter().position(|line| line.starts_with("pid-file=")).unwrap();
        lines[..end].to_vec()
    }

    #[test]
    fn a_nat_network_as_libvirt_configures_it() {
        let body = "<forward/><bridge name='br0'/><ip address='10.0.0.1' prefix='24'><dhcp><range start='10.0.0.2' end='10.0.0.9'/></dhcp></ip>";
        let run = "/r/network/00000000-0000-0000-0000-000000000001";
        let expected = [
            "except-interface=lo",
            "bind-dynamic",
            "interface=br0",
            "dhcp-range=10.0.0.2,10.0.0.9,255.255.255.0",
            "dhcp-no-override",
            "dhcp-authoritative",
            "dhcp-lease-max=8",
            &format!("dhcp-hostsfile={run}/hostsfile"),
            &format!("addn-hosts={run}/addnhosts"),
        ];
        assert_eq!(lines(body), expected);
    }

    #[test]
    fn an_isolated_network_has_no_way_out() {
        let lines = lines("<bridge name='br0'/><ip address='10.0.0.1' prefix='24'/>");
        assert_eq!(&lines[3..6], ["dhcp-option=3", "no-resolv", "ra-param=*,0,0"]);
    }

    #[test]
    fn leases_hosts_and_names() {
        let network = network(
            "<bridge name='br0'/><dns><host ip='10.0.0.3'><hostname>a</hostname><hostname>b</hostname></host></dns>
             <ip address='10.0.0.1' prefix='24'><dhcp><range start='10.0.0.2' end='10.0.0.9'><lease expiry='2' unit='hours'/></range>
             <host mac='52:54:00:00:00:01' name='web' ip='10.0.0.4'><lease expiry='0'/></host></dhcp></ip>",
        );
        assert_eq!(hosts_file(&network), "52:54:00:00:00:01,10.0.0.4,web,infinite\n");
        assert_eq!(names_file(&network), "10.0.0.3\ta\tb\n");
        assert!(
            configuration(&Config::new("/s", "/r"), &network)
                .contains("dhcp-range=10.0.0.2,10.0.0.9,255.255.255.0,2h\n")
        );
    }
}
