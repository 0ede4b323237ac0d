//! A password from a Secret among the manifests to a guest's screen, and nowhere else.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use ostler_e2e::demo::{binary, delete, done, guest};
use ostler_e2e::host::Host;

const PORT: u16 = 5937;

/// The demo's guest, without disk and network, and with a screen that asks for a password.
fn locked_guest() -> String {
    let text = guest("");
    let (start, rest) = text.split_once("      disks:\n").unwrap();
    let (_, serials) = rest.split_once("      serials:\n").unwrap();
    let password = "{valueFrom: {secretKeyRef: {name: web, key: vnc}}}";
    let screen =
        format!("      graphics:\n      - {{name: screen, kind: {{vnc: {{port: {PORT}, passwd: {password}}}}}}}\n");
    format!("{start}{screen}      serials:\n{serials}")
}

fn secret(password: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: web}}\nstringData: {{vnc: {password}}}\n")
}

/// Whether the screen opens for the password: VNC's authentication (RFC 6143, 7.2.2).
fn opens(host: &Host, password: &str) -> bool {
    let key: [u8; 8] = std::array::from_fn(|at| password.as_bytes().get(at).copied().unwrap_or(0).reverse_bits());
    host.inside(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", PORT)).unwrap();
        let read = |stream: &mut std::net::TcpStream, count: usize| {
            let mut bytes = vec![0; count];
            stream.read_exact(&mut bytes).unwrap();
            bytes
        };
        assert!(read(&mut stream, 12).starts_with(b"RFB 003.008"));
        stream.write_all(b"RFB 003.008\n").unwrap();
        let count = read(&mut stream, 1)[0];
        assert_eq!(read(&mut stream, count.into()), [2], "a password, and nothing else");
        stream.write_all(&[2]).unwrap();
        let cipher = Des::new(&Array(key));
        let mut answer = Vec::new();
        for block in read(&mut stream, 16).chunks(8) {
            let mut block = Array(<[u8; 8]>::try_from(block).unwrap());
            cipher.encrypt_block(&mut block);
            answer.extend_from_slice(&block);
        }
        stream.write_all(&answer).unwrap();
        read(&mut stream, 4) == [0; 4]
    })
}

/// Every file below the folder that holds the text.
fn holders(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holders(&path, text));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            found.extend(bytes.windows(text.len()).any(|part| part == text.as_bytes()).then_some(path));
        }
    }
    found
}

#[test]
fn a_password_reaches_the_screen_and_nobody_else() {
    let mut host = Host::new(binary()).with_log("info,ostler=trace");
    host.install_guest();
    host.start_agent();
    host.apply("d.yaml", &locked_guest());
    host.wait_for("what is missing is told", |host| host.condition("domains", "hello", "Ready") == "False/Missing");
    let message = host.object("domains", "hello")["status"]["conditions"].to_string();
    let said = "domain.devices.graphics[screen].kind.vnc.passwd: there is no Secret 'web' in this namespace";
    assert!(message.contains(said), "{message}");

    host.apply("s.yaml", &secret("hunter2x"));
    host.wait_for("it runs", |host| host.status("hello", "/phase") == "Running");
    assert!(!opens(&host, "hunter2y") && opens(&host, "hunter2x"));
    host.wait_for("an open file is told", |host| told(host).contains("s.yaml: others may read the Secrets in it"));
    std::fs::set_permissions(host.path("m/s.yaml"), PermissionsExt::from_mode(0o600)).unwrap();
    host.wait_for("and it is mended", |host| {
        told(host).contains("AllAccepted") && !told(host).contains("others may read")
    });

    let [pid] = host.guests()[..] else { panic!("one guest: {:?}", host.guests()) };
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&line).contains("hunter2x"));
    let (code, shown) = host.ostler(&["get", "dom", "hello", "-o", "yaml"]);
    assert!(code == 0 && shown.contains("secretKeyRef") && !shown.contains("hunter2x"), "{shown}");
    let noted = || {
        let found = holders(&host.path(""), "hunter2x");
        found.into_iter().filter(|path| !path.starts_with(host.path("m"))).collect::<Vec<_>>()
    };
    // In the noted file it is in base64.
    assert_eq!(noted(), Vec::<PathBuf>::new());
    assert_eq!(holders(&host.path("r"), "hunter2x"), Vec::<PathBuf>::new());
    let [file] = &holders(&host.path(""), "aHVudGVyMng=")[..] else { panic!("one file") };
    assert!(file.starts_with(host.path("s/secrets")), "{}", file.display());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    let file = file.clone();

    // The next agent needs nothing for a guest that runs; another text waits for its restart.
    host.kill_agent();
    host.start_agent();
    host.apply("s.yaml", &secret("hunter3x"));
    let pending = |host: &Host| host.status("hello", "/pendingChanges/0/path");
    let path = "domain.devices.graphics[screen].kind.vnc.passwd";
    host.wait_for("the change waits", |host| pending(host) == path);
    assert_eq!(host.guests(), [pid]);
    assert!(opens(&host, "hunter2x"));
    done(&host, "restart");
    host.wait_for("nothing waits", |host| pending(host).is_null() && host.status("hello", "/phase") == "Running");
    assert!(!opens(&host, "hunter2x") && opens(&host, "hunter3x"));
    assert!(!host.log().contains("hunter"), "{}", host.log());

    delete(&host, "dom", "hello");
    assert!(!file.exists());
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

/// What the agent tells of its host.
fn told(host: &Host) -> String {
    host.ostler(&["get", "host", "-o", "yaml"]).1
}
