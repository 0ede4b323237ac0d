//! Pulls typed values out of a [`Document`] and remembers what was taken.

use std::cell::RefCell;
use std::collections::HashMap;

use ostler_util::ErrorCode;
use strsim::damerau_levenshtein;

use super::document::{Attribute, Document, Mark, Node, Taken};
use super::traits::{Element, NAMESPACES, Value};
use crate::Problem;

/// How many unknown elements and attributes are told; a document that has more is not meant for us at all.
const MAX_UNKNOWN: usize = 100;

/// The longest name that is compared with those that are known: to compare takes time and memory by the product of both.
const MAX_MEANT: usize = 64;

/// The most children of one name that are read. Rules compare each with each.
const MAX_LIST: usize = 1 << 14;

/// One element of a document, or the place where an absent one would be.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'d> {
    document: &'d Document<'d>,
    node: Option<usize>,
    /// For an absent element: its parent and name.
    absent: Option<(usize, &'d str)>,
}

impl<'d> Reader<'d> {
    pub fn root(document: &'d Document<'d>) -> Self {
        document.nodes[0].taken.add(Taken::ITSELF);
        Reader { document, node: Some(0), absent: None }
    }

    fn at(self, node: usize) -> Self {
        Reader { node: Some(node), ..self }
    }

    fn get(&self) -> Option<&'d Node<'d>> {
        self.node.map(|node| &self.document.nodes[node])
    }

    /// The element's name as written.
    pub fn name(&self) -> &'d str {
        self.get().map_or_else(|| self.absent.map_or("", |(_, name)| name), |node| self.document.name(node))
    }

    /// The element's name without a prefix.
    pub(crate) fn local_name(&self) -> &'d str {
        let name = self.name();
        name.split_once(':').map_or(name, |(_, local)| local)
    }

    /// Whether the element has this name; a prefix means the namespace in [`NAMESPACES`].
    pub fn is_named(&self, name: &str) -> bool {
        if self.document.asked.is_some()
            && let Some(parent) = self.get().and_then(Node::parent)
        {
            self.ask(Some(parent), name, "");
        }
        self.get().is_some_and(|node| self.matches(node, name, Mark::of(name)))
    }

    /// Whether the document is a status document.
    pub fn is_live(&self) -> bool {
        self.document.is_live
    }

    /// Whether the element is there at all.
    pub fn is_present(&self) -> bool {
        self.node.is_some()
    }

    /// The attribute's text, taken.
    // What is asked for is mostly a literal, whose mark needs no computing then, and is mostly not there.
    #[inline(always)]
    pub fn attr_text(&self, name: &str) -> Option<&'d str> {
        let mark = Mark::of(name);
        if !self.is_asked() && !self.get()?.may_have_attribute(mark) {
            return None;
        }
        self.find_attribute(name, mark)
    }

    #[inline(never)]
    fn find_attribute(&self, name: &str, mark: Mark) -> Option<&'d str> {
        self.ask(self.node, name, "@");
        let attribute = self.document.attribute(self.get()?, name, mark)?;
        attribute.taken.set(true);
        Some(attribute.value.as_ref())
    }

    /// The attribute's value.
    ///
    /// # Errors
    /// A text that is no such value.
    #[inline(always)]
    pub fn attr<T: Value>(&self, name: &str) -> Result<Option<T>, Problem> {
        match self.attr_text(name) {
            Some(text) => self.attr_value(name, text),
            None => Ok(None),
        }
    }

    fn attr_value<T: Value>(&self, name: &str, text: &str) -> Result<Option<T>, Problem> {
        T::parse(text).map(Some).map_err(|expected| self.invalid_attr(name, text, &expected))
    }

    /// The value of an attribute that must be there.
    ///
    /// # Errors
    /// As [`attr`](Self::attr); an absent one.
    pub fn required_attr<T: Value>(&self, name: &str) -> Result<T, Problem> {
        self.attr(name)?.ok_or_else(|| self.problem(format!("the attribute '{name}' is missing")))
    }

    /// The element's character data, taken.
    pub fn raw_text(&self) -> &'d str {
        if let Some(node) = self.get() {
            node.taken.add(Taken::TEXT);
        }
        self.text_untaken()
    }

    /// The element's character data, untaken.
    pub(crate) fn text_untaken(&self) -> &'d str {
        self.get().map_or("", |node| node.text.as_ref())
    }

    /// The element's character data as a value; numbers may have blanks around them.
    ///
    /// # Errors
    /// A text that is no such value.
    pub fn text<T: Value>(&self) -> Result<T, Problem> {
        let text = self.raw_text();
        T::parse(text)
            .or_else(|expected| T::parse(text.trim()).map_err(|_| expected))
            .map_err(|expected| self.problem(format!("'{}' is not {expected}", text.trim())))
    }

    /// The first child of that name, taken.
    // As with `attr_text`.
    #[inline(always)]
    pub fn child(&self, name: &str) -> Option<Reader<'d>> {
        let mark = Mark::of(name);
        if !self.is_asked() && !self.get()?.may_have_child(mark) {
            return None;
        }
        self.find_child(name, mark)
    }

    #[inline(never)]
    fn find_child(&self, name: &str, mark: Mark) -> Option<Reader<'d>> {
        self.ask(self.node, name, "");
        let mut children = self.document.children(self.get()?);
        let node = children.find(|child| self.matches(&self.document.nodes[*child], name, mark))?;
        self.document.nodes[node].taken.add(Taken::ITSELF);
        Some(self.at(node))
    }

    /// The first child of that name, or the place where it would be.
    pub fn child_or_absent(&self, name: &'d str) -> Reader<'d> {
        self.child(name).unwrap_or(Reader { node: None, absent: self.node.map(|node| (node, name)), ..*self })
    }

    /// All children of that name, taken.
    pub fn children<'n>(&self, name: &'n str) -> impl Iterator<Item = Reader<'d>> + Clone + use<'d, 'n> {
        self.ask(self.node, name, "");
        let reader = *self;
        let mark = Mark::of(name);
        let children = self.document.children_of(self.get());
        children.filter(move |child| reader.matches(&reader.document.nodes[*child], name, mark)).map(move |child| {
            reader.document.nodes[child].taken.add(Taken::ITSELF);
            reader.at(child)
        })
    }

    /// An attribute's text, untaken.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'d str> {
        self.all_attributes().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All attributes, untaken.
    pub fn all_attributes(&self) -> impl Iterator<Item = (&'d str, &'d str)> + use<'d> {
        self.get().map_or(&[][..], |node| self.document.attributes(node)).iter().map(|a| (a.name, a.value.as_ref()))
    }

    /// All children, untaken.
    pub fn all_children(&self) -> impl Iterator<Item = Reader<'d>> + use<'d> {
        let reader = *self;
        let children = self.get().into_iter().flat_map(move |node| reader.document.children(node));
        children.map(move |child| reader.at(child))
    }

    /// A child's value.
    ///
    /// # Errors
    /// What the child's type refuses.
    #[inline(always)]
    pub fn element<T: Element>(&self, name: &str) -> Result<Option<T>, Problem> {
        match self.child(name) {
            Some(child) => child.element_value(),
            None => Ok(None),
        }
    }

    fn element_value<T: Element>(&self) -> Result<Option<T>, Problem> {
        if T::IS_TEXT && self.raw_text().is_empty() { Ok(None) } else { T::read(self).map(Some) }
    }

    /// The value of a child that must be there.
    ///
    /// # Errors
    /// As [`element`](Self::element); an absent one.
    pub fn required_element<T: Element>(&self, name: &str) -> Result<T, Problem> {
        self.element(name)?.ok_or_else(|| self.problem(format!("the element <{name}> is missing")))
    }

    /// The values of all children of that name.
    ///
    /// # Errors
    /// What a child's type refuses.
    #[inline(always)]
    pub fn elements<T: Element>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let may_be_there = |node: &Node<'_>| node.may_have_child(Mark::of(name));
        if !self.is_asked() && !self.get().is_some_and(may_be_there) {
            return Ok(Vec::new());
        }
        self.find_elements(name)
    }

    fn find_elements<T: Element>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let children = self.children(name);
        let mut values = Vec::with_capacity(children.clone().count().min(MAX_LIST));
        for child in children {
            if values.len() == MAX_LIST {
                return Err(child.problem(format!("more than {MAX_LIST} elements of this name")));
            }
            values.push(T::read(&child)?);
        }
        Ok(values)
    }

    /// Refuses a child that nothing took.
    ///
    /// # Errors
    /// The first such child.
    pub fn refuse_others(&self, code: ErrorCode) -> Result<(), Problem> {
        let mut others =
            self.all_children().filter(|child| child.get().is_some_and(|node| !node.taken.has(Taken::ITSELF)));
        match others.next() {
            Some(other) => Err(other.problem("nothing of that name is known here").with_code(code)),
            None => Ok(()),
        }
    }

    /// Whether only names and words count: what contradicts itself is none of the questions then.
    pub(crate) fn is_grammar_only(&self) -> bool {
        self.document.is_grammar_only
    }

    /// Refuses a second child of a name.
    ///
    /// # Errors
    /// The second.
    pub fn refuse_second(&self, name: &str) -> Result<(), Problem> {
        match self.all_children().filter(|child| child.is_named(name)).nth(1) {
            Some(second) if self.is_grammar_only() => {
                second.take_whole();
                Ok(())
            }
            Some(second) => Err(second.problem("it is there already: one is expected")),
            None => Ok(()),
        }
    }

    /// Refuses more than so many children.
    ///
    /// # Errors
    /// The first that is too many.
    pub fn refuse_more(&self, most: usize) -> Result<(), Problem> {
        match self.all_children().nth(most) {
            Some(child) => Err(child.problem(format!("more than {most} elements are here"))),
            None => Ok(()),
        }
    }

    /// Refuses an element that stands deeper in its document than so many levels.
    ///
    /// # Errors
    /// This one.
    pub fn refuse_deeper(&self, deepest: usize) -> Result<(), Problem> {
        let parent = |node: &usize| self.document.nodes[*node].parent();
        match std::iter::successors(self.node, parent).count() > deepest {
            true => Err(self.problem(format!("this is nested too deeply: {deepest} levels at most"))),
            false => Ok(()),
        }
    }

    /// Takes the element itself; what is in it is still to be taken.
    pub fn take(&self) {
        if let Some(node) = self.get() {
            node.taken.add(Taken::ITSELF);
        }
    }

    /// Takes the element whole: its content as written, between its tags.
    pub fn take_content(&self) -> &'d str {
        self.get().map_or("", |node| {
            node.taken.add(Taken::WHOLE);
            &self.document.source[node.content()]
        })
    }

    /// The element's attributes as written, between its name and its start tag's end.
    pub fn take_attributes(&self) -> &'d str {
        self.get().map_or("", |node| {
            let end = node.content().start;
            let tag = &self.document.source[node.start() + 1 + self.document.name(node).len()..end];
            tag.strip_suffix("/>").or_else(|| tag.strip_suffix('>')).unwrap_or(tag)
        })
    }

    /// Takes back that the element was taken whole: all that is in it is still to be taken.
    pub(crate) fn reopen(&self) {
        let Some(node) = self.get() else { return };
        let taken = node.taken.has(Taken::ITSELF);
        // Nodes are numbered in document order.
        let inside =
            self.document.nodes.iter().skip(self.node.unwrap_or(0)).take_while(|inner| inner.start() < node.end());
        inside.for_each(|inner| self.document.give_back(inner));
        if taken {
            node.taken.add(Taken::ITSELF);
        }
    }

    /// Takes the element whole, with its tags.
    pub fn take_whole(&self) -> &'d str {
        self.get().map_or("", |node| {
            node.taken.add(Taken::ITSELF | Taken::WHOLE);
            &self.document.source[node.start()..node.end()]
        })
    }

    /// The URI of the element's namespace prefix.
    pub fn namespace(&self) -> Option<&'d str> {
        self.get().and_then(|node| self.document.namespace(node))
    }

    /// A problem with this element; the code is `XmlError`.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        let (offset, path) = match (self.get(), self.absent) {
            (Some(node), _) => (node.start(), self.path(self.node.unwrap_or(0))),
            (None, Some((parent, name))) => {
                (self.document.nodes[parent].start(), format!("{}/{name}", self.path(parent)))
            }
            (None, None) => (0, String::new()),
        };
        Problem {
            code: ErrorCode::XmlError,
            path,
            position: Some(self.document.position(offset)),
            message: message.into(),
        }
    }

    /// A problem with an attribute's value.
    pub fn invalid_attr(&self, name: &str, text: &str, expected: &str) -> Problem {
        self.attribute_problem(name, format!("'{text}' is not {expected}"))
    }

    /// A problem with an attribute.
    pub(crate) fn attribute_problem(&self, name: &str, message: impl Into<String>) -> Problem {
        let mut problem = self.problem(message);
        problem.path = format!("{}/@{name}", problem.path);
        if let Some(attribute) = self.get().and_then(|node| self.document.attribute(node, name, Mark::of(name))) {
            problem.position = Some(self.document.position(self.document.attribute_offset(attribute)));
        }
        problem
    }

    /// What nothing took, in document order.
    pub(crate) fn unknown(&self) -> Vec<Problem> {
        let mut unknown = Vec::new();
        if let Some(node) = self.node {
            self.collect_unknown(node, &mut unknown);
        }
        unknown
    }

    /// The elements with children or attributes that nothing took, by their numbers.
    pub(crate) fn with_unknown(&self) -> Vec<usize> {
        let mut found = Vec::new();
        let Some(root) = self.node else { return found };
        // Nodes are numbered in document order.
        let mut passed = 0;
        for (index, node) in self.document.nodes.iter().enumerate().skip(root) {
            if node.start() < passed {
                continue;
            }
            let is_taken = index == root || node.taken.has(Taken::ITSELF);
            if !is_taken || node.taken.has(Taken::WHOLE) {
                passed = node.end();
            }
            if !is_taken {
                found.extend(node.parent());
            } else if !node.taken.has(Taken::WHOLE) && self.document.attributes(node).iter().any(is_unknown) {
                found.push(index);
            }
            if found.len() == MAX_UNKNOWN {
                break;
            }
        }
        found
    }

    /// Text that nothing took, in elements that something took.
    pub(crate) fn stray_text(&self) -> Vec<Problem> {
        let mut stray = Vec::new();
        let mut open: Vec<usize> = self.node.into_iter().collect();
        while let Some(index) = open.pop() {
            let node = &self.document.nodes[index];
            if !node.taken.has(Taken::ITSELF) || node.taken.has(Taken::WHOLE) {
                continue;
            }
            if !node.taken.has(Taken::TEXT) && !node.text.trim().is_empty() && stray.len() < MAX_UNKNOWN {
                stray.push(self.at(index).problem("no text is expected here"));
            }
            open.extend(self.document.children(node));
        }
        stray
    }

    fn collect_unknown(&self, index: usize, unknown: &mut Vec<Problem>) {
        let node = &self.document.nodes[index];
        let reader = self.at(index);
        if unknown.len() >= MAX_UNKNOWN {
            return;
        }
        if !node.taken.has(Taken::ITSELF) {
            let meant = node.parent().and_then(|parent| self.perhaps_meant(parent, "", self.document.name(node)));
            unknown.push(reader.problem(format!("this element is not known here{}", meant.unwrap_or_default())));
            return;
        }
        if node.taken.has(Taken::WHOLE) {
            return;
        }
        let attributes = self.document.attributes(node).iter();
        for attribute in attributes.filter(|attribute| is_unknown(attribute)) {
            let meant = self.perhaps_meant(index, "@", attribute.name).unwrap_or_default();
            unknown.push(reader.attribute_problem(attribute.name, format!("this attribute is not known here{meant}")));
        }
        for child in self.document.children(node) {
            self.collect_unknown(child, unknown);
        }
    }

    /// Whether what is asked for is kept.
    #[inline(always)]
    fn is_asked(&self) -> bool {
        self.document.asked.is_some()
    }

    #[inline]
    fn ask(&self, node: Option<usize>, name: &str, mark: &str) {
        if let (Some(asked), Some(node)) = (&self.document.asked, node) {
            remember(asked, node, name, mark);
        }
    }

    /// The known name that is nearest to an unknown one, if one is near.
    fn perhaps_meant(&self, node: usize, mark: &str, name: &str) -> Option<String> {
        if name.len() > MAX_MEANT {
            return None;
        }
        let asked = self.document.asked.as_ref()?.borrow();
        let known = asked.get(&node)?.iter().filter_map(|known| match mark {
            "" => (!known.starts_with('@')).then_some(known.as_str()),
            mark => known.strip_prefix(mark),
        });
        // Names of other lengths are as many letters apart at least.
        let most = 1 + name.len() / 4;
        let near = known.filter(|known| known.chars().count().abs_diff(name.chars().count()) <= most);
        match near.map(|known| (damerau_levenshtein(known, name), known)).min()? {
            (0, _) => Some(" a second time".to_owned()),
            (distance, known) => (distance <= most).then(|| format!(": did you mean '{known}'?")),
        }
    }

    /// `/domain/devices/disk[2]`: the number counts same-named siblings from 1 and is left out where there is one only.
    fn path(&self, mut index: usize) -> String {
        let mut parts = Vec::new();
        loop {
            let node = &self.document.nodes[index];
            let name = self.document.name(node);
            let Some(parent) = node.parent() else {
                parts.push(format!("/{name}"));
                break;
            };
            let siblings = self.document.children(&self.document.nodes[parent]);
            let mut same = siblings.filter(|sibling| self.document.name(&self.document.nodes[*sibling]) == name);
            // Nodes are numbered in document order.
            let number = same.by_ref().take_while(|sibling| *sibling != index).count() + 1;
            let alone = number == 1 && same.next().is_none();
            parts.push(if alone { format!("/{name}") } else { format!("/{name}[{number}]") });
            index = parent;
        }
        parts.into_iter().rev().collect()
    }

    #[inline]
    fn matches(&self, node: &Node<'d>, name: &str, mark: Mark) -> bool {
        if node.has_namespace() {
            self.matches_in_namespace(node, name)
        } else {
            self.document.is_called(node, name, mark)
        }
    }

    #[cold]
    fn matches_in_namespace(&self, node: &Node<'d>, name: &str) -> bool {
        let Some((prefix, local)) = name.split_once(':') else { return false };
        let uri = NAMESPACES.iter().find(|(known, _)| *known == prefix).map(|(_, uri)| *uri);
        uri.is_some()
            && self.document.namespace(node) == uri
            && self.document.name(node).rsplit(':').next() == Some(local)
    }
}

/// Whether nothing took an attribute that is no other namespace's.
fn is_unknown(attribute: &Attribute<'_>) -> bool {
    !attribute.taken.get() && !attribute.name.starts_with("xmlns") && !attribute.name.contains(':')
}

#[cold]
fn remember(asked: &RefCell<HashMap<usize, Vec<String>>>, node: usize, name: &str, mark: &str) {
    if let Some(names) = asked.borrow_mut().get_mut(&node) {
        names.push(format!("{mark}{name}"));
    }
}
