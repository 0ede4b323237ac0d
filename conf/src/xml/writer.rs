//! Formats as libvirt does.

use super::foreign::rewrite;
use super::traits::{NAMESPACES, Value};

/// The indent of all levels but the deepest.
const BLANKS: &str = "                                ";

/// Writes elements with two blanks a level, attributes in single quotes, `<a/>` for an element with nothing inside.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    depth: usize,
    /// What is written is a status document.
    is_live: bool,
    /// The start tag of the innermost element still lacks its `>`.
    tag_open: bool,
    /// The innermost element holds text, so its end tag follows on the same line.
    inline: bool,
}

impl Writer {
    /// One with room for an ordinary document.
    pub(crate) fn roomy() -> Self {
        Writer { out: String::with_capacity(4096), ..Writer::default() }
    }

    /// The same for a status document.
    pub(crate) fn live(self) -> Self {
        Writer { is_live: true, ..self }
    }

    /// Whether what is written is a status document.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Writes an element: `write` gives its attributes, then its content. With `keep` false an element that got neither
    /// is left out.
    pub fn element(&mut self, name: &str, keep: bool, write: impl FnOnce(&mut Self)) {
        let (before, tag_was_open, was_inline) = (self.out.len(), self.tag_open, self.inline);
        self.end_tag_line();
        self.indent();
        self.out.push('<');
        self.out.push_str(name);
        let after_name = self.out.len();
        self.tag_open = true;
        self.inline = false;
        self.depth += 1;
        write(self);
        self.depth -= 1;
        if self.tag_open && self.out.len() == after_name && !keep {
            self.out.truncate(before);
            self.tag_open = tag_was_open;
            self.inline = was_inline;
            return;
        }
        if self.tag_open {
            self.out.push_str("/>\n");
        } else {
            if !self.inline {
                self.indent();
            }
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push_str(">\n");
        }
        self.tag_open = false;
        self.inline = false;
    }

    /// Writes an attribute of the element whose start tag is open.
    pub fn attr(&mut self, name: &str, value: &impl Value) {
        self.attr_with(name, |out| value.append(out));
    }

    /// Writes an attribute with this text.
    pub fn attr_text(&mut self, name: &str, value: &str) {
        self.attr_with(name, |out| escape(out, value));
    }

    fn attr_with(&mut self, name: &str, append: impl FnOnce(&mut String)) {
        debug_assert!(self.tag_open, "attribute {name} after the content");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("='");
        append(&mut self.out);
        self.out.push('\'');
    }

    /// Writes attributes as they are.
    pub fn raw_attrs(&mut self, attributes: &str) {
        if !attributes.is_empty() {
            self.out.push(' ');
            self.out.push_str(attributes);
        }
    }

    /// Binds a prefix of [`NAMESPACES`] on the element whose start tag is open, if it isn't there already.
    pub fn bind(&mut self, prefix: &str) {
        let tag = self.out.rfind('<').unwrap_or_default();
        if self.out[tag..].contains(&format!(" xmlns:{prefix}=")) {
            return;
        }
        if let Some((_, uri)) = NAMESPACES.iter().find(|(p, _)| *p == prefix) {
            self.attr_text(&format!("xmlns:{prefix}"), uri);
        }
    }

    /// Writes a value as the element's content; an empty text writes nothing.
    pub fn value(&mut self, value: &impl Value) {
        let (before, tag_was_open, was_inline) = (self.out.len(), self.tag_open, self.inline);
        self.raw_start();
        let start = self.out.len();
        value.append(&mut self.out);
        if self.out.len() == start {
            self.out.truncate(before);
            (self.tag_open, self.inline) = (tag_was_open, was_inline);
        }
    }

    /// Writes character data as the element's content; an empty text writes nothing.
    pub fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.raw_start();
        escape(&mut self.out, text);
    }

    /// Writes character data, and the end tag on the same line even if there is none.
    pub fn inline_text(&mut self, text: &str) {
        self.raw_start();
        escape(&mut self.out, text);
    }

    /// Writes `content`, which is XML already, as the element's whole content.
    pub fn raw(&mut self, content: &str) {
        if content.is_empty() {
            return;
        }
        self.raw_start();
        self.out.push_str(content);
    }

    /// Writes other programs' elements, laid out as libxml2 does. Child elements may follow.
    pub fn foreign(&mut self, xml: &str) {
        if xml.trim().is_empty() {
            return;
        }
        match rewrite(xml, self.depth) {
            Some(elements) => {
                self.end_tag_line();
                self.out.push_str(&elements);
            }
            None => self.raw(xml),
        }
    }

    /// Ends the start tag even if no content follows: libvirt writes some containers as `<ip>` and `</ip>` on two lines.
    pub fn open(&mut self) {
        self.end_tag_line();
    }

    /// Leaves a line empty, as libvirt does between the parts of a long document.
    pub fn blank_line(&mut self) {
        self.end_tag_line();
        self.out.push('\n');
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.out
    }

    fn raw_start(&mut self) {
        if self.tag_open {
            self.out.push('>');
            self.tag_open = false;
        }
        self.inline = true;
    }

    fn end_tag_line(&mut self) {
        if self.tag_open {
            self.out.push_str(">\n");
            self.tag_open = false;
        }
    }

    fn indent(&mut self) {
        let mut left = 2 * self.depth;
        while left > 0 {
            let step = left.min(BLANKS.len());
            self.out.push_str(&BLANKS[..step]);
            left -= step;
        }
    }
}

/// The five predefined entities; control characters, which XML 1.0 can't hold, are left out. What needs nothing, which is
/// nearly everything, is copied at once.
pub(super) fn escape(out: &mut String, text: &str) {
    let (mut copied, mut from) = (0, 0);
    while let Some(step) = text.as_bytes()[from..].iter().position(|byte| IS_SPECIAL[usize::from(*byte)]) {
        let at = from + step;
        let instead = match text.as_bytes()[at] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'\'' => "&apos;",
            b'"' => "&quot;",
            NONCHARACTER if !text[at..].starts_with(['\u{FFFE}', '\u{FFFF}']) => {
                from = at + 1;
                continue;
            }
            _ => "",
        };
        out.push_str(&text[copied..at]);
        out.push_str(instead);
        // A byte like these is no part of another character; only the last is not alone.
        copied = at + if text.as_bytes()[at] == NONCHARACTER { '\u{FFFF}'.len_utf8() } else { 1 };
        from = copied;
    }
    out.push_str(&text[copied..]);
}

/// What begins a character of more than one byte that is none of XML.
const NONCHARACTER: u8 = 0xEF;

/// The bytes that may not stand in a text as they are.
const IS_SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_control = byte < 0x20 && !matches!(byte as u8, b'\n' | b'\t' | b'\r');
        special[byte] = is_control || matches!(byte as u8, b'<' | b'>' | b'&' | b'\'' | b'"' | NONCHARACTER);
        byte += 1;
    }
    special
};

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_xml_can_not_hold_is_written_otherwise_or_not_at_all() {
        for (text, expected) in [
            ("", ""),
            ("vda", "vda"),
            ("a<b>&'\"c", "a&lt;b&gt;&amp;&apos;&quot;c"),
            ("line\none\ttab\r", "line\none\ttab\r"),
            ("\0bell\u{7}\u{1b}", "bell"),
            ("\u{FFFE}x\u{FFFF}y\u{FFFE}", "xy"),
            ("\u{FB01}\u{FFFD}<\u{FEFF}", "\u{FB01}\u{FFFD}&lt;\u{FEFF}"),
            ("größe\u{7f}", "größe\u{7f}"),
        ] {
            let mut out = "=".to_owned();
            escape(&mut out, text);
            assert_eq!(out, format!("={expected}"));
        }
    }
}
