//! The table as the chart's admission policies: ValidatingAdmissionPolicies in CEL, which need no process of ours.
//!
//! CEL has no recursion, so each object that the table takes apart becomes one expression: a list of what needs a grant in it.
//! They are gathered in variables, one for each list of devices, so that each has a cost budget of its own.

use std::fmt::Write;

use super::table::{self, Fields, Rule};
use super::{Grant, UNLISTED};
use crate::{GROUP, Kind};

/// The file of the chart that holds the policies; its name in the chart is `templates/policies/grants.yaml`.
pub fn policies() -> String {
    let mut text = "{{- if .Values.policies.grants }}\n\
        # Made from the table in crds/src/grants/table.rs by its test; docs/grants.md says what it means.\n"
        .to_owned();
    for kind in Kind::ALL {
        if let Some(fields) = table::of(*kind) {
            policy(&mut text, *kind, fields);
        }
    }
    text + "{{- end }}\n"
}

/// One kind's policy, and its binding.
fn policy(text: &mut String, kind: Kind, fields: Fields) {
    let plural = kind.plural();
    let mut groups = Groups::default();
    groups.object(&Place::root(), fields, None);
    let _ = write!(
        text,
        "---\n\
         apiVersion: admissionregistration.k8s.io/v1\n\
         kind: ValidatingAdmissionPolicy\n\
         metadata:\n\
         \x20 name: ostler-grants-{plural}\n\
         \x20 labels: {{{{- include \"ostler.labels\" . | nindent 4 }}}}\n\
         spec:\n\
         \x20 failurePolicy: Fail\n\
         \x20 matchConstraints:\n\
         \x20   resourceRules:\n\
         \x20     - apiGroups: [{GROUP}]\n\
         \x20       apiVersions: [\"*\"]\n\
         \x20       operations: [CREATE, UPDATE]\n\
         \x20       resources: [{plural}]\n\
         \x20 matchConditions:\n\
         \x20   - name: has-another-spec\n\
         \x20     expression: request.operation == 'CREATE' || object.spec != oldObject.spec\n\
         \x20 variables:\n\
         \x20   # The new spec, and the old one. Each variable below holds what needs a grant in the one and in the other, as lists of\n\
         \x20   # [grant, field, value].\n\
         \x20   - name: specs\n\
         \x20     expression: \"[dyn(object.spec), request.operation == 'UPDATE' ? dyn(oldObject.spec) : dyn({{}})]\"\n"
    );
    for (name, terms) in &groups.0 {
        let terms = terms.join(" +\n        ");
        let _ = write!(
            text,
            "    - name: {name}\n      expression: >-\n        variables.specs.map(spec,\n        {terms})\n"
        );
    }
    let all =
        |i: usize| groups.0.iter().map(|(name, _)| format!("variables.{name}[{i}]")).collect::<Vec<_>>().join(" + ");
    let _ = write!(
        text,
        "    - name: before\n      expression: {}\n\
         \x20   - name: added\n\
         \x20     expression: >-\n\
         \x20       ({}).map(parts, parts.filter(part, !variables.before.exists(old, part in old))).filter(parts, size(parts) > 0)\n\
         \x20 validations:\n",
        all(1),
        all(0),
    );
    for grant in Grant::ALL {
        let _ = write!(
            text,
            "    - expression: >-\n\
             \x20       !variables.added.exists(parts, parts.exists(part, part[0] == '{grant}')) ||\n\
             \x20       authorizer.group('{GROUP}').resource('{grant}').namespace(request.namespace).check('use').allowed()\n\
             \x20     messageExpression: >-\n\
             \x20       variables.added.map(parts, parts.filter(part, part[0] == '{grant}').map(part, string(part[1])).join(', '))\n\
             \x20       .filter(fields, fields != '').join(', ') +\n\
             \x20       \": this reaches the host, and needs the verb 'use' on '{grant}' in the group {GROUP}, in the namespace \" + request.namespace\n\
             \x20     reason: Forbidden\n"
        );
    }
    let _ = writeln!(
        text,
        "---\n{{{{ include \"ostler.binding\" (dict \"root\" . \"name\" \"ostler-grants-{plural}\") }}}}"
    );
}

/// Where an expression finds an object, and what that place is called.
#[derive(Clone)]
struct Place {
    /// A variable, and the fields below it.
    steps: Vec<String>,
    /// The field's path as an expression, without its last quote.
    path: String,
}

impl Place {
    fn root() -> Self {
        Place { steps: vec!["spec".to_owned()], path: "'spec".to_owned() }
    }

    /// The thing of a list.
    fn item(&self, name: &str, named: bool) -> Self {
        let path = match named {
            true => format!("{}.{name}[' + item.name + ']", self.path),
            false => format!("{}.{name}[]", self.path),
        };
        Place { steps: vec!["item".to_owned()], path }
    }

    fn below(&self, name: &str) -> Self {
        let steps = self.steps.iter().cloned().chain([name.to_owned()]).collect();
        Place { steps, path: format!("{}.{name}", self.path) }
    }

    /// The object there, or nothing of its sort.
    fn value(&self, nothing: &str) -> String {
        match self.steps.as_slice() {
            [variable] => variable.clone(),
            steps => format!("{}.orValue({nothing})", steps.join(".?")),
        }
    }
}

/// The expressions, by the variable that holds them.
#[derive(Default)]
struct Groups(Vec<(String, Vec<String>)>);

impl Groups {
    fn add(&mut self, group: &str, term: String) {
        match self.0.iter_mut().find(|(name, _)| name == group) {
            Some((_, terms)) => terms.push(term),
            None => self.0.push((group.to_owned(), vec![term])),
        }
    }

    /// What an object and the objects in it hold. `list`: it is the thing of that list, by the list's name and expression.
    fn object(&mut self, place: &Place, fields: Fields, list: Option<(&str, &str)>) {
        let parts = parts(place, fields);
        match list {
            Some((name, list)) => self.add(name, format!("{list}.map(item, {parts})")),
            None => self.add("rest", format!("[{parts}]")),
        }
        for (names, rule) in fields {
            for name in names.split(' ') {
                match rule {
                    Rule::Within(fields) => self.object(&place.below(name), fields, list),
                    Rule::Named(fields) | Rule::Items(fields) => {
                        assert!(list.is_none(), "{name}: a list in a list is for AnyItem");
                        let expression = place.below(name).value("[]");
                        let item = place.item(name, matches!(rule, Rule::Named(_)));
                        self.object(&item, fields, Some((name, &expression)));
                    }
                    Rule::Free | Rule::Needs(_) | Rule::Only(..) | Rule::Empty(_) | Rule::AnyItem(..) => {}
                }
            }
        }
    }
}

/// What needs a grant of an object's own fields: a list of `[grant, field, value]`.
fn parts(place: &Place, fields: Fields) -> String {
    let object = place.value("{}");
    let value = format!("{object}[key]");
    // What is free, or looked at in an expression of its own.
    let (mut free, mut conditions) = (Vec::new(), Vec::new());
    // The grants of the others, those that depend on the value first.
    let (mut by_value, mut by_name) = (String::new(), Vec::<(Grant, Vec<&str>)>::new());
    let mut needs = |grant: Grant, name| match by_name.iter_mut().find(|(known, _)| *known == grant) {
        Some((_, names)) => names.push(name),
        None => by_name.push((grant, vec![name])),
    };
    for (names, rule) in fields {
        for name in names.split(' ') {
            match rule {
                Rule::Free | Rule::Within(_) | Rule::Named(_) | Rule::Items(_) => free.push(name),
                Rule::Needs(grant) => needs(*grant, name),
                Rule::Only(words, grant) => {
                    conditions.push(format!("!(key == '{name}' && {value} in [{}])", quoted(words)));
                    needs(*grant, name);
                }
                Rule::Empty(grant) => {
                    conditions.push(format!("!(key == '{name}' && size({value}) == 0)"));
                    needs(*grant, name);
                }
                Rule::AnyItem(of, grant, otherwise) => {
                    let has = of.iter().map(|of| format!("has(entry.{of})")).collect::<Vec<_>>().join(" || ");
                    let any = format!("{value}.exists(entry, {has})");
                    match otherwise {
                        Some(otherwise) => {
                            let _ = write!(by_value, "key == '{name}' && {any} ? '{grant}' : ");
                            conditions.push(format!("!(key == '{name}' && size({value}) == 0)"));
                            needs(*otherwise, name);
                        }
                        None => {
                            conditions.push(format!("!(key == '{name}' && !{any})"));
                            needs(*grant, name);
                        }
                    }
                }
            }
        }
    }
    if !free.is_empty() {
        conditions.insert(0, format!("!(key in [{}])", quoted(&free)));
    }
    let mut grant = by_value;
    for (of, names) in by_name.iter().filter(|(grant, _)| *grant != UNLISTED) {
        let _ = write!(grant, "key in [{}] ? '{of}' : ", quoted(names));
    }
    let _ = write!(grant, "'{UNLISTED}'");
    let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" && ") };
    format!("{object}.map(key, {condition}, [dyn({grant}), dyn({}.' + key), {value}])", place.path)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}
