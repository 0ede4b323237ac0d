//! Who is handed what domains keep in Secrets. The agents' own client asks.

use ostler::metrics::Metrics;
use ostler::secrets::{Keeper, OutOfReach};
use ostler::source::cluster::client::client;
use ostler::source::cluster::secrets::FromController;
use ostler_conf::values::SecretKeyRef;
use ostler_crds::{Kind, ObjectRef};
use serde_json::{Value, json};

use super::{Cluster, DEADLINE, NAMESPACE, configuration, domain, host_of};

fn place(name: &str, key: &str) -> SecretKeyRef {
    SecretKeyRef { name: name.to_owned(), key: key.to_owned() }
}

/// A domain for `host` whose screen's password is kept under `key` of the Secret `web`.
fn locked(name: &str, host: &str, key: &str) -> Value {
    let mut domain = domain(name, "64Mi");
    let password = json!({"valueFrom": {"secretKeyRef": {"name": "web", "key": key}}});
    domain["spec"]["domain"]["devices"] =
        json!({"graphics": [{"name": "screen", "kind": {"vnc": {"passwd": password}}}]});
    domain["spec"]["placement"] = json!({"host": host});
    domain
}

struct Asking<'a> {
    cluster: &'a Cluster,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Asking<'_> {
    /// A token of the account, bound to a node as a pod's is, or to none.
    fn token(&self, account: (&str, &str), node: Option<&str>, audience: &str) -> String {
        let api = self.cluster.api();
        let mut spec = json!({"audiences": [audience]});
        if let Some(node) = node {
            let found = api.get(&format!("/api/v1/nodes/{node}")).unwrap();
            spec["boundObjectRef"] =
                json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": found["metadata"]["uid"]});
        }
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", account.0, account.1);
        api.create(&path, &json!({"spec": spec})).unwrap()["status"]["token"].as_str().unwrap().to_owned()
    }

    /// What an agent with this token gets for the domain of `default`.
    fn ask(&self, token: Option<&str>, name: &str, wanted: &[SecretKeyRef]) -> Result<Vec<String>, String> {
        let file = self.folder.path().join("token");
        std::fs::write(&file, token.unwrap_or_default()).unwrap();
        let config = self.runtime.block_on(ostler::agent::kubeconfig(&self.cluster.server.kubeconfig())).unwrap();
        let _entered = self.runtime.enter();
        let client = client(config, std::sync::Arc::new(Metrics::default())).unwrap();
        let keeper = FromController { client, token: token.map(|_| file) };
        let domain = ObjectRef::new(Kind::Domain, "default", name);
        let fetched = self.runtime.block_on(keeper.fetch(&domain, wanted)).map_err(|OutOfReach(why)| why)?;
        let found = fetched.secrets.iter().map(|(place, value)| format!("{place}={}", String::from_utf8_lossy(value)));
        Ok(found.chain(fetched.missing.into_values()).collect())
    }
}

#[test]
fn a_node_is_given_what_its_own_domains_keep_and_nobody_anything_else() {
    let cluster = Cluster::new();
    let api = cluster.api();
    let controller = cluster.ready_controller("one");
    let asking = Asking {
        cluster: &cluster,
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        folder: tempfile::tempdir().unwrap(),
    };
    for (namespace, account) in [(NAMESPACE, "ostler-agent"), (NAMESPACE, "other"), ("default", "ostler-agent")] {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        api.create(&path, &json!({"metadata": {"name": account}})).unwrap();
    }
    cluster.node("a", "1Gi");
    cluster.node("b", "1Gi");
    let secret = json!({"metadata": {"name": "web"}, "stringData": {"one": "hunter2", "two": "hunter3", "rest": "no"}});
    api.create("/api/v1/namespaces/default/secrets", &secret).unwrap();
    for (name, host, key) in [("one", "a", "one"), ("two", "b", "two"), ("nokey", "a", "none")] {
        cluster.create("domains", &locked(name, host, key));
        cluster.wait("domains", name, |domain| host_of(domain) == host);
    }
    cluster.create("domains", &locked("nowhere", "c", "one"));
    let audience = "ostler-controller";
    let agent = (NAMESPACE, "ostler-agent");
    let (a, b) = (asking.token(agent, Some("a"), audience), asking.token(agent, Some("b"), audience));
    let one = [place("web", "one")];

    let untold = asking.ask(Some(&a), "one", &one).unwrap_err();
    assert!(untold.contains("find the controller by ValidatingWebhookConfiguration ostler-validate"), "{untold}");
    let configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    api.create(configurations, &configuration(&controller)).unwrap();
    let trusted = |found: &Value| found["webhooks"][0]["clientConfig"]["caBundle"].is_string();
    api.wait(&format!("{configurations}/ostler-validate"), DEADLINE, trusted).unwrap();

    assert_eq!(asking.ask(Some(&a), "one", &one), Ok(vec!["web/one=hunter2".to_owned()]));
    assert_eq!(asking.ask(Some(&b), "two", &[place("web", "two")]), Ok(vec!["web/two=hunter3".to_owned()]));
    // Only what the spec refers to, whatever is wanted.
    let more = asking.ask(Some(&a), "one", &[place("web", "rest"), place("web", "two")]).unwrap();
    assert_eq!(more, ["rest", "two"].map(|key| format!("the controller's spec of the domain has no web/{key}")));
    let missing = asking.ask(Some(&a), "nokey", &[place("web", "none")]);
    assert_eq!(missing, Ok(vec!["the Secret 'web' has no key 'none'".to_owned()]));

    let of = |account: (&str, &str), node: Option<&str>, audience: &str| asking.token(account, node, audience);
    for (token, name, reason) in [
        (Some(b.clone()), "one", "NotClaimed"),
        (Some(a.clone()), "two", "NotClaimed"),
        (Some(a.clone()), "nowhere", "NotClaimed"),
        (Some(a.clone()), "nothing", "NotClaimed"),
        (Some(a.clone()), "../default/domains/one", "BadQuestion"),
        (Some(of(agent, None, audience)), "one", "NoNode"),
        (Some(of(agent, Some("a"), "https://kubernetes.default.svc")), "one", "TokenRefused"),
        (Some(of((NAMESPACE, "other"), Some("a"), audience)), "one", "NotAnAgent"),
        (Some(of(("default", "ostler-agent"), Some("a"), audience)), "one", "NotAnAgent"),
        (Some("nonsense".to_owned()), "one", "TokenRefused"),
        (None, "one", "the agent has no token for the controller"),
    ] {
        let refused = asking.ask(token.as_deref(), name, &one).unwrap_err();
        assert!(refused.contains(reason), "{name}: {reason} is expected: {refused}");
    }
    // On a fenced host nothing is to run, whoever holds the claim yet.
    let host = "/apis/ostler.dev/v1alpha1/hosts/a";
    api.merge(host, &json!({"spec": {"fenced": true}})).unwrap();
    assert!(asking.ask(Some(&a), "one", &one).unwrap_err().contains("Fenced"));
    api.merge(host, &json!({"spec": {"fenced": false}})).unwrap();
    let is_free = |host: &Value| host["status"]["fence"].is_null();
    api.wait(host, DEADLINE, is_free).unwrap();
    // A claim that is lost is lost at once.
    api.merge(&super::path("domains", "one/status"), &json!({"status": {"host": "b", "claim": 9}})).unwrap();
    assert!(asking.ask(Some(&a), "one", &one).unwrap_err().contains("NotClaimed"));
    assert!(!controller.log().contains("hunter"), "{}", controller.log());
}
