//! Kubernetes' quantities, as nodes and pods write them: `250m`, `4`, `16Gi`, `1e9`.

/// Suffixes with the thousandths that one of them is.
const SUFFIXES: &[(&str, i128)] = &[
    ("", 1_000),
    ("m", 1),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
    ("Ei", 1_000 << 60),
];

/// The quantity in thousandths, rounded up; `None` where it is none. What is too large for 64 bits is the largest number.
pub(super) fn thousandths(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let product = match SUFFIXES.iter().find(|(name, _)| *name == suffix) {
        Some((_, factor)) => digits.checked_mul(*factor),
        // Billionths and millionths, which metrics have, and exponents.
        None if suffix == "n" || suffix == "u" => return Some(i64::from(digits > 0)),
        None => {
            let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.trim_start_matches('+').parse().ok()?;
            10_i128
                .checked_pow(exponent)
                .and_then(|factor| digits.checked_mul(factor))
                .and_then(|n| n.checked_mul(1_000))
        }
    };
    let rounded = product.map(|product| (product + divisor - 1) / divisor);
    Some(rounded.and_then(|value| i64::try_from(value).ok()).unwrap_or(i64::MAX))
}

/// The quantity in whole units, rounded up.
pub(super) fn units(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    // Bytes of a large host are more thousandths than 64 bits hold.
    if end == text.len() {
        return text.parse().ok();
    }
    match thousandths(text)? {
        i64::MAX => Some(i64::MAX),
        thousandths => Some(thousandths.div_euclid(1_000) + i64::from(thousandths.rem_euclid(1_000) > 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::{thousandths, units};

    #[test]
    fn cpus_are_read_in_thousandths() {
        let cases =
            [("250m", 250), ("2", 2_000), ("0.5", 500), ("1.0001", 1_001), ("0", 0), ("1e3", 1_000_000), ("5n", 1)];
        for (text, expected) in cases {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let cases = [
            ("16Gi", 16 << 30),
            ("128974848", 128_974_848),
            ("129M", 129_000_000),
            ("1.5Ki", 1536),
            ("128974848000m", 128_974_848),
        ];
        for (text, expected) in cases {
            assert_eq!(units(text), Some(expected), "{text}");
        }
        assert_eq!(units("999Ei"), Some(i64::MAX));
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in ["", "Gi", ".", "1.2.3", "4 Gi", "1Q", "-1", "e3"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
