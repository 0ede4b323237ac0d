//! Whatever a document holds, reading it ends soon, and with a value or a problem.

use std::path::{Path, PathBuf};

use ostler_conf::xml::{Document, MAX_LENGTH, Root};
use ostler_conf::{
    Backup, Checkpoint, Domain, DomainStatus, HostInterface, Network, NetworkPort, NodeDevice, Nwfilter,
    NwfilterBinding, Secret, Snapshot, StoragePool, StorageVolume, format, parse, schema,
};
use proptest::prelude::*;

/// One document of each kind, with much of what the kind has.
const SAMPLES: &[&str] = &[
    "<domain type='kvm'><name>d</name><memory unit='MiB'>64</memory><vcpu placement='static'>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'><source file='/a'/><target dev='vda' bus='virtio'/></disk><interface type='network'><source network='n'/></interface></devices></domain>",
    "<network ipv6='yes'><name>n</name><forward mode='nat' dev='e'><nat><port start='1' end='2'/></nat></forward><bridge name='b'/><dns><srv service='s' protocol='tcp'/><host ip='1.1.1.1'><hostname>a</hostname></host></dns><ip address='10.0.0.1' netmask='255.255.255.0'><dhcp><range start='10.0.0.2' end='10.0.0.9'><lease expiry='3'/></range></dhcp></ip><route address='10.9.0.0' prefix='16' gateway='10.0.0.2'/><portgroup name='p'><vlan><tag id='3'/></vlan></portgroup></network>",
    "<pool type='rbd'><name>p</name><source><name>q</name><host name='h' port='6789'/><auth type='ceph' username='u'><secret usage='s'/></auth></source></pool>",
    "<volume><name>v</name><capacity unit='GiB'>1</capacity><target><format type='qcow2'/><permissions><mode>0644</mode></permissions><encryption format='luks'><secret type='passphrase' usage='x'/></encryption></target></volume>",
    "<filter name='f' chain='ipv4'><filterref filter='g'><parameter name='IP' value='10.0.0.1'/></filterref><rule action='drop' direction='in' priority='-5'><tcp match='no' srcipaddr='$IP[@1]' dstportstart='0x16' flags='SYN/ALL'/></rule></filter>",
    "<filterbinding><owner><name>g</name><uuid>d54df46f-1ab5-4a22-8618-4560ef5fac2c</uuid></owner><portdev name='v'/><mac address='52:54:00:7b:35:93'/><filterref filter='f'/></filterbinding>",
    "<networkport><owner><name>g</name><uuid>d54df46f-1ab5-4a22-8618-4560ef5fac2c</uuid></owner><mac address='52:54:00:7b:35:93'/><plug type='hostdev-pci' managed='no'><address domain='0x0001' bus='0x02' slot='0x03' function='0x4'/></plug></networkport>",
    "<secret ephemeral='no'><usage type='ceph'><name>n</name></usage></secret>",
    "<interface type='bridge' name='b'><start mode='onboot'/><protocol family='ipv4'><dhcp/></protocol><bridge stp='off'><interface type='ethernet' name='e'/></bridge></interface>",
    "<device><name>x</name><capability type='pci'><domain>0</domain><bus>1</bus><slot>2</slot><function>3</function><capability type='virt_functions' maxCount='7'/></capability></device>",
    "<domainsnapshot><name>s</name><disks><disk name='vda' snapshot='external'><source file='/a'/></disk></disks><domain type='kvm'><name>d</name></domain></domainsnapshot>",
    "<domaincheckpoint><name>c</name><disks><disk name='vda' checkpoint='bitmap'/></disks></domaincheckpoint>",
    "<domainbackup mode='pull'><server transport='unix' socket='/s'/><disks><disk name='vda' type='file'><scratch file='/a'/></disk></disks></domainbackup>",
    include_str!("../src/status/all.xml"),
];

/// Documents of a corpus, where one is at hand: every so manieth of those that libvirt's own tests read.
fn corpus() -> Vec<String> {
    const STEP: usize = 397;
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let data = std::env::var_os("OSTLER_CORPUS").map_or(default, PathBuf::from).join("data");
    let folders =
        std::fs::read_dir(data).into_iter().flatten().filter_map(|entry| std::fs::read_dir(entry.ok()?.path()).ok());
    let mut files: Vec<PathBuf> = folders.flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "xml"));
    files.sort();
    files.iter().step_by(STEP).filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// Reads a text as every kind of document; what is read can be written and read again.
fn read_all(text: &str) {
    fn one<T: Root>(text: &str) {
        let Ok(parsed) = parse::<T>(text) else { return };
        parsed.unknown.iter().for_each(|problem| assert!(problem.position.is_some()));
        let written = format(&parsed.value);
        parse::<T>(&written).unwrap_or_else(|error| panic!("what was written can't be read: {error}\n{written}"));
    }
    if let Err(error) = schema::check(text) {
        error.problems().iter().for_each(|problem| assert!(problem.position.is_some()));
    }
    one::<Domain>(text);
    one::<Network>(text);
    one::<StoragePool>(text);
    one::<StorageVolume>(text);
    one::<Nwfilter>(text);
    one::<NwfilterBinding>(text);
    one::<NetworkPort>(text);
    one::<Secret>(text);
    one::<HostInterface>(text);
    one::<NodeDevice>(text);
    one::<Snapshot>(text);
    one::<Checkpoint>(text);
    one::<Backup>(text);
    one::<DomainStatus>(text);
}

#[test]
fn every_sample_is_read_whole() {
    fn whole<T: Root>(text: &str) -> bool {
        parse::<T>(text).is_ok_and(|parsed| parsed.unknown.is_empty())
    }
    for text in SAMPLES {
        let readers = [
            whole::<Domain>,
            whole::<Network>,
            whole::<StoragePool>,
            whole::<StorageVolume>,
            whole::<Nwfilter>,
            whole::<NwfilterBinding>,
            whole::<NetworkPort>,
            whole::<Secret>,
            whole::<HostInterface>,
            whole::<NodeDevice>,
            whole::<Snapshot>,
            whole::<Checkpoint>,
            whole::<Backup>,
            whole::<DomainStatus>,
        ];
        assert_eq!(readers.iter().filter(|reads| reads(text)).count(), 1, "{text}");
    }
}

/// What a definition says, its YAML face says too.
#[test]
fn yaml_keeps_what_xml_says() {
    fn keeps<T: Root + serde::Serialize + serde::de::DeserializeOwned>(text: &str) {
        let Ok(parsed) = parse::<T>(text) else { return };
        let yaml = serde_json::to_value(&parsed.value).unwrap();
        let back: T = serde_json::from_value(yaml).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(format(&back), format(&parsed.value));
    }
    for text in SAMPLES {
        keeps::<Domain>(text);
        keeps::<Network>(text);
        keeps::<StorageVolume>(text);
        keeps::<Nwfilter>(text);
        keeps::<NwfilterBinding>(text);
        keeps::<NetworkPort>(text);
        keeps::<Secret>(text);
        keeps::<HostInterface>(text);
        keeps::<NodeDevice>(text);
        keeps::<Snapshot>(text);
        keeps::<Checkpoint>(text);
        keeps::<Backup>(text);
    }
}

#[test]
fn prefixes_are_refused() {
    for text in SAMPLES.iter().map(|text| text.trim_end()) {
        // Each prefix is read whole by every reader: of a long document some thousands say as much as all.
        for (end, _) in text.char_indices().step_by(text.len().div_ceil(2000)) {
            read_all(&text[..end]);
            assert!(Document::parse(&text[..end]).is_err());
        }
    }
}

/// What people and tests wrote, cut off anywhere, and with any of its tags gone or there twice.
#[test]
fn documents_that_lost_something_are_read_or_refused() {
    const CUTS: usize = 20;
    for text in corpus() {
        for (end, _) in text.char_indices().step_by(text.len() / CUTS + 1) {
            read_all(&text[..end]);
        }
        let tags: Vec<_> =
            text.match_indices('<').filter_map(|(at, _)| Some(at..at + text[at..].find('>')? + 1)).collect();
        for tag in tags.iter().step_by(tags.len() / CUTS + 1) {
            read_all(&format!("{}{}", &text[..tag.start], &text[tag.end..]));
            read_all(&format!("{}{}", &text[..tag.end], &text[tag.start..]));
        }
    }
}

#[test]
fn depth_breadth_and_length_are_bounded() {
    let deep = "<network>".repeat(400_000);
    let deepest = "<a>".repeat(1_000_000);
    let long_attribute = format!("<network a='{}'/>", "x".repeat(100 << 20));
    let deep_children = format!("<network>{}", "<ip>".repeat(900_000));
    let broad = format!("<network>{}</network>", "<x/>".repeat(900_000));
    let attributes: String = (0..400_000).map(|n| format!(" a{n}=''")).collect();
    let huge_attribute = format!("<network a='{}'/>", "x".repeat(MAX_LENGTH - 100));
    let too_long = format!("<network><name>{}</name></network>", "x".repeat(MAX_LENGTH));
    for text in
        [&deep, &deepest, &long_attribute, &deep_children, &broad, &format!("<network{attributes}/>"), &too_long]
    {
        assert!(parse::<Network>(text).is_err());
    }
    assert_eq!(parse::<Network>(&huge_attribute).unwrap().unknown.len(), 1);
    assert!(parse::<Network>(&"<".repeat(200 << 20)).is_err(), "refused unread");
}

/// A guest with these devices, completed and checked.
fn settle(devices: &str) -> Result<usize, String> {
    let text = format!(
        "<domain type='test'><name>d</name><memory>1024</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
    );
    let mut domain = parse::<Domain>(&text).map_err(|error| error.to_string())?.value;
    domain.complete();
    let length = format(&domain).len();
    domain.validate().map_err(|error| error.to_string())?;
    Ok(length)
}

/// What a number asks for is made only as far as a machine could have it.
#[test]
fn numbers_ask_for_no_more_than_there_can_be() {
    let disk = |name: &str, address: &str| {
        format!("<disk type='file'><source file='/d'/><target dev='{name}' bus='scsi'/>{address}</disk>")
    };
    let far = "<address type='drive' controller='4294967295' bus='0' target='0' unit='0'/>";
    assert!(settle(&disk("sda", far)).is_err_and(|message| message.contains("4294967295 is too large: 1023 at most")));
    assert!(settle(&disk("sdzzzzz", "")).is_err_and(|message| message.contains("is too large")));
    assert!(settle(&disk("sdaa", "")).is_ok());
    let hostdev = format!(
        "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='0'/></source>{far}</hostdev>"
    );
    assert!(settle(&hostdev).is_err_and(|message| message.contains("is too large")));
    let threads = |ids: &str| {
        format!(
            "<domain type='test'><name>d</name><memory>1024</memory><iothreads>4294967295</iothreads>{ids}</domain>"
        )
    };
    for text in [threads(""), threads("<iothreadids><iothread id='7'/></iothreadids>")] {
        let mut domain = parse::<Domain>(&text).unwrap().value;
        domain.complete();
        assert!(domain.validate().is_err_and(|error| error.to_string().contains("I/O threads at most")), "{text}");
    }
    let cell = "<cell cpus='0' memory='18014398509481983' unit='KiB'/>".repeat(2000);
    let text = format!("<domain type='test'><name>d</name><cpu><numa>{cell}</numa></cpu></domain>");
    parse::<Domain>(&text).unwrap().value.complete();
    assert!(settle("<video><model type='qxl' vram='18446744073709551615'/></video>").is_ok());
}

/// Rules compare devices with devices: as many as there may be end soon, and more are refused.
#[test]
fn as_many_devices_as_there_may_be_end_soon() {
    for (many, more) in [
        ("<controller type='scsi'/>", "<controller type='scsi'/>"),
        ("<smartcard mode='host'/>", "<smartcard mode='host'/>"),
        ("<input type='mouse' bus='usb'/>", "<hub type='usb'/>"),
        (
            "<disk type='file'><source file='/d'/><target dev='vda'/></disk>",
            "<disk type='file'><source file='/d'/><target dev='sda'/></disk>",
        ),
        (
            "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='0'/></source></hostdev>",
            "<interface type='user'/>",
        ),
    ] {
        let _ = settle(&many.repeat(4000));
        assert!(
            settle(&(many.repeat(4000) + &more.repeat(4000))).is_err_and(|message| message.contains("more than 4096"))
        );
    }
    let features = "<feature name='a'/>".repeat(16_000);
    let text = format!("<domain type='test'><name>d</name><cpu><model>m</model>{features}</cpu></domain>");
    assert!(parse::<Domain>(&text).unwrap().value.validate().is_err());
    let hosts: String =
        (0..16_000).map(|n| format!("<host name='h{n}' ip='10.0.{}.{}'/>", n / 250, n % 250 + 2)).collect();
    let text = format!("<network><name>n</name><ip address='10.0.0.1' prefix='16'><dhcp>{hosts}</dhcp></ip></network>");
    let mut network = parse::<Network>(&text).unwrap().value;
    network.complete();
    let _ = network.validate();
    assert!(parse::<Network>(&text.replace("</dhcp>", &format!("{hosts}</dhcp>"))).is_err());
}

/// What nests is read on a thread's small stack.
#[test]
fn nesting_to_the_bound_fits_a_threads_stack() {
    let nested = |open: &str, close: &str, levels: usize| format!("{}{}", open.repeat(levels), close.repeat(levels));
    let levels = ostler_conf::xml::MAX_DEPTH - 12;
    let chain =
        nested("<backingStore type='file'><format type='qcow2'/><source file='/b'/>", "</backingStore>", levels);
    let slots: Vec<String> = vec![
        SAMPLES[0].replace("<target dev='vda'", &format!("{chain}<target dev='vda'")),
        format!("<domainsnapshot><name>s</name><domain>{}</domain></domainsnapshot>", nested("<a>", "</a>", levels)),
        format!(
            "<domain type='test'><name>d</name><metadata>{}</metadata></domain>",
            nested("<a xmlns='u'>", "</a>", levels)
        ),
        format!(
            "<interface type='bridge' name='b'><bridge>{}</bridge></interface>",
            nested("<interface type='bridge' name='c'><bridge>", "</bridge></interface>", levels / 2)
        ),
        format!("<device><name>x</name>{}</device>", nested("<capability type='pci'>", "</capability>", levels)),
    ];
    let read = move || slots.iter().for_each(|text| read_all(text));
    std::thread::Builder::new().stack_size(2 << 20).spawn(read).unwrap().join().unwrap();
}

/// A hundred names that nothing knows, each as long as it may be, are not compared with what is known.
#[test]
fn long_unknown_names_are_told_without_a_guess() {
    let text = format!("<network><name>n</name>{}</network>", format!("<{}/>", "x".repeat(40_000)).repeat(100));
    assert_eq!(parse::<Network>(&text).unwrap().unknown.len(), 100);
}

#[test]
fn unknown_elements_are_told_up_to_a_number() {
    let text = format!("<network><name>n</name>{}</network>", "<x a='1'/>".repeat(50_000));
    let unknown = parse::<Network>(&text).unwrap().unknown;
    assert!(!unknown.is_empty() && unknown.len() <= 100, "{}", unknown.len());
}

#[test]
fn entities_and_odd_characters_are_no_way_in() {
    let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><network><name>&b;</name></network>";
    let file = "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><network><name>&x;</name></network>";
    for text in [bomb, file, "<network><name>&a;</name></network>"] {
        assert!(parse::<Network>(text).is_err(), "{text}");
    }
    for text in [
        "\0",
        "<network>\0</network>",
        "<network \0='a'/>",
        "<network>&#0;</network>",
        "\u{feff}<network/>",
        "<network><name>\u{1}</name></network>",
    ] {
        read_all(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of a sample replaced, removed, added or doubled.
    #[test]
    fn mutations_are_read_or_refused(sample in 0..SAMPLES.len(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12)) {
        let mut bytes = SAMPLES[sample].as_bytes().to_vec();
        for (at, byte, how) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                2 => bytes.insert(at, byte),
                _ => {
                    let end = (at + usize::from(byte)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        // Invalid UTF-8 never becomes a text.
        read_all(&String::from_utf8_lossy(&bytes));
    }

    /// Values that mean something elsewhere, in the place of every attribute.
    #[test]
    fn odd_values_are_read_or_refused(sample in 0..SAMPLES.len(), at in any::<prop::sample::Index>(), value in "(-?[0-9]{1,25}|0x[0-9a-f]{1,20}|[a-z]{0,9}|::1|1\\.2\\.3\\.4|\\$[A-Z]{1,3}(\\[@[0-9]{1,12}\\])?|%n|\\PC{0,20})") {
        let text = SAMPLES[sample];
        let quotes: Vec<usize> = text.match_indices('\'').map(|(index, _)| index).collect();
        let pair = at.index(quotes.len() / 2) * 2;
        let value = value.replace(['\'', '<', '&'], "");
        read_all(&format!("{}'{value}{}", &text[..quotes[pair]], &text[quotes[pair + 1]..]));
    }
}

#[test]
fn what_is_no_character_of_xml_is_refused_written_out_or_by_number() {
    for text in [
        "<a>\0</a>",
        "<a>\u{1b}</a>",
        "<a>&#0;</a>",
        "<a>&#x1;</a>",
        "<a b='\x08'/>",
        "<a b='&#x1f;'/>",
        "<a>&#xffff;</a>",
    ] {
        assert!(Document::parse(text).is_err(), "{text:?}");
    }
    for text in ["<a>\t\r\n&#9;&#x10ffff;\u{7f}</a>", "<a b='&#10;&amp;\t'/>"] {
        assert!(Document::parse(text).is_ok(), "{text:?}");
    }
}

/// Two of Unicode's code points are no characters, and stand in no document: neither as they are nor by their numbers.
#[test]
fn what_is_no_character_is_neither_read_nor_written() {
    let with = |path: &str| {
        format!(
            "<domain type='kvm'><name>d</name><memory>1</memory><os><type>hvm</type></os><devices>\
             <disk type='file'><source file='{path}'/><target dev='vda'/></disk></devices></domain>"
        )
    };
    for path in ["/a\u{ffff}", "/a\u{fffe}&quot;", "/a&#xFFFF;", "/a\u{1}"] {
        let error = parse::<Domain>(&with(path)).expect_err(path);
        assert!(error.to_string().contains("no character of XML"), "{path:?}: {error}");
    }
    for path in ["/a\u{fffd}", "/a\u{feff}", "/\u{f8ff}\u{10ffff}"] {
        parse::<Domain>(&with(path)).expect(path);
    }
    let mut domain = parse::<Domain>(&with("/a")).expect("a domain").value;
    domain.name = "\u{ffff}a\"\u{fffe}\u{fffd}\u{1}".to_owned();
    let written = format(&domain);
    assert_eq!(parse::<Domain>(&written).expect("it is read again").value.name, "a\"\u{fffd}");
}

/// A byte order mark may begin a document; a second one is text where none may be.
#[test]
fn one_byte_order_mark_is_passed_over() {
    const POOL: &str = "<pool type='dir'><name>p</name><target><path>/p</path></target></pool>";
    for kind in SAMPLES.iter().chain([&POOL]) {
        assert!(Document::parse(&format!("\u{feff}{kind}")).is_ok());
        let error = Document::parse(&format!("\u{feff}\u{feff}{kind}")).expect_err("two marks");
        assert!(error.to_string().contains("U+FEFF"), "{error}");
    }
    assert!(parse::<StoragePool>(&format!("\u{feff}{POOL}")).is_ok());
}
