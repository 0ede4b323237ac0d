//! A screen's password is given to the start, and nothing keeps it.

mod common;

use std::path::Path;

use common::Lab;
use ostler_conf::values::SecretKeyRef;
use ostler_driver::{Connection, Definition, Domains, Secrets, StartOptions};
use ostler_util::ErrorCode;

const HALTS: &[u8] = &[0xf4, 0xeb, 0xfd];
const PASSWORD: &[u8] = b"hunter2x";

/// Every file below the folder that holds the password.
fn holders(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holders(&path));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            found
                .extend(bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD).then(|| path.display().to_string()));
        }
    }
    found
}

#[test]
fn a_screens_password_is_used_and_kept_nowhere() {
    Lab::run("secret", |lab| async move {
        let driver = lab.open().await;
        let screen = "<graphics type='vnc' xmlns:ostler='https://ostler.dev/xmlns/domain/1.0' ostler:passwd='web/vnc'><listen type='socket'/></graphics>";
        let spec = lab.guest("secret", HALTS, screen);
        let uuid = spec.uuid.unwrap();
        driver.define(&spec).await.unwrap();
        let place = SecretKeyRef { name: "web".to_owned(), key: "vnc".to_owned() };
        let mut binary = Secrets::NONE;
        binary.insert(place.clone(), vec![0xff]);
        for secrets in [Secrets::NONE, binary] {
            let refused = driver.start(uuid, StartOptions { secrets, ..StartOptions::default() }).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::NoSecret, "{refused}");
            lab.assert_clean(uuid);
        }
        let mut secrets = Secrets::NONE;
        secrets.insert(place, PASSWORD.to_vec());
        driver.start(uuid, StartOptions { secrets, ..StartOptions::default() }).await.unwrap();
        let live = ostler_conf::format(&driver.definition(uuid, Definition::Live).await.unwrap());
        assert!(live.contains("ostler:passwd='web/vnc'") && !live.contains("hunter2x"), "{live}");
        let line = std::fs::read(format!("/proc/{}/cmdline", lab.pid(uuid))).unwrap();
        assert!(!String::from_utf8_lossy(&line).contains("hunter2x"));
        assert_eq!(holders(lab.path("").as_path()), Vec::<String>::new());
        // The next agent takes the guest back without it.
        driver.close().await.unwrap();
        drop(driver);
        let next = lab.open().await;
        assert!(next.get(uuid).await.unwrap().state.is_active());
        next.destroy(uuid).await.unwrap();
        lab.released(uuid).await;
    });
}
