//! A driver on folders, a control group and a network namespace of its own, with services that only remember.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ostler_conf::domain::{Cpu, CpuFeature, CpuFeaturePolicy, CpuModel};
use ostler_conf::{Domain, MacAddress, Network, StoragePool, StorageVolume, parse};
use ostler_driver::{
    Access, BaselineOptions, Comparison, Cpus, DomainEvent, DomainState, Domains, Error, Event, Events, HostCpu, Lease,
    NetworkSummary, Networks, Offered, PoolSummary, Port, PortRequest, Progress, Property, RemovedFeatures,
    ResolvedVolume, Result, Security, Storage, VolumeFill, VolumeOwner, VolumeSummary,
};
use ostler_driver_qemu::{Config, QemuDriver, Services};
use ostler_util::ErrorCode;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

/// Long enough for a loaded machine; a test that works never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Remembers claims, and refuses a second writer.
#[derive(Debug, Default)]
pub struct Claims(pub Mutex<BTreeMap<(PathBuf, Uuid), bool>>);

#[async_trait]
impl Security for Claims {
    async fn claim(&self, owner: Uuid, path: &Path, access: Access, _uid: u32, _gid: u32) -> Result<()> {
        let mut claims = self.0.lock().unwrap();
        let writes = access == Access::Write;
        let other =
            claims.iter().find(|((claimed, by), others)| claimed == path && *by != owner && (**others || writes));
        if other.is_some() && access != Access::Read {
            return Err(Error::new(ErrorCode::ResourceBusy, format!("{} is in use", path.display())));
        }
        claims.insert((path.to_owned(), owner), writes);
        Ok(())
    }

    async fn release(&self, owner: Uuid) -> Result<()> {
        self.0.lock().unwrap().retain(|(_, by), _| *by != owner);
        Ok(())
    }

    async fn owners(&self) -> Result<Vec<Uuid>> {
        Ok(self.0.lock().unwrap().keys().map(|(_, owner)| *owner).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Remembers ports; its one network is called `lan`.
#[derive(Debug, Default)]
pub struct Ports(pub Mutex<Vec<Port>>, pub Mutex<Vec<String>>);

fn no_network(name: &str) -> Error {
    Error::new(ErrorCode::NoNetwork, format!("there is no network {name}"))
}

#[async_trait]
impl Networks for Ports {
    async fn check(&self, _: &Network) -> Result<Network> {
        Err(no_network("any"))
    }
    async fn define(&self, _: &Network) -> Result<Network> {
        Err(no_network("any"))
    }
    async fn undefine(&self, name: &str) -> Result<()> {
        Err(no_network(name))
    }
    async fn list(&self) -> Result<Vec<NetworkSummary>> {
        Ok(Vec::new())
    }
    async fn get(&self, name: &str) -> Result<NetworkSummary> {
        let summary =
            NetworkSummary { uuid: Uuid::nil(), name: name.into(), active: true, bridge: None, problem: None };
        if name == "lan" { Ok(summary) } else { Err(no_network(name)) }
    }
    async fn definition(&self, name: &str) -> Result<Network> {
        Err(no_network(name))
    }
    async fn start(&self, name: &str) -> Result<()> {
        Err(no_network(name))
    }
    async fn stop(&self, name: &str) -> Result<()> {
        Err(no_network(name))
    }
    async fn leases(&self, _: &str) -> Result<Vec<Lease>> {
        let ports = self.0.lock().unwrap();
        let lease = |port: &Port| Lease {
            mac: port.mac,
            address: [10, 0, 0, 9].into(),
            prefix: 24,
            hostname: None,
            expires: 0,
        };
        Ok(ports.iter().map(lease).collect())
    }
    async fn release_leases(&self, _: &str, _: ostler_conf::MacAddress) -> Result<()> {
        Ok(())
    }

    async fn create_port(&self, network: &str, request: &PortRequest) -> Result<Port> {
        if network != "lan" {
            return Err(no_network(network));
        }
        let PortRequest { owner, owner_name, mac } = request.clone();
        let mut ports = self.0.lock().unwrap();
        let tap = format!("otap{}", ports.len());
        ports.push(Port { network: network.into(), owner, owner_name, mac, bridge: "br-lan".into(), tap, mtu: None });
        Ok(ports.last().unwrap().clone())
    }
    async fn plug_port(&self, port: &Port) -> Result<()> {
        self.1.lock().unwrap().push(port.tap.clone());
        Ok(())
    }
    async fn delete_ports(&self, owner: Uuid, mac: Option<MacAddress>) -> Result<()> {
        self.0.lock().unwrap().retain(|port| port.owner != owner || mac.is_some_and(|mac| mac != port.mac));
        Ok(())
    }
    async fn ports(&self) -> Result<Vec<Port>> {
        Ok(self.0.lock().unwrap().clone())
    }
}

/// Has no volume.
#[derive(Debug)]
pub struct NoVolumes;

fn no_pool() -> Error {
    Error::new(ErrorCode::NoStoragePool, "there is no pool")
}

#[async_trait]
impl Storage for NoVolumes {
    async fn check_pool(&self, _: &StoragePool) -> Result<StoragePool> {
        Err(no_pool())
    }
    async fn define_pool(&self, _: &StoragePool) -> Result<StoragePool> {
        Err(no_pool())
    }
    async fn undefine_pool(&self, _: &str, _: bool) -> Result<()> {
        Err(no_pool())
    }
    async fn pools(&self) -> Result<Vec<PoolSummary>> {
        Ok(Vec::new())
    }
    async fn pool(&self, _: &str) -> Result<PoolSummary> {
        Err(no_pool())
    }
    async fn pool_definition(&self, _: &str) -> Result<StoragePool> {
        Err(no_pool())
    }
    async fn start_pool(&self, _: &str) -> Result<()> {
        Err(no_pool())
    }
    async fn stop_pool(&self, _: &str) -> Result<()> {
        Err(no_pool())
    }
    async fn create_volume(
        &self,
        _: &str,
        _: &StorageVolume,
        _: &VolumeOwner,
        _: VolumeFill,
        _: Option<Progress>,
    ) -> Result<VolumeSummary> {
        Err(no_pool())
    }
    async fn adopt_volume(&self, _: &str, _: &str, _: &VolumeOwner) -> Result<VolumeSummary> {
        Err(no_pool())
    }
    async fn delete_volume(&self, _: &str, _: &str) -> Result<()> {
        Err(no_pool())
    }
    async fn resize_volume(&self, _: &str, _: &str, _: u64) -> Result<VolumeSummary> {
        Err(no_pool())
    }
    async fn volumes(&self, _: &str) -> Result<Vec<VolumeSummary>> {
        Err(no_pool())
    }
    async fn volume(&self, _: &str, _: &str) -> Result<VolumeSummary> {
        Err(no_pool())
    }
    async fn resolve(&self, _: &str, _: &str) -> Result<ResolvedVolume> {
        Err(no_pool())
    }
}

/// Takes every CPU as it is named: what the tables of models know is no matter of these tests.
#[derive(Debug)]
pub struct AsNamed;

fn no_tables() -> Error {
    Error::new(ErrorCode::NoSupport, "there are no tables of CPU models")
}

impl Cpus for AsNamed {
    fn models(&self, _: &str) -> Vec<&'static str> {
        Vec::new()
    }
    fn vendor_of(&self, _: &str, _: &str) -> Option<&'static str> {
        None
    }
    fn canonical(&self, _: &str, _: &str) -> Option<&'static str> {
        None
    }
    fn feature_name<'a>(&self, _: &str, name: &'a str) -> &'a str {
        name
    }
    fn host(&self) -> Result<HostCpu> {
        Err(no_tables())
    }
    fn compare(&self, _: &HostCpu, _: &Cpu) -> Result<Comparison> {
        Err(no_tables())
    }
    fn migratable(&self, host: &HostCpu) -> HostCpu {
        host.clone()
    }
    fn update(&self, _: &mut Cpu, _: &HostCpu, _: RemovedFeatures) -> Result<()> {
        Ok(())
    }
    fn translate(&self, _: &str, _: &mut Cpu, _: Offered<'_>) -> Result<()> {
        Ok(())
    }
    /// The host is a `qemu64` with AES.
    fn described(&self, _: &str, _: &[Property<'_>], _: Offered<'_>) -> Result<Cpu> {
        let model = CpuModel { name: Some("qemu64".to_owned()), ..CpuModel::default() };
        let feature = CpuFeature { policy: Some(CpuFeaturePolicy::Require), name: "aes".to_owned() };
        Ok(Cpu { model: Some(model), features: vec![feature], ..Cpu::default() })
    }
    fn baseline(&self, _: &str, _: &[Cpu], _: BaselineOptions<'_>) -> Result<Cpu> {
        Err(no_tables())
    }
    fn check_features(&self, _: &str, _: &Cpu) -> Result<()> {
        Ok(())
    }
    fn is_compared_by_model(&self, _: &str, _: &str) -> bool {
        true
    }
    /// A CPU with `sgx` is too much for the host.
    fn check_partially(&self, _: &HostCpu, cpu: &Cpu, _: Option<&[String]>) -> Result<Comparison> {
        let is_too_much = cpu.features.iter().any(|feature| feature.name == "sgx");
        Ok(if is_too_much { Comparison::Incompatible } else { Comparison::Superset })
    }
    fn update_live(&self, _: &str, _: &mut Cpu, _: &[Property<'_>], _: &[Property<'_>]) -> Result<()> {
        Err(no_tables())
    }
}

/// What a test works with.
pub struct Lab {
    pub folder: tempfile::TempDir,
    pub config: Config,
    pub claims: Arc<Claims>,
    pub ports: Arc<Ports>,
}

/// Ends what a failed test leaves behind.
struct Guests(String);

impl Drop for Guests {
    fn drop(&mut self) {
        let hierarchies = ostler_util::cgroup::Hierarchies::discover().unwrap();
        for name in hierarchies.children(&self.0).unwrap() {
            let group = hierarchies.group(format!("{}/{name}", self.0));
            group.kill(PATIENCE).and_then(|()| group.remove()).unwrap();
        }
        hierarchies.group(&self.0).remove().unwrap();
    }
}

impl Lab {
    /// Runs `test` in a network and mount namespace of its own. It needs root and QEMU.
    pub fn run<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Lab) -> F + Send + 'static) {
        assert!(rustix::process::geteuid().is_root() && Path::new(QEMU).exists(), "{name} needs root and {QEMU}");
        let cgroup = format!("ostler-test-{}-{name}", std::process::id());
        let thread = std::thread::spawn(move || {
            // SAFETY: this thread shares no descriptors or memory in a way that these two flags would change.
            unsafe {
                rustix::thread::unshare_unsafe(
                    rustix::thread::UnshareFlags::NEWNET | rustix::thread::UnshareFlags::NEWNS,
                )
            }
            .unwrap();
            rustix::mount::mount_change(
                "/",
                rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC,
            )
            .unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let folder = tempfile::tempdir().unwrap();
            std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let config = Config {
                state_dir: folder.path().join("state"),
                run_dir: folder.path().join("run"),
                cgroup: cgroup.clone(),
                monitor_timeout: Duration::from_secs(30),
                quit_timeout: Duration::from_secs(3),
                ..Config::default()
            };
            let _guests = Guests(cgroup.clone());
            let lab = Lab { folder, config, claims: Arc::default(), ports: Arc::default() };
            runtime.block_on(test(lab));
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    pub fn services(&self) -> Services {
        Services {
            networks: self.ports.clone(),
            storage: Arc::new(NoVolumes),
            security: self.claims.clone(),
            cpus: Arc::new(AsNamed),
        }
    }

    pub async fn open(&self) -> QemuDriver {
        QemuDriver::open(self.config.clone(), self.services()).await.unwrap()
    }

    /// A file in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A definition of a small guest on `pc` that runs `code` from its reset on.
    pub fn guest(&self, name: &str, code: &[u8], devices: &str) -> Domain {
        let rom = self.path(&format!("{name}.rom"));
        let mut bytes = vec![0; 0x1_0000];
        bytes[..code.len()].copy_from_slice(code);
        bytes[0xfff0..0xfff5].copy_from_slice(&[0xea, 0x00, 0x00, 0x00, 0xf0]);
        std::fs::write(&rom, bytes).unwrap();
        let xml = format!(
            "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>{name}</name><memory unit='MiB'>16</memory>
             <os><type machine='pc'>hvm</type></os><features><acpi/></features>
             <devices><controller type='usb' model='none'/>{devices}<memballoon model='none'/></devices>
             <qemu:commandline><qemu:arg value='-bios'/><qemu:arg value='{}'/></qemu:commandline></domain>",
            rom.display()
        );
        let mut domain = parse::<Domain>(&xml).unwrap().strict().unwrap();
        domain.uuid = Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        domain
    }

    /// A disk image that QEMU's user can open.
    pub fn disk(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, vec![0; 1 << 16]).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        path
    }

    /// An end is told before all is released: waits until nothing of the guest is left.
    pub async fn released(&self, uuid: Uuid) {
        let folder = self.config.run_dir.join("qemu").join(uuid.to_string());
        eventually("the guest's folder is left", || !folder.exists()).await;
        self.assert_clean(uuid);
    }

    /// Nothing of a guest is left.
    pub fn assert_clean(&self, uuid: Uuid) {
        let hierarchies = ostler_util::cgroup::Hierarchies::discover().unwrap();
        let groups = hierarchies.children(&self.config.cgroup).unwrap();
        assert!(!groups.contains(&format!("qemu-{uuid}")), "a control group is left");
        assert!(!self.config.run_dir.join("qemu").join(uuid.to_string()).exists(), "a folder is left");
        assert!(!self.config.run_dir.join("qemu/own").join(uuid.to_string()).exists(), "a folder of QEMU's is left");
        let transient = self.config.state_dir.join("qemu/transient").join(uuid.to_string());
        assert!(!transient.exists(), "what a transient disk wrote is left");
        assert!(self.claims.0.lock().unwrap().keys().all(|(_, owner)| *owner != uuid), "a claim is left");
        assert!(self.ports.0.lock().unwrap().iter().all(|port| port.owner != uuid), "a port is left");
    }

    /// The process of a running guest, by its control group.
    pub fn pid(&self, uuid: Uuid) -> i32 {
        let hierarchies = ostler_util::cgroup::Hierarchies::discover().unwrap();
        let pids = hierarchies.group(format!("{}/qemu-{uuid}", self.config.cgroup)).pids().unwrap();
        assert_eq!(pids.len(), 1, "{pids:?}");
        *pids.first().unwrap()
    }
}

pub const QEMU: &str = "/usr/bin/qemu-system-x86_64";

/// `cli; 1: hlt; jmp 1b`
pub const IDLE: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];
/// A reset by port 0xcf9.
pub const RESET: &[u8] = &[0xfa, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4, 0xeb, 0xfd];
/// Puts PIIX4's power management at port 0x600, then powers off.
pub const POWEROFF: &[u8] = &[
    0xfa, 0x66, 0xb8, 0x40, 0x0b, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, 0x66, 0xb8, 0x01, 0x06, 0x00, 0x00, 0xba,
    0xfc, 0x0c, 0x66, 0xef, 0x66, 0xb8, 0x80, 0x0b, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, 0xb0, 0x01, 0xba, 0xfc,
    0x0c, 0xee, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd,
];
/// The same once the power button is pressed.
pub const POWER_BUTTON: &[u8] = &[
    0xfa, 0x66, 0xb8, 0x40, 0x0b, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, 0x66, 0xb8, 0x01, 0x06, 0x00, 0x00, 0xba,
    0xfc, 0x0c, 0x66, 0xef, 0x66, 0xb8, 0x80, 0x0b, 0x00, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, 0xb0, 0x01, 0xba, 0xfc,
    0x0c, 0xee, 0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, 0xba, 0x00, 0x06, 0xed, 0xa9, 0x00, 0x01, 0x74, 0xf7, 0xba,
    0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd,
];

/// Sets the minutes and the hours of its clock to 05:30.
pub const SETS_CLOCK: &[u8] = &[
    0xfa, 0xb0, 0x02, 0xe6, 0x70, 0xb0, 0x30, 0xe6, 0x71, 0xb0, 0x04, 0xe6, 0x70, 0xb0, 0x05, 0xe6, 0x71, 0xf4, 0xeb,
    0xfd,
];
/// Lets go of every PCI device that it is asked for, through ACPI's registers of a PC: it looks for requests at each tick of
/// the timer, and sleeps in between (QEMU tells of a device's end only when its CPUs rest).
#[rustfmt::skip]
pub const EJECTS: &[u8] = &[
    0xfa, 0x31, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x70, 0x8e, 0xd8, 0xc7, 0x06, 0x80, 0x00, 0x6a, 0x00, 0xc7, 0x06, 0x82, 0x00,
    0x00, 0xf0, 0xb0, 0x11, 0xe6, 0x20, 0xe6, 0xa0, 0xb0, 0x20, 0xe6, 0x21, 0xb0, 0x28, 0xe6, 0xa1, 0xb0, 0x04, 0xe6, 0x21,
    0xb0, 0x02, 0xe6, 0xa1, 0xb0, 0x01, 0xe6, 0x21, 0xe6, 0xa1, 0xb0, 0xfe, 0xe6, 0x21, 0xb0, 0xff, 0xe6, 0xa1, 0xb0, 0x34,
    0xe6, 0x43, 0xb0, 0x9c, 0xe6, 0x40, 0xb0, 0x2e, 0xe6, 0x40, 0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00, 0x0f, 0x32, 0x66, 0x25,
    0xff, 0xf7, 0xff, 0xff, 0x0f, 0x30, 0xfb, 0xf4, 0xfa, 0xba, 0x04, 0xae, 0x66, 0xed, 0x66, 0x85, 0xc0, 0x74, 0xf3, 0xba,
    0x08, 0xae, 0x66, 0xef, 0xeb, 0xec, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf,
];

/// Waits for an event of `uuid`.
pub async fn expect(events: &mut Events, uuid: Uuid, wanted: DomainEvent) {
    let mut seen = Vec::new();
    let wait = async {
        loop {
            let event = match events.recv().await {
                // A guest that resets all the time tells faster than a loaded machine listens.
                Err(RecvError::Lagged(_)) => continue,
                event => event.unwrap(),
            };
            match event {
                Event::Domain { uuid: of, event } if of == uuid => {
                    if event == wanted {
                        return;
                    }
                    seen.push(event);
                }
                _ => {}
            }
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("{wanted:?} was not told, but {seen:?}");
    }
}

/// Waits until the domain is in a state.
pub async fn expect_state(driver: &QemuDriver, uuid: Uuid, wanted: DomainState) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let state = driver.get(uuid).await.unwrap().state;
        if state == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{state:?} instead of {wanted:?}");
        tokio::task::yield_now().await;
    }
}

/// Calls `condition` until it holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
