//! Passwords in documents: a manifest is read by many, and must hold none.

use ostler_conf::xml::Document;

/// What holds one: an element, its attribute or else its text, and what would be right.
const SECRETS: &[(&str, Option<&str>, &str)] = &[
    (
        "graphics",
        Some("passwd"),
        "a screen's password stands in no manifest: take it out, and let the screen listen on 127.0.0.1 or a socket",
    ),
    (
        "auth",
        Some("passwd"),
        "a password stands in no manifest: take it out, and name a secret, as in <secret usage='x'/>",
    ),
    ("cookie", None, "a cookie's value stands in no manifest: take it out"),
];

/// Every password of a document, as `line:column: what would be right`. What can't be read has none.
pub(super) fn find(text: &str) -> Vec<String> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    for (element, attribute, right) in SECRETS {
        let places = document.places(element, *attribute).into_iter();
        found.extend(places.map(|at| format!("{}:{}: <{element}>: {right}", at.line, at.column)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn passwords_are_found_and_nothing_else() {
        let text = "<domain>\n  <graphics type='vnc'\n   keymap='>' passwd='x'/>\n  <graphics type='spice'/>\n  <cookie name='a'>b</cookie>\n</domain>";
        let found = find(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("3:15: <graphics>: "), "{found:?}");
        assert!(found[1].starts_with("5:3: <cookie>: "), "{found:?}");
    }
}
