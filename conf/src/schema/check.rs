//! Holds a document against rules.

use super::rules::{Clause, Item, Rule, Rules};
use super::selector::Level;
use super::value::Form;
use crate::Problem;
use crate::xml::Reader;

/// How many problems are told, or a few more; a document that has more is not meant for us at all.
const MAX_PROBLEMS: usize = 100;

/// Holds documents against rules.
#[derive(Debug)]
pub(super) struct Checker<'r, 'd> {
    rules: &'r Rules,
    /// Whether the rules know everything: an element without a rule that ends what it may have holds a text alone.
    is_whole: bool,
    /// The element that is looked at, and all above it.
    path: Vec<Level<'d>>,
    problems: Vec<Problem>,
}

impl<'r, 'd> Checker<'r, 'd> {
    /// Holds an element, and all that is in it, against the rules; takes what a rule keeps.
    pub(super) fn check(rules: &'r Rules, is_whole: bool, root: Reader<'d>) -> Vec<Problem> {
        let mut checker = Checker { rules, is_whole, path: Vec::new(), problems: Vec::new() };
        checker.visit(root);
        checker.problems
    }

    fn visit(&mut self, element: Reader<'d>) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        self.path.push(Level::new(element));
        let (mut is_free, mut is_closed, mut has_text) = (false, false, false);
        for rule in self.rules.of(element.local_name()).filter(|rule| rule.selector.picks(&self.path)) {
            for clause in &rule.clauses {
                is_free |= matches!(clause, Clause::Free);
                is_closed |= matches!(clause, Clause::Only(_));
                has_text |= matches!(clause, Clause::Text(_));
                self.problems.extend(check_clause(rule, clause, &self.path));
            }
        }
        if is_closed && !has_text && !element.text_untaken().trim().is_empty() {
            self.problems.push(element.problem("no text is expected here"));
        }
        if self.is_whole && !is_closed && !is_free {
            let text_only = "a text alone is expected here";
            let attributes = element.all_attributes().filter(|(name, _)| !name.starts_with("xmlns"));
            self.problems.extend(attributes.map(|(name, _)| element.attribute_problem(name, text_only)));
            self.problems.extend(element.all_children().take(MAX_PROBLEMS).map(|child| child.problem(text_only)));
        }
        if is_free {
            element.take_content();
        } else {
            element.all_children().for_each(|child| self.visit(child));
        }
        self.path.pop();
    }
}

/// What a clause finds wrong with the last element of a path.
fn check_clause(rule: &Rule, clause: &Clause, path: &[Level<'_>]) -> Vec<Problem> {
    let Some(Level { element, .. }) = path.last() else { return Vec::new() };
    match clause {
        Clause::Free => Vec::new(),
        Clause::Needs(all) => all.iter().filter_map(|any| missing(element, any)).collect(),
        Clause::Either(items) => too_many(element, items).into_iter().collect(),
        Clause::Lacks(items) => misplaced(rule, path, |item| items.contains(&item)),
        Clause::Only(items) => misplaced(rule, path, |item| !items.contains(&item)),
        Clause::Once(names) => names.iter().filter_map(|name| second(element, name)).collect(),
        Clause::Order(names) => out_of_order(element, names).into_iter().collect(),
        Clause::Keeps(items) => {
            items.iter().for_each(|item| keep(element, *item));
            Vec::new()
        }
        Clause::Attribute(name, forms) => {
            let value = element.attribute(name).filter(|value| !holds(forms, value));
            value.map(|value| element.invalid_attr(name, value, &expected(forms))).into_iter().collect()
        }
        Clause::Text(forms) => {
            let text = Some(element.raw_text()).filter(|text| !holds(forms, text));
            let problem = |text: &str| element.problem(format!("'{}' is not {}", text.trim(), expected(forms)));
            text.map(problem).into_iter().collect()
        }
    }
}

fn missing(element: &Reader<'_>, any: &[Item<'_>]) -> Option<Problem> {
    if any.iter().any(|item| item.is_in(element)) {
        return None;
    }
    Some(match any {
        [one] => element.problem(format!("{one} is missing")),
        any => element.problem(format!("one is missing of {}", listed(any.iter()))),
    })
}

fn too_many(element: &Reader<'_>, items: &[Item<'_>]) -> Option<Problem> {
    let count = |item: &Item<'_>| match item {
        Item::Attribute(name) => usize::from(element.attribute(name).is_some()),
        Item::Child(name) => children(element, name).count(),
    };
    let is_too_many = items.iter().map(count).sum::<usize>() > 1;
    let there = || listed(items.iter().filter(|item| count(item) > 0));
    is_too_many.then(|| element.problem(format!("only one can be there of {}", there())))
}

fn misplaced(rule: &Rule, path: &[Level<'_>], is_misplaced: impl Fn(Item<'_>) -> bool) -> Vec<Problem> {
    let Some(Level { element, .. }) = path.last() else { return Vec::new() };
    let message = || format!("it does not belong into {}", rule.selector.describe(path));
    let attributes = element.all_attributes().map(|(name, _)| name).filter(|name| !name.starts_with("xmlns"));
    let attributes = attributes.filter(|name| is_misplaced(Item::Attribute(name)));
    let children = element.all_children().filter(|child| is_misplaced(Item::Child(child.local_name())));
    let attributes = attributes.map(|name| element.attribute_problem(name, message()));
    attributes.chain(children.map(|child| child.problem(message()))).take(MAX_PROBLEMS).collect()
}

fn second(element: &Reader<'_>, name: &str) -> Option<Problem> {
    let second = children(element, name).nth(1)?;
    Some(second.problem("it is there already: one is expected"))
}

fn out_of_order(element: &Reader<'_>, names: &[&str]) -> Option<Problem> {
    let mut last = 0;
    for child in element.all_children() {
        let Some(place) = names.iter().position(|name| *name == child.local_name()) else { continue };
        if place < last {
            return Some(child.problem(format!("its place is before <{}>", names[last])));
        }
        last = place;
    }
    None
}

fn keep(element: &Reader<'_>, item: Item<'_>) {
    match item {
        Item::Attribute(name) => {
            element.attr_text(name);
        }
        Item::Child(name) => children(element, name).for_each(|child| {
            child.take_whole();
        }),
    }
}

fn children<'d>(element: &Reader<'d>, name: &str) -> impl Iterator<Item = Reader<'d>> {
    element.all_children().filter(move |child| child.local_name() == name)
}

fn holds(forms: &[Form], text: &str) -> bool {
    forms.iter().any(|form| form.holds(text))
}

fn expected(forms: &[Form]) -> String {
    forms.iter().map(Form::expected).collect::<Vec<_>>().join(" or ")
}

fn listed<'a>(items: impl Iterator<Item = &'a Item<'a>>) -> String {
    items.map(Item::to_string).collect::<Vec<_>>().join(", ")
}
