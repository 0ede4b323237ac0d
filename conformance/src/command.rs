//! A command line as the corpus writes it.

/// The environment, the program and its arguments, each on a line of its own but for the value of an option, which follows it;
/// words of another command stand on lines of their own again.
pub(super) fn wrapped<N: AsRef<str>>(environment: &[(N, String)], program: &str, arguments: &[String]) -> String {
    let mut text = String::new();
    for (name, value) in environment {
        text += &format!("{}={} \\\n", name.as_ref(), quoted(value));
    }
    text += &quoted(program);
    let last_option = arguments.iter().rposition(|argument| argument.starts_with('-'));
    let mut had_option = false;
    for (at, argument) in arguments.iter().enumerate() {
        let is_option = argument.starts_with('-');
        let follows_option = at > 0 && arguments[at - 1].starts_with('-');
        let stays = !is_option && had_option && (follows_option || last_option > Some(at));
        text += if stays { " " } else { " \\\n" };
        text += &quoted(argument);
        had_option |= is_option;
    }
    text
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=,./:+@%^".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_with_its_option() {
        let arguments = ["create", "-f", "x", "a b", "--y", "z", "it's", "w"].map(str::to_owned);
        let expected = "A='' \\\nqemu-img \\\ncreate \\\n-f x 'a b' \\\n--y z \\\n'it'\\''s' \\\nw";
        assert_eq!(wrapped(&[("A", String::new())], "qemu-img", &arguments), expected);
    }
}
