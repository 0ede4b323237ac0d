//! What reading a document takes in memory is bounded by its length: 64 KiB and twenty times as much.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ostler_conf::xml::{Document, MAX_ATTRIBUTES, MAX_DEPTH, MAX_LENGTH};
use ostler_conf::{Domain, Network, format, parse};

/// Counts what a thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has nothing left to count with.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        MOST.with(|most| most.set(most.get().max(held.get())));
    });
}

fn size(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout.size()));
        // SAFETY: the caller keeps what `GlobalAlloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // While it is moved, both are there.
        count(size(new_size));
        count(-size(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `work` held at a time.
fn most(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    work();
    usize::try_from(MOST.get() - before).expect("what is held grows from here")
}

fn check(what: &str, text: &str, read: impl FnOnce(&str)) {
    let held = most(|| read(text));
    let bound = (64 << 10) + 20 * text.len();
    assert!(held <= bound, "{what}: {} bytes took {held}, {bound} at most", text.len());
}

fn read_network(text: &str) {
    drop(parse::<Network>(text));
}

#[test]
fn a_hostile_document_takes_no_more_than_its_share() {
    let n = MAX_LENGTH / 4 - 100;
    let inside = |content: String| format!("<network><name>n</name>{content}</network>");
    for (what, text) in [
        ("nesting", "<network>".repeat(MAX_LENGTH / 9)),
        ("nesting to the bound", format!("{}{}", "<a>".repeat(MAX_DEPTH), "</a>".repeat(MAX_DEPTH))),
        ("a million elements", inside("<x/>".repeat(n))),
        ("elements to the bound", inside("<x/>".repeat(130_000))),
        ("elements with an attribute", inside("<x a='1'/>".repeat(130_000))),
        ("elements with a text", inside("<x>&lt;</x>".repeat(130_000))),
        ("attributes", format!("<network{}/>", (0..n / 3).map(|n| format!(" a{n}=''")).collect::<String>())),
        (
            "attributes to the bound",
            inside(
                format!("<x{}/>", (0..MAX_ATTRIBUTES).map(|n| format!(" {n:x}a=''")).collect::<String>()).repeat(500),
            ),
        ),
        ("references", inside("&lt;".repeat(n))),
        ("references in a name", format!("<network><name>{}</name></network>", "&#65;a".repeat(MAX_LENGTH / 6 - 20))),
        ("references in an attribute", format!("<network a='{}'/>", "&lt;".repeat(n))),
        ("a long text", format!("<network><name>{}</name></network>", "x".repeat(MAX_LENGTH - 50))),
        ("a long attribute", format!("<network a='{}'/>", "x".repeat(MAX_LENGTH - 50))),
        ("a long name", inside(format!("<{}/>", "x".repeat(MAX_LENGTH - 100)))),
        ("a long name of an attribute", inside(format!("<x {}=''/>", "x".repeat(MAX_LENGTH - 100)))),
        ("pieces of text", inside("x<!---->".repeat(MAX_LENGTH / 8 - 20))),
        ("character data", inside("<![CDATA[x]]>".repeat(MAX_LENGTH / 13 - 20))),
        ("prefixes", inside("<a:b xmlns:a='u'/>".repeat(100_000))),
        ("hosts", inside(format!("<dns>{}</dns>", "<txt name='a' value='b'/>".repeat(100_000)))),
    ] {
        check(what, &text, read_network);
    }
}

/// Sets hold ranges, not numbers.
#[test]
fn sets_take_no_more_than_their_text() {
    let pin = "<vcpupin vcpu='1' cpuset='0-16383'/>";
    let text = format!(
        "<domain type='test'><name>d</name><memory>1</memory><cputune>{}</cputune></domain>",
        pin.repeat(16_000)
    );
    check("sets", &text, |text| drop(parse::<Domain>(text)));
}

#[test]
fn a_document_beyond_the_bound_is_refused_unread() {
    let text = format!("<network><name>{}</name></network>", "x".repeat(MAX_LENGTH));
    assert!(most(|| assert!(Document::parse(&text).is_err())) < 4096);
    assert!(most(|| assert!(parse::<Network>(&"<".repeat(100 << 20)).is_err())) < (100 << 20) + 4096);
}

/// A guest as people have it: what is left of the document is no more than some times its text.
#[test]
fn an_ordinary_document_takes_little() {
    let disk = |letter: char| {
        format!(
            "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/{letter}.qcow2'/>\
             <target dev='vd{letter}' bus='virtio'/><address type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></disk>"
        )
    };
    let disks: String = ('a'..='f').map(disk).collect();
    let text = format!(
        "<domain type='kvm'><name>d</name><memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <features><acpi/></features><devices>{disks}<interface type='network'><source network='n'/><model type='virtio'/></interface>\
         <serial type='pty'/><graphics type='vnc'/></devices></domain>"
    );
    check("a guest", &text, |text| {
        let mut domain = parse::<Domain>(text).expect("a guest").value;
        domain.complete();
        assert!(!format(&domain).is_empty());
    });
}
