//! Deletions that wait for what their CRD says of them.

use std::collections::BTreeMap;

use ostler_crds::{Kind, ObjectRef};

/// One question at a time about a CRD, for all that waited when it was asked: an answer says nothing of what was deleted later.
#[derive(Debug, Default)]
pub(super) struct Deletions(BTreeMap<Kind, Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// For the answer to the question that was asked.
    asked: Vec<ObjectRef>,
    /// Until the next can be asked.
    later: Vec<ObjectRef>,
}

impl Deletions {
    /// `key` was deleted. `true`: its CRD has to be asked about now.
    pub(super) fn add(&mut self, key: ObjectRef) -> bool {
        let waiting = self.0.entry(key.kind).or_default();
        let is_first = waiting.asked.is_empty();
        if is_first { &mut waiting.asked } else { &mut waiting.later }.push(key);
        is_first
    }

    /// The question about a CRD was answered: for these. `true`: it has to be asked again, for others.
    pub(super) fn answered(&mut self, kind: Kind) -> (Vec<ObjectRef>, bool) {
        let waiting = self.0.entry(kind).or_default();
        let later = std::mem::take(&mut waiting.later);
        let again = !later.is_empty();
        (std::mem::replace(&mut waiting.asked, later), again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_those_that_waited_when_it_was_asked_for() {
        let key = |kind, name| ObjectRef { kind, namespace: "default".into(), name: String::from(name) };
        let [one, two, three] = ["one", "two", "three"].map(|name| key(Kind::Domain, name));
        let volume = key(Kind::StorageVolume, "one");
        let mut deletions = Deletions::default();
        assert!(deletions.add(one.clone()));
        assert!(!deletions.add(two.clone()));
        assert!(deletions.add(volume.clone()), "another CRD is another question");
        assert!(!deletions.add(three.clone()));
        assert_eq!(deletions.answered(Kind::Domain), (vec![one.clone()], true));
        assert_eq!(deletions.answered(Kind::Domain), (vec![two, three], false));
        assert!(deletions.add(one));
        assert_eq!(deletions.answered(Kind::StorageVolume), (vec![volume], false));
    }
}
