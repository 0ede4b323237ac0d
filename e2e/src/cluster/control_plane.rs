//! What makes a Kubernetes without nodes: etcd, the API server, the controllers, the scheduler.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::api::Api;
use super::pki::Authority;

/// The longest that a component may take to be there, on a machine with much else to do.
const DEADLINE: Duration = Duration::from_secs(120);

/// The names that the API server has inside of a cluster, and the first address of its services.
const SERVER_NAMES: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// What is enough where there are no nodes: deletion, and what templates stand on.
const WITHOUT_NODES: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
    root-ca-certificate-publisher-controller,clusterrole-aggregation-controller,\
    validatingadmissionpolicy-status-controller,daemonset-controller,deployment-controller,replicaset-controller,\
    resourcequota-controller";

/// Where a control plane is to be.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// Its files: `pki/`, `etcd/`, `audit.log`, a log for each component.
    pub directory: PathBuf,
    /// Where the API server answers.
    pub address: Ipv4Addr,
    /// At which port.
    pub port: u16,
    /// etcd's two ports, on the loopback interface.
    pub etcd_ports: [u16; 2],
    /// Whether nodes will come: then all controllers run, and the scheduler.
    pub has_nodes: bool,
}

/// A program to keep running.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its program's name.
    pub name: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Whoever keeps the components running.
pub trait Keeper {
    /// Starts one. Its output goes to the file of [`ControlPlane::log`].
    ///
    /// # Errors
    /// The operating system's.
    fn start(&mut self, component: &Component) -> Result<()>;

    /// Whether it has not ended yet.
    ///
    /// # Errors
    /// The operating system's.
    fn is_running(&mut self, name: &str) -> Result<bool>;
}

impl ControlPlane {
    /// The API server's address.
    pub fn server(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    /// The folder of certificates and kubeconfigs; `admin` is everything's user.
    pub fn pki(&self) -> PathBuf {
        self.directory.join("pki")
    }

    /// Where a component's output goes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    /// What every component reads; must be there before the first start.
    ///
    /// # Errors
    /// The operating system's.
    pub fn prepare(&self) -> Result<Authority> {
        let pki = self.pki();
        fs::create_dir_all(&pki)?;
        let authority = Authority::new("ostler")?;
        authority.identity.write(&pki, "ca")?;
        let address = self.address.to_string();
        authority.server(&[SERVER_NAMES, &[address.as_str()]].concat())?.write(&pki, "server")?;
        for (name, user, group) in [
            ("admin", "admin", "system:masters"),
            ("controllers", "system:kube-controller-manager", "system:kube-controller-manager"),
            ("scheduler", "system:kube-scheduler", "system:kube-scheduler"),
        ] {
            authority.client(user, group)?.write_kubeconfig(&pki, name, &self.server())?;
        }
        // The server looks into kubelets (logs, exec) as this one.
        authority.client("kube-apiserver", "system:masters")?.write(&pki, "kubelets")?;
        let accounts = rcgen::KeyPair::generate()?;
        fs::write(pki.join("accounts.key"), accounts.serialize_pem())?;
        fs::write(pki.join("accounts.pub"), accounts.public_key_pem())?;
        let policy =
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";
        fs::write(self.directory.join("audit.yaml"), policy)?;
        Ok(authority)
    }

    /// Starts everything and waits until it serves.
    ///
    /// # Errors
    /// Which component is at fault, with its last words.
    pub fn start(&self, keeper: &mut dyn Keeper, progress: &dyn Fn(&str)) -> Result<Api> {
        let api = Api::from_files(&self.server(), &self.pki(), "admin")?;
        progress("starting etcd and kube-apiserver");
        keeper.start(&self.etcd())?;
        keeper.start(&self.api_server())?;
        self.wait_for(keeper, &["etcd", "kube-apiserver"], "the API server is ready", || api.is_ready())?;
        progress("starting kube-controller-manager");
        keeper.start(&self.controllers())?;
        let mut watched = vec!["etcd", "kube-apiserver", "kube-controller-manager"];
        if self.has_nodes {
            keeper.start(&self.scheduler())?;
            watched.push("kube-scheduler");
        }
        // No pod can be made before its namespace has this one.
        self.wait_for(keeper, &watched, "the controllers have made the default service account", || {
            api.get("/api/v1/namespaces/default/serviceaccounts/default").is_ok()
        })?;
        Ok(api)
    }

    /// Waits for a condition while these components run.
    ///
    /// # Errors
    /// That one has ended, or that it took too long; with the last words of what is at fault.
    pub fn wait_for(
        &self,
        keeper: &mut dyn Keeper,
        components: &[&str],
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            for name in components {
                if !keeper.is_running(name)? {
                    bail!("{name} has ended before {what}:\n{}", last_lines(&self.log(name)));
                }
            }
            if Instant::now() > deadline {
                let logs: Vec<String> = components.iter().map(|name| last_lines(&self.log(name))).collect();
                bail!("not within {DEADLINE:?}: {what}\n{}", logs.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// etcd's data folder.
    pub fn etcd_directory(&self) -> PathBuf {
        self.directory.join("etcd")
    }

    /// etcd's database in its data folder.
    pub fn database(&self) -> PathBuf {
        self.etcd_directory().join("member/snap/db")
    }

    /// Makes etcd's data folder anew from a copy of its database, at higher revisions than anybody has seen.
    ///
    /// # Errors
    /// etcdutl's.
    pub fn restore(&self, bin: &Path, backup: &Path) -> Result<()> {
        let data = self.etcd_directory();
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        let peers = format!("http://127.0.0.1:{}", self.etcd_ports[1]);
        let output = Command::new(bin.join("etcdutl-snapshot"))
            .arg("restore")
            .arg(backup)
            .args(["--skip-hash-check", "--bump-revision", "1000000000", "--mark-compacted"])
            .args(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("default={peers}")])
            .arg("--data-dir")
            .arg(&data)
            .output()
            .context("run etcdutl")?;
        if !output.status.success() {
            bail!("etcdutl snapshot restore: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn path(&self, below: &str) -> String {
        self.directory.join(below).display().to_string()
    }

    /// etcd.
    pub fn etcd(&self) -> Component {
        let [clients, peers] = self.etcd_ports.map(|port| format!("http://127.0.0.1:{port}"));
        let first = format!("default={peers}");
        let directory = self.path("etcd");
        component(
            "etcd",
            &[
                ("data-dir", &directory),
                ("listen-client-urls", &clients),
                ("advertise-client-urls", &clients),
                ("listen-peer-urls", &peers),
                ("initial-advertise-peer-urls", &peers),
                ("initial-cluster", &first),
                // Nothing here is to outlive the machine.
                ("unsafe-no-fsync", "true"),
                ("log-level", "warn"),
                ("quota-backend-bytes", "4294967296"),
            ],
        )
    }

    /// The API server, with an audit log of who asked what.
    pub fn api_server(&self) -> Component {
        let address = self.address.to_string();
        // No node could reach a loopback address, and the server refuses to publish one.
        let reconciler = if self.has_nodes { "lease" } else { "none" };
        component(
            "kube-apiserver",
            &[
                ("etcd-servers", &format!("http://127.0.0.1:{}", self.etcd_ports[0])),
                ("bind-address", &address),
                ("secure-port", &self.port.to_string()),
                ("advertise-address", &address),
                ("endpoint-reconciler-type", reconciler),
                ("tls-cert-file", &self.path("pki/server.crt")),
                ("tls-private-key-file", &self.path("pki/server.key")),
                ("client-ca-file", &self.path("pki/ca.crt")),
                ("kubelet-client-certificate", &self.path("pki/kubelets.crt")),
                ("kubelet-client-key", &self.path("pki/kubelets.key")),
                ("kubelet-certificate-authority", &self.path("pki/ca.crt")),
                ("kubelet-preferred-address-types", "InternalIP"),
                ("service-cluster-ip-range", "10.96.0.0/16"),
                ("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
                ("service-account-key-file", &self.path("pki/accounts.pub")),
                ("service-account-signing-key-file", &self.path("pki/accounts.key")),
                ("authorization-mode", "Node,RBAC"),
                ("enable-admission-plugins", "NodeRestriction"),
                ("allow-privileged", "true"),
                // Webhooks are reached at their pods: there is no kube-proxy beside the server.
                ("enable-aggregator-routing", "true"),
                ("audit-policy-file", &self.path("audit.yaml")),
                ("audit-log-path", &self.path("audit.log")),
                ("audit-log-maxsize", "1000"),
                ("event-ttl", "1h"),
            ],
        )
    }

    /// The controllers.
    pub fn controllers(&self) -> Component {
        component(
            "kube-controller-manager",
            &[
                ("kubeconfig", &self.path("pki/controllers.kubeconfig")),
                ("controllers", if self.has_nodes { "*" } else { WITHOUT_NODES }),
                ("use-service-account-credentials", "true"),
                ("service-account-private-key-file", &self.path("pki/accounts.key")),
                ("root-ca-file", &self.path("pki/ca.crt")),
                ("cluster-signing-cert-file", &self.path("pki/ca.crt")),
                ("cluster-signing-key-file", &self.path("pki/ca.key")),
                ("kube-api-qps", "200"),
                ("kube-api-burst", "400"),
                ("leader-elect", "false"),
                ("secure-port", "0"),
            ],
        )
    }

    /// The scheduler.
    pub fn scheduler(&self) -> Component {
        component(
            "kube-scheduler",
            &[("kubeconfig", &self.path("pki/scheduler.kubeconfig")), ("leader-elect", "false"), ("secure-port", "0")],
        )
    }
}

fn component(name: &'static str, flags: &[(&str, &str)]) -> Component {
    Component { name, args: flags.iter().map(|(flag, value)| format!("--{flag}={value}")).collect() }
}

/// The end of a log, and where the rest is.
pub fn last_lines(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(15)..].join("\n");
    format!("--- the end of {} ---\n{last}", path.display())
}
