//! QEMU's driver without an agent, with the real drivers beside it, on folders, a control group and a network of its own; and a
//! libvirt to compare with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler_conf::{Domain, parse};
use ostler_conformance::Libvirtd;
use ostler_driver::{Domains, Error, StartOptions};
use ostler_driver_cpu::CpuDriver;
use ostler_driver_network::NetworkDriver;
use ostler_driver_qemu::{Config, QemuDriver, Services};
use ostler_driver_security::SecurityDriver;
use ostler_driver_storage::StorageDriver;
use ostler_util::{cgroup::Hierarchies, namespace};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

/// More than ten times what a guest takes to boot under the translator on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(400);
/// How often a console is looked at: a file tells nobody that it grows.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a test works with.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    cgroup: String,
    runtime: Runtime,
    driver: QemuDriver,
}

/// Ends what a failed test leaves behind.
struct Groups(String);

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = crate::cluster::groups::end(&self.0);
    }
}

impl Lab {
    /// Runs `test` in a network and among mounts of its own: it takes root.
    pub fn run(name: &str, test: impl FnOnce(&Lab) + Send) {
        let cgroup = format!("ostler-lab-{}-{name}", std::process::id());
        isolated(|| {
            namespace::isolate_network().expect("a network and mounts of our own: it takes root");
            let folder = tempfile::Builder::new().prefix("ol").tempdir_in("/var/tmp").unwrap();
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let _groups = Groups(cgroup.clone());
            let driver = runtime.block_on(open(folder.path(), &cgroup)).unwrap();
            test(&Lab { folder, cgroup, runtime, driver });
        });
    }

    /// A file in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts files of a folder into the test's.
    pub fn take(&self, from: &Path, files: &[&str]) {
        for file in files {
            fs::copy(from.join(file), self.path(file)).unwrap();
        }
    }

    /// Lets the documents of e2e/definitions find the files that they name, as a libvirt to compare with has them.
    pub fn stand_in_for_images(&self) {
        ostler_conformance::make_images().unwrap();
    }

    /// Defines a document of libvirt's; gives its identity.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn define(&self, xml: &str) -> Result<Uuid, Error> {
        let checked = self.runtime.block_on(self.driver.define(&read(xml)))?;
        Ok(checked.definition.uuid.expect("what is defined has its uuid"))
    }

    /// Starts a guest.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn start(&self, uuid: Uuid, paused: bool) -> Result<(), Error> {
        self.runtime.block_on(self.driver.start(uuid, StartOptions { paused, ..StartOptions::default() }))
    }

    /// Pulls a guest's plug; nothing of its run is left.
    pub fn destroy(&self, uuid: Uuid) {
        self.runtime.block_on(self.driver.destroy(uuid)).unwrap();
        assert_eq!(self.left(), Vec::<String>::new());
    }

    /// What there still is of guests' runs: control groups, folders, claims of files.
    pub fn left(&self) -> Vec<String> {
        let mut left: Vec<String> =
            Hierarchies::discover().unwrap().children(&self.cgroup).unwrap().into_iter().collect();
        for folder in ["run/qemu", "run/qemu/own", "state/qemu/ram", "state/qemu/transient", "state/security"] {
            let names = fs::read_dir(self.path(folder)).into_iter().flatten().flatten().map(|entry| entry.file_name());
            let names = names.filter(|name| name != "own" && name != "log" && name != "lock");
            left.extend(names.map(|name| format!("{folder}/{}", name.display())));
        }
        left
    }

    /// A guest's stored definition.
    pub fn definition(&self, uuid: Uuid) -> Domain {
        self.runtime.block_on(self.driver.definition(uuid, ostler_driver::Definition::Persistent)).unwrap()
    }

    /// What a guest says on its console, the file `console.txt`, until it says `word`.
    pub fn hear(&self, word: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let said = fs::read(self.path("console.txt")).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).into_owned();
            if said.contains(word) {
                return said;
            }
            assert!(Instant::now() < deadline, "the guest does not say '{word}' within {DEADLINE:?}, but: {said}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What a guest of the document says until it says `word`, run by our driver.
    pub fn heard_by_us(&self, xml: &str, word: &str) -> String {
        let _ = fs::remove_file(self.path("console.txt"));
        let uuid = self.define(xml).unwrap();
        self.start(uuid, false).unwrap();
        let said = self.hear(word);
        self.destroy(uuid);
        said
    }

    /// What a guest of the document says until it says `word`, run by a libvirt.
    pub fn heard_by_libvirt(&self, xml: &str, word: &str) -> String {
        let _ = fs::remove_file(self.path("console.txt"));
        let document = self.path("libvirt.xml");
        fs::write(&document, xml).unwrap();
        isolated(|| {
            let libvirt = libvirt();
            libvirt.virsh(&["create", &document.display().to_string()]).unwrap();
            let said = self.hear(word);
            libvirt.virsh(&["destroy", &read(xml).name]).unwrap();
            said
        })
    }

    /// How a libvirt starts each of the documents, with its CPUs stopped; of a refusal, its words.
    pub fn started_by_libvirt(&self, documents: &[PathBuf]) -> Vec<Result<(), String>> {
        isolated(|| {
            let libvirt = libvirt();
            let start = |document: &PathBuf| {
                let created = libvirt.try_virsh(&["create", "--paused", &document.display().to_string()]).unwrap();
                if !created.status.success() {
                    return Err(created.error_text());
                }
                let name = read(&fs::read_to_string(document).unwrap()).name;
                libvirt.virsh(&["destroy", &name]).unwrap();
                Ok(())
            };
            documents.iter().map(start).collect()
        })
    }
}

/// The folder of what a recipe of e2e/guest makes with these words. It may need the host's network.
pub fn made(recipe: &str, words: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest").join(recipe);
    let output = Command::new(script).args(words).output().unwrap();
    assert!(output.status.success(), "{recipe} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// A document as libvirt reads it: what nobody knows is left out.
fn read(xml: &str) -> Domain {
    parse::<Domain>(xml).unwrap().value
}

fn libvirt() -> Libvirtd {
    Libvirtd::start().expect("it needs libvirt to compare with: libvirt-daemon-driver-qemu and libvirt-clients")
}

/// Runs `work` on a thread that may leave for namespaces of its own.
fn isolated<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

async fn open(folder: &Path, cgroup: &str) -> ostler_driver::Result<QemuDriver> {
    let (state_dir, run_dir) = (folder.join("state"), folder.join("run"));
    let mut network = ostler_driver_network::Config::new(&state_dir, &run_dir);
    network.cgroup = cgroup.to_owned();
    let storage = ostler_driver_storage::Config { state_dir: state_dir.clone(), pools_dir: state_dir.join("pools") };
    let services = Services {
        networks: Arc::new(NetworkDriver::open(network).await?),
        storage: Arc::new(StorageDriver::open(storage)?),
        security: Arc::new(SecurityDriver::open(&state_dir)?),
        cpus: Arc::new(CpuDriver),
    };
    QemuDriver::open(Config { state_dir, run_dir, cgroup: cgroup.to_owned(), ..Config::default() }, services).await
}
