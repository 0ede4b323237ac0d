//! A host's directory of libvirt's XML becomes manifests that every path into a cluster takes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use ostler_crds::{Object, manifest};
use ostler_e2e::demo::binary;
use serde_json::Value;
use tempfile::TempDir;

const HEAD: &str =
    "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\nOVERWRITTEN AND LOST.\n-->\n\n";

/// A host with two guests, and what they stand on.
fn etc_libvirt() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let xml = |path: &str, text: &str| write(path, &format!("{HEAD}{text}"));
    xml(
        "qemu/windows_10.xml",
        "<domain type='kvm'>
  <name>windows_10</name>
  <uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='KiB'>4194304</memory>
  <vcpu placement='static'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <future thing='1'/>
  <devices>
    <disk type='volume' device='disk'>
      <source pool='fast_disks' volume='windows_10.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
    <interface type='network'>
      <mac address='52:54:00:aa:bb:cc'/>
      <source network='Lab LAN'/>
      <filterref filter='my_filter'/>
    </interface>
  </devices>
</domain>
",
    );
    xml(
        "qemu/web.xml",
        "<domain type='qemu'><name>web</name><memory>1048576</memory><vcpu>1</vcpu><os><type>hvm</type></os>\
         <devices><interface type='network'><source network='default'/></interface><graphics type='vnc' port='-1'/></devices></domain>\n",
    );
    fs::create_dir_all(folder.path().join("qemu/autostart")).unwrap();
    symlink("/etc/libvirt/qemu/web.xml", folder.path().join("qemu/autostart/web.xml")).unwrap();
    xml(
        "qemu/secretive.xml",
        "<domain type='qemu'><name>secretive</name><memory>1048576</memory><os><type>hvm</type></os>\n\
         <devices><disk type='network'><auth username='u' passwd='hunter2'/><source protocol='rbd' name='p/i'/><target dev='vda'/></disk></devices></domain>\n",
    );
    xml(
        "qemu/screen.xml",
        "<domain type='qemu'><name>screen</name><memory>1048576</memory><os><type>hvm</type></os>\
         <devices><graphics type='vnc' passwd='hunter3'/></devices></domain>\n",
    );
    xml(
        "qemu/networks/default.xml",
        "<network><name>default</name><forward mode='nat'/><bridge name='virbr0' stp='on' delay='0'/>\
         <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>\n",
    );
    fs::create_dir_all(folder.path().join("qemu/networks/autostart")).unwrap();
    symlink("/etc/libvirt/qemu/networks/default.xml", folder.path().join("qemu/networks/autostart/default.xml"))
        .unwrap();
    xml("qemu/networks/lab.xml", "<network><name>Lab LAN</name><bridge name='virbr1'/></network>\n");
    xml("qemu/networks/lab-2.xml", "<network><name>lab_lan</name><bridge name='virbr2'/></network>\n");
    xml("storage/fast.xml", "<pool type='dir'><name>fast_disks</name><target><path>/srv/fast</path></target></pool>\n");
    xml(
        "nwfilter/my_filter.xml",
        "<filter name='my_filter' chain='root'><filterref filter='no-mac-spoofing'/></filter>\n",
    );
    xml(
        "secrets/d7a2f3c4-0000-4000-8000-000000000001.xml",
        "<secret ephemeral='no' private='yes'><uuid>d7a2f3c4-0000-4000-8000-000000000001</uuid>\
         <usage type='ceph'><name>client.libvirt secret</name></usage></secret>\n",
    );
    write("secrets/d7a2f3c4-0000-4000-8000-000000000001.base64", "QVFDVm41aE82SHpGQWhBQQ==");
    xml(
        "qemu/snapshot/web/before.xml",
        "<domainsnapshot><name>before</name><state>shutoff</state><creationTime>1700000000</creationTime></domainsnapshot>\n",
    );
    write("qemu.conf", "# nothing\n");
    folder
}

fn convert(arguments: &[&str], folder: &Path) -> Output {
    Command::new(binary()).arg("convert").arg(folder).args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The object of a file that was written.
fn object(folder: &Path, file: &str) -> Object {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let manifests = manifest::read(&text).unwrap_or_else(|problems| panic!("{file}: {problems:?}"));
    manifests.into_iter().next().unwrap().object
}

#[test]
fn a_hosts_directory_becomes_manifests_that_apply() {
    let (given, made) = (etc_libvirt(), tempfile::tempdir().unwrap());
    let made = made.path().join("manifests");
    let output = convert(&["--out", made.to_str().unwrap(), "--namespace", "lab", "--host", "node-a"], given.path());
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "one document is refused: {told}");

    let validated = Command::new(binary()).args(["validate", "-f"]).arg(&made).output().unwrap();
    assert_eq!(validated.status.code(), Some(0), "{}", String::from_utf8_lossy(&validated.stdout));
    assert!(String::from_utf8_lossy(&validated.stderr).contains("7 objects are valid"), "{validated:?}");

    let Object::Domain(windows) = object(&made, "domain-windows-10.yaml") else { panic!("a domain") };
    let spec = serde_json::to_value(&windows.spec).unwrap();
    assert_eq!(windows.metadata.namespace.as_deref(), Some("lab"));
    assert_eq!(spec["domain"]["name"], "windows_10", "libvirt's name is kept where it is no legal one");
    assert_eq!(spec["runStrategy"], "Manual");
    assert_eq!(spec["placement"]["host"], "node-a");
    assert_eq!(spec["domain"]["devices"]["disks"][0]["source"]["volume"]["pool"], "fast-disks");
    assert_eq!(spec["domain"]["devices"]["disks"][0]["source"]["volume"]["volume"], "windows-10-qcow2");
    let interface = &spec["domain"]["devices"]["interfaces"][0];
    assert_eq!(interface["source"]["network"]["network"], "lab-lan");
    assert_eq!(interface["filterref"]["filter"], "my-filter");
    assert_eq!(interface["name"], "net0");
    let Object::Domain(web) = object(&made, "domain-web.yaml") else { panic!("a domain") };
    let spec = serde_json::to_value(&web.spec).unwrap();
    assert_eq!(
        (&spec["runStrategy"], &spec["domain"]["name"]),
        (&"Always".into(), &Value::Null),
        "it starts with the host"
    );

    let Object::Network(default) = object(&made, "network-default.yaml") else { panic!("a network") };
    let selector = serde_json::to_value(&default.spec.host_selector).unwrap();
    assert_eq!(selector["matchLabels"]["kubernetes.io/hostname"], "node-a", "it starts with the host");
    let Object::Network(lab) = object(&made, "network-lab-lan-2.yaml") else { panic!("a network") };
    assert_eq!(lab.spec.network.name, "lab_lan", "no two objects have one name");

    for line in [
        "windows_10.xml:12:3: /domain/future: this element is not known here",
        "<auth>: a password stands in no manifest",
        "the volume 'windows_10.qcow2' is not in this directory",
        "the filter 'no-mac-spoofing' is not in this directory",
        "no driver serves a NetworkFilter yet",
        "no driver serves a DomainSnapshot yet",
        "1 refused",
    ] {
        assert!(told.contains(line), "'{line}' is not told: {told}");
    }
    assert!(!made.join("domain-secretive.yaml").exists());
}

#[test]
fn a_secrets_value_goes_where_kubernetes_keeps_such() {
    let (given, made) = (etc_libvirt(), tempfile::tempdir().unwrap());
    convert(&["--out", made.path().to_str().unwrap()], given.path());
    let read = |file: &str| fs::read_to_string(made.path().join("later").join(file)).unwrap();
    let (document, secret) =
        (read("hypervisorsecret-client-libvirt-secret.yaml"), read("secret-client-libvirt-secret.yaml"));
    assert!(document.contains("secretKeyRef") && !document.contains("QVFDVm41"), "{document}");
    assert!(secret.contains("kind: Secret") && secret.contains("QVFDVm41aE82SHpGQWhBQQ=="), "{secret}");
    let mode = fs::metadata(made.path().join("later/secret-client-libvirt-secret.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let snapshot = read("domainsnapshot-web-before.yaml");
    assert!(snapshot.contains("domain: web") && snapshot.contains("name: before"), "{snapshot}");
    for entry in fs::read_dir(made.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        assert!(!fs::read_to_string(&entry).unwrap().contains("hunter"), "{}", entry.display());
    }
    let screen = fs::read_to_string(made.path().join("domain-screen.yaml")).unwrap();
    assert!(screen.contains("name: screen-secrets"), "{screen}");
    let kept = read("secret-screen-secrets.yaml");
    assert!(kept.contains("devices.graphics.graphics0.kind.vnc.passwd: hunter3"), "{kept}");
}

#[test]
fn without_a_folder_all_goes_to_standard_output() {
    let given = etc_libvirt();
    fs::remove_file(given.path().join("qemu/secretive.xml")).unwrap();
    let output = convert(&[], given.path());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(text.matches("\n---\n").count() + usize::from(text.starts_with("---\n")), 12, "{text}");
    // What can't be applied yet stands last.
    let served = text.split("apiVersion: v1\n").next().unwrap();
    assert!(served.find("kind: Domain\n").unwrap() < text.find("kind: NetworkFilter").unwrap());
    assert!(!text.contains("hostSelector") && told(&output).contains("--host says where it is"));
}

#[test]
fn what_is_unknown_fails_where_that_is_asked_and_an_empty_directory_always() {
    let given = etc_libvirt();
    fs::remove_file(given.path().join("qemu/secretive.xml")).unwrap();
    let strict = convert(&["--strict"], given.path());
    assert_eq!(strict.status.code(), Some(1));
    assert!(told(&strict).contains("refused: ") && told(&strict).contains("/domain/future"), "{}", told(&strict));
    let empty = tempfile::tempdir().unwrap();
    let output = convert(&[], empty.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("no XML file is below"), "{}", told(&output));
}
