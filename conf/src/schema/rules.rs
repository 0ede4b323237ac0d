//! The rules, read from their tables.
//!
//! A line has a selector, a colon, and clauses between semicolons; one that begins with blanks goes on with the last. `#`
//! begins a comment. A name with an `@` is an attribute's, any other a child's.
//!
//! | clause | meaning |
//! |---|---|
//! | `needs a @b\|@c` | each must be there; of those between bars one |
//! | `either a @b` | at most one may be there, of all of them together |
//! | `lacks a @b` | none of them may be there |
//! | `only a @b` | nothing else may be there, and no text unless another clause tells of it |
//! | `once a b` | there are no two of any |
//! | `order a b c` | the children stand in this order |
//! | `keeps a @b` | they may be there, with whatever is inside, though the model does not keep them |
//! | `free` | whatever is inside is somebody else's |
//! | `@a form\|form` | the attribute's value has one of the forms, if it is there |
//! | `text form\|form` | the element's text has one of the forms |
//!
//! A selector is a path that an element's own ends with, `a/b`, or with a `/` in front the whole path. A step is a name, names
//! between bars, or `*`, with conditions in brackets: `[@a]` and `[b]` ask whether something is there, `[!@a]` and `[!b]`
//! whether it lacks, `[@a=x|y]` for one of the values (of a child: its text), and `[@a!=x|y]` for any other; `-` among the
//! values is that it lacks.

use std::collections::HashMap;

use super::selector::Selector;
use super::value::Form;
use crate::xml::Reader;

/// What a document's elements must be like.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    /// By the element's own name, the last in a selector; `*` for those of any.
    by_name: HashMap<&'static str, Vec<usize>>,
}

/// What is asked of the elements that a selector picks.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) selector: Selector,
    pub(super) clauses: Vec<Clause>,
}

/// One thing that is asked of an element.
#[derive(Debug)]
pub(super) enum Clause {
    Needs(Vec<Vec<Item<'static>>>),
    Either(Vec<Item<'static>>),
    Lacks(Vec<Item<'static>>),
    Only(Vec<Item<'static>>),
    Once(Vec<&'static str>),
    Order(Vec<&'static str>),
    Keeps(Vec<Item<'static>>),
    Free,
    Attribute(&'static str, Vec<Form>),
    Text(Vec<Form>),
}

/// Something that an element has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Attribute(&'a str),
    Child(&'a str),
}

impl Rules {
    /// Reads tables.
    ///
    /// # Errors
    /// The line that is wrong.
    pub(super) fn parse(tables: &[&'static str]) -> Result<Rules, String> {
        let mut rules = Rules::default();
        for line in tables.iter().flat_map(|table| table.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| format!("{line}: {why}");
            let mut clauses = line;
            if !line.starts_with(' ') {
                // A form of a value may have a colon too; behind the selector's own stands a blank.
                let (selector, rest) = line.split_once(": ").ok_or_else(|| wrong("a colon is missing".to_owned()))?;
                rules.rules.push(Rule { selector: Selector::parse(selector).map_err(wrong)?, clauses: Vec::new() });
                clauses = rest;
            }
            let rule = rules.rules.last_mut().ok_or_else(|| wrong("there is no selector above".to_owned()))?;
            for clause in clauses.split(';').map(str::trim).filter(|clause| !clause.is_empty()) {
                rule.clauses.push(Clause::parse(clause).map_err(wrong)?);
            }
        }
        for (index, rule) in rules.rules.iter().enumerate() {
            for name in rule.selector.names() {
                rules.by_name.entry(name).or_default().push(index);
            }
        }
        Ok(rules)
    }

    /// The rules for elements of a name.
    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = &Rule> {
        [name, "*"].into_iter().filter_map(|name| self.by_name.get(name)).flatten().map(|index| &self.rules[*index])
    }
}

impl Clause {
    fn parse(text: &'static str) -> Result<Clause, String> {
        let mut words = text.split_whitespace();
        let verb = words.next().ok_or("a clause is missing")?;
        let items = |words: std::str::SplitWhitespace<'static>| words.map(Item::parse).collect();
        Ok(match verb {
            "needs" => Clause::Needs(words.map(|word| word.split('|').map(Item::parse).collect()).collect()),
            "either" => Clause::Either(items(words)),
            "lacks" => Clause::Lacks(items(words)),
            "only" => Clause::Only(items(words)),
            "once" => Clause::Once(words.collect()),
            "order" => Clause::Order(words.collect()),
            "keeps" => Clause::Keeps(items(words)),
            "free" => Clause::Free,
            verb => {
                let forms = || text[verb.len()..].trim().split('|').map(Form::parse).collect::<Result<Vec<_>, _>>();
                match verb.strip_prefix('@') {
                    Some(name) => Clause::Attribute(name, forms()?),
                    None if verb == "text" => Clause::Text(forms()?),
                    None => return Err(format!("'{verb}' is no clause")),
                }
            }
        })
    }
}

impl<'a> Item<'a> {
    pub(super) fn parse(text: &'a str) -> Item<'a> {
        text.strip_prefix('@').map_or(Item::Child(text), Item::Attribute)
    }

    /// Whether the element has it.
    pub(super) fn is_in(self, element: &Reader<'_>) -> bool {
        match self {
            Item::Attribute(name) => element.attribute(name).is_some(),
            Item::Child(name) => element.all_children().any(|child| child.local_name() == name),
        }
    }
}

impl std::fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Item::Attribute(name) => write!(f, "the attribute '{name}'"),
            Item::Child(name) => write!(f, "the element <{name}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_told() {
        for (table, why) in [
            ("disk needs @type", "a colon is missing"),
            ("  needs @type", "there is no selector above"),
            ("disk: wants @type", "'wants' is no clause"),
            ("disk: @type nonsense", "'nonsense' is no form of a value"),
            ("disk[@type: needs a", "a ']' is missing"),
        ] {
            let message = Rules::parse(&[table]).expect_err(table);
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn a_rule_goes_on_over_lines_and_names_share_it() {
        let rules = Rules::parse(&["# comment\na|b: needs c;\n  @d 1..2\n"]).expect("a table");
        for name in ["a", "b"] {
            assert_eq!(rules.of(name).map(|rule| rule.clauses.len()).collect::<Vec<_>>(), [2]);
        }
        assert_eq!(rules.of("c").count(), 0);
    }
}
