//! Suites that hold documents against the narrowest level of reading.

use ostler_conf::schema;

use super::case::{Case, Outcome, Verdict};

/// The document's root says of which kind it is.
pub(super) fn check(case: &Case) -> Verdict {
    match (case.outcome(), schema::check(&case.input()?)) {
        (Outcome::Accepted, Err(error)) => Err(error.to_string()),
        (Outcome::Refused, Ok(())) => Err("accepted, though it is not valid".to_owned()),
        (Outcome::Accepted | Outcome::Either, _) | (Outcome::Refused, Err(_)) => Ok(None),
    }
}
