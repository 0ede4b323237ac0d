//! Which elements a rule is for.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;

use super::rules::Item;
use crate::xml::Reader;

/// A path that an element's own must end with.
#[derive(Debug)]
pub(super) struct Selector {
    /// From the element upwards.
    steps: Vec<Step>,
    /// Whether the last of the steps is the root.
    is_whole: bool,
}

#[derive(Debug)]
struct Step {
    names: Vec<&'static str>,
    conditions: Vec<Condition>,
}

/// What is asked of something that an element has.
#[derive(Debug)]
struct Condition {
    of: Item<'static>,
    /// The values of which it has one; `None`: whether it is there at all.
    values: Option<Vec<&'static str>>,
    is_so: bool,
}

/// An element on the way to another.
#[derive(Debug)]
pub(super) struct Level<'d> {
    pub(super) element: Reader<'d>,
    /// The text of the first child of each name: what is asked of an element is asked again for every child of it.
    children: OnceCell<HashMap<&'d str, &'d str>>,
}

impl<'d> Level<'d> {
    pub(super) fn new(element: Reader<'d>) -> Self {
        Level { element, children: OnceCell::new() }
    }

    /// The value, or the text, of something that the element has, without blanks around.
    fn text_of(&self, item: Item<'_>) -> Option<&'d str> {
        match item {
            Item::Attribute(name) => self.element.attribute(name).map(str::trim),
            Item::Child(name) => self.children.get_or_init(|| self.first_children()).get(name).copied(),
        }
    }

    fn first_children(&self) -> HashMap<&'d str, &'d str> {
        let mut first = HashMap::new();
        for child in self.element.all_children() {
            first.entry(child.local_name()).or_insert_with(|| child.text_untaken().trim());
        }
        first
    }
}

impl Selector {
    /// Reads a selector of the rules.
    ///
    /// # Errors
    /// A bracket that is not closed.
    pub(super) fn parse(text: &'static str) -> Result<Selector, String> {
        let is_whole = text.starts_with('/');
        let mut steps = Vec::new();
        let mut rest = text.trim_start_matches('/');
        while !rest.is_empty() {
            let end = rest.find(['/', '[']).unwrap_or(rest.len());
            let mut step = Step { names: rest[..end].split('|').collect(), conditions: Vec::new() };
            rest = &rest[end..];
            while let Some(after) = rest.strip_prefix('[') {
                let (condition, after) = after.split_once(']').ok_or("a ']' is missing")?;
                step.conditions.push(Condition::parse(condition));
                rest = after;
            }
            rest = rest.strip_prefix('/').unwrap_or(rest);
            steps.push(step);
        }
        steps.reverse();
        Ok(Selector { steps, is_whole })
    }

    /// The names of the elements that it may pick.
    pub(super) fn names(&self) -> &[&'static str] {
        self.steps.first().map_or(&[], |step| &step.names)
    }

    /// Whether it picks the last of a path of elements.
    pub(super) fn picks(&self, path: &[Level<'_>]) -> bool {
        let fits = if self.is_whole { path.len() == self.steps.len() } else { path.len() >= self.steps.len() };
        fits && self.steps.iter().zip(path.iter().rev()).all(|(step, level)| step.fits(level))
    }

    /// What it picked, in words: `<source> in <disk> whose type is file or absent`.
    pub(super) fn describe(&self, path: &[Level<'_>]) -> String {
        let described = self.steps.iter().zip(path.iter().rev()).map(|(step, level)| {
            let conditions: String = step.conditions.iter().map(|condition| format!(" {condition}")).collect();
            format!("<{}>{conditions}", level.element.local_name())
        });
        described.collect::<Vec<_>>().join(" in ")
    }
}

impl Step {
    fn fits(&self, level: &Level<'_>) -> bool {
        let name = level.element.local_name();
        self.names.iter().any(|known| *known == name || *known == "*")
            && self.conditions.iter().all(|condition| condition.holds(level))
    }
}

impl Condition {
    fn parse(text: &'static str) -> Condition {
        let (is_so, text) = text.strip_prefix('!').map_or((true, text), |text| (false, text));
        match text.split_once('=') {
            None => Condition { of: Item::parse(text), values: None, is_so },
            Some((name, values)) => {
                let (name, is_so) = name.strip_suffix('!').map_or((name, true), |name| (name, false));
                Condition { of: Item::parse(name), values: Some(values.split('|').collect()), is_so }
            }
        }
    }

    fn holds(&self, level: &Level<'_>) -> bool {
        let value = level.text_of(self.of);
        let is_there = self.values.as_ref().map_or(value.is_some(), |values| values.contains(&value.unwrap_or("-")));
        is_there == self.is_so
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Item::Attribute(name) | Item::Child(name)) = self.of;
        match &self.values {
            None => write!(f, "{} {name}", if self.is_so { "with" } else { "without" }),
            Some(values) => {
                let values: Vec<&str> =
                    values.iter().map(|value| if *value == "-" { "absent" } else { value }).collect();
                write!(f, "whose {name} is {}{}", if self.is_so { "" } else { "not " }, values.join(" or "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Document;

    const TEXT: &str = "<domain><devices><disk type='file'><source file='/a'/></disk></devices></domain>";

    /// Gives a test the path to the source.
    fn with_path<T>(test: impl FnOnce(&[Level<'_>]) -> T) -> T {
        let document = Document::parse(TEXT).expect("well-formed");
        let mut path = vec![Level::new(Reader::root(&document))];
        while let Some(child) = path[path.len() - 1].element.all_children().next() {
            path.push(Level::new(child));
        }
        test(&path)
    }

    fn picks_source(selector: &'static str) -> bool {
        with_path(|path| Selector::parse(selector).expect("a selector").picks(path))
    }

    #[test]
    fn what_was_picked_is_told_in_words() {
        let selector = Selector::parse("disk|mirror[@type=file|-][!@device]/source").expect("a selector");
        let told = with_path(|path| selector.describe(path));
        assert_eq!(told, "<source> in <disk> whose type is file or absent without device");
    }

    #[test]
    fn a_path_picks_by_its_end_by_names_and_by_conditions() {
        for selector in [
            "source",
            "disk/source",
            "lun|disk/source",
            "*/source",
            "/domain/devices/disk/source",
            "disk[@type=block|file]/source",
            "disk[@device=-|disk]/source",
            "disk[@type!=block]/source[@file]",
            "disk[source]/source[!@dev][!slices]",
        ] {
            assert!(picks_source(selector), "{selector}");
        }
        for selector in
            ["disk", "/disk/source", "lun/source", "disk[@type=block]/source", "source[@dev]", "source[!@file]"]
        {
            assert!(!picks_source(selector), "{selector}");
        }
    }
}
