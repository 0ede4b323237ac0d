//! An API server without nodes: for custom resources, policies, roles and webhooks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::api::Api;
use crate::cluster::control_plane::{Component, ControlPlane, Keeper};
use crate::cluster::programs::programs;
use crate::with_us::{self, Folder};

/// How often free ports are looked for: another process can take one before we do.
const TRIES: usize = 3;

/// etcd, an API server and the controllers that need no node, on the loopback interface.
///
/// Dropped, all of it is gone; it also ends with the process that started it, however that ends.
#[derive(Debug)]
pub struct ApiServer {
    api: Api,
    plane: ControlPlane,
    bin: PathBuf,
    /// Ends the keeper's thread, and with it the components.
    end: Option<mpsc::Sender<()>>,
    keeper: Option<std::thread::JoinHandle<()>>,
    _folder: Folder,
}

impl ApiServer {
    /// The one that all tests of a program share. It has no objects but those that tests made: each uses a
    /// [namespace of its own](Self::namespace), and what belongs to no namespace is everybody's.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ApiServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().unwrap_or_else(|error| panic!("no API server: {error:#}")))
    }

    /// A new one, after some three seconds.
    ///
    /// # Errors
    /// Kubernetes can't be built; which component is at fault, with its last words.
    pub fn start() -> Result<Self> {
        let bin = programs(&|line| eprintln!("{line}"))?;
        let mut tries = 1;
        loop {
            match Self::start_once(&bin) {
                Err(_) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    fn start_once(bin: &Path) -> Result<Self> {
        let folder = Folder::new("ostler-api")?;
        let [port, clients, peers] = free_ports()?;
        let plane = ControlPlane {
            directory: folder.path().to_owned(),
            address: Ipv4Addr::LOCALHOST,
            port,
            etcd_ports: [clients, peers],
            has_nodes: false,
        };
        plane.prepare()?;
        let (end, ended) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let mut children = Children { bin: bin.to_owned(), plane: plane.clone(), running: BTreeMap::new() };
        // A child's life hangs on the thread that made it, so that one waits here for as long as we are needed.
        let keeper = std::thread::spawn(move || {
            let result = children.plane.clone().start(&mut children, &|_| {});
            let is_up = result.is_ok();
            if started.send(result).is_ok() && is_up {
                let _ = ended.recv();
            }
        });
        let api = start.recv().context("the components' keeper has ended")??;
        Ok(ApiServer { api, plane, bin: bin.to_owned(), end: Some(end), keeper: Some(keeper), _folder: folder })
    }

    /// The server, as a user who may do everything.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The server, as the owner of a token.
    ///
    /// # Errors
    /// The authority's certificate can't be read.
    pub fn api_with_token(&self, token: &str) -> Result<Api> {
        let authority = fs::read_to_string(self.plane.pki().join("ca.crt"))?;
        Ok(Api::new(&self.plane.server(), &authority, None)?.with_token(token))
    }

    /// The kubeconfig of a user who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.pki().join("admin.kubeconfig")
    }

    /// The kubeconfig of a token's owner.
    pub fn kubeconfig_with_token(&self, token: &str) -> String {
        let authority = self.plane.pki().join("ca.crt");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": self.plane.server(), "certificate-authority": authority}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        text.to_string()
    }

    /// The folder with kubectl, helm and the rest.
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    /// Runs kubectl; gives its exit code and what it said.
    pub fn kubectl(&self, args: &[&str]) -> (i32, String) {
        self.tool("kubectl", args)
    }

    /// Runs helm; gives its exit code and what it said.
    pub fn helm(&self, args: &[&str]) -> (i32, String) {
        self.tool("helm", args)
    }

    fn tool(&self, name: &str, args: &[&str]) -> (i32, String) {
        crate::cluster::tool::run(&self.bin.join(name), &self.kubeconfig(), args)
    }

    /// Waits until all our kinds are served. (`kubectl wait` fails for a definition that nobody has looked at yet.)
    ///
    /// # Errors
    /// They are not, after a long while.
    pub fn wait_established(&self) -> Result<()> {
        let is_true = |object: &Value, type_: &str| {
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            conditions.into_iter().any(|it| it["type"] == type_ && it["status"] == "True")
        };
        ostler_crds::Kind::ALL.iter().try_for_each(|kind| {
            let name = format!("{}.{}", kind.plural(), ostler_crds::GROUP);
            let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            self.api.wait(&path, Duration::from_secs(120), |crd| is_true(crd, "Established")).map(|_| ())
        })
    }

    /// A new namespace; its name begins with `prefix`.
    pub fn namespace(&self, prefix: &str) -> String {
        let object = json!({"metadata": {"generateName": format!("{prefix}-")}});
        let made = self.api.create("/api/v1/namespaces", &object).unwrap_or_else(|error| panic!("{error}"));
        made["metadata"]["name"].as_str().unwrap_or_default().to_owned()
    }

    /// The file to which the server writes what it was asked.
    pub fn audit_log(&self) -> PathBuf {
        self.plane.directory.join("audit.log")
    }

    /// What was asked of the server so far, and by whom: one entry for each answer.
    pub fn audit(&self) -> Vec<Value> {
        crate::cluster::audit::entries(&self.audit_log())
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// The components as children of one thread.
struct Children {
    bin: PathBuf,
    plane: ControlPlane,
    running: BTreeMap<&'static str, Child>,
}

impl Keeper for Children {
    fn start(&mut self, component: &Component) -> Result<()> {
        let log = File::create(self.plane.log(component.name))?;
        let mut command = Command::new(self.bin.join(component.name));
        command.args(&component.args).stdout(log.try_clone()?).stderr(log);
        let child = with_us::start(&mut command).with_context(|| format!("start {}", component.name))?;
        self.running.insert(component.name, child);
        Ok(())
    }

    fn is_running(&mut self, name: &str) -> Result<bool> {
        self.running.get_mut(name).map_or(Ok(false), |child| Ok(child.try_wait()?.is_none()))
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
