//! Rules of cards.

use ostler_util::ErrorCode as Code;

use super::Problems;
use crate::domain::{Address, Domain, Video, VideoKind};

pub(super) fn check(domain: &Domain, problems: &mut Problems) {
    let videos = &domain.devices.videos;
    let kind = |video: &Video| video.model.as_ref().map(|model| model.r#type);
    if videos.len() > 1 && videos.iter().any(|video| kind(video) == Some(VideoKind::None)) {
        problems.add(Code::ConfigUnsupported, "devices.videos", "a guest without a card, 'none', has no other either");
    }
    let is_primary =
        |video: &&Video| video.model.as_ref().is_some_and(|model| model.primary.is_some_and(|primary| primary.0));
    if videos.iter().filter(is_primary).count() > 1 {
        problems.add(Code::ConfigUnsupported, "devices.videos", "one card only is the primary one");
    }
    for video in videos.iter().filter(|video| kind(video) == Some(VideoKind::Ramfb)) {
        if !matches!(video.address, None | Some(Address::Unassigned(_))) {
            let path = format_args!("devices.videos[{}].address", video.name);
            problems.add(Code::ConfigUnsupported, path, "a card of type 'ramfb' sits nowhere");
        }
    }
}
