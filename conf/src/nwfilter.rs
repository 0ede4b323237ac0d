//! `<filter>`: rules for a guest's traffic. libvirt: formatnwfilter.html.

mod attributes;
mod kind;
mod matching;
mod protocol;
mod validate;

pub use matching::{Match, Matching};
pub use protocol::Protocol;

use ostler_conf_derive::{element, union};
use uuid::Uuid;

use crate::filter_ref::FilterRef;
use crate::xml::Value;
use crate::{Invalid, words};

/// A filter: what libvirt's `<filter>` says.
#[element(root = "filter", after_read)]
pub struct Nwfilter {
    /// Its name.
    #[xml(attr, code = "InternalError")]
    pub name: String,
    /// The chain that its rules are in; absent: `root`.
    #[xml(attr)]
    pub chain: Option<String>,
    /// When the chain is asked, -1000 to 1000, the lowest first; absent: by the chain's name.
    #[xml(attr, code = "InvalidArg")]
    pub priority: Option<i32>,
    /// The identity; chosen once.
    pub uuid: Option<Uuid>,
    /// Its rules, and the filters that it includes, in order.
    #[xml(any)]
    pub entries: Vec<NwfilterEntry>,
}

/// A rule, or a filter that is included.
#[union]
pub enum NwfilterEntry {
    /// `<filterref filter='clean-traffic'/>`: a filter that is included.
    Filterref(FilterRef),
    /// `<rule action='drop' direction='in'>`: a rule.
    Rule(NwfilterRule),
}

words! {
    /// What is done with traffic.
    pub enum RuleAction {
        /// It vanishes.
        Drop = "drop",
        /// It passes.
        Accept = "accept",
        /// It is sent back.
        Reject = "reject",
        /// The filter that included this one goes on.
        Return = "return",
        /// The next rule is asked.
        Continue = "continue",
    }

    /// Which way traffic goes, seen from the guest.
    pub enum RuleDirection {
        /// To it.
        In = "in",
        /// From it.
        Out = "out",
        /// Both.
        Inout = "inout",
    }
}

/// `<rule action='accept' direction='in' priority='500'>`: a rule.
#[element]
pub struct NwfilterRule {
    /// What is done.
    #[xml(attr)]
    pub action: RuleAction,
    /// With traffic of this direction.
    #[xml(attr)]
    pub direction: RuleDirection,
    /// When it is asked, -1000 to 1000, the lowest first; absent: 500.
    #[xml(attr)]
    pub priority: Option<i32>,
    /// Whether what answers it is accepted as well; absent: yes.
    #[xml(attr, name = "statematch")]
    pub statematch: Option<StateMatch>,
    /// The traffic it is about; absent: all.
    #[xml(flatten)]
    #[serde(default, skip_serializing_if = "Matching::is_all")]
    pub r#match: Matching,
}

/// Whether a rule keeps state: `false` and `0` say no, everything else yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct StateMatch(pub bool);

impl Value for StateMatch {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(StateMatch(!text.eq_ignore_ascii_case("false") && text != "0"))
    }
    fn format(&self) -> std::borrow::Cow<'_, str> {
        if self.0 { "true".into() } else { "false".into() }
    }
}

/// The priorities there are.
const PRIORITIES: std::ops::RangeInclusive<i32> = -1000..=1000;

/// The prefixes that a chain's name may have, with the priorities of such chains.
const CHAINS: &[(&str, i32)] =
    &[("mac", -800), ("vlan", -750), ("stp", 0), ("ipv4", -700), ("ipv6", -600), ("arp", -500), ("rarp", -400)];

/// The priority of a rule that says none.
const RULE_PRIORITY: i32 = 500;

impl Nwfilter {
    fn after_read(&mut self) {
        self.chain.take_if(|chain| chain.is_empty());
        for entry in &mut self.entries {
            let NwfilterEntry::Rule(rule) = entry else { continue };
            // libvirt takes a priority that there is not for none.
            rule.priority.take_if(|priority| !PRIORITIES.contains(priority));
            rule.statematch.take_if(|state| state.0);
        }
    }

    /// Fills in the driver-independent defaults, as libvirt does. What is set stays.
    pub fn complete(&mut self) {
        let chain = self.chain.get_or_insert_with(|| "root".to_owned());
        let of_chain = CHAINS.iter().find(|(prefix, _)| chain.starts_with(prefix)).map(|(_, priority)| *priority);
        self.priority = self.priority.or(of_chain).filter(|priority| *priority != 0);
        for entry in &mut self.entries {
            let NwfilterEntry::Rule(rule) = entry else { continue };
            rule.priority.get_or_insert(RULE_PRIORITY);
            rule.r#match.complete();
        }
    }

    /// The driver-independent rules.
    ///
    /// # Errors
    /// Every rule that is broken, with its field.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::check(validate::problems(self))
    }

    /// The filters that it includes.
    pub fn includes(&self) -> impl Iterator<Item = &FilterRef> {
        self.entries.iter().filter_map(|entry| match entry {
            NwfilterEntry::Filterref(filter) => Some(filter),
            NwfilterEntry::Rule(_) => None,
        })
    }
}
