//! Suites of what people write about a network or a domain.

use ostler_conf::domain::{DomainType, Memory, ScaledKib};
use ostler_conf::xml::Root;
use ostler_conf::{Domain, Invalid, Network, Size, format, parse};

use super::case::{Case, Outcome, Verdict};

/// A document that has a title and a description.
pub(super) trait Titled: Root {
    /// One with neither.
    fn untitled() -> Self;

    /// Its title or its description.
    fn text(&mut self, r#type: &str) -> Option<&mut Option<String>>;

    /// Its rules.
    fn check(&self) -> Result<(), Invalid>;
}

impl Titled for Network {
    fn untitled() -> Self {
        Network { name: "default".to_owned(), ..Network::default() }
    }

    fn text(&mut self, r#type: &str) -> Option<&mut Option<String>> {
        match r#type {
            "title" => Some(&mut self.title),
            "description" => Some(&mut self.description),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        self.validate()
    }
}

impl Titled for Domain {
    fn untitled() -> Self {
        let memory = Some(Memory { dump_core: None, size: ScaledKib(Size::from_mib(8)) });
        Domain { name: "test".to_owned(), r#type: Some(DomainType::Test), memory, ..Domain::default() }
    }

    fn text(&mut self, r#type: &str) -> Option<&mut Option<String>> {
        match r#type {
            "title" => Some(&mut self.title),
            "description" => Some(&mut self.description),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        self.validate()
    }
}

/// Sets a title or description and reads it back from the document; an empty text is none.
pub(super) fn set_then_get<T: Titled>(case: &Case) -> Verdict {
    let r#type = case.param("type").as_str().unwrap_or_default();
    let unknown = || format!("unknown type {type:?}");
    let mut document = T::untitled();
    *document.text(r#type).ok_or_else(unknown)? =
        case.param("text").as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let read_back = || -> Result<T, Invalid> {
        document.check()?;
        Ok(parse::<T>(&format(&document))?.value)
    };
    match (case.outcome(), read_back()) {
        (Outcome::Refused, Err(_)) => Ok(None),
        (Outcome::Refused, Ok(_)) => Err("accepted, a refusal was expected".to_owned()),
        (_, Err(error)) => Err(format!("refused: {error}")),
        (_, Ok(mut document)) => {
            let found = document.text(r#type).ok_or_else(unknown)?.take();
            let expected = case.expected_value().as_str().map(str::to_owned);
            if found == expected { Ok(None) } else { Err(format!("expected {expected:?}, got {found:?}")) }
        }
    }
}
