//! What named models mean for hosts and guests, by short cases.

use ostler_conf::Domain;
use ostler_conf::domain::{Cpu, CpuCheck, CpuMode};
use ostler_driver::{BaselineOptions, Comparison, Cpus as _, HostCpu, OfferedModel, Property, RemovedFeatures};
use ostler_driver_cpu::CpuDriver;

fn guest(xml: &str) -> Cpu {
    let head = "<domain type='qemu'><name>a</name><memory>1</memory><os><type>hvm</type></os>";
    let mut domain = ostler_conf::parse::<Domain>(&format!("{head}{xml}</domain>")).unwrap().value;
    domain.complete();
    domain.cpu.unwrap()
}

fn host(model: &str, features: &[&str]) -> HostCpu {
    HostCpu {
        arch: "x86_64".to_owned(),
        model: Some(model.to_owned()),
        vendor: Some("Intel".to_owned()),
        signature: None,
        features: features.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A CPU in a line: its model, then each feature behind `+` (on) or `-` (off).
fn line(cpu: &Cpu) -> String {
    let is_on = |feature: &&ostler_conf::domain::CpuFeature| {
        feature.policy.is_none_or(|policy| matches!(policy.word(), "require" | "force"))
    };
    let mut words = vec![cpu.model.as_ref().and_then(|model| model.name.clone()).unwrap_or_default()];
    words.extend(
        cpu.features.iter().map(|feature| format!("{}{}", if is_on(&feature) { "+" } else { "-" }, feature.name)),
    );
    words.join(" ")
}

#[test]
fn a_host_gives_what_it_has() {
    let check = |xml: &str, expect: Comparison| {
        let host = host("Penryn", &["vmx"]);
        assert_eq!(CpuDriver.compare(&host, &guest(xml)).unwrap(), expect, "{xml}");
    };
    check("<cpu><model>Conroe</model></cpu>", Comparison::Superset);
    check("<cpu><model>Penryn</model><feature name='vmx'/></cpu>", Comparison::Identical);
    check("<cpu match='strict'><model>Penryn</model></cpu>", Comparison::Incompatible);
    check("<cpu><model>Nehalem</model></cpu>", Comparison::Incompatible);
    check(
        "<cpu><model>Nehalem</model><feature policy='disable' name='sse4.2'/><feature policy='disable' name='popcnt'/></cpu>",
        Comparison::Superset,
    );
    check("<cpu><model>Penryn</model><feature policy='forbid' name='vmx'/></cpu>", Comparison::Incompatible);
    check("<cpu><model>Penryn</model><vendor>AMD</vendor></cpu>", Comparison::Incompatible);
}

#[test]
fn a_model_has_a_maker_and_a_versioned_name() {
    let facts = |model| (CpuDriver.vendor_of("x86_64", model), CpuDriver.canonical("x86_64", model));
    assert_eq!(facts("Haswell-noTSX-IBRS"), (Some("Intel"), Some("Haswell-v4")));
    assert_eq!(facts("kvm64"), (None, Some("kvm64-v1")));
    assert_eq!(facts("Haswell-v4"), (Some("Intel"), None));
}

#[test]
fn an_unknown_name_is_an_error_and_not_incompatible() {
    let host = host("Penryn", &[]);
    let error = CpuDriver.compare(&host, &guest("<cpu><model>Bogus</model></cpu>")).unwrap_err();
    assert!(error.message.contains("'Bogus'"), "{error}");
}

#[test]
fn a_host_model_leaves_out_what_can_not_migrate() {
    let cpu = CpuDriver.host_model(&host("Penryn", &["vmx", "invtsc"]), None).unwrap();
    assert_eq!((line(&cpu).as_str(), cpu.mode), ("Penryn +vmx", Some(CpuMode::Custom)));
}

#[test]
fn optional_features_are_settled_by_the_host() {
    let mut cpu = guest(
        "<cpu><model>Conroe</model><feature policy='optional' name='vmx'/><feature policy='optional' name='aes'/></cpu>",
    );
    CpuDriver.update(&mut cpu, &host("Penryn", &["vmx"]), RemovedFeatures::Required).unwrap();
    assert_eq!(line(&cpu), "Conroe +vmx -aes");
}

#[test]
fn a_model_that_lost_a_feature_says_what_becomes_of_it() {
    for (removed, expect) in
        [(RemovedFeatures::Required, "EPYC +monitor"), (RemovedFeatures::Disabled, "EPYC -monitor")]
    {
        let mut cpu = guest("<cpu><model>EPYC</model></cpu>");
        CpuDriver.update(&mut cpu, &host("EPYC", &[]), removed).unwrap();
        assert_eq!(line(&cpu), expect);
    }
}

#[test]
fn another_model_stands_for_one_that_is_not_on_offer() {
    let offered = [OfferedModel { name: "Penryn".to_owned(), ..OfferedModel::default() }];
    let mut cpu = guest("<cpu><model>Conroe</model><feature name='vmx'/></cpu>");
    CpuDriver.translate("x86_64", &mut cpu, Some(&offered)).unwrap();
    assert_eq!(line(&cpu), "Penryn +vmx -cx16 -sse4.1");
    let mut cpu = guest("<cpu><model fallback='forbid'>Conroe</model></cpu>");
    assert!(CpuDriver.translate("x86_64", &mut cpu, Some(&offered)).is_err());
}

#[test]
fn a_baseline_has_what_all_have_and_names_one_of_their_models_if_it_can() {
    let cpus = [host("Westmere", &["avx"]).as_cpu(), host("Nehalem", &["aes", "avx"]).as_cpu()];
    let cpu = CpuDriver.baseline("x86_64", &cpus, BaselineOptions::default()).unwrap();
    assert_eq!(line(&cpu), "Westmere +avx");
}

#[test]
fn what_blocks_a_model_is_disabled_where_it_is_named() {
    let offered = [OfferedModel { name: "Penryn".to_owned(), blockers: vec!["sse4-1".to_owned()] }];
    let cpu = CpuDriver
        .described("x86_64", &[Property::Feature("fpu"), Property::Vendor("GenuineIntel")], Some(&offered))
        .unwrap();
    assert!(line(&cpu).starts_with("Penryn -") && line(&cpu).contains(" -sse4.1"), "{}", line(&cpu));
}

#[test]
fn a_partial_check_asks_the_hypervisor_what_it_lacks_of_a_model() {
    let host = host("Penryn", &[]);
    let check = |xml: &str, lacks: &[&str], expect: Comparison| {
        let lacks: Vec<String> = lacks.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(CpuDriver.check_partially(&host, &guest(xml), Some(&lacks)).unwrap(), expect, "{xml}");
    };
    check("<cpu><model>Nehalem</model></cpu>", &[], Comparison::Superset);
    check("<cpu><model>Nehalem</model></cpu>", &["popcnt"], Comparison::Incompatible);
    check(
        "<cpu><model>Nehalem</model><feature policy='disable' name='popcnt'/></cpu>",
        &["popcnt"],
        Comparison::Superset,
    );
    check("<cpu><model>Nehalem</model><feature name='aes'/></cpu>", &[], Comparison::Incompatible);
}

#[test]
fn a_running_guest_shows_what_it_got_unless_all_was_asked_for() {
    let enabled: Vec<Property<'_>> = ["fpu", "pse", "vme", "aes"].into_iter().map(Property::Feature).collect();
    let mut cpu = guest("<cpu><model>486</model></cpu>");
    CpuDriver.update_live("x86_64", &mut cpu, &enabled, &[]).unwrap();
    assert_eq!(line(&cpu), "486 +aes");
    let mut cpu = guest("<cpu><model>486</model><feature name='vmx'/></cpu>");
    cpu.check = Some(CpuCheck::Full);
    let error = CpuDriver.update_live("x86_64", &mut cpu, &enabled, &[]).unwrap_err();
    assert!(error.message.contains("more: aes") && error.message.contains("less: vmx"), "{error}");
}
