//! What the narrowest level takes and refuses.

use super::check;

/// Checks a document: every problem, as it is shown.
fn problems(text: &str) -> Vec<String> {
    check(text).err().map(|error| error.problems().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

fn domain(rest: &str) -> String {
    format!("<domain type='kvm'><name>n</name><memory>1</memory><os><type>hvm</type></os>{rest}</domain>")
}

fn with_device(device: &str) -> String {
    domain(&format!("<devices>{device}</devices>"))
}

#[track_caller]
fn takes(text: &str) {
    assert_eq!(problems(text), <[String; 0]>::default(), "{text}");
}

#[track_caller]
fn refuses(text: &str, why: &str) {
    let problems = problems(text);
    assert!(problems.iter().any(|problem| problem.contains(why)), "{text}: {problems:?}");
}

#[test]
fn a_problem_has_line_column_path_and_what_would_be_right() {
    let text = "<domain type='kvm'>\n  <name>n</name>\n  <uuid>six</uuid>\n  <memory>1</memory>\n  <os><type>hvm</type></os>\n\
                \x20 <devices>\n    <hostdev mode='subsystem' type='pci'>\n      <source>\n        \
                <address domain='0' bus='0' slot='0x20' function='0'/>\n      </source>\n    </hostdev>\n  </devices>\n</domain>";
    assert_eq!(
        problems(text),
        [
            "3:3: /domain/uuid: 'six' is not a UUID such as 6d1a5e5c-0d0f-4b5e-9a0e-3c1f3c1b2a10",
            "9:37: /domain/devices/hostdev/source/address/@slot: '0x20' is not a slot from 0 to 0x1f or a number from 0 to 31",
        ]
    );
}

#[test]
fn what_makes_no_sense_is_none_of_its_questions() {
    takes(&with_device("<disk type='volume'><source pool='nowhere' volume='v'/><target dev='vda'/></disk>"));
    takes(&domain("<vcpu current='4'>2</vcpu><numatune><memory nodeset='7'/></numatune>"));
}

#[test]
fn what_is_unknown_is_refused_with_what_was_perhaps_meant() {
    refuses(&domain("<curentMemory>1</curentMemory>"), "did you mean 'currentMemory'?");
    refuses(&domain("<on_crash>explode</on_crash>"), "'explode' is not one of");
}

#[test]
fn what_must_be_there_is_missed() {
    refuses("<domain type='kvm'><os><type>hvm</type></os></domain>", "the element <name> is missing");
    refuses(&with_device("<disk type='file'><source file='/a'/></disk>"), "target");
    refuses(&with_device("<interface type='network'><source/></interface>"), "'network' is missing");
    refuses("<volume><name>v</name><capacity>1</capacity></volume>", "<target> is missing");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let lun = "<disk type='file' device='lun'><source file='/a'/><target dev='sda'/></disk>";
    refuses(&with_device(lun), "'file' is not 'block' or 'network' or 'volume'");
    refuses(
        &domain("<clock offset='utc' timezone='Europe/Paris'/>"),
        "it does not belong into <clock> whose offset is localtime or utc",
    );
    refuses(
        &domain(
            "<throttlegroups><throttlegroup><total_bytes_sec>1</total_bytes_sec><read_bytes_sec>1</read_bytes_sec></throttlegroup></throttlegroups>",
        ),
        "read_bytes_sec: it does not belong",
    );
    takes(&domain("<clock offset='timezone' timezone='Europe/Paris'/>"));
}

#[test]
fn order_counts_where_it_is_fixed_and_nowhere_else() {
    let usb =
        |source| with_device(&format!("<hostdev mode='subsystem' type='usb'><source>{source}</source></hostdev>"));
    takes(&usb("<vendor id='0x1'/><product id='0x2'/>"));
    refuses(&usb("<product id='0x2'/><vendor id='0x1'/>"), "its place is before <product>");
    takes("<domain type='kvm'><os><type>hvm</type></os><memory>1</memory><name>n</name></domain>");
}

#[test]
fn metadata_is_somebody_elses() {
    takes(&domain("<metadata><a xmlns='urn:a' address='x'><uuid>not one</uuid></a></metadata>"));
}

#[test]
fn documents_that_only_a_host_tells_are_known_whole() {
    let capabilities = |rest| format!("<capabilities><host><cpu><arch>x86_64</arch></cpu>{rest}</host></capabilities>");
    takes(&capabilities("<iommu support='yes'/>"));
    refuses(&capabilities("<iommus/>"), "it does not belong into <host>");
    takes("<domainCapabilities><domain>kvm</domain><arch>x86_64</arch><vcpu max='4'/></domainCapabilities>");
    refuses("<domainCapabilities><domain>kvm</domain></domainCapabilities>", "the element <arch> is missing");
    takes("<cpu><arch>x86_64</arch><feature name='lm'/></cpu>");
    refuses("<cpu mode='custom'><feature name='lm'/></cpu>", "'policy' is missing");
}

#[test]
fn a_document_of_no_kind_names_those_that_are() {
    refuses("<html/>", "<html> is none of libvirt's documents: <domain>");
    refuses("<domain", "");
}
