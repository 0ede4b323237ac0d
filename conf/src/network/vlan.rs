//! `<vlan>`: the tags of a guest's traffic. libvirt: formatnetwork.html#setting-vlan-tag-on-supported-network-types-only.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use crate::values::YesNo;
use crate::{Problem, words};

/// `<vlan trunk='yes'>`: the tags of a guest's traffic.
#[element]
pub struct Vlan {
    /// Whether several tags pass; absent: if there are several.
    #[xml(attr)]
    pub trunk: Option<YesNo>,
    /// The tags.
    #[xml(name = "tag")]
    pub tags: Vec<VlanTag>,
}

words! {
    /// How the native tag of a trunk passes.
    pub enum NativeMode {
        /// With its tag.
        Tagged = "tagged",
        /// Without.
        Untagged = "untagged",
    }
}

/// `<tag id='42' nativeMode='untagged'/>`: a tag.
#[element]
pub struct VlanTag {
    /// Its number.
    #[xml(attr)]
    pub id: u32,
    /// Set on the native one: how it passes.
    #[xml(attr)]
    pub native_mode: Option<NativeMode>,
}

impl Vlan {
    /// Several tags make a trunk; no trunk is the same as none said.
    pub(crate) fn complete(&mut self) {
        let needs_trunk = self.needs_trunk();
        self.trunk.take_if(|trunk| !trunk.0 && !needs_trunk);
        if self.tags.len() > 1 {
            self.trunk.get_or_insert(YesNo(true));
        }
    }

    fn needs_trunk(&self) -> bool {
        self.tags.len() > 1 || self.tags.iter().any(|tag| tag.native_mode.is_some())
    }

    /// The driver-independent rules; `path` is where it stands.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |path: String, message: &str| problems.push(Problem::new(ErrorCode::XmlError, path, message));
        if self.tags.is_empty() {
            add(format!("{path}.tags"), "a vlan needs a tag");
        }
        if self.trunk == Some(YesNo(false)) && self.needs_trunk() {
            add(format!("{path}.trunk"), "several tags, or a native one, are a trunk: trunk='yes'");
        }
        let mut native = self.tags.iter().enumerate().filter(|(_, tag)| tag.native_mode.is_some());
        if let Some((index, _)) = native.nth(1) {
            add(format!("{path}.tags[{index}].nativeMode"), "only one tag can be the native one");
        }
        for (index, _) in self.tags.iter().enumerate().filter(|(_, tag)| tag.id > 4095) {
            add(format!("{path}.tags[{index}].id"), "a tag has a number up to 4095");
        }
        problems
    }
}
