//! The API server that tests share.

use std::time::Duration;

use ostler_e2e::apiserver::ApiServer;
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn serves_objects_and_tells_who_asked() {
    let server = ApiServer::shared();
    let api = server.api();
    let namespace = server.namespace("audit");
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    api.create(&path, &json!({"metadata": {"name": "one"}, "data": {"a": "b"}})).unwrap();
    assert_eq!(api.get(&format!("{path}/one")).unwrap()["data"]["a"], "b");
    let (code, text) = server.kubectl(&["get", "configmap", "one", "-n", &namespace, "-o", "jsonpath={.data.a}"]);
    assert_eq!((code, text.as_str()), (0, "b"));
    let audit = server.audit();
    let entry = audit.iter().find(|entry| {
        entry["verb"] == "create"
            && entry["objectRef"]["resource"] == "configmaps"
            && entry["objectRef"]["name"] == "one"
    });
    let entry = entry.expect("the log has the request");
    assert_eq!((&entry["user"]["username"], &entry["responseStatus"]["code"]), (&json!("admin"), &json!(201)));
}

#[test]
fn a_namespace_ends_with_everything_in_it() {
    let server = ApiServer::shared();
    let namespace = server.namespace("end");
    let path = format!("/api/v1/namespaces/{namespace}");
    server.api().create(&format!("{path}/secrets"), &json!({"metadata": {"name": "one"}})).unwrap();
    server.api().delete(&path).unwrap();
    server.api().wait(&path, DEADLINE, serde_json::Value::is_null).unwrap();
}

#[test]
fn a_token_has_only_the_rights_of_its_account() {
    let server = ApiServer::shared();
    let namespace = server.namespace("token");
    let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    server.api().wait(&account, DEADLINE, |account| !account.is_null()).unwrap();
    let answer = server.api().create(&format!("{account}/token"), &json!({"spec": {}})).unwrap();
    let tenant = server.api_with_token(answer["status"]["token"].as_str().unwrap()).unwrap();
    let who = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let review = tenant.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &who).unwrap();
    assert_eq!(review["status"]["userInfo"]["username"], format!("system:serviceaccount:{namespace}:default"));
    assert_eq!(tenant.get(&format!("/api/v1/namespaces/{namespace}/secrets")).unwrap_err().code(), 403);
}

#[test]
fn nothing_of_one_that_is_dropped_remains() {
    let server = ApiServer::start().unwrap();
    let directory = server.kubeconfig().parent().unwrap().parent().unwrap().to_owned();
    let running = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(directory.to_str().unwrap())).count()
    };
    assert!(running() >= 3);
    drop(server);
    assert_eq!((running(), directory.exists()), (0, false));
}
