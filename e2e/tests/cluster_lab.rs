//! The cluster that other tests stand on: it comes up, behaves like machines, and leaves nothing.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use ostler_e2e::cluster::image::Image;
use ostler_e2e::cluster::{Cluster, groups, network, runtime};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(180);

const DAEMON: &str = r#"{
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "sleeper", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"app": "sleeper"}},
        "template": {
            "metadata": {"labels": {"app": "sleeper"}},
            "spec": {
                "hostPID": true,
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "sleeper",
                    "image": "localhost/sleeper:1",
                    "imagePullPolicy": "Never",
                    "securityContext": {"privileged": true}
                }]
            }
        }
    }
}"#;

/// What all nodes see below a folder of their own.
fn listing(cluster: &Cluster, folder: &str) -> Vec<String> {
    cluster.nodes().iter().map(|node| node.run("ls", &[folder]).unwrap().1.trim().to_owned()).collect()
}

fn wait_daemons(cluster: &Cluster, count: u64) -> Value {
    let path = "/apis/apps/v1/namespaces/default/daemonsets/sleeper";
    cluster
        .api()
        .wait(path, DEADLINE, |daemons| daemons.pointer("/status/numberAvailable") == Some(&count.into()))
        .unwrap()
}

#[test]
fn two_nodes_run_pods_lose_power_and_leave_nothing() {
    let cluster = Cluster::for_tests(env!("CARGO_BIN_EXE_cluster")).unwrap_or_else(|error| panic!("{error:#}"));
    let [a, b] = cluster.nodes();

    // From the host's ordinary shell.
    let (code, text) = cluster.kubectl(&["get", "nodes", "-o", "name"]);
    assert_eq!((code, text.as_str()), (0, "node/node-a\nnode/node-b\n"));

    // Pods, on both.
    let archive = tempfile::NamedTempFile::new().unwrap();
    Image::busybox("localhost/sleeper:1").unwrap().write_file(archive.path()).unwrap();
    cluster.load(archive.path()).unwrap();
    let daemon = serde_json::from_str(DAEMON).unwrap();
    cluster.api().create("/apis/apps/v1/namespaces/default/daemonsets", &daemon).unwrap();
    wait_daemons(&cluster, 2);
    let (code, text) = cluster.kubectl(&["exec", "daemonset/sleeper", "--", "/bin/busybox", "hostname"]);
    assert_eq!(code, 0, "{text}");

    // Each node has a state, a run folder, control groups and processes of its own.
    for (node, name) in [(&a, "a"), (&b, "b")] {
        for folder in ["/var/lib/ostler", "/run"] {
            let (code, text) = node.run("touch", &[&format!("{folder}/of-{name}")]).unwrap();
            assert_eq!(code, 0, "{text}");
        }
        assert!(node.path("/var/lib/ostler").join(format!("of-{name}")).exists());
        assert_eq!(node.run("hostname", &[]).unwrap().1.trim(), node.name);
        let (_, text) = node.run("sh", &["-c", "cat /proc/1/cgroup; ls /sys/class/net"]).unwrap();
        assert!(text.lines().any(|line| line.ends_with(":/init")) && text.contains("eth0"), "{text}");
        assert!(node.first_process().unwrap() > 1);
    }
    assert_eq!(listing(&cluster, "/var/lib/ostler"), ["of-a", "of-b"]);

    // A kubelet that ends is started again, and pods stay.
    let pods = || {
        let pods = cluster.api().get("/api/v1/namespaces/default/pods?labelSelector=app%3Dsleeper").unwrap();
        let uids = pods["items"].as_array().unwrap().iter().map(|pod| pod["metadata"]["uid"].clone());
        uids.collect::<Vec<_>>()
    };
    let before = pods();
    a.restart("kubelet").unwrap();
    wait_daemons(&cluster, 2);

    // Without an API server everything runs on.
    cluster.stop_api_server().unwrap();
    assert!(!cluster.api().is_ready());
    assert_eq!(cluster.nodes().iter().filter(|node| node.first_process().is_ok()).count(), 2);
    cluster.start_api_server().unwrap();
    wait_daemons(&cluster, 2);
    assert_eq!(pods(), before, "the same pods");

    // Power fails: what lasts is there again, what does not is gone; a hidden program is not there.
    b.kill().unwrap();
    assert!(b.first_process().is_err() && groups::pids(&b.cgroup()).unwrap().is_empty());
    assert!(!network::exists(&b.namespace()));
    b.hide(&["/usr/bin/qemu-system-x86_64", "/usr/share/qemu"]).unwrap();
    cluster.start(&b).unwrap();
    cluster.wait_ready(&b).unwrap();
    let (_, run) = b.run("ls", &["/run"]).unwrap();
    assert!(!run.contains("of-b") && run.contains("containerd"), "{run}");
    assert_eq!(listing(&cluster, "/var/lib/ostler"), ["of-a", "of-b"]);
    assert_ne!(b.run("ls", &["/usr/bin/qemu-system-x86_64"]).unwrap().0, 0);
    assert_eq!(b.run("ls", &["/usr/bin/ls"]).unwrap().0, 0);
    let on_b = "/api/v1/namespaces/default/pods?fieldSelector=spec.nodeName%3Dnode-b";
    let has_restarted = |pods: &Value| {
        pods.pointer("/items/0/status/containerStatuses/0/restartCount").and_then(Value::as_u64) == Some(1)
    };
    cluster.api().wait(on_b, DEADLINE, has_restarted).unwrap();
    wait_daemons(&cluster, 2);

    // Who asked what is on record.
    let audit = cluster.audit();
    assert!(audit.iter().any(|entry| entry["user"]["username"] == "system:node:node-a" && entry["verb"] == "patch"));

    let place = cluster.place;
    drop(cluster);
    assert_eq!(left(place), Vec::<String>::new());
}

#[test]
fn the_runtime_needs_nothing_of_its_host() {
    let made = runtime::tree("").unwrap_or_else(|error| panic!("{error:#}"));
    let digest = std::fs::read_to_string(made.join("digest")).unwrap();
    let host = tempfile::tempdir_in("/var/tmp").unwrap();
    let place = format!("{}/{digest}", runtime::PLACE);
    let below = host.path().join(place.trim_start_matches('/'));
    std::fs::create_dir_all(below.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-r").arg(made.join("runtime")).arg(&below).status().unwrap();
    assert!(copied.success());
    // A host with nothing but the runtime and the kernel's own folders.
    let run = |program: &str, args: &[&str], input: &str| {
        let script = "mkdir -p proc dev && mount -t proc proc proc && mount --bind /dev dev && exec chroot . \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "sh", "-c", script, "sh"]).arg(format!("{place}/bin/{program}")).args(args);
        command.current_dir(host.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {text}");
        text
    };
    // Firmware, a device that is a module, and its way out of the sandbox of system calls.
    let machine = ["-M", "q35,accel=tcg", "-nodefaults", "-display", "none", "-sandbox", "on", "-qmp", "stdio"];
    let quit = r#"{"execute": "qmp_capabilities"} {"execute": "quit"}"#;
    run("qemu-system-x86_64", &[&machine[..], &["-device", "virtio-vga", "-device", "virtio-net-pci"]].concat(), quit);
    assert!(run("qemu-img", &["--version"], "").contains("qemu-img version"));
    assert!(run("dnsmasq", &["--version"], "").contains("Dnsmasq version"));
    run("nft", &["add", "table", "inet", "x"], "");
}

/// What is left of a cluster on this machine.
fn left(place: ostler_e2e::cluster::place::Place) -> Vec<String> {
    let mut left = Vec::new();
    let name = place.namespace();
    for root in groups::roots().unwrap() {
        left.extend(
            Some(root.join(place.cgroup())).filter(|group| group.exists()).map(|group| group.display().to_string()),
        );
    }
    for namespace in std::fs::read_dir("/run/netns").unwrap().flatten() {
        let namespace = namespace.file_name().to_string_lossy().into_owned();
        left.extend(Some(namespace).filter(|it| *it == name || it.starts_with(&format!("{name}-"))));
    }
    let link = std::path::Path::new("/sys/class/net").join(place.host_link());
    let directory = place.directory();
    left.extend([&link, &directory].into_iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
    let own = directory.display().to_string();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&format!("{own}/"))).map(str::to_owned));
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        left.extend(Some(line).filter(|line| line.contains(&format!("{own}/"))));
    }
    left
}
