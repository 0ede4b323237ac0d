//! Every kind of device that a start prepares something for, or that only a real QEMU can refuse.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::{IoSlice, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use common::Lab;
use ostler_conf::domain::GraphicsKind;
use ostler_conf::{Domain, parse};
use ostler_driver::{Connection, Definition, DomainState, Domains, RunningReason, StartOptions, StateOnUndefine};
use ostler_driver_qemu::QemuDriver;
use ostler_util::ErrorCode;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use uuid::Uuid;

const PAUSED: StartOptions = StartOptions::PAUSED;

/// A guest on q35 with parts of a definition, those of its devices after a bar.
fn guest(name: &str, parts: &str) -> Domain {
    let (parts, devices) = parts.split_once('|').unwrap_or((parts, ""));
    let os = if parts.contains("<os>") { "" } else { "<os><type machine='q35'>hvm</type></os>" };
    let xml = format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>{name}</name>
         <memory unit='MiB'>64</memory>{os}{parts}<devices>{devices}</devices></domain>"
    );
    let mut domain = parse::<Domain>(&xml).unwrap().strict().unwrap();
    domain.uuid = Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
    domain
}

/// A new network namespace has no address of its own yet.
fn listen_here() {
    ostler_util::run::Run::new("ip").args(["link", "set", "lo", "up"]).output().unwrap();
}

/// What QEMU is to take, by name.
const TAKEN: &[(&str, &str)] = &[
    ("cards", "|<graphics type='vnc'/><video><model type='virtio' heads='2'/></video><video><model type='virtio'/></video>"),
    ("spice", "|<graphics type='spice' autoport='yes' passwd='secret'><image compression='off'/></graphics><video><model type='qxl'/></video><audio id='1' type='spice'/><sound model='ich9'/><redirdev bus='usb' type='spicevmc'/><channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"),
    ("vga", "|<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga' vram='16384'/></video>"),
    ("sound", "|<sound model='ich9'><codec type='micro'/></sound><sound model='usb'/><sound model='virtio'/><audio id='1' type='none'/>"),
    ("inputs", "|<input type='tablet' bus='usb'/><input type='keyboard' bus='virtio'/><hub type='usb'/>"),
    ("watchdog", "<features><acpi/></features>|<watchdog model='i6300esb' action='pause'/><panic model='pvpanic'/><iommu model='virtio'/>"),
    ("rng", "|<rng model='virtio'><rate bytes='1024'/><backend model='builtin'/></rng><crypto model='virtio' type='qemu'><backend model='builtin'/></crypto>"),
    ("redirected", "|<redirdev bus='usb' type='unix'><source mode='bind' path='DIR/usb.sock'/></redirdev><redirfilter><usbdev class='0x08' allow='no'/></redirfilter>"),
    ("parallel", "|<parallel type='null'/><serial type='pty'><target type='usb-serial'/></serial><channel type='qemu-vdagent'><target type='virtio' name='com.redhat.spice.0'/></channel>"),
    ("memfd", "<memoryBacking><nosharepages/><source type='memfd'/><access mode='shared'/><discard/></memoryBacking>"),
    ("files", "<memoryBacking><source type='file'/><allocation mode='immediate' threads='2'/></memoryBacking>"),
    (
        "slots",
        "<features><acpi/></features><maxMemory slots='4' unit='MiB'>1024</maxMemory><vcpu>2</vcpu>
         <cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' cpus='1' memory='32' unit='MiB'/></numa></cpu>|
         <memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>
         <memory model='virtio-mem'><target><size unit='MiB'>256</size><node>1</node><block unit='MiB'>2</block><requested unit='MiB'>128</requested></target></memory>",
    ),
    (
        "threads",
        "<iothreads>2</iothreads><iothreadids><iothread id='1' thread_pool_max='8'/><iothread id='5'/></iothreadids>|
         <controller type='scsi' model='virtio-scsi'><driver iothread='5' queues='2'/></controller>
         <disk type='file'><driver name='qemu' type='raw' iothread='1' discard='unmap' queue_size='64'/><source file='DIR/a.img'/><target dev='vda'/></disk>",
    ),
    (
        "limits",
        "<throttlegroups><throttlegroup><total_iops_sec>100</total_iops_sec><group_name>all</group_name></throttlegroup></throttlegroups>|
         <controller type='scsi' model='virtio-scsi'/>
         <disk type='file'><source file='DIR/a.img'/><target dev='vda'/><iotune><total_bytes_sec>1000000</total_bytes_sec><total_bytes_sec_max>2000000</total_bytes_sec_max></iotune></disk>
         <disk type='file'><source file='DIR/b.img'/><target dev='sda' bus='scsi'/><iotune><read_iops_sec>50</read_iops_sec><group_name>slow</group_name></iotune><vendor>ACME</vendor><product>DISK</product></disk>
         <disk type='file'><source file='DIR/c.img'/><target dev='vdb'/><throttlefilters><throttlefilter group='all'/></throttlefilters><blockio logical_block_size='512' physical_block_size='4096'/></disk>",
    ),
    (
        "firmware-tables",
        "<os><type machine='q35'>hvm</type><smbios mode='sysinfo'/></os>
         <sysinfo type='smbios'><bios><entry name='vendor'>Ostler, Inc.</entry></bios></sysinfo>
         <sysinfo type='fwcfg'><entry name='opt/org.example/a'>b</entry></sysinfo><genid>e9392370-2917-565e-692b-d057f46512d6</genid>",
    ),
    ("hyperv", "<features><acpi/><hyperv mode='custom'><relaxed state='on'/></hyperv><vmport state='off'/><smm state='off'/><tcg><tb-cache unit='MiB'>32</tb-cache></tcg></features>"),
    ("plugged", "<vcpu current='2'>4</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/><vcpu id='1' enabled='yes' hotpluggable='yes'/><vcpu id='2' enabled='no' hotpluggable='yes'/><vcpu id='3' enabled='no' hotpluggable='yes'/></vcpus>"),
    ("named", "<cpu match='exact'><model fallback='allow'>Nehalem</model><feature name='aes' policy='require'/></cpu>"),
    ("hosts", "<cpu mode='host-model'/>"),
    ("statistics", "|<memballoon model='virtio' autodeflate='on'><stats period='5'/></memballoon>"),
    ("unlabelled", "<seclabel type='none'/>"),
    ("shared", "|<filesystem type='mount' accessmode='mapped'><source dir='DIR'/><target dir='here'/><readonly/></filesystem>"),
    ("sockets", "|<interface type='udp'><source address='127.0.0.1' port='5558'><local address='127.0.0.1' port='5559'/></source><model type='e1000'/></interface>"),
    ("queues", "|<interface type='network'><source network='lan'/><model type='virtio'/><driver queues='2' rx_queue_size='512'/></interface>"),
    ("generations", "|<interface type='user'><model type='virtio-transitional'/></interface><interface type='user'><model type='virtio-non-transitional'/></interface>"),
    ("nbd", "|<disk type='network'><driver type='raw'/><source protocol='nbd' name='x'><host transport='unix' socket='DIR/nbd.sock'/></source><target dev='vda' bus='virtio'/><readonly/></disk>"),
    ("card", "|<graphics type='spice' autoport='yes'/><smartcard mode='passthrough' type='spicevmc'/>"),
    ("loose", "|<interface type='ethernet'/><interface type='ethernet'><target dev='mine'/><model type='virtio'/><driver queues='2'/><mtu size='1400'/></interface>"),
    ("forwarded", "|<channel type='unix'><source mode='bind' path='DIR/forward.sock'/><target type='guestfwd' address='10.0.2.1' port='4600'/></channel>"),
    ("late", "<clock offset='variable' adjustment='3600' basis='localtime'><timer name='rtc' tickpolicy='catchup' track='guest'/></clock>"),
    ("early", "<clock offset='absolute' start='86400'/>"),
    ("at-a-socket", "|<graphics type='vnc'><listen type='socket' socket='DIR/screen.sock'/></graphics><graphics type='spice'><listen type='socket' socket='DIR/spice.sock'/></graphics>"),
    ("ring", "|<shmem name='ostler-test-ring'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem><pstore backend='acpi-erst'><size unit='KiB'>64</size></pstore>"),
    (
        "persistent",
        "<features><acpi/></features><maxMemory slots='4' unit='MiB'>1024</maxMemory><vcpu>1</vcpu>
         <cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB'/></numa></cpu>|
         <memory model='nvdimm' access='shared'><source><path>DIR/nvdimm.img</path></source><target><size unit='MiB'>8</size><node>0</node></target></memory>
         <memory model='virtio-pmem' access='shared'><source><path>DIR/pmem.img</path></source><target><size unit='MiB'>8</size></target></memory>",
    ),
    ("lost", "|<disk type='file'><source file='DIR/a.img'/><target dev='vda'/><transient/></disk><disk type='file'><source file='DIR/b.img'/><target dev='vdb'/><transient shareBacking='yes'/></disk>"),
    ("microvm", "<os><type machine='microvm'>hvm</type></os>"),
];

/// A server of a disk, which ends when it is dropped.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves an image at a socket as the export `x`, to whoever asks.
fn serve(image: &Path, socket: &Path) -> Server {
    let mut program = std::process::Command::new("qemu-nbd");
    program.args(["--read-only", "--persistent", "--format=raw", "--export-name=x", "--socket"]).arg(socket).arg(image);
    let server = Server(program.spawn().unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline, "qemu-nbd does not listen");
        std::thread::yield_now();
    }
    std::fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    server
}

#[test]
fn qemu_takes_every_family_of_devices() {
    Lab::run("families", |lab| async move {
        listen_here();
        let driver = lab.open().await;
        for image in ["a.img", "b.img", "c.img"] {
            lab.disk(image);
        }
        for memory in ["nvdimm.img", "pmem.img"] {
            std::fs::File::options().write(true).open(lab.disk(memory)).unwrap().set_len(8 << 20).unwrap();
        }
        let _server = serve(&lab.path("a.img"), &lab.path("nbd.sock"));
        let mut refused = Vec::new();
        for (name, parts) in TAKEN {
            let spec = guest(name, &parts.replace("DIR", lab.folder.path().to_str().unwrap()));
            let uuid = spec.uuid.unwrap();
            let started = match driver.define(&spec).await {
                Ok(_) => driver.start(uuid, PAUSED).await,
                Err(error) => Err(error),
            };
            match started {
                Ok(()) => driver.destroy(uuid).await.unwrap(),
                Err(error) => refused.push(format!("{name}: {error}")),
            }
            lab.assert_clean(uuid);
        }
        assert_eq!(refused, Vec::<String>::new());
        for folder in ["run/qemu/own", "state/qemu/ram", "state/qemu/transient"] {
            assert_eq!(std::fs::read_dir(lab.path(folder)).unwrap().count(), 0, "{folder} is empty again");
        }
    });
}

async fn vnc(driver: &QemuDriver, uuid: Uuid) -> (u16, Option<i32>) {
    let live = driver.definition(uuid, Definition::Live).await.unwrap();
    let GraphicsKind::Vnc(vnc) = &live.devices.graphics[0].kind else { panic!("no VNC") };
    (u16::try_from(vnc.port.unwrap()).unwrap(), vnc.websocket)
}

fn greeting(mut stream: impl Read) -> String {
    let mut bytes = [0; 12];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn screens_are_found_where_the_running_guest_says() {
    Lab::run("screens", |lab| async move {
        listen_here();
        let driver = lab.open().await;
        let parts = "|<graphics type='vnc' autoport='yes' websocket='-1' passwd='secret'/>";
        let specs = ["one", "two"].map(|name| guest(name, parts));
        let uuids = specs.clone().map(|spec| spec.uuid.unwrap());
        for spec in &specs {
            driver.define(spec).await.unwrap();
        }
        let starts = uuids.map(|uuid| driver.start(uuid, PAUSED));
        let [one, two] = starts;
        let (one, two) = tokio::join!(one, two);
        one.unwrap();
        two.unwrap();
        let places = (vnc(&driver, uuids[0]).await, vnc(&driver, uuids[1]).await);
        assert!(places.0.0 != places.1.0 && places.0.1 != places.1.1, "{places:?}");
        for (port, websocket) in [places.0, places.1] {
            assert!((5900..6000).contains(&port) && websocket.is_some_and(|port| port >= 5700));
            assert_eq!(greeting(TcpStream::connect(("127.0.0.1", port)).unwrap()), "RFB 003.008\n");
        }
        for uuid in uuids {
            let arguments = std::fs::read(format!("/proc/{}/cmdline", lab.pid(uuid))).unwrap();
            assert!(!String::from_utf8_lossy(&arguments).contains("secret"), "a password in arguments");
        }
        // The stored definition leaves the port open.
        let stored = driver.definition(uuids[0], Definition::Persistent).await.unwrap();
        let GraphicsKind::Vnc(stored) = &stored.devices.graphics[0].kind else { panic!("no VNC") };
        assert_eq!((stored.port, stored.websocket), (Some(-1), Some(-1)));
        for uuid in uuids {
            driver.destroy(uuid).await.unwrap();
        }

        let spec = guest("three", "|<graphics type='vnc'><listen type='socket'/></graphics>");
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        driver.start(uuid, PAUSED).await.unwrap();
        let socket = lab.config.run_dir.join(format!("qemu/own/{uuid}/vnc.sock"));
        assert_eq!(greeting(UnixStream::connect(&socket).unwrap()), "RFB 003.008\n");
        driver.destroy(uuid).await.unwrap();
        assert!(!socket.exists());

        let place = lab.path("screen.sock");
        let spec = guest("four", &format!("|<graphics type='vnc' socket='{}'/>", place.display()));
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        for _ in 0..2 {
            driver.start(uuid, PAUSED).await.unwrap();
            assert_eq!(greeting(UnixStream::connect(&place).unwrap()), "RFB 003.008\n");
            driver.destroy(uuid).await.unwrap();
            assert!(std::fs::symlink_metadata(&place).is_err(), "the link is gone");
        }
    });
}

#[test]
fn what_is_found_where_a_guest_is_to_listen_stays() {
    Lab::run("places", |lab| async move {
        let driver = lab.open().await;
        let (file, used) = (lab.path("file"), lab.path("used.sock"));
        std::fs::write(&file, "data").unwrap();
        let _listening = UnixListener::bind(&used).unwrap();
        for (kind, parts) in [
            ("channel", "|<channel type='unix'><source mode='bind' path='PATH'/><target type='virtio'/></channel>"),
            ("screen", "|<graphics type='vnc' socket='PATH'/>"),
        ] {
            for path in [&file, &used] {
                let name = format!("{kind}-{}", path.file_name().unwrap().display());
                let spec = guest(&name, &parts.replace("PATH", path.to_str().unwrap()));
                let uuid = spec.uuid.unwrap();
                driver.define(&spec).await.unwrap();
                driver.start(uuid, PAUSED).await.unwrap_err();
                lab.assert_clean(uuid);
                assert_eq!(std::fs::read(&file).unwrap(), b"data");
                UnixStream::connect(&used).unwrap();
            }
        }
    });
}

#[test]
fn memory_is_shared_until_the_last_guest_ends() {
    Lab::run("shared", |lab| async move {
        let driver = lab.open().await;
        let name = format!("ostler-test-shared-{}", std::process::id());
        let path = Path::new("/dev/shm").join(&name);
        let parts = format!("|<shmem name='{name}'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>");
        let [one, two] = ["one", "two"].map(|name| guest(name, &parts));
        for spec in [&one, &two] {
            driver.define(spec).await.unwrap();
            driver.start(spec.uuid.unwrap(), PAUSED).await.unwrap();
        }
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
        let both = inode(&path);
        driver.destroy(one.uuid.unwrap()).await.unwrap();
        assert_eq!(inode(&path), both, "the other guest goes on with it");
        // Both end at once: neither leaves it to the other.
        driver.start(one.uuid.unwrap(), PAUSED).await.unwrap();
        assert_eq!(inode(&path), both);
        let (first, second) = tokio::join!(driver.destroy(one.uuid.unwrap()), driver.destroy(two.uuid.unwrap()));
        first.unwrap();
        second.unwrap();
        assert!(!path.exists());
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        driver.start(one.uuid.unwrap(), PAUSED).await.unwrap();
        driver.destroy(one.uuid.unwrap()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), vec![7; 1 << 20], "a program of the host has made it");
        std::fs::remove_file(&path).unwrap();
    });
}

/// Plays a server of shared memory to one guest, by QEMU's protocol (docs/specs/ivshmem-spec.rst): its version, the guest's
/// number, and the memory.
fn serve_memory(listener: &UnixListener) -> UnixStream {
    const VERSION: i64 = 0;
    const GUEST: i64 = 1;
    const MEMORY: i64 = -1;
    let (stream, _) = listener.accept().unwrap();
    let memory = rustix::fs::memfd_create("memory", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, 1 << 20).unwrap();
    for number in [VERSION, GUEST, MEMORY] {
        let fds = [memory.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if number == MEMORY {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        }
        let bytes = number.to_le_bytes();
        sendmsg(&stream, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
    }
    stream
}

#[test]
fn shared_memory_with_a_bell_is_a_servers() {
    Lab::run("bell", |lab| async move {
        let driver = lab.open().await;
        let path = lab.path("bell.sock");
        let spec = guest(
            "bell",
            &format!(
                "|<shmem name='bell'><model type='ivshmem-doorbell'/><server path='{}'/><msi vectors='2'/></shmem>",
                path.display()
            ),
        );
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        let error = driver.start(uuid, PAUSED).await.unwrap_err();
        assert_eq!(error.field.as_deref(), Some("devices.shmems[bell].server"), "{error}");
        let listener = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let server = std::thread::spawn(move || serve_memory(&listener));
        driver.start(uuid, PAUSED).await.unwrap();
        let _connection = server.join().unwrap();
        driver.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
        assert!(path.exists(), "it is the server's");
    });
}

/// Whether a process may write by the descriptor that it has of a file; none: it has no such descriptor.
fn writes(pid: i32, path: &Path) -> Option<bool> {
    const ACCESS: u32 = 0o3;
    let folder = format!("/proc/{pid}/fd");
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let entry = entries.find(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path))?;
    let name = entry.file_name();
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", name.display())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim().to_owned();
    Some(u32::from_str_radix(&flags, 8).unwrap() & ACCESS != 0)
}

#[test]
fn what_a_transient_disk_writes_is_lost() {
    Lab::run("lost", |lab| async move {
        let driver = lab.open().await;
        let image = lab.disk("a.img");
        let disk =
            format!("|<disk type='file'><source file='{}'/><target dev='vda'/><transient/></disk>", image.display());
        let [one, two] = ["one", "two"].map(|name| guest(name, &disk));
        for spec in [&one, &two] {
            driver.define(spec).await.unwrap();
            driver.start(spec.uuid.unwrap(), PAUSED).await.unwrap();
        }
        for spec in [&one, &two] {
            let uuid = spec.uuid.unwrap();
            let over = lab.config.state_dir.join(format!("qemu/transient/{uuid}/vda.qcow2"));
            let pid = lab.pid(uuid);
            assert_eq!((writes(pid, &image), writes(pid, &over)), (Some(false), Some(true)));
            driver.destroy(uuid).await.unwrap();
            assert!(!over.exists());
        }
    });
}

#[test]
fn a_tpms_state_stays_with_its_guest() {
    assert!(Path::new("/usr/bin/swtpm").exists(), "it needs swtpm");
    Lab::run("tpm", |lab| async move {
        let mut driver = lab.open().await;
        let spec = guest("tpm", "|<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>");
        let uuid = spec.uuid.unwrap();
        let state = lab.config.state_dir.join(format!("qemu/tpm/{uuid}/tpm2.0"));
        driver.define(&spec).await.unwrap();
        for _ in 0..2 {
            driver.start(uuid, StartOptions::default()).await.unwrap();
            let group = ostler_util::cgroup::Hierarchies::discover().unwrap();
            let pids = group.group(format!("{}/qemu-{uuid}", lab.config.cgroup)).pids().unwrap();
            let user = ostler_util::passwd::find(&lab.config.user).unwrap().unwrap();
            let names: Vec<String> = pids
                .iter()
                .map(|pid| {
                    let owner =
                        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{pid}")).unwrap());
                    assert_eq!(owner, user.uid);
                    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim().to_owned()
                })
                .collect();
            assert_eq!(names.iter().filter(|name| *name == "swtpm").count(), 1, "{names:?}");
            driver.close().await.unwrap();
            driver = lab.open().await;
            common::expect_state(&driver, uuid, DomainState::Running(RunningReason::Booted)).await;
            let group = group.group(format!("{}/qemu-{uuid}", lab.config.cgroup));
            assert_eq!(group.pids().unwrap(), pids, "the next agent finds the same programs");
            driver.destroy(uuid).await.unwrap();
            lab.assert_clean(uuid);
            assert!(std::fs::read_dir(&state).unwrap().count() > 0, "its state is kept");
        }
        driver.undefine(uuid, StateOnUndefine::Delete).await.unwrap();
        assert!(!state.exists());
    });
}

#[test]
fn a_cpu_is_held_against_what_the_host_can_give() {
    Lab::run("cpus", |lab| async move {
        let driver = lab.open().await;
        let start = async |name: &str, cpu: &str| {
            let spec = guest(name, cpu);
            let uuid = spec.uuid.unwrap();
            driver.define(&spec).await.unwrap();
            let started = driver.start(uuid, PAUSED).await;
            let line = started.is_ok().then(|| std::fs::read(format!("/proc/{}/cmdline", lab.pid(uuid))).unwrap());
            if started.is_ok() {
                driver.destroy(uuid).await.unwrap();
            }
            lab.assert_clean(uuid);
            started.map(|()| String::from_utf8_lossy(&line.unwrap()).replace('\0', " "))
        };
        let line = start("host-model", "<cpu mode='host-model'><feature name='avx' policy='disable'/></cpu>").await;
        let line = line.unwrap();
        assert!(line.contains("-cpu qemu64,aes=on,avx=off"), "{line}");
        let wanted = "<model>qemu64</model><feature name='sgx' policy='require'/>";
        let error = start("too-much", &format!("<cpu check='partial'>{wanted}</cpu>")).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::CpuIncompatible, Some("cpu")));
        // The translator has no such thing; QEMU leaves it out, and says so.
        let error = start("exact", &format!("<cpu check='full'>{wanted}</cpu>")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::OperationFailed);
        assert!(error.message.contains("sgx"), "{error}");
        start("as-it-comes", &format!("<cpu check='none'>{wanted}</cpu>")).await.unwrap();
    });
}

#[test]
fn a_guest_of_another_architecture_has_its_own_emulator() {
    assert!(Path::new("/usr/bin/qemu-system-aarch64").exists(), "it needs qemu-system-arm");
    Lab::run("arm", |lab| async move {
        listen_here();
        let driver = lab.open().await;
        let parts = "<os><type arch='aarch64' machine='virt'>hvm</type></os>
            <cpu mode='custom'><model>cortex-a57</model></cpu>|<graphics type='vnc'/><input type='keyboard' bus='virtio'/>
            <interface type='user'/><serial type='pty'/>";
        let mut spec = guest("arm", parts);
        spec.r#type = None;
        let uuid = spec.uuid.unwrap();
        let completed = driver.define(&spec).await.unwrap().definition;
        assert_eq!(completed.r#type, Some(ostler_conf::domain::DomainType::Qemu));
        assert_eq!(completed.devices.emulator.as_deref(), Some("/usr/bin/qemu-system-aarch64"));
        driver.start(uuid, PAUSED).await.unwrap();
        driver.destroy(uuid).await.unwrap();
        lab.assert_clean(uuid);
        spec.r#type = Some(ostler_conf::domain::DomainType::Kvm);
        spec.uuid = None;
        spec.name = "arm-on-kvm".into();
        let error = driver.define(&spec).await.unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::ConfigUnsupported, Some("type")));
    });
}
