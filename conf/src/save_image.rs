//! The file in which libvirt's QEMU driver keeps a guest that was saved: a header, the guest's document, what else it needs
//! to go on, then its memory. What stands before the memory is read and written here.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `LibvirtQemudSave`; `LibvirtQemudPart` while it is being written |
//! | 4 | version: 2, or 3 where the memory has holes |
//! | 4 | length of what stands between header and memory |
//! | 4 | whether the guest's CPUs ran |
//! | 4 | how the memory is packed |
//! | 4 | where in the document's part the cookie begins; 0: there is none |
//! | 56 | nothing |
//!
//! Numbers are in the order of the host that wrote them. Document and cookie end with a NUL, and zeros may follow, so that a
//! longer document can take its place.

use ostler_conf_derive::element;
use ostler_util::ErrorCode;

use crate::domain::Cpu;
use crate::{Domain, Problem, format, parse};

/// How long the header is.
pub const HEADER: usize = 92;
const MAGIC: &[u8; 16] = b"LibvirtQemudSave";
const UNFINISHED: &[u8; 16] = b"LibvirtQemudPart";
/// No document is longer (libvirt's limit on the wire), and a cookie and the room behind it are small beside it.
const MOST: usize = 8 << 20;
/// Room for a longer document.
const ROOM: usize = 64 << 10;

/// A saved guest, but for its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct SaveImage {
    /// What it is.
    pub definition: Domain,
    /// What else it needs to go on as it was.
    pub cookie: Option<SaveCookie>,
    /// Whether its CPUs ran.
    pub was_running: bool,
    /// How its memory is packed.
    pub packing: Packing,
}

/// What a guest needs besides its definition.
#[element(root = "cookie")]
pub struct SaveCookie {
    /// The CPU that its emulator gave it.
    pub cpu: Option<Cpu>,
    /// A helper did its user network.
    #[xml(flag, name = "slirpHelper")]
    pub slirp_helper: bool,
}

/// How memory is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Packing {
    /// Not at all.
    Raw = 0,
    /// With gzip.
    Gzip = 1,
    /// With bzip2.
    Bzip2 = 2,
    /// With xz.
    Xz = 3,
    /// With lzop.
    Lzop = 4,
    /// With zstd.
    Zstd = 5,
    /// Not at all, each page in its place.
    Sparse = 6,
}

impl Packing {
    const ALL: &[Packing] =
        &[Packing::Raw, Packing::Gzip, Packing::Bzip2, Packing::Xz, Packing::Lzop, Packing::Zstd, Packing::Sparse];

    const fn version(self) -> u32 {
        if matches!(self, Packing::Sparse) { 3 } else { 2 }
    }
}

/// Where the memory begins, if a file that begins with these bytes is a saved guest.
///
/// # Errors
/// A header that is cut, of an unknown version, or of a guest that was not saved to its end.
pub fn memory_at(start: &[u8]) -> Result<Option<usize>, Problem> {
    if !start.starts_with(MAGIC) && !start.starts_with(UNFINISHED) {
        return Ok(None);
    }
    Ok(Some(HEADER + Header::read(start)?.length))
}

/// Where the guest's document stands in `bytes`, which hold all that stands before the memory.
///
/// # Errors
/// Those of [`memory_at`]; what is no text.
pub fn document(bytes: &[u8]) -> Result<&str, Problem> {
    Header::read(bytes)?.document(bytes)
}

#[derive(Clone, Copy)]
struct Header {
    length: usize,
    was_running: bool,
    packing: Packing,
    cookie_at: usize,
}

fn damaged(message: impl Into<String>) -> Problem {
    Problem::new(ErrorCode::OperationFailed, "", message)
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Problem> {
        let header = bytes.get(..HEADER).ok_or_else(|| damaged("the saved guest's header is cut"))?;
        if header.starts_with(UNFINISHED) {
            return Err(damaged("the guest was not saved to its end"));
        }
        if !header.starts_with(MAGIC) {
            return Err(damaged("this is no saved guest"));
        }
        let (words, _) = header[MAGIC.len()..].as_chunks::<4>();
        let little = |at: usize| u32::from_le_bytes(words[at]);
        // A version is a small number.
        let is_big = little(0) > 0xffff;
        let word = |at: usize| if is_big { little(at).swap_bytes() } else { little(at) };
        let (version, length, packing) = (word(0), word(1) as usize, word(3));
        let packing = Packing::ALL.iter().find(|known| **known as u32 == packing).copied();
        let Some(packing) = packing.filter(|packing| version <= 2 || version == packing.version()) else {
            return Err(damaged(format!("saved guests of version {version}, packing {} are not known", word(3))));
        };
        if length > MOST {
            return Err(damaged(format!("the saved guest's document has {length} bytes: at most {MOST} are read")));
        }
        // The first version had neither.
        let cookie_at = if version < 2 { 0 } else { word(4) as usize };
        Ok(Header { length, was_running: word(2) != 0, packing, cookie_at })
    }

    fn document(self, bytes: &[u8]) -> Result<&str, Problem> {
        let data = self.data(bytes)?;
        text(if self.cookie_at == 0 { data } else { data.get(..self.cookie_at).unwrap_or(data) })
    }

    fn data(self, bytes: &[u8]) -> Result<&[u8], Problem> {
        bytes.get(HEADER..HEADER + self.length).ok_or_else(|| damaged("the saved guest's document is cut"))
    }
}

/// Up to its NUL.
fn text(bytes: &[u8]) -> Result<&str, Problem> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).map_err(|error| damaged(format!("the saved guest's document: {error}")))
}

impl SaveImage {
    /// A saved guest by what stands before its memory.
    ///
    /// # Errors
    /// A damaged header, or a document that can't be read.
    pub fn read(bytes: &[u8]) -> Result<SaveImage, Problem> {
        let header = Header::read(bytes)?;
        let first = |invalid: crate::Invalid| invalid.first().clone();
        let definition = parse::<Domain>(header.document(bytes)?).map_err(first)?.value;
        let cookie = match header.cookie_at {
            0 => None,
            at => {
                let data = header.data(bytes)?;
                let cookie = data.get(at..).ok_or_else(|| damaged("the saved guest's cookie is behind its end"))?;
                Some(parse::<SaveCookie>(text(cookie)?).map_err(first)?.value)
            }
        };
        Ok(SaveImage { definition, cookie, was_running: header.was_running, packing: header.packing })
    }

    /// What stands before the memory.
    pub fn write(&self) -> Vec<u8> {
        let mut data = format(&self.definition).into_bytes();
        data.push(0);
        let mut cookie_at = 0;
        if let Some(cookie) = &self.cookie {
            cookie_at = data.len();
            data.extend(format(cookie).into_bytes());
            data.push(0);
        }
        data.resize(data.len() + ROOM, 0);
        let count = |length: usize| u32::try_from(length).expect("documents are short");
        let packing = self.packing as u32;
        let words = [self.packing.version(), count(data.len()), u32::from(self.was_running), packing, count(cookie_at)];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(words.into_iter().flat_map(u32::to_ne_bytes));
        bytes.resize(HEADER, 0);
        bytes.extend(data);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header and documents of a guest that libvirt 11.3 saved; the room behind them is left out.
    const SAVED: &[u8] = include_bytes!("save_image/libvirt.save");

    fn saved() -> Vec<u8> {
        let mut bytes = SAVED.to_vec();
        let length = u32::from_le_bytes(bytes[20..24].try_into().unwrap()) as usize;
        bytes.resize(HEADER + length, 0);
        bytes
    }

    #[test]
    fn what_libvirt_saved_is_read() {
        let bytes = saved();
        assert_eq!(memory_at(&bytes).unwrap(), Some(bytes.len()));
        let image = SaveImage::read(&bytes).unwrap();
        assert_eq!((image.definition.name.as_str(), image.was_running, image.packing), ("saved", false, Packing::Zstd));
        let cpu = image.cookie.as_ref().and_then(|cookie| cookie.cpu.as_ref()).unwrap();
        assert_eq!(cpu.features.len(), 2);
        assert!(document(&bytes).unwrap().starts_with("<domain type='qemu'>"));
    }

    #[test]
    fn what_is_written_is_what_libvirt_writes() {
        let bytes = saved();
        let written = SaveImage::read(&bytes).unwrap().write();
        // A guest without a NUL in its documents differs in the room behind them at most.
        assert_eq!(written[..20], bytes[..20]);
        assert_eq!(written[24..SAVED.len()], bytes[24..SAVED.len()]);
        assert_eq!(SaveImage::read(&written).unwrap(), SaveImage::read(&bytes).unwrap());
    }

    #[test]
    fn the_other_order_of_bytes_is_read() {
        let mut bytes = saved();
        bytes[16..HEADER].as_chunks_mut::<4>().0.iter_mut().for_each(|word| word.reverse());
        assert_eq!(SaveImage::read(&bytes).unwrap(), SaveImage::read(&saved()).unwrap());
    }

    #[test]
    fn what_is_cut_or_hostile_is_refused() {
        let bytes = saved();
        for length in 0..bytes.len().min(2000) {
            assert!(SaveImage::read(&bytes[..length]).is_err(), "{length}");
        }
        for (at, byte) in [(8, b'X'), (12, b'P'), (16, 9), (20 + 3, 0x7f), (28, 77), (35, 1)] {
            let mut bytes = saved();
            bytes[at] = byte;
            assert!(SaveImage::read(&bytes).is_err(), "{at}");
        }
        assert_eq!(memory_at(b"<domain/>").unwrap(), None);
    }
}
