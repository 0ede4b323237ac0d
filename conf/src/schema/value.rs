//! What a value may look like: the words that stand behind an attribute's name, or behind `text`, in the rules.

use ostler_util::MacAddress;

/// One way in which a value may be written.
#[derive(Debug)]
pub(super) enum Form {
    /// `'word'`: just this.
    Word(&'static str),
    /// `1..100`: a decimal number between two, both included.
    Number(i128, i128),
    /// `hex:1-4`: so many hexadecimal digits, perhaps behind `0x`; `0x:1-4`: behind `0x`; `digits:1-2`: decimal ones.
    Digits { radix: u32, prefix: Prefix, least: usize, most: usize },
    /// One of [`NAMED`].
    Named(&'static Named),
}

/// Whether `0x` stands before digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    Never,
    Perhaps,
    Always,
}

/// A form with a name.
#[derive(Debug)]
pub(super) struct Named {
    name: &'static str,
    /// What is expected, to stand behind "is not".
    expected: &'static str,
    holds: fn(&str) -> bool,
}

/// Every form with a name.
const NAMED: &[Named] = &[
    named("any", "anything", |_| true),
    named("arch", "the name of an architecture", |text| ARCHITECTURES.contains(&text)),
    named("hex", "a hexadecimal number in small letters", |text| {
        is_number(text, 16, Prefix::Perhaps, 1, usize::MAX) && !text.contains(|c: char| c.is_ascii_uppercase())
    }),
    named(
        "chain",
        "'root', or a name that begins with mac, stp, vlan, arp, rarp, ipv4 or ipv6 and has 12 characters at most",
        |text| {
            let begins =
                ["mac", "stp", "vlan", "arp", "rarp", "ipv4", "ipv6"].iter().any(|known| text.starts_with(known));
            text == "root" || (begins && text.len() <= 12 && has_only(text, "_.:-"))
        },
    ),
    named("some", "anything but nothing", |text| !text.is_empty() && !text.contains('\n')),
    named("name", "a name of one line without a '/'", |text| !text.is_empty() && !text.contains(['/', '\n'])),
    named("volume", "a volume's name: without a '/', and neither '.' nor '..'", |text| {
        !text.is_empty() && !text.contains('/') && text != "." && text != ".."
    }),
    named("word", "a word of letters, digits, '_', '+' and '-'", |text| has_only(text, "_+-")),
    named("identifier", "a word of letters, digits and '_'", |text| has_only(text, "_")),
    named("feature", "a word of letters, digits, '_', '-' and '.'", |text| has_only(text, "_-.")),
    named("zone", "a word of letters, digits, '_' and '-'", |text| has_only(text, "_-")),
    named("profile", "a word of letters, digits, '.', '-' and ':'", |text| has_only(text, ".-:")),
    named("filter-value", "letters, digits, '_', '.' and ':'", |text| has_only(text, "_.:")),
    named("serial", "letters, digits, '_', '.', '+', '-' and blanks", |text| has_only(text, "_.+- ")),
    named("timezone", "the name of a time zone", |text| has_only(text, "_.+-/")),
    named("host", "a host's name", |text| has_only(text, ".-")),
    named("device", "a device's name", |text| has_only(text, "_.-\\:/")),
    named("bridge", "a bridge's name", |text| text.is_empty() || has_only(text, "_.-\\:/ ")),
    named("path", "an absolute path", |text| {
        let drive = text.len() > 3 && text.as_bytes()[0].is_ascii_alphabetic() && text[1..].starts_with(":\\");
        (text.len() > 1 && text.starts_with('/') || drive) && !text.contains('\n')
    }),
    named("folder", "an absolute path", |text| text.starts_with('/') && !text.contains('\n')),
    named("datastore-path", "a path of the form '[datastore] path'", |text| {
        let rest = text.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        rest.is_some_and(|(store, path)| !store.is_empty() && !path.is_empty())
    }),
    named("node-path", "an absolute path of letters, digits, '_', '+', '-', '%' and '/'", |text| {
        text.len() > 1 && text.starts_with('/') && has_only(text, "_+-%/")
    }),
    named("uuid", "a UUID such as 6d1a5e5c-0d0f-4b5e-9a0e-3c1f3c1b2a10", is_uuid),
    named("mac", "a MAC address such as 52:54:00:12:34:56", is_mac),
    named("unicast", "a MAC address of one interface: its first byte is even", |text| {
        is_mac(text) && text.parse::<MacAddress>().is_ok_and(|mac| !mac.is_multicast())
    }),
    named("ipv4", "an IPv4 address such as 192.168.122.1", is_ipv4),
    named("ipv6", "an IPv6 address such as fd00::1", |text| text.parse::<std::net::Ipv6Addr>().is_ok()),
    named("mode", "an octal mode such as 0755", |text| {
        (1..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
    }),
    named("cpus", "a list of CPUs such as 0-3,^2,8", is_cpu_list),
    named("unit", "a unit such as KiB or G", is_unit),
    named("port-path", "a USB port such as 1 or 1.2.3: at most four numbers", |text| {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() <= 4 && parts.iter().all(|part| is_number(part, 16, Prefix::Perhaps, 1, 3))
    }),
    named("pci-slot", "a slot from 0 to 0x1f", |text| {
        is_number(text, 16, Prefix::Perhaps, 1, 2)
            && u8::from_str_radix(text.trim_start_matches("0x"), 16).is_ok_and(|slot| slot < 32)
    }),
    named("pci-function", "a function from 0 to 7", |text| {
        matches!(text.strip_prefix("0x").unwrap_or(text).as_bytes(), [b'0'..=b'7'])
    }),
    named("ccw-ssid", "a subchannel set from 0 to 3", |text| {
        matches!(text.strip_prefix("0x").unwrap_or(text).as_bytes(), [b'0'..=b'3'])
    }),
    named("usb-version", "a version such as 2.00", |text| {
        let digits = |text| is_number(text, 10, Prefix::Never, 1, 2);
        text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
    }),
    named("duid", "a DHCP unique identifier such as 0:3:0:1:52:54:0:12:34:56", is_duid),
    named("loadparm", "one to eight letters, digits, '.' and blanks", |text| {
        text.len() <= 8 && has_only(text, ". \t\n")
    }),
    named("target", "a disk's target such as vda, sdb or hdc", |text| {
        let text = text.strip_prefix("ioemu:").unwrap_or(text);
        let rest = ["fd", "hd", "sd", "vd", "xvd", "ubd"].iter().find_map(|bus| text.strip_prefix(bus));
        rest.is_some_and(|rest| has_only(rest, "_"))
    }),
    named("vendor", "at most 8 printable ASCII characters", |text| is_printable(text, 8)),
    named("product", "at most 40 printable ASCII characters", |text| is_printable(text, 40)),
    named("app", "1 to 128 printable ASCII characters", |text| !text.is_empty() && is_printable(text, 128)),
    named("cpu-vendor", "12 characters without a ','", |text| text.chars().count() == 12 && !text.contains(',')),
    named("hyperv-vendor", "at most 12 characters without a ','", |text| {
        text.chars().count() <= 12 && !text.contains(',')
    }),
    named("wwpn", "'naa.' and 16 hexadecimal digits", |text| {
        text.strip_prefix("naa.").is_some_and(|digits| is_number(digits, 16, Prefix::Never, 16, 16))
    }),
    named("iqn", "an iSCSI name such as iqn.2013-12.org.example:disk", is_iscsi_name),
    named("moment", "a name of letters, digits, '_', '-' and '.'", |text| {
        !text.starts_with('.') && has_only(text, "_-.")
    }),
    named("time", "seconds since 1970, perhaps with a fraction", |text| {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        is_number(seconds, 10, Prefix::Never, 1, 40) && is_number(fraction, 10, Prefix::Never, 0, 9)
    }),
    named("version", "a version such as 1.1", |text| {
        let digits = |text| is_number(text, 10, Prefix::Never, 1, 40);
        text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
    }),
    named("offset", "a number of seconds, perhaps with a sign", |text| {
        is_number(text.strip_prefix(['-', '+']).unwrap_or(text), 10, Prefix::Never, 1, 40)
    }),
    named("seconds", "a number of seconds", |text| text.trim().parse::<f64>().is_ok_and(|number| number >= 0.0)),
    named("variable", "a name of letters, digits and '_' that begins with no digit", |text| {
        !text.starts_with(|first: char| first.is_ascii_digit()) && has_only(text, "_")
    }),
    named("xml-name", "a name as XML has them", |text| {
        text.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    }),
    named("blank", "nothing", |text| text.trim().is_empty()),
];

/// The architectures that a guest can have.
const ARCHITECTURES: &[&str] = &[
    "aarch64",
    "alpha",
    "armv6l",
    "armv7l",
    "cris",
    "i686",
    "ia64",
    "lm32",
    "loongarch64",
    "m68k",
    "microblaze",
    "microblazeel",
    "mips",
    "mipsel",
    "mips64",
    "mips64el",
    "openrisc",
    "parisc",
    "parisc64",
    "ppc",
    "ppc64",
    "ppc64le",
    "ppcemb",
    "riscv32",
    "riscv64",
    "s390",
    "s390x",
    "sh4",
    "sh4eb",
    "sparc",
    "sparc64",
    "unicore32",
    "x86_64",
    "xtensa",
    "xtensaeb",
];

const fn named(name: &'static str, expected: &'static str, holds: fn(&str) -> bool) -> Named {
    Named { name, expected, holds }
}

impl Form {
    /// Reads a word of the rules.
    ///
    /// # Errors
    /// The word, where it is none.
    pub(super) fn parse(text: &'static str) -> Result<Form, String> {
        let unknown = || format!("'{text}' is no form of a value");
        if let Some(word) = text.strip_prefix('\'') {
            return word.strip_suffix('\'').map(Form::Word).ok_or_else(unknown);
        }
        if let Some((least, most)) = text.split_once("..") {
            let number = |text: &str| text.parse::<i128>().map_err(|_| unknown());
            return Ok(Form::Number(number(least)?, number(most)?));
        }
        if let Some((kind, range)) = text.split_once(':') {
            let (least, most) = range.split_once('-').ok_or_else(unknown)?;
            let number = |text: &str| text.parse::<usize>().map_err(|_| unknown());
            let (least, most) = (number(least)?, number(most)?);
            let (radix, prefix) = match kind {
                "hex" => (16, Prefix::Perhaps),
                "0x" => (16, Prefix::Always),
                "digits" => (10, Prefix::Never),
                _ => return Err(unknown()),
            };
            return Ok(Form::Digits { radix, prefix, least, most });
        }
        NAMED.iter().find(|form| form.name == text).map(Form::Named).ok_or_else(unknown)
    }

    /// Whether a value has this form.
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Form::Word(word) => text.trim() == *word,
            Form::Number(least, most) => {
                text.trim().parse::<i128>().is_ok_and(|number| (*least..=*most).contains(&number))
            }
            Form::Digits { radix, prefix, least, most } => is_number(text, *radix, *prefix, *least, *most),
            Form::Named(named) => (named.holds)(text),
        }
    }

    /// What is expected, to stand behind "is not".
    pub(super) fn expected(&self) -> String {
        match self {
            Form::Word(word) => format!("'{word}'"),
            Form::Number(least, most) => format!("a number from {least} to {most}"),
            Form::Digits { radix: 10, least, most, .. } => format!("a number of {least} to {most} digits"),
            Form::Digits { prefix: Prefix::Always, least, most, .. } => {
                format!("a hexadecimal number of {least} to {most} digits behind 0x")
            }
            Form::Digits { least, most, .. } => format!("a hexadecimal number of {least} to {most} digits"),
            Form::Named(named) => named.expected.to_owned(),
        }
    }
}

/// Whether a text has at least one character, and only ASCII letters, digits and `others`.
fn has_only(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_printable(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn is_number(text: &str, radix: u32, prefix: Prefix, least: usize, most: usize) -> bool {
    let digits = match (prefix, text.strip_prefix("0x")) {
        (Prefix::Never, _) | (Prefix::Perhaps, None) => text,
        (Prefix::Perhaps | Prefix::Always, Some(digits)) => digits,
        (Prefix::Always, None) => return false,
    };
    (least..=most).contains(&digits.len()) && digits.chars().all(|c| c.is_digit(radix))
}

/// With its four dashes, or without any.
fn is_uuid(text: &str) -> bool {
    let places = [8, 13, 18, 23];
    match text.len() {
        32 => text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        36 => text.bytes().enumerate().all(|(place, byte)| match places.contains(&place) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        }),
        _ => false,
    }
}

fn is_mac(text: &str) -> bool {
    text.split(':').count() == 6 && text.split(':').all(|byte| is_number(byte, 16, Prefix::Never, 2, 2))
}

/// A part with a leading zero is none.
fn is_ipv4(text: &str) -> bool {
    let is_part = |part: &str| part.parse::<u8>().is_ok_and(|number| number.to_string() == part);
    text.split('.').count() == 4 && text.split('.').all(is_part)
}

fn is_cpu_list(text: &str) -> bool {
    let is_one = |text: &str| is_number(text, 10, Prefix::Never, 1, 40);
    text.split(',').all(|part| match (part.strip_prefix('^'), part.split_once('-')) {
        (Some(but), _) => is_one(but),
        (None, Some((first, last))) => is_one(first) && is_one(last),
        (None, None) => is_one(part),
    })
}

fn is_unit(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let scaled = text.strip_prefix(['k', 'm', 'g', 't', 'p', 'e']);
    matches!(text.as_str(), "b" | "byte" | "bytes") || scaled.is_some_and(|rest| matches!(rest, "" | "b" | "ib"))
}

/// `iqn.`, a year and a month, a domain's name backwards, and what its owner put behind a colon.
fn is_iscsi_name(text: &str) -> bool {
    let Some((date, rest)) = text.strip_prefix("iqn.").and_then(|rest| rest.split_once('.')) else { return false };
    let Some((year, month)) = date.split_once('-') else { return false };
    let (owner, own) = rest.split_once(':').map_or((rest, None), |(owner, own)| (owner, Some(own)));
    let is_month = month.len() == 2 && month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month));
    is_number(year, 10, Prefix::Never, 4, 4) && is_month && has_only(owner, ".-") && own != Some("")
}

/// Bytes of hexadecimal digits: two that name the kind, and then as many as the kind has.
fn is_duid(text: &str) -> bool {
    let bytes: Vec<&str> = text.split(':').collect();
    let kind = match bytes.as_slice() {
        ["0" | "00", kind, ..] => kind.trim_start_matches('0'),
        _ => return false,
    };
    let length = match kind {
        "1" => 14..=16,
        "2" => 7..=130,
        "3" => 10..=12,
        "4" => 18..=18,
        _ => return false,
    };
    length.contains(&bytes.len()) && bytes.iter().all(|byte| is_number(byte, 16, Prefix::Never, 1, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(form: &'static str, text: &str) -> bool {
        Form::parse(form).expect("a form").holds(text)
    }

    #[test]
    fn forms_take_what_they_say_and_nothing_else() {
        for (form, right, wrong) in [
            ("'hvm'", "hvm", "xen"),
            ("1..100", " 7 ", "101"),
            ("-1..65535", "-1", "x"),
            ("hex:1-4", "0xfF", "12345"),
            ("0x:1-2", "0x1f", "1f"),
            ("digits:1-2", "12", "123"),
            ("name", "a b", "a/b"),
            ("path", "/a", "a"),
            ("path", "C:\\a", "/"),
            ("datastore-path", "[ds] a/b", "[ds]"),
            ("uuid", "6d1a5e5c0d0f4b5e9a0e3c1f3c1b2a10", "6d1a5e5c-0d0f4b5e9a0e3c1f3c1b2a10"),
            ("unicast", "52:54:00:12:34:56", "53:54:00:12:34:56"),
            ("ipv4", "10.0.0.1", "10.0.0.01"),
            ("cpus", "0-3,^2,8", "0-,1"),
            ("unit", "KiB", "KiloB"),
            ("port-path", "1.2.3.4", "1.2.3.4.5"),
            ("target", "xvda", "x"),
            ("iqn", "iqn.2013-12.org.example:a", "iqn.2013-13.org.example:a"),
            ("time", "1.5", "1,5"),
            ("offset", "-3600", "now"),
        ] {
            assert!(holds(form, right), "{form} takes {right}");
            assert!(!holds(form, wrong), "{form} refuses {wrong}");
        }
    }

    #[test]
    fn a_word_that_is_no_form_is_told() {
        assert!(Form::parse("nonsense").is_err_and(|message| message.contains("nonsense")));
    }

    #[test]
    fn names_of_forms_are_there_once() {
        for (index, form) in NAMED.iter().enumerate() {
            assert!(NAMED[..index].iter().all(|earlier| earlier.name != form.name), "{} is there twice", form.name);
        }
    }
}
