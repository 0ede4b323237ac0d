//! A command line as this machine can try it: its own numbers of descriptors, no KVM, and less memory. Nothing else changes.

use ostler_util::spawn::FIRST_FD;

/// What a descriptor stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Descriptor {
    /// A socket that QEMU listens on, for this option's character device.
    Listening(String),
    /// A socket that is connected.
    Connected,
    /// A file, by the set that it comes into.
    InSet(String),
    /// A tap device.
    Tap,
    /// The kernel's part of a virtio device.
    Vhost,
}

/// How numbers of descriptors stand in a command line: after what, in which options (all, if none).
const NUMBERS: &[(&str, &[&str])] = &[
    ("\"fd\":\"", &[]),
    ("\"fds\":\"", &[]),
    ("\"vhostfd\":\"", &[]),
    ("\"vhostfds\":\"", &[]),
    ("\"type\":\"fd\",\"data\":{\"str\":\"", &["-chardev"]),
    (",fd=", &["-chardev", "-add-fd"]),
    ("vhostfd=", &["-device"]),
    ("fd:", &["-incoming"]),
];

/// No guest needs more to be started, in KiB.
const ENOUGH_KIB: u64 = 1 << 20;
/// What is left free for memory that comes later, in KiB: TCG's guests have addresses of 40 bits.
const MOST_KIB: u64 = 1 << 28;

/// The arguments to try, and the descriptors that go with them, in the order of their numbers.
pub(super) fn on_this_machine(args: &[String]) -> (Vec<String>, Vec<Descriptor>) {
    let mut made = args.to_vec();
    let mut descriptors = Vec::new();
    for at in 1..made.len() {
        let (option, value) = (made[at - 1].clone(), made[at].clone());
        made[at] = without_kvm(&option, renumbered(&option, value, &mut descriptors));
    }
    if let Some(divisor) = divisor(&made) {
        for at in 1..made.len() {
            made[at] = with_less_memory(&made[at - 1], &made[at], divisor);
        }
    }
    (made, descriptors)
}

fn renumbered(option: &str, mut value: String, descriptors: &mut Vec<Descriptor>) -> String {
    for (before, _) in NUMBERS.iter().filter(|(_, options)| options.is_empty() || options.contains(&option)) {
        let Some(start) = value.find(before).map(|at| at + before.len()) else { continue };
        let length = value[start..].find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(value.len() - start);
        let numbers = value[start..start + length].split(':').map(|_| {
            descriptors.push(meaning(option, before, &value));
            (FIRST_FD as usize + descriptors.len() - 1).to_string()
        });
        let numbers = numbers.collect::<Vec<_>>().join(":");
        value.replace_range(start..start + length, &numbers);
    }
    value
}

fn meaning(option: &str, before: &str, value: &str) -> Descriptor {
    match option {
        "-chardev" if value.contains("server=on") || value.contains("\"server\":true") => {
            Descriptor::Listening(value.to_owned())
        }
        "-chardev" | "-incoming" => Descriptor::Connected,
        "-add-fd" => {
            let set = value.split(',').find_map(|part| part.strip_prefix("set="));
            Descriptor::InSet(set.unwrap_or_default().to_owned())
        }
        _ if before.contains("vhost") => Descriptor::Vhost,
        _ => Descriptor::Tap,
    }
}

fn without_kvm(option: &str, value: String) -> String {
    match option {
        "-accel" => value.replacen("kvm", "tcg", 1),
        "-machine" => value.replace("accel=kvm", "accel=tcg"),
        _ => value,
    }
}

/// By what the memory is divided, if it is too much, and each part of it can be. What is plugged in has addresses that count on it.
fn divisor(args: &[String]) -> Option<u64> {
    let memory = value_of(args, "-m")?;
    let size = kib(memory.split(',').next()?.strip_prefix("size=")?)?;
    if memory.contains("maxmem=") {
        return Some(1);
    }
    let mut divisor = 1;
    while size / divisor > ENOUGH_KIB {
        divisor *= 2;
    }
    let is_divisible = |size: u64| size.is_multiple_of(divisor * 2048);
    let parts = args.iter().filter(|arg| arg.contains("memory-backend-")).filter_map(|arg| number_in(arg, "\"size\":"));
    (divisor > 1 && is_divisible(size) && parts.map(|bytes| bytes / 1024).all(is_divisible)).then_some(divisor)
}

fn with_less_memory(option: &str, value: &str, divisor: u64) -> String {
    match option {
        "-m" => {
            let part = |part: &str| match part.split_once('=') {
                Some(("size", size)) => kib(size).map_or(part.to_owned(), |kib| format!("size={}k", kib / divisor)),
                Some(("maxmem", size)) => {
                    kib(size).map_or(part.to_owned(), |kib| format!("maxmem={}k", kib.min(MOST_KIB)))
                }
                _ => part.to_owned(),
            };
            value.split(',').map(part).collect::<Vec<_>>().join(",")
        }
        "-object" if value.contains("memory-backend-") => match number_in(value, "\"size\":") {
            Some(bytes) => value.replace(&format!("\"size\":{bytes}"), &format!("\"size\":{}", bytes / divisor)),
            None => value.to_owned(),
        },
        "-numa" => match number_in(value, ",mem=") {
            Some(mib) => value.replace(&format!(",mem={mib}"), &format!(",mem={}", mib / divisor)),
            None => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

fn value_of<'a>(args: &'a [String], option: &str) -> Option<&'a str> {
    args.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1].as_str())
}

fn kib(text: &str) -> Option<u64> {
    text.strip_suffix('k')?.parse().ok()
}

fn number_in(text: &str, before: &str) -> Option<u64> {
    let rest = &text[text.find(before)? + before.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expected: &[&str]) -> Vec<Descriptor> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (made, descriptors) = on_this_machine(&args);
        assert_eq!(made, expected);
        descriptors
    }

    #[test]
    fn descriptors_are_numbered_in_their_order() {
        let monitor = "socket,id=c,fd=1729,server=on,wait=off";
        let made = check(
            &[
                "-chardev",
                monitor,
                "-netdev",
                r#"{"type":"tap","fds":"102:103","vhost":true,"vhostfds":"44:45"}"#,
                "-add-fd",
                "set=2,fd=9,opaque=x",
                "-incoming",
                "fd:7",
            ],
            &[
                "-chardev",
                "socket,id=c,fd=3,server=on,wait=off",
                "-netdev",
                r#"{"type":"tap","fds":"4:5","vhost":true,"vhostfds":"6:7"}"#,
                "-add-fd",
                "set=2,fd=8,opaque=x",
                "-incoming",
                "fd:9",
            ],
        );
        use Descriptor::{Connected, InSet, Listening, Tap, Vhost};
        assert_eq!(made, [Listening(monitor.into()), Tap, Tap, Vhost, Vhost, InSet("2".into()), Connected]);
    }

    #[test]
    fn kvm_becomes_tcg_and_nothing_else_changes() {
        check(
            &["-accel", "kvm", "-machine", "pc,accel=kvm", "-cpu", "q,kvm=off", "-name", "guest=kvm"],
            &["-accel", "tcg", "-machine", "pc,accel=tcg", "-cpu", "q,kvm=off", "-name", "guest=kvm"],
        );
    }

    #[test]
    fn memory_is_divided_if_all_of_it_can_be() {
        let object = |bytes: u64| format!(r#"{{"qom-type":"memory-backend-ram","id":"r","size":{bytes}}}"#);
        check(
            &["-m", "size=4194304k", "-object", &object(4 << 30)],
            &["-m", "size=1048576k", "-object", &object(1 << 30)],
        );
        check(&["-m", "size=4000769k", "-object", &object(1)], &["-m", "size=4000769k", "-object", &object(1)]);
        check(&["-m", "size=219136k"], &["-m", "size=219136k"]);
        check(&["-m", "size=2048k,slots=2,maxmem=1099511627776k"], &["-m", "size=2048k,slots=2,maxmem=268435456k"]);
    }
}
