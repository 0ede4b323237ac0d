//! What an emulator's abilities depend on besides itself: the processor, KVM, and the emulator's own modules.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Folders in which distributions keep QEMU's modules. One that is installed later adds devices.
const MODULE_FOLDERS: &[&str] = &[
    "/usr/lib/qemu",
    "/usr/lib64/qemu",
    "/usr/lib64/qemu-kvm",
    "/usr/lib/x86_64-linux-gnu/qemu",
    "/usr/lib/aarch64-linux-gnu/qemu",
    "/usr/lib/powerpc64le-linux-gnu/qemu",
    "/usr/lib/riscv64-linux-gnu/qemu",
    "/usr/lib/s390x-linux-gnu/qemu",
];

/// What tells one host, and one state of it, from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HostState {
    /// The processor and the options of KVM's modules, in short.
    processor: Uuid,
    /// Who may use KVM: mode, owner, group. Absent where there is none.
    kvm: Option<(u32, u32, u32)>,
    /// When the folders of QEMU's modules changed.
    modules: Vec<i64>,
}

impl HostState {
    /// The host as it is now.
    ///
    /// # Caveats
    /// The processor and the options of KVM's modules are read once: what is loaded anew later counts with the next start.
    pub(super) fn now() -> Self {
        static PROCESSOR: OnceLock<Uuid> = OnceLock::new();
        let processor = *PROCESSOR.get_or_init(|| {
            let text = format!("{}{}", processor(&cpuinfo()), module_options(Path::new("/sys/module")));
            Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
        });
        let kvm = fs::metadata("/dev/kvm").ok().map(|kvm| (kvm.mode(), kvm.uid(), kvm.gid()));
        let modules = MODULE_FOLDERS.iter().filter_map(|folder| Some(fs::metadata(folder).ok()?.mtime()));
        HostState { processor, kvm, modules: modules.collect() }
    }
}

/// The version of the processor's microcode; 0 where there is none.
pub(super) fn microcode() -> u32 {
    microcode_of(&cpuinfo())
}

fn cpuinfo() -> String {
    fs::read_to_string("/proc/cpuinfo").unwrap_or_default()
}

fn microcode_of(cpuinfo: &str) -> u32 {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "microcode").then(|| u32::from_str_radix(value.trim().trim_start_matches("0x"), 16).ok())?
    };
    cpuinfo.lines().find_map(value).unwrap_or_default()
}

/// What stays the same of the first processor.
fn processor(cpuinfo: &str) -> String {
    let changes = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(name.as_str(), "cpu mhz" | "bogomips")
    };
    let first = cpuinfo.lines().take_while(|line| !line.trim().is_empty());
    first.filter(|line| !changes(line)).map(|line| format!("{line}\n")).collect()
}

/// The options of the modules that KVM has for the processor, such as whether guests can have guests.
fn module_options(modules: &Path) -> String {
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.path()).collect();
        names.sort();
        names
    };
    let is_kvm = |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"kvm_"));
    let mut text = String::new();
    for module in names(modules).into_iter().filter(|path| is_kvm(path)) {
        for option in names(&module.join("parameters")) {
            // Some can only be written.
            let value = fs::read_to_string(&option).unwrap_or_default();
            text.push_str(&format!("{}={}\n", option.display(), value.trim()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str =
        "processor\t: 0\nmodel\t\t: 1\nmicrocode\t: 0x1000065\ncpu MHz\t\t: 2445.4\n\nprocessor\t: 1\n";

    #[test]
    fn a_processor_is_known_by_what_stays() {
        assert_eq!(processor(CPUINFO), "processor\t: 0\nmodel\t\t: 1\nmicrocode\t: 0x1000065\n");
        assert_eq!(processor(CPUINFO), processor(&CPUINFO.replace("2445.4", "1996.2")));
        assert_ne!(processor(CPUINFO), processor(&CPUINFO.replace("0x1000065", "0x1000066")));
        assert_eq!((microcode_of(CPUINFO), microcode_of("")), (0x100_0065, 0));
    }

    #[test]
    fn options_of_kvms_modules_count() {
        let modules = tempfile::tempdir().unwrap();
        let write = |module: &str, value: &str| {
            let folder = modules.path().join(module).join("parameters");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("nested"), value).unwrap();
        };
        write("kvm_amd", "0\n");
        write("other", "0\n");
        let before = module_options(modules.path());
        write("other", "1\n");
        assert_eq!(module_options(modules.path()), before);
        write("kvm_amd", "1\n");
        assert_ne!(module_options(modules.path()), before);
    }

    #[test]
    fn a_host_that_did_not_change_is_the_same() {
        assert_eq!(HostState::now(), HostState::now());
    }
}
