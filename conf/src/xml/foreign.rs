//! Other programs' XML, written as libxml2 writes it and so libvirt: attributes in double quotes, blanks between elements
//! made anew, everything else as it was.

use quick_xml::events::{BytesStart, Event};

/// A part of a content.
enum Part<'a> {
    Element(Element<'a>),
    /// Escaped character data.
    Text(String),
    Cdata(&'a str),
    /// A comment or a processing instruction, as written.
    Other(&'a str),
}

struct Element<'a> {
    name: &'a str,
    /// Bindings of namespaces first.
    attributes: Vec<(&'a str, String)>,
    content: Vec<Part<'a>>,
}

/// The elements of `xml`, each on lines of its own, `depth` levels deep; `None`: it is not well-formed.
pub(super) fn rewrite(xml: &str, depth: usize) -> Option<String> {
    let mut out = String::new();
    for part in read(xml)? {
        if !matches!(part, Part::Text(_)) {
            indent(&mut out, depth);
            write(&mut out, &part, depth, true);
            out.push('\n');
        }
    }
    Some(out)
}

/// Attributes as libxml2 writes them, bindings of namespaces first.
pub(crate) fn attributes<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let (bindings, others): (Vec<_>, Vec<_>) = attributes.partition(|(name, _)| is_binding(name));
    let all = bindings.into_iter().chain(others);
    all.map(|(name, value)| format!("{name}=\"{}\"", escape_attribute(value))).collect::<Vec<_>>().join(" ")
}

fn is_binding(name: &str) -> bool {
    name == "xmlns" || name.starts_with("xmlns:")
}

fn read(xml: &str) -> Option<Vec<Part<'_>>> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut open: Vec<Element<'_>> = Vec::new();
    let mut top = Vec::new();
    // Character data comes in pieces: texts and references.
    let mut text = String::new();
    loop {
        let start = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let end = usize::try_from(reader.buffer_position()).ok()?;
        let source = xml.get(start..end)?;
        match event {
            Event::Text(_) | Event::GeneralRef(_) => {
                text.push_str(source);
                continue;
            }
            Event::Eof if open.is_empty() => return Some(top),
            Event::Eof => return None,
            _ => {}
        }
        let content = open.last_mut().map_or(&mut top, |element| &mut element.content);
        let is_last = matches!(event, Event::End(_));
        let pending = std::mem::take(&mut text);
        let is_blank = pending.trim().is_empty();
        if !pending.is_empty() && (!is_blank || !is_layout(content, is_last)) {
            content.push(Part::Text(escape_text(&pending)?));
        }
        match event {
            Event::Start(tag) => open.push(element(&tag, source)?),
            Event::Empty(tag) => content.push(Part::Element(element(&tag, source)?)),
            Event::End(_) => {
                let done = Part::Element(open.pop()?);
                open.last_mut().map_or(&mut top, |element| &mut element.content).push(done);
            }
            Event::CData(_) => content.push(Part::Cdata(source)),
            Event::Comment(_) | Event::PI(_) => content.push(Part::Other(source)),
            Event::Decl(_) | Event::DocType(_) | Event::Text(_) | Event::GeneralRef(_) | Event::Eof => return None,
        }
        if open.len() > super::document::MAX_DEPTH {
            return None;
        }
    }
}

/// Whether blanks behind `content` only lay it out: not where they are all there is, and not beside text.
fn is_layout(content: &[Part<'_>], is_last: bool) -> bool {
    match (content.first(), content.last()) {
        (Some(first), Some(last)) => !matches!(first, Part::Text(_)) && !matches!(last, Part::Text(_)),
        _ => !is_last,
    }
}

fn element<'a>(tag: &BytesStart<'_>, source: &'a str) -> Option<Element<'a>> {
    let name = source.get(1..1 + tag.name().as_ref().len())?;
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.ok()?;
        let key: &str = attribute.key.as_ref();
        let at = (key.as_ptr() as usize).checked_sub(tag.attributes_raw().as_ptr() as usize)?;
        let offset = 1 + name.len() + at;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0).ok()?;
        attributes.push((source.get(offset..offset + key.len())?, value.into_owned()));
    }
    attributes.sort_by_key(|(name, _)| !is_binding(name));
    Some(Element { name, attributes, content: Vec::new() })
}

/// `lay_out`: whether elements stand on lines of their own; text inside forbids it, for all below, too.
fn write(out: &mut String, part: &Part<'_>, depth: usize, lay_out: bool) {
    let element = match part {
        Part::Element(element) => element,
        Part::Text(text) => return out.push_str(text),
        Part::Cdata(source) | Part::Other(source) => return out.push_str(source),
    };
    out.push('<');
    out.push_str(element.name);
    for (name, value) in &element.attributes {
        out.push_str(&format!(" {name}=\"{}\"", escape_attribute(value)));
    }
    if element.content.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    let lay_out = lay_out && !element.content.iter().any(|part| matches!(part, Part::Text(_) | Part::Cdata(_)));
    for part in &element.content {
        if lay_out {
            out.push('\n');
            indent(out, depth + 1);
        }
        write(out, part, depth + 1, lay_out);
    }
    if lay_out {
        out.push('\n');
        indent(out, depth);
    }
    out.push_str("</");
    out.push_str(element.name);
    out.push('>');
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Only what must be is a reference.
fn escape_text(source: &str) -> Option<String> {
    let text = quick_xml::escape::unescape(source).ok()?;
    Some(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;"))
}

fn escape_attribute(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn what_others_wrote_is_laid_out_as_libxml2_does() {
        for (given, expected) in [
            ("<a:b xmlns:a='u'><c></c> x </a:b>", "<a:b xmlns:a=\"u\"><c/> x </a:b>\n"),
            (
                "<e xmlns='v'>\n<f a='&quot;x'/><!-- c --></e>",
                "<e xmlns=\"v\">\n  <f a=\"&quot;x\"/>\n  <!-- c -->\n</e>\n",
            ),
            ("<e> <x> </x> <![CDATA[a<b]]> </e>", "<e><x> </x><![CDATA[a<b]]></e>\n"),
            ("<e z='1' xmlns:y='u'>&quot;&lt;&#65;</e>", "<e xmlns:y=\"u\" z=\"1\">\"&lt;A</e>\n"),
        ] {
            assert_eq!(rewrite(given, 0).as_deref(), Some(expected));
        }
        assert_eq!(rewrite("<a>", 0), None);
        assert_eq!(rewrite("<a></b>", 0), None);
    }
}
