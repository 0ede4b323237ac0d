//! Bad manifests, each with the place and the word that its refusal must give.

use super::*;

/// The place of the innermost field of `path` that the text holds: where its name stands last.
fn place_of(text: &str, path: &str) -> String {
    let keys = path.rsplit('.').map(|part| part.split('[').next().unwrap());
    let at = keys.filter_map(|key| text.rfind(&format!("{key}:"))).next().unwrap_or(0);
    let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    format!("{}:{}", text[..at].matches('\n').count() + 1, text[line_start..at].chars().count() + 1)
}

/// `place`: where the problem is; empty: where the field of `path` is named.
fn check(text: &str, place: &str, path: &str, word: &str) {
    let problems = read(text).expect_err(text);
    let named = place_of(text, path);
    let place = if place.is_empty() { &named } else { place };
    let found = problems
        .iter()
        .any(|p| format!("{}:{}", p.line, p.column) == place && p.path == path && p.message.contains(word));
    assert!(
        found,
        "expected {place} {path} …{word}… in:\n{}\nfor:\n{text}",
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}

const HEAD: &str = "apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {name: web}\nspec:\n";

fn domain(fields: &str, path: &str, word: &str) {
    check(&format!("{HEAD}  domain:\n{fields}"), "", &format!("spec.domain.{path}"), word);
}

#[test]
fn a_good_manifest_is_read() {
    let text = format!(
        "# a guest\n{HEAD}  runStrategy: Halted\n  domain: &d\n    memory: {{size: 1Gi}}\n    vcpu: {{count: 2}}\n    devices:\n      disks:\n      - {{name: vda, source: {{volume: {{pool: p, volume: v}}}}}}\n---\n---\napiVersion: ostler.dev/v1alpha1\nkind: Network\nmetadata: {{name: lan, uid: x, managedFields: []}}\nspec: {{network: {{}}}}\nstatus: {{}}\n"
    );
    let manifests = read(&text).unwrap();
    assert_eq!(manifests.len(), 2);
    let Object::Domain(domain) = &manifests[0].object else { panic!("a domain comes first") };
    assert_eq!(domain.spec.domain.memory_kib(), 1 << 20);
    assert_eq!(manifests[0].positions.of("spec.domain.devices.disks[vda].source.volume.pool"), (12, 39));
    assert_eq!(
        manifests[0].positions.of("spec.domain.devices.disks[vda].target.bus"),
        (12, 9),
        "the nearest that is there"
    );
}

#[test]
fn a_field_that_is_null_is_absent() {
    let fields =
        "  runStrategy:\n  placement: null\n  shutdown: {force: null}\n  domain: {memory: {size: 1Gi}, cpu: ~}\n";
    let manifests = read(&format!("{HEAD}{fields}")).unwrap();
    let Object::Domain(domain) = &manifests[0].object else { panic!("a domain") };
    assert_eq!(domain.spec.run_strategy, crate::RunStrategy::Always);
    assert!(domain.spec.placement.is_none() && domain.spec.domain.cpu.is_none());
}

#[test]
fn what_is_no_yaml_is_refused() {
    check("a: [", "1:4", "", "unclosed");
    check("a: b: c", "1:5", "", "no YAML");
    check("\tkind: x", "1:2", "apiVersion", "missing");
    check("just text", "1:1", "", "a manifest is a mapping");
    check("- list", "1:1", "", "a manifest is a mapping");
    check(&format!("{HEAD}  domain: {{}}\n  domain: {{}}\n"), "", "spec.domain", "twice");
    check(
        "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\n",
        "7:5",
        "g[0]",
        "values",
    );
    check("a: *a", "1:4", "", "");
    check("<<: {}", "1:1", "", "merge");
    check("a: !!int 3", "1:10", "a", "tags");
}

#[test]
fn the_head_is_checked() {
    check("kind: Domain", "", "apiVersion", "missing");
    check("apiVersion: v1\nkind: Pod", "", "apiVersion", "ostler.dev/v1alpha1");
    check("apiVersion: ostler.dev/v1alpha1\n", "", "kind", "missing");
    check("apiVersion: ostler.dev/v1alpha1\nkind: Domian\n", "", "kind", "did you mean 'Domain'");
    check("apiVersion: ostler.dev/v1alpha1\nkind: Domain\nspec: {domain: {}}", "", "metadata", "missing");
    let with = |metadata: &str| {
        format!("apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {metadata}\nspec: {{domain: {{}}}}")
    };
    check(&with("{}"), "", "metadata.name", "missing");
    check(&with("{name: Web_1}"), "", "metadata.name", "lower-case");
    check(&with("{name: 7}"), "", "metadata.name", "quotes");
    check(&with("{name: web, namespace: A}"), "", "metadata.namespace", "no name");
    check(&with("{name: web, lables: {}}"), "", "metadata.lables", "did you mean 'labels'");
    check(&with("{name: web, labels: {a: 1}}"), "", "metadata.labels.a", "quotes");
    check(&with("{name: web, labels: [a]}"), "", "metadata.labels", "mapping");
    check("apiVersion: ostler.dev/v1alpha1\nkind: Domain\nmetadata: {name: web}\n", "", "spec", "missing");
    check(&format!("{HEAD}  domain: {{}}\nspce: {{}}\n"), "", "spce", "did you mean 'spec'");
}

#[test]
fn the_spec_is_checked() {
    check(&format!("{HEAD}  runStrategy: Allways\n  domain: {{}}\n"), "", "spec.runStrategy", "did you mean 'Always'");
    check(&format!("{HEAD}  runStrategy: Halted\n"), "", "spec.domain", "missing");
    check(
        &format!("{HEAD}  shutdown: {{timeout: 10}}\n  domain: {{}}\n"),
        "",
        "spec.shutdown.timeout",
        "a text is expected",
    );
    check(
        &format!("{HEAD}  shutdown: {{timeout: 3d}}\n  domain: {{}}\n"),
        "",
        "spec.shutdown.timeout",
        "length of time",
    );
    check(&format!("{HEAD}  shutdown: {{force: 1}}\n  domain: {{}}\n"), "", "spec.shutdown.force", "true or false");
    check(&format!("{HEAD}  placement: node-a\n  domain: {{}}\n"), "", "spec.placement", "a mapping is expected");
    check(&format!("{HEAD}  paused: true\n  domain: {{}}\n"), "", "spec.paused", "unknown field");
    check(&format!("{HEAD}  domain:\n"), "", "spec.domain", "missing");
    check(
        "apiVersion: ostler.dev/v1alpha1\nkind: DomainOperation\nmetadata: {name: x}\nspec: {domain: web, verb: Explode}",
        "",
        "spec.verb",
        "not known",
    );
    check(
        "apiVersion: ostler.dev/v1alpha1\nkind: DomainOperation\nmetadata: {name: x}\nspec: {domain: web, verb: Start, startDeadlineSeconds: 0}",
        "",
        "spec.startDeadlineSeconds",
        "too small",
    );
    check(
        "apiVersion: ostler.dev/v1alpha1\nkind: StorageVolume\nmetadata: {name: x}\nspec: {pool: p, volume: {capacity: 5}}",
        "",
        "spec.volume.capacity",
        "5Ki",
    );
    let volume = "apiVersion: ostler.dev/v1alpha1\nkind: StorageVolume\nmetadata: {name: x}\nspec:\n  pool: p\n  volume: {capacity: 5Gi}\n  source: ";
    check(&format!("{volume}{{empty: {{}}, backing: {{volume: x}}}}"), "", "spec.source", "exactly one of");
    check(
        &format!("{volume}{{http: {{url: 'ftp://x', checksum: {{sha256: {}}}}}}}", "a".repeat(64)),
        "",
        "spec.source.http.url",
        "form",
    );
    check(&format!("{volume}{{http: {{url: 'http://x'}}}}"), "7:12", "spec.source.http.checksum", "missing");
    check(
        &format!("{volume}{{http: {{url: 'http://x', checksum: {{sha256: abc}}}}}}"),
        "",
        "spec.source.http.checksum.sha256",
        "form",
    );
}

#[test]
fn the_document_is_checked() {
    domain("    memory: 1Gi\n", "memory", "a mapping is expected");
    domain("    memory: {size: 1048576}\n", "memory.size", "'1Mi'");
    domain("    memory: {size: 1gb}\n", "memory.size", "Ki, Mi, Gi");
    domain("    memory: {size: -1Gi}\n", "memory.size", "not a size");
    domain("    vcpu: 2\n", "vcpu", "a mapping is expected");
    domain("    vcpu: {count: two}\n", "vcpu.count", "a whole number is expected");
    domain("    vcpu: {count: -1}\n", "vcpu.count", "too small");
    domain("    vcpu: {count: 1.5}\n", "vcpu.count", "a whole number");
    domain("    vcpu: {}\n", "vcpu.count", "missing");
    domain("    vcpu: {count: 2, cpuset: x}\n", "vcpu.cpuset", "form");
    domain("    uuid: abc\n", "uuid", "");
    domain("    disks: []\n", "disks", "unknown field");
    domain("    devices: {disks: {name: vda}}\n", "devices.disks", "a list is expected");
    let nameless = format!("{HEAD}  domain:\n    devices: {{disks: [{{target: {{bus: virtio}}}}]}}\n");
    check(&nameless, "6:23", "spec.domain.devices.disks[0].name", "missing");
    domain(
        "    devices: {disks: [{name: vda, target: {bus: virtoi}}]}\n",
        "devices.disks[0].target.bus",
        "did you mean 'virtio'",
    );
    domain("    devices: {disks: [{name: vda}, {name: vda}]}\n", "devices.disks[1].name", "another item");
    domain("    devices: {disks: [{name: vda, source: {}}]}\n", "devices.disks[0].source", "exactly one of");
    domain(
        "    devices: {disks: [{name: vda, source: {fil: {}}}]}\n",
        "devices.disks[0].source.fil",
        "did you mean 'file'",
    );
    domain("    devices: {disks: [{name: vda, readonly: maybe}]}\n", "devices.disks[0].readonly", "true or false");
    let unconnected = format!("{HEAD}  domain:\n    devices: {{interfaces: [{{name: eth0}}]}}\n");
    check(&unconnected, "6:28", "spec.domain.devices.interfaces[0].source", "missing");
    domain(
        "    devices: {interfaces: [{name: eth0, source: {network: {}}}]}\n",
        "devices.interfaces[0].source.network.network",
        "missing",
    );
    domain(
        "    devices: {interfaces: [{name: eth0, source: {user: {}}, mac: {address: 'zz'}}]}\n",
        "devices.interfaces[0].mac.address",
        "form",
    );
    domain("    os: {boot: hd}\n", "os.boot", "a list");
    domain("    os: {boot: [{dev: floppy}]}\n", "os.boot[0].dev", "one of");
    domain("    features: {acpi: {}}\n", "features.acpi", "true or false");
    domain("    type: zen\n", "type", "did you mean 'xen'");
}

#[test]
fn every_pattern_compiles() {
    fn walk(value: &Value) {
        if let Some(pattern) = value.get("pattern").and_then(Value::as_str) {
            regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        }
        match value {
            Value::Object(map) => map.values().for_each(walk),
            Value::Array(items) => items.iter().for_each(walk),
            _ => {}
        }
    }
    Kind::ALL.iter().for_each(|kind| walk(&crate::schema_of(*kind)));
}

#[test]
fn a_problem_is_shown_as_a_compiler_does() {
    let text = "apiVersion: ostler.dev/v1alpha1\nkind: Domian\n";
    let shown = read(text).unwrap_err()[0].render("web.yaml", text);
    assert_eq!(
        shown,
        "error: kind: 'Domian' is not known: did you mean 'Domain'?\n --> web.yaml:2:1\n  |\n2 | kind: Domian\n  | ^\n"
    );
}

/// What is refused because of how much it stands for.
fn too_much(text: &str, says: &str) {
    let problems = read(text).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains(says), "{}", problems[0].message);
}

#[test]
fn a_file_stands_for_no_more_than_it_may() {
    let long = "x".repeat(1 << 20);
    too_much(&format!("a: &a {long}\nb: [{}]\n", "*a,".repeat(1000)), "MiB of names and texts");
    let levels: String =
        (0..9).map(|n| format!("l{}: &l{} [{}]\n", n + 1, n + 1, format!("*l{n},").repeat(9))).collect();
    too_much(&format!("l0: &l0 [x]\n{levels}"), "values in one file");
    let name = "n".repeat(1000);
    let deep: String = (0..90).map(|level| format!("{}{name}:\n", " ".repeat(level))).collect();
    too_much(&format!("{deep}{}[{}]\n", " ".repeat(90), "1,".repeat(100_000)), "MiB of names and texts");
    too_much(&"[".repeat(1 << 20), "");
    too_much(&"{a: ".repeat(1 << 18), "");
    too_much(&"x".repeat(4 << 20), "more than 3145728");
    too_much(&"? ".repeat(1 << 18), "");
    too_much("a: *b\n", "");
    too_much("a: &a [*a]\n", "stands for itself");
}

#[test]
fn a_hundred_thousand_problems_are_told_up_to_a_number() {
    let text = format!("{HEAD}  domain:\n    devices: {{disks: [{}]}}\n", "{x: 1},".repeat(60_000));
    let problems = read(&text).unwrap_err();
    let told: usize = problems.iter().map(|problem| problem.message.len() + problem.path.len()).sum();
    assert!(told < 16 << 20, "{} problems with {told} bytes", problems.len());
}
