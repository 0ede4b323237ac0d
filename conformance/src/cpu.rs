//! Suites of CPU models.

use std::collections::HashMap;

use ostler_conf::domain::{Cpu, CpuCheck, CpuFeaturePolicy};
use ostler_conf::xml::{Document, Element as _, Reader, Writer};
use ostler_conf::{Domain, parse};
use ostler_driver::{
    BaselineOptions, Comparison, CpuSignature, Cpus as _, Error, HostCpu, OfferedModel, Property, RemovedFeatures,
};
use ostler_driver_cpu::{CpuDriver, guest, x86};
use serde_json::Value;

use super::case::{Case, Outcome, Verdict};
use super::compare::same_text;

/// Judges by the case's kind.
pub(super) fn judge(case: &Case) -> Verdict {
    match case.param("kind").as_str().unwrap_or_default() {
        "compare" => compare(case),
        "update" => update(case),
        "guest-cpu" => guest_cpu(case),
        "baseline" => {
            let input = case.input()?;
            let cpus = Document::parse(&input).map_err(text)?;
            let cpus = Reader::root(&cpus).children("cpu").map(|cpu| host(&cpu)).collect::<Result<Vec<_>, _>>()?;
            baseline(case, &cpus.iter().map(HostCpu::as_cpu).collect::<Vec<_>>(), &cpus)
        }
        "baseline-of-cpuid-json" => {
            let files = case.param("cpu_files").as_array().into_iter().flatten().filter_map(Value::as_str);
            let cpus = files.map(|file| guest_document(&case.data_text(file)?)).collect::<Result<Vec<_>, _>>()?;
            baseline(case, &cpus, &[])
        }
        "has-feature" => {
            let feature = case.param("feature").as_str().unwrap_or_default();
            let has = x86::has_feature(&host_document(&case.input()?)?, feature).map_err(text)?;
            same_value(case, &Value::from(has))
        }
        "validate-features" => {
            let result = CpuDriver.check_features(&arch(case), &guest_document(&case.input()?)?);
            refusal_or(case, result.map(|()| String::new()))
        }
        "cpuid-to-host-cpu" => {
            let host = x86::describe(&registers(&case.input()?)?);
            refusal_or(case, host.map(|host| write_host(&host)))
        }
        "cpuid-to-guest-cpu" => {
            let offered = offered(case, "json")?;
            refusal_or(case, guest(&registers(&case.input()?)?, offered.as_deref()).map(|cpu| write(&cpu)))
        }
        "cpuid-signature" => signature(case, registers(&case.input()?)?.signature()),
        "qmp-json-to-guest-cpu" => {
            let offered = offered(case, "")?;
            let documents = replies(&case.input()?)?;
            let properties = properties(&documents)?;
            let cpu = CpuDriver.described(&arch(case), &properties, offered.as_deref());
            refusal_or(case, cpu.map(|cpu| write(&cpu)))
        }
        "qmp-json-signature" => {
            let documents = replies(&case.input()?)?;
            let data = x86::CpuData::from_properties(&properties(&documents)?);
            signature(case, data.signature())
        }
        "update-live" => update_live(case),
        other => Err(format!("the kind '{other}' is not known")),
    }
}

fn compare(case: &Case) -> Verdict {
    let host = host_document(&case.input()?)?;
    let other = case.further_input("cpu")?;
    let is_of_host = is_host(&other)?;
    let result = if is_of_host {
        let other = host_document(&other)?;
        let is_same_arch = other.arch == host.arch;
        if is_same_arch { CpuDriver.compare(&host, &other.as_cpu()) } else { Ok(Comparison::Incompatible) }
    } else {
        CpuDriver.compare(&host, &guest_document(&other)?)
    };
    match result {
        Ok(found) => same_value(case, &Value::from(word(found))),
        Err(_) if case.outcome() != Outcome::Accepted => Ok(None),
        Err(error) => Err(format!("refused: {error}")),
    }
}

fn update(case: &Case) -> Verdict {
    let host = CpuDriver.migratable(&host_document(&case.input()?)?);
    let mut cpu = guest_document(&case.further_input("cpu")?)?;
    let result = CpuDriver.update(&mut cpu, &host, RemovedFeatures::Required);
    refusal_or(case, result.map(|()| write(&cpu)))
}

fn guest_cpu(case: &Case) -> Verdict {
    let host = host_document(&case.input()?)?;
    let mut cpu = guest_document(&case.further_input("cpu")?)?;
    let names = case.param("hypervisor_models").as_array();
    let offered = names.map(|names| {
        let model =
            |name: &Value| OfferedModel { name: name.as_str().unwrap_or_default().to_owned(), ..Default::default() };
        names.iter().map(model).collect::<Vec<_>>()
    });
    let run = |cpu: &mut Cpu| -> Result<String, Error> {
        if CpuDriver.compare(&host, cpu)? == Comparison::Incompatible {
            return Err(Error::new(ostler_conf::ErrorCode::CpuIncompatible, "the host can't give it"));
        }
        CpuDriver.update(cpu, &host, RemovedFeatures::Required)?;
        CpuDriver.translate(&host.arch, cpu, offered.as_deref())?;
        Ok(write(cpu))
    };
    refusal_or(case, run(&mut cpu))
}

fn baseline(case: &Case, cpus: &[Cpu], hosts: &[HostCpu]) -> Verdict {
    let flag = |name: &str| case.param(name) == &Value::Bool(true);
    let options = BaselineOptions { offered: None, expand: flag("expand_features"), migratable: flag("migratable") };
    let result = CpuDriver.baseline(&arch(case), cpus, options);
    if let Ok(found) = &result {
        for host in hosts {
            if CpuDriver.compare(host, found).map_err(text)? == Comparison::Incompatible {
                return Err(format!("one of the CPUs can't give its baseline: {}", write(found)));
            }
        }
    }
    refusal_or(case, result.map(|cpu| write(&cpu)))
}

fn update_live(case: &Case) -> Verdict {
    let arch = arch(case);
    let mut cpu = guest_document(&case.input()?)?;
    let mut expected = guest_document(&case.expected_xml()?.ok_or("the case expects no document")?)?;
    let data = |name: &str| registers(&case.further_input(name)?);
    let (enabled, disabled) = (data("enabled")?, data("disabled")?);
    // Without a signature that a model has, the two may have been found by other models.
    let name = |cpu: &Cpu| cpu.model.as_ref().and_then(|model| model.name.clone()).unwrap_or_default();
    if name(&cpu) != name(&expected) {
        if let Some(model) = &mut cpu.model {
            model.fallback = None;
        }
        let offered = [OfferedModel { name: name(&expected), ..OfferedModel::default() }];
        CpuDriver.translate(&arch, &mut cpu, Some(&offered)).map_err(text)?;
    }
    cpu.check = Some(CpuCheck::Partial);
    let features = |data: &x86::CpuData| data.features().map(Property::Feature).collect::<Vec<_>>();
    CpuDriver.update_live(&arch, &mut cpu, &features(&enabled), &features(&disabled)).map_err(text)?;
    x86::expand(&mut cpu).map_err(text)?;
    x86::expand(&mut expected).map_err(text)?;
    let policies = |cpu: &Cpu| -> HashMap<String, bool> {
        let is_on = |policy| policy != Some(CpuFeaturePolicy::Disable);
        cpu.features.iter().map(|feature| (feature.name.clone(), is_on(feature.policy))).collect()
    };
    let (ours, theirs) = (policies(&cpu), policies(&expected));
    let mut names: Vec<_> = ours.keys().chain(theirs.keys()).collect();
    names.sort();
    for feature in names {
        match (ours.get(feature), theirs.get(feature)) {
            (Some(false), None) => {}
            (ours, theirs) if ours == theirs => {}
            (ours, theirs) => return Err(format!("{feature}: expected {theirs:?}, got {ours:?}")),
        }
    }
    if name(&cpu) == name(&expected) { Ok(None) } else { Err(format!("the model is {}", name(&cpu))) }
}

fn signature(case: &Case, signature: Option<CpuSignature>) -> Verdict {
    let CpuSignature { family, model, stepping } = signature.ok_or("no signature")?;
    let (family_base, family_more) = (family.min(15), family.saturating_sub(15));
    let eax = family_more << 20 | (model >> 4) << 16 | family_base << 8 | (model & 0xf) << 4 | stepping;
    let line = |what: &str, value: u32| format!("{what:<9}{value:>4} (0x{value:02x})\n");
    let produced =
        format!("{eax:06x}\n{}{}{}", line("family:", family), line("model:", model), line("stepping:", stepping));
    match case.expected_file("sig")? {
        Some(expected) => same_text(&expected, &produced),
        None => Ok(None),
    }
}

fn same_value(case: &Case, found: &Value) -> Verdict {
    let expected = case.expected_value();
    if found == expected { Ok(None) } else { Err(format!("expected {expected}, got {found}")) }
}

fn refusal_or(case: &Case, result: Result<String, Error>) -> Verdict {
    match (case.outcome(), result) {
        (Outcome::Accepted, Err(error)) => Err(format!("refused: {error}")),
        (_, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Ok(produced)) => match case.expected_xml()? {
            Some(expected) => same_text(&expected, &produced),
            None => Ok(None),
        },
    }
}

fn word(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Incompatible => "incompatible",
        Comparison::Identical => "identical",
        Comparison::Superset => "superset",
    }
}

fn arch(case: &Case) -> String {
    case.param("arch").as_str().unwrap_or_default().to_owned()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A host's CPU names its architecture, a guest's does not.
fn is_host(document: &str) -> Result<bool, String> {
    let document = Document::parse(document).map_err(text)?;
    Ok(Reader::root(&document).child("arch").is_some())
}

fn host_document(document: &str) -> Result<HostCpu, String> {
    let document = Document::parse(document).map_err(text)?;
    host(&Reader::root(&document))
}

fn host(cpu: &Reader<'_>) -> Result<HostCpu, String> {
    let word = |name: &str| cpu.child(name).map(|child| child.raw_text().to_owned());
    let features = cpu.children("feature").filter_map(|feature| feature.attr_text("name").map(str::to_owned));
    Ok(HostCpu {
        arch: word("arch").unwrap_or_default(),
        model: word("model"),
        vendor: word("vendor"),
        signature: None,
        features: features.collect(),
    })
}

/// A guest's CPU, as it stands in a guest.
fn guest_document(cpu: &str) -> Result<Cpu, String> {
    let document =
        format!("<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os>{cpu}</domain>");
    let mut domain = parse::<Domain>(&document).map_err(text)?.value;
    domain.complete();
    domain.cpu.ok_or_else(|| "no <cpu>".to_owned())
}

fn write(cpu: &Cpu) -> String {
    let mut writer = Writer::default();
    writer.element("cpu", true, |writer| {
        cpu.attrs(writer);
        cpu.body(writer);
    });
    writer.finish()
}

fn write_host(host: &HostCpu) -> String {
    let mut writer = Writer::default();
    writer.element("cpu", true, |writer| {
        let named = [("arch", Some(&host.arch)), ("model", host.model.as_ref()), ("vendor", host.vendor.as_ref())];
        for (name, value) in named {
            if let Some(value) = value {
                writer.element(name, true, |writer| writer.text(value));
            }
        }
        if let Some(CpuSignature { family, model, stepping }) = host.signature {
            writer.element("signature", true, |writer| {
                [("family", family), ("model", model), ("stepping", stepping)]
                    .iter()
                    .for_each(|(name, value)| writer.attr(name, value));
            });
        }
        for feature in &host.features {
            writer.element("feature", true, |writer| writer.attr("name", feature));
        }
    });
    writer.finish()
}

/// What `<cpudata>` says.
fn registers(document: &str) -> Result<x86::CpuData, String> {
    let document = Document::parse(document).map_err(text)?;
    let number = |reader: &Reader<'_>, name: &str| {
        let text = reader.attr_text(name).unwrap_or("0x0");
        u32::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|error| format!("{name}='{text}': {error}"))
    };
    let (mut cpuid, mut msr) = (HashMap::new(), HashMap::new());
    for item in Reader::root(&document).all_children() {
        let register = |name| number(&item, name);
        if item.is_named("cpuid") {
            let value = [register("eax")?, register("ebx")?, register("ecx")?, register("edx")?];
            cpuid.insert((register("eax_in")?, register("ecx_in")?), value);
        } else {
            msr.insert(register("index")?, u64::from(register("edx")?) << 32 | u64::from(register("eax")?));
        }
    }
    let cpuid = |leaf, subleaf| cpuid.get(&(leaf, subleaf)).copied();
    Ok(x86::CpuData::from_registers(cpuid, |index| msr.get(&index).copied()))
}

/// What QEMU returned, one reply after the other.
fn replies(json: &str) -> Result<Vec<Value>, String> {
    let replies = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    replies.map(|reply| reply.map(|mut reply| reply["return"].take()).map_err(text)).collect()
}

fn properties(replies: &[Value]) -> Result<Vec<Property<'_>>, String> {
    let model = replies.iter().find_map(|reply| reply["model"]["props"].as_object()).ok_or("no expanded model")?;
    let mut properties = Vec::new();
    for (name, value) in model {
        match (name.as_str(), value) {
            (name, Value::Bool(true)) => properties.push(Property::Feature(name)),
            ("vendor", Value::String(vendor)) => properties.push(Property::Vendor(vendor)),
            _ => {}
        }
    }
    let number = |name: &str| model.get(name).and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
    if let (Some(family), Some(model), Some(stepping)) = (number("family"), number("model"), number("stepping")) {
        properties.push(Property::Signature(CpuSignature { family, model, stepping }));
    }
    Ok(properties)
}

/// The models that QEMU has, from the file of that name or the main one.
fn offered(case: &Case, file: &str) -> Result<Option<Vec<OfferedModel>>, String> {
    if case.param("use_qemu_models") != &Value::Bool(true) {
        return Ok(None);
    }
    let json = if file.is_empty() { case.input()? } else { case.further_input(file)? };
    let replies = replies(&json)?;
    let models = replies.iter().find_map(Value::as_array).ok_or("QEMU tells no models")?;
    let words =
        |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let model = |model: &Value| OfferedModel {
        name: model["name"].as_str().unwrap_or_default().to_owned(),
        blockers: words(&model["unavailable-features"]),
    };
    Ok(Some(models.iter().map(model).collect()))
}
