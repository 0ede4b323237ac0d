//! A definition's faces say the same.

use crate::{Domain, format, parse};

/// Parts of `<domain>` as libvirt writes them: (before the devices, among the devices).
const PARTS: &[(&str, &str)] = &[
    (
        "",
        "    <disk type='network' device='disk'>\n      <driver name='qemu' type='raw' cache='none' iothread='2'/>\n      <source protocol='rbd' name='pool/image'>\n        <host name='mon1' port='6321'/>\n        <snapshot name='s'/>\n        <auth username='admin'>\n          <secret type='ceph' usage='x'/>\n        </auth>\n      </source>\n      <target dev='vda' bus='virtio'/>\n      <iotune>\n        <total_bytes_sec>5000</total_bytes_sec>\n      </iotune>\n    </disk>\n",
    ),
    (
        "",
        "    <disk type='file' device='disk'>\n      <source file='/a.qcow2'/>\n      <backingStore type='file'>\n        <format type='qcow2'/>\n        <source file='/b.qcow2'/>\n        <backingStore type='block'>\n          <format type='raw'/>\n          <source dev='/dev/c'/>\n          <backingStore/>\n        </backingStore>\n      </backingStore>\n      <target dev='sda' bus='scsi'/>\n    </disk>\n",
    ),
    (
        "",
        "    <disk type='file' device='disk'>\n      <source file='/a.qcow2'/>\n      <backingStore type='file'>\n        <format type='qcow2'/>\n        <source file='/b.qcow2'/>\n      </backingStore>\n      <target dev='sda' bus='scsi'/>\n    </disk>\n",
    ),
    (
        "",
        "    <interface type='vhostuser'>\n      <mac address='52:54:00:00:00:01'/>\n      <source type='unix' path='/s' mode='client'>\n        <reconnect enabled='yes' timeout='10'/>\n      </source>\n      <model type='virtio'/>\n      <driver queues='4' packed='on'>\n        <host csum='off'/>\n      </driver>\n    </interface>\n",
    ),
    (
        "",
        "    <channel type='udp'>\n      <source mode='bind' host='127.0.0.1' service='1'/>\n      <source mode='connect' host='127.0.0.1' service='2'/>\n      <target type='virtio' name='x'/>\n    </channel>\n",
    ),
    (
        "",
        "    <hostdev mode='subsystem' type='pci' managed='yes'>\n      <driver name='vfio'/>\n      <source>\n        <address domain='0x0000' bus='0x06' slot='0x12' function='0x5'/>\n      </source>\n      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>\n    </hostdev>\n",
    ),
    (
        "",
        "    <graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'>\n      <listen type='address' address='0.0.0.0'/>\n    </graphics>\n    <video>\n      <model type='virtio' heads='1' primary='yes'>\n        <acceleration accel3d='yes'/>\n      </model>\n    </video>\n",
    ),
    (
        "",
        "    <redirdev bus='usb' type='spicevmc'>\n    </redirdev>\n    <redirfilter>\n      <usbdev class='0x08' vendor='0x15E1' product='0x2007' version='1.10' allow='yes'/>\n    </redirfilter>\n",
    ),
    (
        "  <features>\n    <acpi/>\n    <hyperv mode='custom'>\n      <relaxed state='on'/>\n      <stimer state='on'>\n        <direct state='on'/>\n      </stimer>\n    </hyperv>\n    <capabilities policy='allow'>\n      <mknod state='off'/>\n    </capabilities>\n    <smm state='on'>\n      <tseg unit='MiB'>48</tseg>\n    </smm>\n  </features>\n",
        "",
    ),
    (
        "  <cpu mode='host-passthrough' check='none'>\n    <cache mode='passthrough'/>\n    <maxphysaddr mode='emulate' bits='42'/>\n    <numa>\n      <cell id='0' cpus='0-1' memory='1024' unit='KiB' memAccess='shared' discard='yes'/>\n    </numa>\n  </cpu>\n",
        "    <memory model='virtio-mem'>\n      <target>\n        <size unit='KiB'>1048576</size>\n        <node>0</node>\n        <block unit='KiB'>2048</block>\n        <requested unit='KiB'>524288</requested>\n      </target>\n    </memory>\n",
    ),
];

#[test]
fn xml_and_yaml_say_the_same() {
    for (before, devices) in PARTS {
        let text = format!(
            "<domain type='test'>\n  <name>all</name>\n  <memory unit='KiB'>1024</memory>\n{before}  <devices>\n{devices}  </devices>\n</domain>\n"
        );
        let domain = parse::<Domain>(&text).unwrap().strict().unwrap();
        assert_eq!(format(&domain), text);
        let yaml = serde_json::to_value(&domain).unwrap();
        let again: Domain = serde_json::from_value(yaml).unwrap();
        assert_eq!(again, domain, "YAML keeps all of it");
        assert_eq!(format(&again), text);
    }
}

#[test]
fn a_backing_chain_is_a_flat_list() {
    let text = "<domain type='kvm'><name>a</name><devices><disk><backingStore type='file'><source file='/b'/><backingStore/></backingStore><target dev='vda'/></disk></devices></domain>";
    let domain = parse::<Domain>(text).unwrap().strict().unwrap();
    let yaml = serde_json::to_value(&domain.devices.disks[0].backing_chain).unwrap();
    assert_eq!(yaml, serde_json::json!([{ "source": { "file": { "file": "/b" } } }]));
}

#[test]
fn a_host_address_that_says_nothing_is_all_zeroes() {
    let text = "<domain type='kvm'><name>d</name><memory>1</memory><os><type>hvm</type></os><devices>\
         <hostdev mode='subsystem' type='pci'><source><address type='unassigned'/></source></hostdev></devices></domain>";
    let mut domain = parse::<Domain>(text).unwrap().value;
    let written = format(&domain);
    assert!(parse::<Domain>(&written).is_ok(), "what was written can be read: {written}");
    domain.complete();
    let written = format(&domain);
    assert!(written.contains("<address domain='0x0000' bus='0x00' slot='0x00' function='0x0'/>"), "{written}");
}

#[test]
fn a_namespace_can_be_bound_without_a_prefix() {
    let text = |name: &str, binding: &str| {
        format!(
            "<domain type='qemu'><name>d</name><memory>1</memory><os><type>hvm</type></os>\
             <{name} {binding}='http://libvirt.org/schemas/domain/qemu/1.0'>{}</{name}></domain>",
            if name.contains(':') { "<q:arg value='-S'/>" } else { "<arg value='-S'/>" }
        )
    };
    let of = |text: &str| parse::<Domain>(text).unwrap().strict().unwrap().qemu_commandline.unwrap().args.len();
    assert_eq!(of(&text("commandline", "xmlns")), 1);
    assert_eq!(of(&text("q:commandline", "xmlns:q")), 1);
    let elsewhere = text("commandline", "xmlns").replace("qemu/1.0", "elsewhere");
    assert!(parse::<Domain>(&elsewhere).unwrap().strict().is_err(), "a namespace that is not known is not ours");
}
