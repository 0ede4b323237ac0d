//! Suites that update one section of a network.

use ostler_conf::network::update::{UpdateCommand, UpdateSection};
use ostler_conf::xml::Value as _;
use ostler_conf::{Invalid, Network, format, parse};

use super::case::{Case, Verdict};
use super::compare::verdict;

pub(super) fn update(case: &Case) -> Verdict {
    let word = |name: &str| case.param(name).as_str().unwrap_or_default();
    let command = UpdateCommand::parse(word("command"))?;
    let section = UpdateSection::parse(word("section"))?;
    // A negative number leaves the choice to the network.
    let parent = case.param("parent_index_effective").as_u64().and_then(|index| usize::try_from(index).ok());
    let update = case.further_input("update")?;
    let run = |text: &str| -> Result<String, Invalid> {
        let mut network = parse::<Network>(text)?.value;
        network.complete();
        network.validate()?;
        network.update(command, section, parent, &update)?;
        Ok(format(&network))
    };
    verdict(case, run(&case.input()?))
}
