//! Suites of QEMU's command line: what a start of a complete definition would run.

use std::collections::{BTreeMap, BTreeSet};

use ostler_conf::domain::{
    BlockSource, BootDevice, CharSource, CharSourceUnixMode, DirSource, Disk, DiskSource, EthernetSource, FileSource,
    GraphicsKind, Hostdev, HostdevSource, ImageFormatName, Interface, InterfaceSource, Listen, NetworkDiskSource,
    NetworkHost, NetworkProtocol, PciAddress, SourceCommon, StartupPolicy, TpmBackend, VideoDriverName, VolumeMode,
};
use ostler_conf::network_port::Plug;
use ostler_conf::values::Hex;
use ostler_conf::{Domain, Network, Size, StoragePool, parse};
use ostler_driver::HostCpu;
use ostler_driver_cpu::CpuDriver;
use ostler_driver_qemu::offline::Age;
use ostler_driver_qemu::offline::command_line::{
    Chain, CharFds, CommandLine, FdGroup, HostNode, HugepageMount, Image, MasterKey, Monitor, NetworkPort, Runtime,
    SecretName, Server, Settings, Tap, Tls, TpmFacts, VsockFacts, command_line, name_devices, queues, settle_cpu,
    wants_vhost,
};
use ostler_util::ErrorCode;
use serde_json::Value;

use super::case::{Case, Outcome, Verdict};
use super::qemu_xml::{real_setting, refused};
use super::{emulator, qapi};

/// The command line of a case's complete document, compared as it is written in the corpus: one option a line.
pub(super) fn wrapped(case: &Case) -> Verdict {
    if case.is_refused_when_read() {
        return Err("refused when it is read: there is no command line to compare".to_owned());
    }
    let made = command_line_of(case, Asked::Tests);
    if case.outcome() == Outcome::Refused {
        return refused(case, made.map_err(|error| (error.code, error.message)));
    }
    let expected = case.data_text(case.param_of_expect("args"))?;
    compare(&lines(&expected), &lines(&wrap(&made.map_err(|error| format!("refused: {error}"))?)))
}

/// The command line of a case, compared word by word.
pub(super) fn words(case: &Case) -> Verdict {
    let name = case.param_of_expect("args");
    if name.is_empty() {
        return Err("no command line to compare".to_owned());
    }
    let expected: Vec<String> = split(&case.data_text(name)?);
    let line = command_line_of(case, Asked::of(case)).map_err(|error| format!("refused: {error}"))?;
    let env = line.env.iter().map(|(name, value)| format!("{name}={value}"));
    let made: Vec<String> = env.chain(line.args).collect();
    let made: Vec<String> = options(&made).into_iter().map(|option| mask(&option)).collect();
    let expected: Vec<String> = options(&expected).into_iter().map(|option| mask(&option)).collect();
    compare(&expected, &made)
}

/// The process that libvirt started, its environment before its arguments, compared word by word.
pub(super) fn of_process(case: &Case) -> Verdict {
    let name = case.param_of_expect("process");
    if name.is_empty() {
        return Err(format!("libvirt did not start it: {}", case.param_of_expect("process_error_message")));
    }
    let text = case.data_text(name)?;
    let expected: Vec<String> = text.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
    let id = case.param("started_id").as_i64().unwrap_or_default();
    let line = command_line_of(case, Asked::Process(id)).map_err(|error| format!("refused: {error}"))?;
    let env = line.env.iter().map(|(name, value)| format!("{name}={value}"));
    let made: Vec<String> = env.chain(line.args).collect();
    let masked = |words: &[String]| options(words).iter().map(|option| mask_run(&mask(option))).collect::<Vec<_>>();
    compare(&masked(&expected), &masked(&made))
}

/// What is another in each run: the numbers of descriptors, and what secrets are encrypted to.
fn mask_run(option: &str) -> String {
    let mut masked = option.to_owned();
    for (start, is_end) in [
        (",fd=", (|c: char| !c.is_ascii_digit()) as fn(char) -> bool),
        ("\"fds\":\"", |c| c == '"'),
        ("\"data\":\"", |c| c == '"'),
        ("\"iv\":\"", |c| c == '"'),
    ] {
        if let Some(at) = masked.find(start).map(|at| at + start.len()) {
            let end = masked[at..].find(is_end).map_or(masked.len(), |length| at + length);
            masked.replace_range(at..end, "MASKED");
        }
    }
    masked
}

/// The JSON of a case's command line, held against what its emulator says of itself.
pub(super) fn of_schema(case: &Case) -> Verdict {
    if case.outcome() == Outcome::Refused {
        return Err("refused: there is no command line to check".to_owned());
    }
    let line = command_line_of(case, Asked::Tests).map_err(|error| format!("refused: {error}"))?;
    let schema = emulator::schema(case)?;
    let mut checked = 0;
    for pair in line.args.windows(2) {
        let Some((_, command)) = qapi::OPTIONS.iter().find(|(option, _)| *option == pair[0]) else { continue };
        let Ok(arguments @ Value::Object(_)) = serde_json::from_str(&pair[1]) else { continue };
        schema.check(command, &arguments).map_err(|wrong| format!("{wrong} in {arguments}"))?;
        checked += 1;
    }
    if checked > 0 { Ok(None) } else { Err("it has no JSON to check".to_owned()) }
}

/// Numbers of descriptors are masked in what was recorded, and the moment of the record.
fn mask(option: &str) -> String {
    let mut masked = option.to_owned();
    if let Some(rest) = option.strip_prefix("-rtc base=2") {
        let after = rest.find(',').map_or("", |at| &rest[at..]);
        masked = format!("-rtc base=NOW{after}");
    }
    for name in ["fd", "vhostfd"] {
        let start = format!("\"{name}\":\"");
        if let Some(at) = masked.find(&start).map(|at| at + start.len()) {
            let end = masked[at..].find('"').map_or(masked.len(), |length| at + length);
            masked.replace_range(at..end, "FD");
        }
    }
    masked
}

/// What a start of a case's complete document would run.
pub(super) fn command_line_of(case: &Case, asked: Asked) -> Result<CommandLine, ostler_driver::Error> {
    let failed = |message: String| ostler_driver::Error::new(ErrorCode::NoSupport, message);
    let document = case.expected_xml().map_err(failed)?.ok_or_else(|| failed("no document".to_owned()))?;
    let mut domain = parse::<Domain>(&document).map_err(|error| failed(error.to_string()))?.value;
    if asked == Asked::Conversion {
        domain.devices.interfaces.iter_mut().for_each(as_converted);
        domain.os.boot.retain(|entry| entry.dev != BootDevice::Network);
        // They have lost their addresses.
        domain = real_setting(case).map_err(failed)?.complete(&domain, Age::Old)?;
    }
    name_devices(&mut domain);
    give_ports(case, &mut domain);
    let capabilities = emulator::capabilities(case).map_err(failed)?;
    let settings = settings(case).map_err(failed)?;
    let mut runtime = runtime(case, asked, &document, &domain).map_err(failed)?;
    let own = host_cpu(case).map_err(failed)?;
    runtime.cpu = settle_cpu(&domain, &capabilities, own.as_ref(), &CpuDriver)?;
    command_line(&domain, &capabilities, &settings, &runtime)
}

/// The ports that a start would choose.
fn give_ports(case: &Case, domain: &mut Domain) {
    let has_tls = case.param("driver_config")["spiceTLS"].as_bool() == Some(true);
    for graphics in &mut domain.devices.graphics {
        match &mut graphics.kind {
            GraphicsKind::Vnc(vnc) if vnc.autoport.is_some_and(|on| on.0) => vnc.port = Some(5900),
            GraphicsKind::Spice(spice) if spice.autoport.is_some_and(|on| on.0) => {
                spice.port = Some(5901);
                spice.tls_port = has_tls.then_some(5902);
            }
            _ => {}
        }
    }
}

/// What was asked for a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// libvirt's own tests, with their stand-ins.
    Tests,
    /// A libvirt that runs: what it would start.
    Conversion,
    /// A libvirt that runs: the guest of this number that it started.
    Process(i64),
}

impl Asked {
    /// What was asked for the recorded command line of a case.
    pub(super) fn of(case: &Case) -> Self {
        if case.param("firmware_dir").is_string() { Asked::Conversion } else { Asked::Tests }
    }
}

/// What libvirt tells of an interface of a guest that it doesn't start: a tap device of one queue, whatever was asked for, with
/// nothing of what else was said of it.
fn as_converted(interface: &mut Interface) {
    let Interface { mac, model, .. } = interface.clone();
    let source = InterfaceSource::Ethernet(EthernetSource::default());
    *interface = Interface { mac, model, ..Interface::new(interface.name.clone(), source) };
}

/// The tests of libvirt set up their driver so; the case says what is otherwise.
fn settings(case: &Case) -> Result<Settings, String> {
    let config = case.param("driver_config");
    let is_on = |name: &str| config[name].as_bool() == Some(true);
    let tls = |name: &str, on: &str, verify: &str, secret: &str| Tls {
        on: is_on(on),
        dir: format!("/etc/pki/libvirt-{name}").into(),
        verify: verify.is_empty() || is_on(verify),
        secret: config[secret].as_str().and_then(|uuid| uuid.parse().ok()),
    };
    let is_real = case.param("firmware_dir").is_string();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let user = if is_real { "root" } else { "test" };
    let path = if is_real { "/usr/sbin:/usr/bin:/sbin:/bin" } else { "/bin" };
    let mut env: BTreeMap<String, String> =
        [variable("PATH", path), variable("USER", user), variable("LOGNAME", user)].into();
    let own = case.param("env").as_object().into_iter().flatten();
    env.extend(own.filter_map(|(name, value)| Some(variable(name, value.as_str()?))));
    let page = |dir: &str, mib: u64, is_default| HugepageMount {
        dir: format!("{dir}/libvirt/qemu").into(),
        page: Size::from_mib(mib),
        is_default,
    };
    let hugepages = if is_real {
        vec![page("/dev/hugepages", 2, true), page("/dev/hugepages1G", 1024, false)]
    } else {
        vec![page("/dev/hugepages2M", 2, true), page("/dev/hugepages1G", 1024, false)]
    };
    Ok(Settings {
        env,
        memory_dir: "/var/lib/libvirt/qemu/ram".into(),
        dbus_dir: "/var/run/libvirt/qemu/dbus".into(),
        channel_dir: "/run/libvirt/qemu/channel".into(),
        passt_dir: "/var/run/libvirt/qemu/passt".into(),
        hugepages,
        dump_guest_core: is_on("dumpGuestCore"),
        vnc: Server {
            tls: tls("vnc", "vncTLS", "vncTLSx509verify", "vncTLSx509secretUUID"),
            sasl: is_on("vncSASL"),
            password: None,
            auto_socket: is_on("vncAutoUnixSocket"),
        },
        spice: Server {
            tls: tls("spice", "spiceTLS", "", ""),
            sasl: false,
            password: (!is_real).then(|| "123456".to_owned()),
            auto_socket: is_on("spiceAutoUnixSocket"),
        },
        chardev_tls: tls("chardev", "chardevTLS", "chardevTLSx509verify", "chardevTLSx509secretUUID"),
        nbd_tls: tls("nbd", "nbdTLS", "", "nbdTLSx509secretUUID"),
        vxhs_tls: tls("vxhs", "vxhsTLS", "", "vxhsTLSx509secretUUID"),
        sasl_dir: "/etc/sasl2".into(),
        nodes: if is_real { Vec::new() } else { host_nodes(case)? },
    })
}

/// The nodes of the cases' host.
fn host_nodes(case: &Case) -> Result<Vec<HostNode>, String> {
    (0..4)
        .map(|id| {
            let list = case.data_text(&format!("vircaps2xmldata/linux-basic/system/node/node{id}/cpulist"))?;
            let set: ostler_util::CpuSet = list.trim().parse().map_err(|error| format!("node {id}: {error}"))?;
            Ok(HostNode { id, cpus: set.iter().collect() })
        })
        .collect()
}

/// What a start would have found and opened.
fn runtime(case: &Case, asked: Asked, document: &str, domain: &Domain) -> Result<Runtime, String> {
    let id = if let Asked::Process(id) = asked { id } else { -1 };
    let short_name = format!("{id}-{}", domain.name.chars().take(20).collect::<String>());
    let dir = std::path::PathBuf::from(format!("/var/lib/libvirt/qemu/domain-{short_name}"));
    let key = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
    let iv = || std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
    Ok(Runtime {
        master_key: Some(MasterKey { file: dir.join("master-key.aes"), key, iv }),
        monitor: match asked {
            Asked::Conversion => Monitor::Path(dir.join("monitor.sock")),
            Asked::Tests | Asked::Process(_) => Monitor::Descriptor(1729),
        },
        short_name,
        dir,
        now: 1_234_567_890,
        utc_offset: -30 * 60,
        auto_nodes: (0..4).collect(),
        secrets: secrets(document),
        incoming: incoming(case),
        images: if asked == Asked::Tests { images(case, domain)? } else { found_images(asked, domain) },
        taps: taps(domain, asked == Asked::Tests),
        missing: missing(domain),
        ports: ports(case, domain)?,
        fd_groups: fd_groups(case),
        vdpa: vdpa(case, domain),
        vhost_scsi: of_hostdevs(domain, |source| matches!(source, HostdevSource::ScsiHost(_)).then_some(3)),
        scsi_generic: of_hostdevs(domain, |source| match source {
            HostdevSource::Scsi(scsi) if scsi.adapter.is_some() => Some("sg0".to_owned()),
            _ => None,
        }),
        usb: BTreeMap::new(),
        nbdkit: nbdkit(case),
        chardevs: if asked == Asked::Conversion { BTreeMap::new() } else { chardevs(domain) },
        tpms: tpms(domain),
        videos: videos(domain),
        vsock: domain.devices.vsock.as_ref().map(|_| VsockFacts { fd: 6789, cid: 42 }),
        sockets: BTreeMap::new(),
        transient: BTreeSet::new(),
        listen_addresses: listen_addresses(case, domain)?,
        cpu: None,
        render_node: Some("/dev/dri/foo".to_owned()),
    })
}

/// The CPU that the case's host has, where it names one.
fn host_cpu(case: &Case) -> Result<Option<HostCpu>, String> {
    let Some(name) = case.param("host_cpu_model").as_str() else { return Ok(None) };
    let facts: Value = serde_json::from_str(&case.data_text("facts/host_cpus.json")?).map_err(|e| e.to_string())?;
    let cpus = facts["cpus"].as_object().ok_or("no host CPUs")?;
    let is_it = |key: &&String| {
        key.strip_prefix("cpu")
            .and_then(|key| key.strip_suffix("Data"))
            .is_some_and(|key| key.eq_ignore_ascii_case(name))
    };
    let cpu = cpus.keys().find(is_it).map(|key| &cpus[key]).ok_or_else(|| format!("no host CPU '{name}'"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(Some(HostCpu {
        arch: text(&cpu["arch"]).unwrap_or_default(),
        model: text(&cpu["model"]),
        vendor: text(&cpu["vendor"]),
        signature: None,
        features: cpu["features"].as_array().into_iter().flatten().filter_map(text).collect(),
    }))
}

fn incoming(case: &Case) -> Option<String> {
    let uri = case.param("migrate_from").as_str()?;
    Some(match uri {
        "stdio" => format!("fd:{}", case.param("migrate_fd")),
        other => other.to_owned(),
    })
}

/// All secrets of the cases have the same value, whatever names them.
fn secrets(document: &str) -> BTreeMap<SecretName, Vec<u8>> {
    const VALUE: &[u8] = b"AQCVn5hO6HzFAhAAq0NCv8jtJcIcE+HOBlMQ1A";
    let attributes = |name: &str| {
        let start = format!(" {name}='");
        let texts = document.split(&start).skip(1).filter_map(|rest| rest.split('\'').next());
        texts.map(str::to_owned).collect::<Vec<String>>()
    };
    let by_uuid = attributes("uuid").into_iter().chain(attributes("secret"));
    let by_uuid = by_uuid.chain(["6fd3f62d-9fe7-4a4e-a869-7acd6376d8ea".to_owned()]);
    let by_uuid = by_uuid.filter_map(|uuid| uuid.parse().ok().map(SecretName::Uuid));
    by_uuid.chain(attributes("usage").into_iter().map(SecretName::Usage)).map(|name| (name, VALUE.to_vec())).collect()
}

/// What volumes of pools are; all else stands in the definition. A volume's name tells what it is (`block+cdrom`), and where.
fn images(case: &Case, domain: &Domain) -> Result<BTreeMap<String, Chain>, String> {
    let mut images = BTreeMap::new();
    for disk in &domain.devices.disks {
        let Some(DiskSource::Volume(volume)) = &disk.source else { continue };
        let Ok(text) = case.data_text(&format!("storagepoolxml2xmlout/{}.xml", volume.pool)) else { continue };
        let pool = parse::<StoragePool>(&text).map_err(|error| error.to_string())?.value;
        let (kind, name) = volume.volume.split_once('+').unwrap_or(("block", &volume.volume));
        let path = Some(format!("/some/{kind}/device/{name}"));
        let common = volume.common.clone();
        let mut format = disk.format();
        let source = if volume.mode == Some(VolumeMode::Direct) {
            direct(&pool, name, common)
        } else {
            match kind {
                "file" => DiskSource::File(FileSource { file: path, fdgroup: None, common }),
                "dir" => {
                    format = ImageFormatName::Fat;
                    DiskSource::Dir(DirSource { dir: path, common })
                }
                _ => DiskSource::Block(BlockSource { dev: path, common }),
            }
        };
        let image = Image { source, format, metadata_cache: None, is_host_cdrom: false };
        images.insert(disk.name.clone(), Chain { images: vec![image], is_whole: false });
    }
    Ok(images)
}

/// The images that a start has looked at, and found to be all of their chains.
fn found_images(asked: Asked, domain: &Domain) -> BTreeMap<String, Chain> {
    if asked == Asked::Conversion {
        return BTreeMap::new();
    }
    let alone =
        |disk: &&Disk| disk.backing_chain.is_none() && disk.source.as_ref().is_some_and(|it| it.path().is_some());
    let found = |disk: &Disk| {
        let image =
            Image { source: disk.source.clone()?, format: disk.format(), metadata_cache: None, is_host_cdrom: false };
        Some((disk.name.clone(), Chain { images: vec![image], is_whole: true }))
    };
    domain.devices.disks.iter().filter(alone).filter_map(found).collect()
}

/// A LUN of an iSCSI pool, not as the host sees it, but as QEMU reaches it.
fn direct(pool: &StoragePool, volume: &str, common: SourceCommon) -> DiskSource {
    let source = pool.source.as_ref();
    let target = source.and_then(|source| source.devices.first()).map(|device| device.path.clone()).unwrap_or_default();
    let host = source.and_then(|source| source.hosts.first()).map(|host| host.name.clone());
    let lun = volume.rsplit(':').next().unwrap_or_default();
    DiskSource::Network(NetworkDiskSource {
        name: Some(format!("{target}/{lun}")),
        hosts: vec![NetworkHost { name: host, ..NetworkHost::default() }],
        common,
        ..NetworkDiskSource::new(NetworkProtocol::Iscsi)
    })
}

/// Each interface's descriptors are counted from the same numbers, as the cases' stand-ins do.
fn taps(domain: &Domain, has_vhost: bool) -> BTreeMap<String, Tap> {
    let tap = |interface: &Interface| {
        let first = match interface.source {
            InterfaceSource::Ethernet(_) => 3,
            InterfaceSource::Network(_) | InterfaceSource::Bridge(_) | InterfaceSource::Direct(_) => 102,
            _ => return None,
        };
        let count = i32::try_from(queues(interface)).unwrap_or(1);
        let vhosts = if has_vhost && wants_vhost(interface) { (44..44 + count).collect() } else { Vec::new() };
        Some((interface.alias.as_ref()?.name.clone(), Tap { fds: (first..first + count).collect(), vhosts }))
    };
    domain.devices.interfaces.iter().filter_map(tap).collect()
}

/// The pool `inactive` is not active: disks of it are missing.
fn missing(domain: &Domain) -> BTreeSet<String> {
    let is_missing = |disk: &&Disk| match &disk.source {
        Some(DiskSource::Volume(volume)) => {
            volume.pool == "inactive" && volume.common.startup_policy == Some(StartupPolicy::Optional)
        }
        _ => false,
    };
    domain.devices.disks.iter().filter(is_missing).map(|disk| disk.name.clone()).collect()
}

/// The network `A;B` makes ports as the file `B.xml` says.
fn ports(case: &Case, domain: &Domain) -> Result<BTreeMap<String, NetworkPort>, String> {
    let mut found = BTreeMap::new();
    for interface in &domain.devices.interfaces {
        let InterfaceSource::Network(source) = &interface.source else { continue };
        let (Some((_, port)), Some(alias)) = (source.network.split_once(';'), &interface.alias) else { continue };
        let text = case.data_text(&format!("virnetworkportxml2xmldata/{port}.xml"))?;
        let port = parse::<ostler_conf::NetworkPort>(&text).map_err(|error| error.to_string())?.value;
        if let Some(Plug::HostdevPci(plug)) = &port.plug {
            found.insert(
                alias.name.clone(),
                NetworkPort::Hostdev(PciAddress {
                    domain: Some(Hex(plug.address.domain.0)),
                    function: Some(Hex(plug.address.function.0)),
                    ..PciAddress::new(plug.address.bus.0, plug.address.slot.0)
                }),
            );
        }
    }
    Ok(found)
}

fn fd_groups(case: &Case) -> BTreeMap<String, FdGroup> {
    let groups = case.param("fd_groups").as_array().cloned().unwrap_or_default();
    let group = |group: &serde_json::Value| {
        let fds = group["fds"].as_array()?.iter().filter_map(|fd| i32::try_from(fd.as_i64()?).ok()).collect();
        let is_writable = group["writable"].as_bool() == Some(true);
        Some((group["name"].as_str()?.to_owned(), FdGroup { fds, is_writable }))
    };
    groups.iter().filter_map(group).collect()
}

/// The interfaces' vDPA devices have one number, the disks' are told by the case.
fn vdpa(case: &Case, domain: &Domain) -> BTreeMap<String, i32> {
    let interfaces = domain.devices.interfaces.iter().filter_map(|interface| match &interface.source {
        InterfaceSource::Vdpa(source) => Some((source.dev.clone(), 1732)),
        _ => None,
    });
    let told = case.param("vdpa_fds").as_object().cloned().unwrap_or_default();
    let told = told.into_iter().filter_map(|(path, fd)| Some((path, i32::try_from(fd.as_i64()?).ok()?)));
    interfaces.chain(told).collect()
}

fn of_hostdevs<T>(domain: &Domain, fact: impl Fn(&HostdevSource) -> Option<T>) -> BTreeMap<String, T> {
    let fact = |hostdev: &Hostdev| Some((hostdev.alias.as_ref()?.name.clone(), fact(&hostdev.source)?));
    domain.devices.hostdevs.iter().filter_map(fact).collect()
}

fn nbdkit(case: &Case) -> BTreeSet<String> {
    let words = case.param("nbdkit_caps").as_array().cloned().unwrap_or_default();
    let protocols = |word: &serde_json::Value| match word.as_str() {
        Some("QEMU_NBDKIT_CAPS_PLUGIN_CURL") => vec!["http", "https", "ftp", "ftps", "tftp"],
        Some("QEMU_NBDKIT_CAPS_PLUGIN_SSH") => vec!["ssh"],
        _ => Vec::new(),
    };
    words.iter().flat_map(protocols).map(str::to_owned).collect()
}

fn chardevs(domain: &Domain) -> BTreeMap<String, CharFds> {
    let devices = &domain.devices;
    let mut found = BTreeMap::new();
    let mut add = |alias: &Option<ostler_conf::domain::Alias>, source: Option<&CharSource>, has_log: bool| {
        let is_listening = matches!(source, Some(CharSource::Unix(unix)) if unix.mode == Some(CharSourceUnixMode::Bind) || unix.path.is_none());
        let is_file = matches!(source, Some(CharSource::File(_)));
        let fds = CharFds {
            socket: is_listening.then_some(1729),
            file: is_file.then_some(1750),
            log: has_log.then_some(1751),
        };
        found.insert(alias.as_ref().map_or_else(String::new, |alias| alias.name.clone()), fds);
    };
    devices.serials.iter().for_each(|device| add(&device.alias, device.source.as_ref(), device.log.is_some()));
    devices.parallels.iter().for_each(|device| add(&device.alias, device.source.as_ref(), device.log.is_some()));
    devices.channels.iter().for_each(|device| add(&device.alias, device.source.as_ref(), device.log.is_some()));
    for console in &devices.consoles {
        if console.target.as_ref().is_some_and(|t| t.r#type != Some(ostler_conf::domain::ConsoleTargetKind::Serial)) {
            add(&console.alias, console.source.as_ref(), console.log.is_some());
        }
    }
    devices.redirdevs.iter().for_each(|device| add(&device.alias, Some(&device.source), false));
    for rng in &devices.rngs {
        if let ostler_conf::domain::RngBackend::Egd(egd) = &rng.backend {
            add(&rng.alias, Some(&egd.source), false);
        }
    }
    for card in &devices.smartcards {
        if let ostler_conf::domain::SmartcardMode::Passthrough(mode) = &card.mode {
            add(&card.alias, Some(&mode.source), false);
        }
    }
    found
}

fn tpms(domain: &Domain) -> BTreeMap<String, TpmFacts> {
    let facts = |tpm: &ostler_conf::domain::Tpm| {
        let name = tpm.alias.as_ref()?.name.clone();
        match tpm.backend {
            TpmBackend::Passthrough(_) => Some((name, TpmFacts::Passthrough { device: 1730, cancel: 1731 })),
            TpmBackend::Emulator(_) => Some((name, TpmFacts::Emulator("/dev/test".into()))),
            TpmBackend::External(_) => None,
        }
    };
    domain.devices.tpms.iter().filter_map(facts).collect()
}

fn videos(domain: &Domain) -> BTreeMap<String, i32> {
    let is_program = |video: &&ostler_conf::domain::Video| {
        video.driver.as_ref().and_then(|driver| driver.name) == Some(VideoDriverName::Vhostuser)
    };
    let programs = domain.devices.videos.iter().filter(is_program).filter_map(|video| video.alias.as_ref());
    programs.map(|alias| (alias.name.clone(), 1729)).collect()
}

/// The network `A;B` is defined by the file `A.xml`.
fn listen_addresses(case: &Case, domain: &Domain) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for graphics in &domain.devices.graphics {
        let listens = match &graphics.kind {
            GraphicsKind::Vnc(vnc) => &vnc.listens,
            GraphicsKind::Spice(spice) => &spice.listens,
            _ => continue,
        };
        for listen in &listens.0 {
            if let Listen::Network(listen) = listen {
                let file = listen.network.split(';').next().unwrap_or_default();
                let text = case.data_text(&format!("networkxml2xmlin/{file}.xml"))?;
                let network = parse::<Network>(&text).map_err(|error| error.to_string())?.value;
                let address = network.ips.iter().find_map(|ip| ip.address.as_ref());
                found.extend(address.map(|address| (listen.network.clone(), address.to_string())));
            }
        }
    }
    Ok(found)
}

/// As the corpus writes a command line: what belongs together is one line.
fn wrap(line: &CommandLine) -> String {
    let mut text = String::new();
    for (name, value) in &line.env {
        text.push_str(&format!("{name}={} \\\n", quote(value)));
    }
    let is_option = |word: &String| word.starts_with('-');
    for (at, word) in line.args.iter().enumerate() {
        let shares_line = at > 0
            && !is_option(word)
            && line.args[..at].iter().any(is_option)
            && (is_option(&line.args[at - 1]) || line.args[at + 1..].iter().any(is_option));
        if at > 0 {
            text.push_str(if shares_line { " " } else { " \\\n" });
        }
        text.push_str(&quote(word));
    }
    text + "\n"
}

/// A word as a shell reads it.
fn quote(word: &str) -> String {
    let is_special = |c: char| "\r\t\n !\"#$&'()*;<>?[\\]^`{|}~".contains(c);
    if !word.is_empty() && !word.contains(is_special) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The words of a line, as a shell reads them.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted, mut is_word) = (Vec::new(), String::new(), false, false);
    let mut chars = line.trim_end().chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => (is_quoted, is_word) = (!is_quoted, true),
            '\\' if !is_quoted => {
                word.extend(chars.next());
                is_word = true;
            }
            ' ' if !is_quoted => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            other => {
                word.push(other);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// One option a line, with its value.
fn options(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.starts_with('-') && !line.contains(' ') && !word.starts_with('-') => {
                *line = format!("{line} {word}");
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

fn lines(text: &str) -> Vec<String> {
    text.split('\n').map(str::to_owned).collect()
}

/// Whether both are the same; else the first option that differs, and what else is missing.
fn compare(expected: &[String], made: &[String]) -> Verdict {
    if expected == made {
        return Ok(None);
    }
    let shown = |line: Option<&String>| match line.map(|line| line.trim_end_matches(" \\")) {
        Some(line) if line.chars().count() > 400 => line.chars().take(400).collect::<String>() + "…",
        Some(line) => line.to_owned(),
        None => "the end".to_owned(),
    };
    let first = expected.iter().zip(made).take_while(|(theirs, ours)| theirs == ours).count();
    let missing = expected.iter().skip(first + 1).filter(|line| !made.contains(line));
    let also: Vec<String> = missing.take(8).map(|line| shown(Some(line))).collect();
    let also = if also.is_empty() { String::new() } else { format!("; also missing: {}", also.join(" ¦ ")) };
    Err(format!("expected {} ¦ got {}{also}", shown(expected.get(first)), shown(made.get(first))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_wrapped_as_the_corpus_does() {
        let line = CommandLine {
            env: vec![("A".into(), String::new())],
            args: ["/q", "sub", "-S", "-o", "a b", "-m", "1", "x"].map(str::to_owned).to_vec(),
        };
        assert_eq!(wrap(&line), "A='' \\\n/q \\\nsub \\\n-S \\\n-o 'a b' \\\n-m 1 \\\nx\n");
    }

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(split("A=1 -o 'a b' 'it'\\''s' \\[::\\] ''\n"), ["A=1", "-o", "a b", "it's", "[::]", ""]);
    }
}
