//! `ostler convert --to qemu-argv`: the command line that a guest's QEMU would be started with.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use ostler_conf::Domain;
use ostler_crds::Object;
use ostler_driver_cpu::CpuDriver;
use ostler_driver_qemu::offline::command_line::CommandLine;
use ostler_driver_qemu::offline::stand_ins::Folders;
use ostler_driver_qemu::offline::{self, Setting};
use ostler_driver_qemu::{Capabilities, Settings};
use uuid::Uuid;

use super::super::{Format, Outcome, Place, documents, out};
use super::{ConvertArgs, valid_manifests};

#[derive(Debug, Args)]
pub(super) struct CommandLineArgs {
    /// What the emulator can do, for --to qemu-argv: libvirt's saved capabilities (/var/cache/libvirt/qemu/capabilities/*.xml), or
    /// those that an agent keeps (STATE/qemu/probes/capabilities-*.json); absent: the installed emulator is asked
    #[arg(long, value_name = "FILE")]
    capabilities: Option<PathBuf>,
    /// Folder of the descriptors of installed firmware, for --to qemu-argv; absent: this host's
    #[arg(long, value_name = "DIR")]
    firmware: Option<PathBuf>,
    /// The words of the command line as data, its environment first
    #[arg(short, long)]
    output: Option<Format>,
}

/// Prints a line for each guest of `text`.
pub(super) fn run(args: &ConvertArgs, place: &Place, file: &str, text: &str) -> Outcome {
    let folders = Folders { state: place.state_dir.clone(), run: place.run_dir.clone() };
    for definition in definitions(args, file, text)? {
        let setting = setting(&args.command_line, &definition)?;
        let line = setting.command_line(&definition, &folders, &CpuDriver);
        let line = line.with_context(|| format!("{file}: the guest '{}'", definition.name))?;
        let words = words(line);
        out::print(&match args.command_line.output {
            Some(Format::Json) => out::json(&words)?,
            Some(Format::Yaml) => out::yaml(&words)?,
            None => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ") + "\n",
        })?;
    }
    Ok(0)
}

/// The guests of a document, or of manifests.
fn definitions(args: &ConvertArgs, file: &str, text: &str) -> anyhow::Result<Vec<Domain>> {
    if documents::is_xml(text) {
        let parsed = ostler_conf::parse::<Domain>(text).with_context(|| file.to_owned())?;
        if args.strict {
            parsed.unknown.is_empty().then_some(()).with_context(|| format!("{file}: {}", parsed.unknown[0]))?;
        }
        let mut domain = parsed.value;
        domain.uuid =
            Some(domain.identity().unwrap_or_else(|| Uuid::new_v5(&Uuid::NAMESPACE_URL, domain.name.as_bytes())));
        return Ok(vec![domain]);
    }
    let manifests = valid_manifests(file, text)?;
    let definition = |object: &Object| match object {
        Object::Domain(domain) => Ok(ostler::reconcile::preview(object, domain, "", |_| None)),
        other => bail!("{file}: a {} has no command line: only a Domain has", other.kind()),
    };
    manifests.iter().map(|manifest| definition(&manifest.object)).collect()
}

/// The emulator that a definition uses, and the host's firmware.
fn setting(args: &CommandLineArgs, definition: &Domain) -> anyhow::Result<Setting> {
    let named = definition.devices.emulator.as_ref().map(PathBuf::from);
    let (emulator, capabilities) = match &args.capabilities {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
            let found = offline::read_capabilities(&text).with_context(|| file.display().to_string())?;
            (named.unwrap_or_else(|| PathBuf::from(&found.emulator)), found)
        }
        None => {
            let emulator = named.unwrap_or_else(|| offline::emulator(definition));
            let found = offline::ask(&emulator)?;
            (emulator, found)
        }
    };
    let firmware = offline::firmware(args.firmware.as_deref());
    let settings = Settings { firmware, ..Settings::default() };
    Ok(Setting {
        emulator,
        kvm: has_kvm(&capabilities),
        capabilities: Arc::new(capabilities),
        settings: Arc::new(settings),
    })
}

fn has_kvm(capabilities: &Capabilities) -> bool {
    capabilities.best_accelerator() == ostler_driver_qemu::Accelerator::Kvm
}

/// The environment and what is run, as `env` takes them.
fn words(line: CommandLine) -> Vec<String> {
    let env = line.env.into_iter().map(|(name, value)| format!("{name}={value}"));
    env.chain(line.args).collect()
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let (name, value) = match word.split_once('=') {
        // Quotes around the name would make it no assignment.
        Some((name, value)) if is_name(name) => (format!("{name}="), value),
        _ => (String::new(), word),
    };
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=,./:+@%^".contains(letter);
    if (!value.is_empty() || !name.is_empty()) && value.chars().all(is_plain) {
        return name + value;
    }
    format!("{name}'{}'", value.replace('\'', r"'\''"))
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libvirt would have saved of an emulator that can little.
    const SAVED: &str = "<qemuCaps><emulator>/usr/bin/qemu-system-x86_64</emulator><qemuctime>0</qemuctime><selfctime>0</selfctime>\
        <selfvers>0</selfvers><flag name='ich9-ahci'/><flag name='ioh3420'/><flag name='pcie-root-port'/><flag name='virtio-blk'/>\
        <flag name='virtio-net'/><flag name='device.json+hotplug'/>\
        <version>10000000</version><microcodeVersion>0</microcodeVersion><package/><arch>x86_64</arch>\
        <cpu type='tcg' name='qemu64' typename='qemu64-x86_64-cpu' usable='yes'/>\
        <machine type='tcg' name='pc-q35-10.0' alias='q35' hotplugCpus='yes' maxCpus='288' defaultCPU='qemu64-x86_64-cpu' numaMemSupported='yes' default='yes' defaultRAMid='pc.ram'/>\
        </qemuCaps>";

    fn line(devices: &str) -> Vec<String> {
        let text = format!(
            "<domain type='qemu'><name>g</name><memory>65536</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>\
             <devices>{devices}<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"
        );
        let capabilities = Arc::new(offline::read_capabilities(SAVED).unwrap());
        let setting =
            Setting { emulator: "/q".into(), capabilities, kvm: false, settings: Arc::new(Settings::default()) };
        let folders = Folders { state: "/s".into(), run: "/r".into() };
        let mut definition = ostler_conf::parse::<Domain>(&text).unwrap().value;
        definition.uuid = Some(Uuid::from_u128(7));
        let made = words(setting.command_line(&definition, &folders, &CpuDriver).unwrap());
        assert_eq!(made, words(setting.command_line(&definition, &folders, &CpuDriver).unwrap()), "it is pure");
        made
    }

    fn value<'a>(words: &'a [String], part: &str) -> &'a str {
        words.iter().find(|word| word.contains(part)).unwrap_or_else(|| panic!("no {part} in {words:?}"))
    }

    #[test]
    fn what_a_start_would_open_is_played() {
        let words = line(
            "<disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vda' bus='virtio'/></disk>\
             <interface type='network'><source network='n'/><model type='virtio'/></interface>\
             <serial type='unix'><source mode='bind' path='/x'/></serial>",
        );
        assert_eq!(words[0], "LC_ALL=C");
        assert!(value(&words, "\"filename\"").contains("/s/pools/p/v"), "{words:?}");
        assert!(value(&words, "id=charmonitor").contains("fd=3"), "{words:?}");
        assert!(value(&words, "hostnet0").starts_with("tap,fd=4,"), "{words:?}");
        assert!(value(&words, "id=charserial0").contains("fd=6"), "{words:?}");
        assert!(value(&words, "master-key").contains("/r/qemu/00000000-0000-0000-0000-000000000007/master-key.aes"));
    }

    #[test]
    fn no_secret_is_shown() {
        let words = line(
            "<disk type='network' device='disk'><source protocol='https' name='i'><host name='h'/>\
             <cookies><cookie name='session'>hunter2</cookie></cookies></source><target dev='vda' bus='virtio'/></disk>",
        );
        let secret: serde_json::Value = serde_json::from_str(value(&words, "httpcookie")).unwrap();
        assert_eq!(secret["data"], "SECRET", "{words:?}");
    }

    #[test]
    fn a_shell_reads_the_words_that_there_are() {
        for (word, shown) in [
            ("-S", "-S"),
            ("PATH=/bin", "PATH=/bin"),
            ("A=", "A="),
            ("A=b c", "A='b c'"),
            ("", "''"),
            ("{\"a\":1}", "'{\"a\":1}'"),
            ("it's", r"'it'\''s'"),
            ("guest=a b,x=1", "guest='a b,x=1'"),
            ("a b=c", "'a b=c'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
