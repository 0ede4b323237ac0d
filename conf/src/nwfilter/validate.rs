//! The driver-independent rules of a filter.

use ostler_util::ErrorCode;

use super::attributes::attributes;
use super::{CHAINS, Match, Nwfilter, NwfilterEntry, PRIORITIES, Protocol};
use crate::Problem;

/// The longest name of a chain, in bytes: what is left of ebtables' when a guest's device is added.
const MAX_CHAIN: usize = 12;

/// Protocols over IP that have ports.
const WITH_PORTS: &[&str] = &["tcp", "udp", "sctp", "33"];

pub(super) fn problems(filter: &Nwfilter) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |code, path: String, message: String| problems.push(Problem::new(code, path, message));
    if filter.name.is_empty() {
        add(ErrorCode::InternalError, "name".into(), "a filter needs a name".into());
    }
    if let Some(chain) = &filter.chain {
        if chain.len() > MAX_CHAIN {
            add(ErrorCode::InvalidArg, "chain".into(), format!("a chain's name has {MAX_CHAIN} bytes at most"));
        } else if chain != "root" && !CHAINS.iter().any(|(prefix, _)| chain.starts_with(prefix)) {
            let prefixes: Vec<&str> = CHAINS.iter().map(|(prefix, _)| *prefix).collect();
            let message = format!("'{chain}' is neither root nor begins with one of {}", prefixes.join(", "));
            add(ErrorCode::InvalidArg, "chain".into(), message);
        }
    }
    let out_of_range = format!("a priority is a number from {} to {}", PRIORITIES.start(), PRIORITIES.end());
    if filter.priority.is_some_and(|priority| !PRIORITIES.contains(&priority)) {
        add(ErrorCode::InvalidArg, "priority".into(), out_of_range.clone());
    }
    for (index, entry) in filter.entries.iter().enumerate() {
        let NwfilterEntry::Rule(rule) = entry else { continue };
        let path = format!("entries[{index}].rule");
        if rule.priority.is_some_and(|priority| !PRIORITIES.contains(&priority)) {
            add(ErrorCode::XmlError, format!("{path}.priority"), out_of_range.clone());
        }
        if let Some(found) = &rule.r#match.0 {
            check_match(found, &path, &mut add);
        }
    }
    problems
}

fn check_match(found: &Match, path: &str, add: &mut impl FnMut(ErrorCode, String, String)) {
    for (field, values) in [("is", &found.is), ("isNot", &found.is_not)] {
        for (name, value) in values {
            let path = format!("{path}.match.{field}[{name}]");
            match attributes(found.protocol).find(|(known, _)| known == name) {
                None => add(ErrorCode::InternalError, path, format!("{} has no such attribute", found.protocol)),
                Some((_, kind)) if kind.canonical(value).is_none() => {
                    add(ErrorCode::InternalError, path, format!("'{value}' is not {}", kind.expected()));
                }
                Some(_) => {}
            }
        }
    }
    let get = |name: &str| found.is.get(name).or_else(|| found.is_not.get(name));
    let has_port = ["srcportstart", "srcportend", "dstportstart", "dstportend"].iter().any(|name| get(name).is_some());
    if matches!(found.protocol, Protocol::Ip | Protocol::Ipv6) && has_port {
        let over = get("protocol").map(String::as_str);
        let is_known = over.is_some_and(|over| WITH_PORTS.contains(&over) || over == "0x21" || over.starts_with('$'));
        if !is_known {
            let message = "only tcp, udp, dccp (33) and sctp have ports: say which protocol";
            add(ErrorCode::InternalError, format!("{path}.match.is[protocol]"), message.into());
        }
    }
}
