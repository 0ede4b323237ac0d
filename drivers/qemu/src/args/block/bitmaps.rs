//! Dirty bitmaps over chains of images: which hold, and what becomes of them when images are copied, merged or backed up.
//!
//! A checkpoint's bitmap goes on in each image that is laid over the one where it began. So it tells what changed since only
//! if every image from the top down to where it began has a sound part of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// The bitmap that records what a guest writes while its bitmaps are merged.
const ACTIVE_WRITES: &str = "libvirt-tmp-activewrite";

/// A dirty bitmap of one node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bitmap {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Whether it records what is written.
    #[serde(default)]
    pub recording: bool,
    /// Whether a job uses it.
    #[serde(default)]
    pub busy: bool,
    /// Whether it is kept in the image.
    #[serde(default)]
    pub persistent: bool,
    /// Whether its image was not closed in order.
    #[serde(default)]
    pub inconsistent: bool,
    /// How many bytes a bit stands for.
    #[serde(default)]
    pub granularity: u64,
    /// How many bytes changed.
    #[serde(default, rename = "count")]
    pub dirty_bytes: u64,
}

impl Bitmap {
    fn is_sound(&self) -> bool {
        self.persistent && self.recording && !self.inconsistent
    }
}

/// What is inside a node's image besides the guest's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its bitmaps, in QEMU's order.
    pub bitmaps: Vec<Bitmap>,
    /// Its snapshots, and whether each has the guest's memory as well.
    pub snapshots: Vec<(String, bool)>,
}

/// The contents of all nodes, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllContents(BTreeMap<String, Contents>);

/// What removes a bitmap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removal {
    /// The actions of the transaction.
    pub actions: Vec<Value>,
    /// The images below the top that must be opened for writing before, the lowest first.
    pub reopened: Vec<String>,
}

impl AllContents {
    /// Reads the answer to `query-named-block-nodes`.
    pub fn read(answer: &Value) -> Self {
        let nodes = answer.as_array().into_iter().flatten();
        let contents = nodes.filter_map(|node| {
            let bitmaps = node.get("dirty-bitmaps").cloned().unwrap_or_else(|| json!([]));
            let snapshots = node["image"]["snapshots"].as_array().into_iter().flatten();
            let snapshots = snapshots.filter_map(|snapshot| {
                let has_memory = snapshot["vm-state-size"].as_u64().is_some_and(|bytes| bytes > 0);
                Some((snapshot["name"].as_str()?.to_owned(), has_memory))
            });
            let contents = Contents { bitmaps: serde_json::from_value(bitmaps).ok()?, snapshots: snapshots.collect() };
            Some((node["node-name"].as_str()?.to_owned(), contents))
        });
        AllContents(contents.collect())
    }

    /// The contents of a node.
    pub fn of(&self, node: &str) -> Option<&Contents> {
        self.0.get(node)
    }

    /// A bitmap of a node.
    pub fn bitmap(&self, node: &str, name: &str) -> Option<&Bitmap> {
        self.of(node)?.bitmaps.iter().find(|bitmap| bitmap.name == name)
    }

    /// Whether a bitmap tells all that changed: it is at the top, and sound wherever it goes on.
    pub fn is_valid(&self, chain: &[&str], name: &str) -> bool {
        let parts: Vec<Option<&Bitmap>> = chain.iter().map(|node| self.bitmap(node, name)).collect();
        let length = parts.iter().take_while(|part| part.is_some()).count();
        let (here, below) = parts.split_at(length);
        length > 0 && here.iter().flatten().all(|part| part.is_sound()) && below.iter().all(Option::is_none)
    }

    /// What makes the bitmap that an incremental backup of all changes since `name` goes by; `None` where it is not valid.
    pub fn backup(&self, chain: &[&str], name: &str, target: &str, target_name: &str) -> Option<Vec<Value>> {
        if !self.is_valid(chain, name) {
            return None;
        }
        let granularity = self.bitmap(chain.first()?, name)?.granularity;
        let sources = self.parts(chain, name);
        Some(vec![add(target, target_name, false, true, granularity), merge(target, target_name, sources)])
    }

    /// What removes a checkpoint's bitmap from every image.
    pub fn remove(&self, chain: &[&str], name: &str) -> Removal {
        let nodes: Vec<&str> = chain.iter().copied().filter(|node| self.bitmap(node, name).is_some()).collect();
        Removal {
            actions: nodes.iter().map(|node| remove(node, name)).collect(),
            reopened: nodes
                .iter()
                .rev()
                .filter(|node| chain.first() != Some(node))
                .map(|&node| node.to_owned())
                .collect(),
        }
    }

    /// What takes all valid bitmaps over to a copy: of the top image alone, or of the chain as one image.
    pub fn copy(&self, chain: &[&str], is_shallow: bool, mirror: &str) -> Vec<Value> {
        let end = if is_shallow { 1 } else { chain.len() };
        let mut actions = self.merged(chain, &chain[..end.min(chain.len())], mirror, true);
        actions.push(remove(mirror, ACTIVE_WRITES));
        actions
    }

    /// What takes bitmaps over when the images from `chain[0]` on are merged into the last of `chain`. The guest writes
    /// meanwhile if the first is its own.
    pub fn commit(&self, chain: &[&str], is_active: bool) -> Vec<Value> {
        let Some((base, merging)) = chain.split_last() else { return Vec::new() };
        let mut actions = self.merged(merging, merging, base, is_active);
        if is_active {
            actions.push(remove(base, ACTIVE_WRITES));
        }
        actions
    }

    /// Merges the parts in `nodes` of each bitmap that is valid in `chain` into `target`, the newest bitmap last.
    fn merged(&self, chain: &[&str], nodes: &[&str], target: &str, is_active: bool) -> Vec<Value> {
        let top = chain.first().and_then(|node| self.of(node)).map(|contents| contents.bitmaps.as_slice());
        let mut actions = Vec::new();
        for Bitmap { name, granularity, .. } in top.unwrap_or_default().iter().rev() {
            if !self.is_valid(chain, name) {
                continue;
            }
            if self.bitmap(target, name).is_none() {
                actions.push(add(target, name, true, false, *granularity));
            }
            let mut sources = self.parts(nodes, name);
            if is_active {
                sources.push(json!({ "node": target, "name": ACTIVE_WRITES }));
            }
            actions.push(merge(target, name, sources));
        }
        actions
    }

    fn parts(&self, nodes: &[&str], name: &str) -> Vec<Value> {
        let parts = nodes.iter().take_while(|node| self.bitmap(node, name).is_some());
        parts.map(|node| json!({ "node": node, "name": name })).collect()
    }
}

fn action(kind: &str, data: Value) -> Value {
    json!({ "type": format!("block-dirty-bitmap-{kind}"), "data": data })
}

fn add(node: &str, name: &str, persistent: bool, disabled: bool, granularity: u64) -> Value {
    let data = json!({
        "node": node, "name": name, "persistent": persistent, "disabled": disabled, "granularity": granularity
    });
    action("add", data)
}

fn merge(node: &str, name: &str, sources: Vec<Value>) -> Value {
    action("merge", json!({ "node": node, "target": name, "bitmaps": sources }))
}

fn remove(node: &str, name: &str) -> Value {
    action("remove", json!({ "node": node, "name": name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> AllContents {
        let sound = |name: &str| json!({ "name": name, "recording": true, "persistent": true, "granularity": 65536 });
        AllContents::read(&json!([
            { "node-name": "top", "dirty-bitmaps": [sound("a"), sound("new"), { "name": "x", "recording": true }] },
            { "node-name": "base", "dirty-bitmaps": [sound("a"), sound("x")] },
            { "node-name": "root", "dirty-bitmaps": [sound("new")] },
        ]))
    }

    #[test]
    fn a_bitmap_is_valid_without_gaps_and_flaws() {
        let contents = contents();
        let chain = ["top", "base", "root"];
        assert!(contents.is_valid(&chain, "a"));
        for name in ["new", "x", "none"] {
            assert!(!contents.is_valid(&chain, name), "{name}");
        }
        assert!(contents.is_valid(&["top", "base"], "new"));
        assert!(!contents.is_valid(&[], "a"));
    }

    #[test]
    fn a_merge_adds_what_the_base_lacks() {
        let actions = contents().commit(&["top", "base"], false);
        let kinds: Vec<&str> = actions.iter().filter_map(|action| action["type"].as_str()).collect();
        assert_eq!(kinds, ["block-dirty-bitmap-add", "block-dirty-bitmap-merge", "block-dirty-bitmap-merge"]);
    }
}
