//! Legal object names for libvirt's.

use std::collections::{BTreeMap, BTreeSet};

/// The longest name: a DNS label.
const MAX_LENGTH: usize = 63;

/// A legal object name made from a name of libvirt's, the same on every run.
pub(super) fn label(name: &str) -> String {
    let mapped: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let trimmed = mapped.trim_matches('-');
    let short: String = trimmed.chars().take(MAX_LENGTH).collect();
    match short.trim_end_matches('-') {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

/// Legal names for all things of a kind, no two the same. A name that is legal stays; of others that would become the same,
/// all but the first get a number.
pub(super) fn labels<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let names: BTreeSet<&str> = names.collect();
    let (legal, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| label(name) == *name);
    let mut taken: BTreeSet<String> = legal.iter().map(|name| (*name).to_owned()).collect();
    let mut labels: BTreeMap<String, String> = taken.iter().map(|name| (name.clone(), name.clone())).collect();
    for name in others {
        let base = label(name);
        let numbered = (2..).map(|number: u32| {
            let end = format!("-{number}");
            let start: String = base.chars().take(MAX_LENGTH - end.len()).collect();
            format!("{start}{end}")
        });
        let free = std::iter::once(base.clone()).chain(numbered).find(|label| !taken.contains(label));
        let free = free.expect("there are more numbers than names");
        taken.insert(free.clone());
        labels.insert(name.to_owned(), free);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::{label, labels};

    #[test]
    fn names_become_legal() {
        for (name, legal) in
            [("web", "web"), ("windows_10", "windows-10"), ("macOS", "macos"), ("-a b-", "a-b"), ("äöü", "unnamed")]
        {
            assert_eq!(label(name), legal);
        }
    }

    #[test]
    fn no_two_names_become_the_same() {
        let long = "x".repeat(70);
        let longer = format!("{long}y");
        let labels = labels(["a_b", "a b", "a-b", &long, &longer].into_iter());
        assert_eq!((labels["a-b"].as_str(), labels["a b"].as_str(), labels["a_b"].as_str()), ("a-b", "a-b-2", "a-b-3"));
        assert_eq!(labels[&long], "x".repeat(63));
        assert_eq!(labels[&longer], format!("{}-2", "x".repeat(61)));
    }
}
