//! Rules of a guest's security labels.

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{Seclabel, SeclabelKind};

pub(super) fn check(labels: &[Seclabel], problems: &mut Problems) {
    for (at, label) in labels.iter().enumerate() {
        let path = format_args!("seclabels[{at}]");
        if label.model.is_some() && labels[..at].iter().any(|other| other.model == label.model) {
            problems.add(Code::XmlDetail, path, "this model's label is given already");
        }
        if label.model.is_none() && labels.len() > 1 {
            problems.add(Code::XmlError, path, "name the security model: there is more than one label");
        }
        let relabel = label.relabel.map(|relabel| relabel.0);
        match label.r#type {
            Some(SeclabelKind::Static) if label.label.is_none() => {
                problems.add(Code::XmlError, path, "a static label is given: say which");
            }
            Some(SeclabelKind::Dynamic) if relabel == Some(false) => {
                problems.add(
                    Code::ConfigUnsupported,
                    path,
                    "files are given a label that is made at start: leave 'relabel' out",
                );
            }
            Some(SeclabelKind::None) if relabel == Some(true) => {
                problems.add(Code::ConfigUnsupported, path, "without a label, files are given none");
            }
            Some(SeclabelKind::Static | SeclabelKind::Dynamic | SeclabelKind::None) | None => {}
        }
    }
}
