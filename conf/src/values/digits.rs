//! Numbers as texts, without a text of their own.

/// Appends a number of this base with `least` digits at least.
// To divide by a number that is known when this is compiled takes a tenth of the time.
#[inline(always)]
pub(crate) fn append(out: &mut String, mut number: u64, base: u64, least: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Twenty hold every number in decimal; more are only asked for as zeros.
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while number > 0 {
        first -= 1;
        digits[first] = DIGITS[(number % base) as usize];
        number /= base;
    }
    first = first.min(digits.len() - least.clamp(1, digits.len()));
    out.push_str(std::str::from_utf8(&digits[first..]).expect("digits are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::append;

    #[test]
    fn a_number_is_written_as_it_is_shown() {
        let written = |number, base, least| {
            let mut out = String::new();
            append(&mut out, number, base, least);
            out
        };
        for number in [0, 7, 10, 255, 65_536, u64::MAX] {
            assert_eq!(written(number, 10, 0), number.to_string());
            assert_eq!(written(number, 16, 0), format!("{number:x}"));
            assert_eq!(written(number, 16, 4), format!("{number:04x}"));
            assert_eq!(written(number, 16, 8), format!("{number:08x}"));
        }
    }
}
