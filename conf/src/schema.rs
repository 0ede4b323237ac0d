//! The third and narrowest level of reading: what libvirt refuses where a caller asks it to validate a document.
//!
//! Lenient reading takes what libvirt's define takes; strict reading refuses what would be lost. This level also refuses
//! what is merely unusual: a value of another form, an element that is missing, misplaced, or does not go with the others.
//! Whether a definition makes sense is none of its questions.
//!
//! Names and words are the model's own: every document is read by its type. What a type can't tell stands in tables
//! (`schema/rules/`), which `schema/rules.rs` explains.

mod check;
mod kind;
mod rules;
mod selector;
#[cfg(test)]
mod tests;
mod value;

use crate::xml::{Document, Reader};
use crate::{Invalid, Problem};
use check::Checker;
use kind::Kind;

/// Checks a document of any kind: its root tells which.
///
/// # Errors
/// Everything that is wrong, in the document's order.
pub fn check(text: &str) -> Result<(), Invalid> {
    let mut document = Document::parse(text)?;
    document.is_grammar_only = true;
    let root = Reader::root(&document);
    let Some(kind) = Kind::of(&root) else {
        let known = Kind::roots().map(|root| format!("<{root}>")).collect::<Vec<_>>().join(", ");
        return Err(root.problem(format!("<{}> is none of libvirt's documents: {known} are", root.name())).into());
    };
    let mut problems = find(kind, &document);
    if !problems.is_empty() {
        // Rare, so it may cost a second look: now with what such elements were asked for, to say what was perhaps meant.
        let with_unknown = Reader::root(&document).with_unknown();
        document.read_again(with_unknown);
        problems = find(kind, &document);
    }
    problems.sort_by_key(|problem| problem.position);
    problems.dedup_by(|later, earlier| later.position == earlier.position && later.path == earlier.path);
    Invalid::check(problems)
}

fn find<'d>(kind: &Kind, document: &'d Document<'d>) -> Vec<Problem> {
    let root = Reader::root(document);
    let read = (kind.read)(&root);
    let mut problems = Checker::check(kind.rules(), kind.is_whole, root);
    match read {
        // What stands behind the place where reading ended was not looked at.
        Err(problem) => problems.push(problem),
        Ok(()) => {
            problems.extend(root.unknown());
            problems.extend(root.stray_text());
        }
    }
    problems
}
