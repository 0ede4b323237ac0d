//! The table for people: which fields need which grant.

use std::fmt::Write;

use super::Grant;
use super::table::{self, Fields, Rule};
use crate::Kind;

/// The fields of each kind by the grant that they need, as Markdown.
pub fn fields_by_grant() -> String {
    let mut text = String::new();
    for kind in Kind::ALL {
        let Some(fields) = table::of(*kind) else { continue };
        let mut needs = Vec::new();
        look("spec", fields, &mut needs);
        let _ = write!(text, "\n### {kind}\n\n| grant | fields |\n|---|---|\n");
        for grant in Grant::ALL {
            let of: Vec<&str> = needs.iter().filter(|(of, _)| of == grant).map(|(_, field)| field.as_str()).collect();
            if !of.is_empty() {
                let _ = writeln!(text, "| `{grant}` | {} |", of.join("; "));
            }
        }
    }
    text
}

fn look(path: &str, fields: Fields, needs: &mut Vec<(Grant, String)>) {
    for (names, rule) in fields {
        let list: Vec<&str> = names.split(' ').collect();
        // One entry for the names of a row, which share all but their ends.
        let field = match list.as_slice() {
            [name] => format!("`{path}.{name}`"),
            names => format!("`{path}.{{{}}}`", names.join(",")),
        };
        match rule {
            Rule::Free => {}
            Rule::Needs(grant) => needs.push((*grant, field)),
            Rule::Only(words, grant) => needs.push((*grant, format!("{field} other than {}", words.join(", ")))),
            Rule::Empty(grant) => needs.push((*grant, format!("{field} that is not empty"))),
            Rule::AnyItem(of, grant, otherwise) => {
                needs.push((*grant, format!("{field} with `{}`", of.join("`, `"))));
                needs.extend(otherwise.map(|grant| (grant, field)));
            }
            Rule::Within(fields) => list.iter().for_each(|name| look(&format!("{path}.{name}"), fields, needs)),
            Rule::Named(fields) | Rule::Items(fields) => {
                let name = match list.as_slice() {
                    [name] => (*name).to_owned(),
                    names => format!("{{{}}}", names.join(",")),
                };
                look(&format!("{path}.{name}[]"), fields, needs);
            }
        }
    }
}
