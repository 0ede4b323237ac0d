//! Suites of what people write about a network.

use ostler_conf::{Invalid, Network, format, parse};

use super::case::{Case, Outcome, Verdict};

/// Sets a title or description and reads it back from the document; an empty text is none.
pub(super) fn set_then_get(case: &Case) -> Verdict {
    let text = case.param("text").as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let mut network = Network { name: "default".to_owned(), ..Network::default() };
    let field = |network: &mut Network| match case.param("type").as_str() {
        Some("title") => Ok(std::mem::take(&mut network.title)),
        Some("description") => Ok(std::mem::take(&mut network.description)),
        other => Err(format!("unknown type {other:?}")),
    };
    match case.param("type").as_str() {
        Some("title") => network.title = text,
        _ => network.description = text,
    }
    let read_back = || -> Result<Network, Invalid> {
        network.validate()?;
        Ok(parse::<Network>(&format(&network))?.value)
    };
    match (case.outcome(), read_back()) {
        (Outcome::Refused, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Err(error)) => Err(format!("refused: {error}")),
        (_, Ok(mut network)) => {
            let (found, expected) = (field(&mut network)?, case.expected_value().as_str().map(str::to_owned));
            if found == expected { Ok(None) } else { Err(format!("expected {expected:?}, got {found:?}")) }
        }
    }
}
