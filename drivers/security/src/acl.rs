//! POSIX access control lists, as the kernel keeps them in `system.posix_acl_access` (linux/posix_acl_xattr.h).

const VERSION: u32 = 2;
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
/// The id of entries that name nobody.
const NO_ID: u32 = u32::MAX;

/// The list with `uid` allowed `perm` (4 read, 2 write), besides what `old` (or, without one, `mode`) allows.
pub(crate) fn with_user(old: Option<&[u8]>, mode: u32, uid: u32, perm: u16) -> Vec<u8> {
    let bits = |shift: u32| ((mode >> shift) & 7) as u16;
    let mut entries = old
        .and_then(parse)
        .unwrap_or_else(|| vec![(USER_OBJ, bits(6), NO_ID), (GROUP_OBJ, bits(3), NO_ID), (OTHER, bits(0), NO_ID)]);
    match entries.iter_mut().find(|(tag, _, id)| (*tag, *id) == (USER, uid)) {
        Some((_, allowed, _)) => *allowed |= perm,
        None => entries.push((USER, perm, uid)),
    }
    // The mask limits all named entries and the group.
    entries.retain(|(tag, ..)| *tag != MASK);
    let mask = entries
        .iter()
        .filter(|(tag, ..)| [USER, GROUP_OBJ, GROUP].contains(tag))
        .fold(0, |mask, (_, perm, _)| mask | perm);
    entries.push((MASK, mask, NO_ID));
    // The kernel wants them by tag, then by id.
    entries.sort_by_key(|(tag, _, id)| (*tag, *id));
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(perm.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn parse(bytes: &[u8]) -> Option<Vec<(u16, u16, u32)>> {
    let (version, entries) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION || entries.len() % 8 != 0 {
        return None;
    }
    let entry = |e: &[u8]| {
        (
            u16::from_le_bytes([e[0], e[1]]),
            u16::from_le_bytes([e[2], e[3]]),
            u32::from_le_bytes([e[4], e[5], e[6], e[7]]),
        )
    };
    Some(entries.chunks_exact(8).map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_added_once_and_the_mask_lets_it() {
        let one = with_user(None, 0o640, 7, 4);
        assert_eq!(
            parse(&one).unwrap(),
            [(USER_OBJ, 6, NO_ID), (USER, 4, 7), (GROUP_OBJ, 4, NO_ID), (MASK, 4, NO_ID), (OTHER, 0, NO_ID)]
        );
        let two = with_user(Some(&one), 0o640, 7, 6);
        assert_eq!(parse(&two).unwrap()[1], (USER, 6, 7));
        assert_eq!(parse(&two).unwrap()[3], (MASK, 6, NO_ID));
    }
}
