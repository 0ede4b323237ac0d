//! Each rule once, by the field that it names.

use ostler_util::ErrorCode;

use super::{check, check_supported};
use crate::complete::{complete, tests};

const GUEST: &str = "<domain type='qemu'><name>g</name><uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>
  <memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type machine='q35'>hvm</type></os>OS
  <devices>
    <disk type='file'><driver type='raw'/><source file='/a'/><target dev='vda'/></disk>DEVICES
  </devices></domain>";

/// What is wrong with `GUEST` after `from` became `to`.
fn problem(from: &str, to: &str) -> Option<(ErrorCode, String)> {
    let text = GUEST.replace(from, to).replace("OS\n", "\n").replace("DEVICES", "");
    let spec = tests::domain(&text);
    let host = tests::host();
    match complete(&spec, None, &host) {
        Err(error) => Some((error.code, error.field.unwrap_or_default())),
        Ok(completed) => {
            let checked = check(&completed, &host).and_then(|()| check_supported(&completed, &host));
            checked.err().map(|invalid| (invalid.first().code, invalid.first().path.clone()))
        }
    }
}

#[test]
fn the_guest_itself_is_right() {
    assert_eq!(problem("", ""), None);
}

#[test]
fn what_has_all_it_stands_on_is_started() {
    let clock = |clock: &str| ("OS", clock.to_owned());
    let device = |device: &str| ("DEVICES", device.to_owned());
    for (from, to) in [
        clock("<clock offset='utc' adjustment='reset'/>"),
        clock("<clock offset='localtime' adjustment='-90'/>"),
        clock("<clock offset='variable' adjustment='3600' basis='localtime'/>"),
        clock("<clock offset='absolute' start='86400'/>"),
        clock("<clock offset='utc'><timer name='rtc' track='guest'/></clock>"),
        device("<interface type='ethernet'/>"),
        device("<interface type='ethernet'><target dev='tap7' managed='no'/></interface>"),
        device(
            "<channel type='unix'><source mode='bind' path='/s'/>\
             <target type='guestfwd' address='10.0.2.1' port='4600'/></channel>",
        ),
        ("<target dev='vda'/>", "<target dev='vda'/><transient shareBacking='yes'/>".to_owned()),
        device("<graphics type='vnc'><listen type='socket' socket='/s'/></graphics>"),
        device("<shmem name='ring'><model type='ivshmem-plain'/></shmem>"),
        device("<shmem name='bell'><model type='ivshmem-doorbell'/><server path='/s'/></shmem>"),
        device("<pstore backend='acpi-erst'><size unit='KiB'>64</size></pstore>"),
    ] {
        assert_eq!(problem(from, &to), None, "{to}");
    }
}

macro_rules! refused {
    ($($name:ident: $from:literal => $to:literal, $code:ident at $field:literal;)*) => { $(
        #[test]
        fn $name() {
            assert_eq!(problem($from, $to), Some((ErrorCode::$code, $field.to_owned())));
        }
    )* };
}

refused! {
    lun_of_a_file: "<disk type='file'>" => "<disk type='file' device='lun'>", ConfigUnsupported at "devices.disks[vda].device";
    lun_on_virtio: "<disk type='file'><driver type='raw'/><source file='/a'/>" => "<disk type='block' device='lun'><source dev='/dev/sda'/>", ConfigUnsupported at "devices.disks[vda].device";
    twice_the_same_target: "DEVICES" => "<disk type='file'><source file='/b'/><target dev='vda'/></disk>", XmlError at "devices.disks[vda]";
    no_source: "<source file='/a'/>" => "", NoSource at "devices.disks[vda].source";
    relative_source: "'/a'" => "'a'", XmlError at "devices.disks[vda].source";
    ide_on_q35: "dev='vda'" => "dev='hda'", ConfigUnsupported at "devices.disks[hda].target.bus";
    xen_disk: "dev='vda'" => "dev='xvda'", ConfigUnsupported at "devices.disks[xvda].target.bus";
    read_only_sata: "<target dev='vda'/>" => "<target dev='sda' bus='sata'/><readonly/>", ConfigUnsupported at "devices.disks[sda].readonly";
    virtio_cdrom: "<disk type='file'>" => "<disk type='file' device='cdrom'>", ConfigUnsupported at "devices.disks[vda].device";
    read_only_transient: "<target dev='vda'/>" => "<target dev='vda'/><readonly/><transient/>", ConfigUnsupported at "devices.disks[vda].transient";
    remote_transient: "<source file='/a'/><target dev='vda'/>" => "<source file='/a'/><target dev='vda'/></disk><disk type='network'><source protocol='nbd' name='n'><host name='h'/></source><target dev='vdb'/><transient/>", ConfigUnsupported at "devices.disks[vdb].transient";
    screen_at_two_places: "DEVICES" => "<graphics type='vnc'><listen type='none'/><listen type='socket' socket='/s'/></graphics>", ConfigUnsupported at "devices.graphics[graphics0].kind.vnc.listens";
    relative_screen: "DEVICES" => "<graphics type='vnc'><listen type='socket' socket='a'/></graphics>", XmlError at "devices.graphics[graphics0].kind.vnc.listens";
    native_without_direct: "<driver type='raw'/>" => "<driver type='raw' io='native'/>", ConfigUnsupported at "devices.disks[vda].driver.io";
    foreign_disk_driver: "<driver type='raw'/>" => "<driver name='tap2' type='raw'/>", ConfigUnsupported at "devices.disks[vda].driver.name";
    wwn_on_virtio: "<target dev='vda'/>" => "<target dev='vda'/><wwn>5000c50015ea71ad</wwn>", ConfigUnsupported at "devices.disks[vda].wwn";
    serial_with_a_quote: "<target dev='vda'/>" => "<target dev='vda'/><serial>a\"b</serial>", ConfigUnsupported at "devices.disks[vda].serial";
    no_memory: "<memory unit='MiB'>64</memory>" => "<memory>1</memory>", ConfigUnsupported at "memory.size";
    too_much_memory: "unit='MiB'>64" => "unit='PiB'>64", ConfigUnsupported at "memory.size";
    no_vcpu: "<vcpu>2" => "<vcpu>0", XmlError at "vcpu.count";
    too_many_vcpus: "<vcpu>2" => "<vcpu>9999", ConfigUnsupported at "vcpu.count";
    wrong_topology: "OS" => "<cpu><topology sockets='1' cores='3' threads='1'/></cpu>", ConfigUnsupported at "cpu.topology";
    host_cpu_without_kvm: "OS" => "<cpu mode='host-passthrough'/>", ConfigUnsupported at "cpu.mode";
    unknown_cpu: "OS" => "<cpu><model>z80,x=y</model></cpu>", ConfigUnsupported at "cpu.model.name";
    cpu_feature_that_is_none: "OS" => "<cpu mode='maximum'><feature name='a,b=c'/></cpu>", ConfigUnsupported at "cpu.features[a,b=c]";
    unknown_machine: "machine='q35'" => "machine='amiga'", ConfigUnsupported at "os.type.machine";
    other_architecture: "machine='q35'" => "arch='sparc' machine='q35'", ConfigUnsupported at "os.type.arch";
    initrd_without_kernel: "hvm</type>" => "hvm</type><initrd>/i</initrd>", ConfigUnsupported at "os.initrd";
    unknown_network_device: "DEVICES" => "<interface type='user'><model type='ne9000'/></interface>", ConfigUnsupported at "devices.interfaces[net0].model.type";
    injected_network_device: "DEVICES" => "<interface type='user'><model type='e1000,x=y'/></interface>", ConfigUnsupported at "devices.interfaces[net0].model.type";
    mtu_of_a_user_network: "DEVICES" => "<interface type='user'><model type='virtio'/><mtu size='1400'/></interface>", ConfigUnsupported at "devices.interfaces[net0].mtu";
    multicast_mac: "DEVICES" => "<interface type='user'><mac address='53:54:00:00:00:01'/></interface>", XmlError at "devices.interfaces[net0].mac.address";
    two_watchdog_actions: "DEVICES" => "<watchdog model='itco' action='reset'/><watchdog model='i6300esb' action='pause'/>", ConfigUnsupported at "devices.watchdogs[watchdog1].action";
    xen_balloon: "DEVICES" => "<memballoon model='xen'/>", ConfigUnsupported at "devices.memballoon.model";
    random_from_a_file: "DEVICES" => "<rng model='virtio'><backend model='random'>/etc/passwd</backend></rng>", ConfigUnsupported at "devices.rngs[rng0].backend";
    fifth_serial_port: "DEVICES" => "<serial type='pty'><target type='isa-serial' port='4'/></serial>", ConfigUnsupported at "devices.serials[serial0].target.port";
    nowhere_to_connect: "DEVICES" => "<serial type='unix'><source mode='connect'/></serial>", InternalError at "devices.serials[serial0].source.unix.path";
    tablet_on_ps2: "DEVICES" => "<input type='tablet' bus='ps2'/>", ConfigUnsupported at "devices.inputs[input0].bus";
    core_dump: "OS" => "<on_crash>coredump-destroy</on_crash>", ConfigUnsupported at "on_crash";
    restart_at_poweroff_destroy_at_reboot: "OS" => "<on_poweroff>restart</on_poweroff><on_reboot>destroy</on_reboot>", ConfigUnsupported at "on_reboot";
    no_usb_left: "DEVICES" => "<controller type='usb' model='none'/><input type='tablet' bus='usb'/>", InternalError at "devices.inputs[input0].address";
    first_sata_elsewhere: "DEVICES" => "<controller type='sata' index='0'><address type='pci' bus='0' slot='5'/></controller>", XmlError at "devices.controllers[sata0].address";
    slot_that_is_none: "<target dev='vda'/>" => "<target dev='vda'/><address type='pci' bus='1' slot='3'/>", XmlError at "devices.disks[vda].address";
    merged_rtc: "OS" => "<clock offset='utc'><timer name='rtc' tickpolicy='merge'/></clock>", ConfigUnsupported at "clock.timers";
    clock_beyond_the_calendar: "OS" => "<clock offset='absolute' start='253402300800'/>", ConfigUnsupported at "clock.start";
    rtc_that_follows_the_boot: "OS" => "<clock offset='utc'><timer name='rtc' track='boot'/></clock>", ConfigUnsupported at "clock.timers[rtc].track";
    pit_that_follows: "OS" => "<clock offset='utc'><timer name='pit' track='wall'/></clock>", ConfigUnsupported at "clock.timers[pit].track";
    tap_of_a_bad_name: "DEVICES" => "<interface type='ethernet'><target dev='a-name-of-16-byte'/></interface>", ConfigUnsupported at "devices.interfaces[net0].target.dev";
    hosts_end_with_an_address: "DEVICES" => "<interface type='ethernet'><source><ip address='10.0.0.1'/></source></interface>", ConfigUnsupported at "devices.interfaces[net0].source.ethernet.ips";
    foreign_device_of_a_network: "DEVICES" => "<interface type='bridge'><source bridge='b'/><target dev='t' managed='no'/></interface>", ConfigUnsupported at "devices.interfaces[net0].target.managed";
    channel_of_xen: "DEVICES" => "<channel type='pty'><target type='xen' name='a'/></channel>", ConfigUnsupported at "devices.channels[channel0].target.type";
    shared_memory_elsewhere: "DEVICES" => "<shmem name='a/b'><model type='ivshmem-plain'/></shmem>", ConfigUnsupported at "devices.shmems[a/b].name";
    odd_shared_memory: "DEVICES" => "<shmem name='a'><model type='ivshmem-plain'/><size unit='M'>3</size></shmem>", XmlError at "devices.shmems[a].size";
    bell_without_a_server: "DEVICES" => "<shmem name='a'><model type='ivshmem-doorbell'/></shmem>", ConfigUnsupported at "devices.shmems[a].server";
    last_words_without_room: "DEVICES" => "<pstore backend='acpi-erst'/>", XmlError at "devices.pstore.size";
    too_many_last_words: "DEVICES" => "<pstore backend='acpi-erst'><size unit='MiB'>65</size></pstore>", ConfigUnsupported at "devices.pstore.size";
    relative_last_words: "DEVICES" => "<pstore backend='acpi-erst'><path>a</path><size unit='KiB'>64</size></pstore>", XmlError at "devices.pstore.path";
    for_another_driver: "type='qemu'" => "type='test'", ConfigUnsupported at "type";
}
