//! What an emulator tells of its guests under one accelerator: machine types, CPU models, the host's CPU.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::capabilities::{Cpu, CpuProperty, CpuValue, HostCpu, Hyperv, Machine};
use super::flags::{Flag, Flags};
use super::link::{AskError, Monitor};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MachineAnswer {
    name: String,
    alias: Option<String>,
    #[serde(default)]
    is_default: bool,
    #[serde(default)]
    cpu_max: u32,
    #[serde(default)]
    hotpluggable_cpus: bool,
    default_cpu_type: Option<String>,
    #[serde(default)]
    numa_mem_supported: bool,
    default_ram_id: Option<String>,
    #[serde(default)]
    deprecated: bool,
    acpi: Option<bool>,
}

/// The machine type, by name or alias, that libvirt takes for an architecture where none is named. For others it is QEMU's.
const PREFERRED_MACHINES: &[(&str, &str)] = &[
    ("aarch64", "virt"),
    ("armv7l", "virt"),
    ("i686", "pc"),
    ("ppc64", "pseries"),
    ("riscv32", "virt"),
    ("riscv64", "virt"),
    ("s390x", "s390-ccw-virtio"),
    ("x86_64", "pc"),
];

/// Machine types, first that which is taken where none is named. `none` is no machine for a guest.
pub(super) fn machines(monitor: &mut Monitor<'_>, arch: &str) -> Result<Vec<Machine>, AskError> {
    let answers: Vec<MachineAnswer> = monitor.ask("query-machines")?;
    let machine = |answer: MachineAnswer| Machine {
        name: answer.name,
        alias: answer.alias,
        is_default: answer.is_default,
        max_cpus: answer.cpu_max,
        hotplug_cpus: answer.hotpluggable_cpus,
        default_cpu: answer.default_cpu_type,
        numa_mem_supported: answer.numa_mem_supported,
        default_ram_id: answer.default_ram_id,
        deprecated: answer.deprecated,
        acpi: answer.acpi,
    };
    let mut machines: Vec<Machine> = answers.into_iter().filter(|answer| answer.name != "none").map(machine).collect();
    let preferred = PREFERRED_MACHINES.iter().find(|(of, _)| *of == arch).and_then(|(_, name)| {
        machines.iter().position(|machine| machine.name == *name || machine.alias.as_deref() == Some(name))
    });
    let first = preferred.or_else(|| machines.iter().position(|machine| machine.is_default));
    if let Some(first) = first {
        machines[..=first].rotate_right(1);
    }
    Ok(machines)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CpuAnswer {
    name: String,
    typename: Option<String>,
    unavailable_features: Option<Vec<String>>,
    #[serde(default)]
    deprecated: bool,
}

/// QEMU's names of CPU models that libvirt spells otherwise, on ppc64.
const RENAMED_CPUS: &[(&str, &str)] = &[
    ("power6", "POWER6"),
    ("power7", "POWER7"),
    ("power8", "POWER8"),
    ("power9", "POWER9"),
    ("power10", "POWER10"),
    ("power11", "POWER11"),
];

/// CPU models; none where QEMU can't tell.
pub(super) fn cpus(monitor: &mut Monitor<'_>, arch: &str, flags: &Flags) -> Result<Vec<Cpu>, AskError> {
    if !flags.contains(Flag::QueryCpuDefinitions) {
        return Ok(Vec::new());
    }
    let answers: Option<Vec<CpuAnswer>> = monitor.try_ask("query-cpu-definitions", None)?;
    let is_renamed = arch.starts_with("ppc");
    let cpu = |CpuAnswer { name, typename, unavailable_features, deprecated }: CpuAnswer| {
        let renamed = RENAMED_CPUS.iter().find(|(known, _)| is_renamed && name == *known);
        Cpu {
            name: renamed.map_or(name, |(_, libvirts)| (*libvirts).to_owned()),
            type_name: typename.filter(|name| !name.is_empty()),
            usable: unavailable_features.as_ref().map(Vec::is_empty),
            blockers: unavailable_features.unwrap_or_default(),
            deprecated,
        }
    };
    Ok(answers.unwrap_or_default().into_iter().map(cpu).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Expansion {
    model: Model,
    #[serde(default)]
    deprecated_props: Vec<String>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    #[serde(default)]
    props: Map<String, Value>,
}

/// How an architecture's CPU is expanded, and whether it tells what can migrate.
fn expansion_of(arch: &str) -> (&'static str, bool) {
    match arch {
        "x86_64" | "i686" => ("static", true),
        "aarch64" | "armv7l" => ("full", false),
        _ => ("static", false),
    }
}

/// The host's CPU as guests see `model`: `host` or `max`.
pub(super) fn host_cpu(
    monitor: &mut Monitor<'_>,
    arch: &str,
    flags: &Flags,
    model: &str,
) -> Result<Option<HostCpu>, AskError> {
    if !flags.contains(Flag::QueryCpuModelExpansion) {
        return Ok(None);
    }
    let mut expand = |kind: &str, model: Value| -> Result<Option<Expansion>, AskError> {
        monitor.try_ask("query-cpu-model-expansion", Some(json!({ "type": kind, "model": model })))
    };
    let (kind, tells_migratability) = expansion_of(arch);
    let Some(mut found) = expand(kind, json!({ "name": model }))? else { return Ok(None) };
    let whole = if tells_migratability {
        expand(kind, json!({ "name": model, "props": { "migratable": false } }))?
    } else {
        None
    };
    // Only the full model names all features that are about to go.
    if kind == "static" && flags.contains(Flag::QueryCpuModelExpansionDeprecatedProps) && arch == "s390x" {
        if let Some(full) = expand("full", json!({ "name": model }))? {
            found.deprecated_props = full.deprecated_props;
        }
    }
    let tells_migratability = whole.is_some();
    let (properties, migratable) = match whole {
        Some(whole) => (whole.model.props, Some(found.model.props)),
        None => (found.model.props, None),
    };
    let property = |(name, value): (String, Value)| {
        let is_on = value == Value::Bool(true);
        let value = match value {
            Value::Bool(value) => CpuValue::Boolean(value),
            Value::Number(number) => CpuValue::Number(number.as_i64()?),
            Value::String(text) => CpuValue::Text(text),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let migratable =
            migratable.as_ref().filter(|_| is_on).map(|model| model.get(&name) == Some(&Value::Bool(true)));
        Some(CpuProperty { name, value, migratable })
    };
    Ok(Some(HostCpu {
        model: found.model.name,
        tells_migratability,
        properties: properties.into_iter().filter_map(property).collect(),
        deprecated: found.deprecated_props,
    }))
}

/// libvirt's words for what a guest can see of Hyper-V, and QEMU's properties.
const HYPERV: &[(&str, &str)] = &[
    ("relaxed", "hv-relaxed"),
    ("vapic", "hv-vapic"),
    ("spinlocks", "hv-spinlocks"),
    ("vpindex", "hv-vpindex"),
    ("runtime", "hv-runtime"),
    ("synic", "hv-synic"),
    ("stimer", "hv-stimer"),
    ("reset", "hv-reset"),
    ("vendor_id", "hv-vendor-id"),
    ("frequencies", "hv-frequencies"),
    ("reenlightenment", "hv-reenlightenment"),
    ("tlbflush", "hv-tlbflush"),
    ("ipi", "hv-ipi"),
    ("evmcs", "hv-evmcs"),
    ("avic", "hv-avic"),
    ("emsr_bitmap", "hv-emsr-bitmap"),
    ("xmm_input", "hv-xmm-input"),
];

/// What guests can see of Hyper-V; a switch is told where it can be on, a number or a text where there is one.
pub(super) fn hyperv(monitor: &mut Monitor<'_>, arch: &str, flags: &Flags) -> Result<Option<Hyperv>, AskError> {
    let may_have = matches!(arch, "x86_64" | "i686" | "aarch64" | "armv7l");
    if !may_have || !flags.contains(Flag::QueryCpuModelExpansion) {
        return Ok(None);
    }
    let model = json!({ "name": "host", "props": { "migratable": false, "hv-passthrough": true } });
    let arguments = json!({ "type": "full", "model": model });
    let found: Option<Expansion> = monitor.try_ask("query-cpu-model-expansion", Some(arguments))?;
    let props = found.map(|found| found.model.props).unwrap_or_default();
    let can_be = |property: &str| props.get(property).is_some_and(|value| *value != Value::Bool(false));
    let features = HYPERV.iter().filter(|(_, property)| can_be(property)).map(|(word, _)| (*word).to_owned());
    let features: Vec<String> = features.collect();
    Ok((!features.is_empty()).then_some(Hyperv { supported: true, features }))
}
