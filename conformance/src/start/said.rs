//! What a command line says, option by option: the members of each value, however they are written.

use serde_json::Value;

/// An option with what its value says.
#[derive(Debug)]
pub(super) struct Said<'a> {
    /// As `-blockdev`.
    pub(super) option: &'a str,
    /// Its members by their paths, as `server.path`; what has no name has an empty one.
    members: Vec<(String, String)>,
}

impl<'a> Said<'a> {
    /// Every option of a command line that has a value.
    pub(super) fn all(args: &'a [String]) -> Vec<Self> {
        let pairs = args.windows(2).filter(|pair| pair[0].starts_with('-') && !pair[1].starts_with('-'));
        pairs.map(|pair| Said { option: &pair[0], members: members(&pair[1]) }).collect()
    }

    /// The text of a member, by its whole path or what that ends in.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(path, _)| is_named(path, name)).map(|(_, text)| text.as_str())
    }

    /// Whether a member has this text.
    pub(super) fn is(&self, name: &str, text: &str) -> bool {
        self.get(name) == Some(text)
    }

    /// Every member that names a file, with the last part of its own path.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().filter_map(|(path, text)| {
            let file = text.strip_prefix("unix:").unwrap_or(text);
            let is_file = file.starts_with('/') && !file.starts_with("/dev/fdset/");
            is_file.then(|| (path.rsplit('.').next().unwrap_or_default(), file))
        })
    }
}

fn is_named(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn members(value: &str) -> Vec<(String, String)> {
    if let Ok(json @ Value::Object(_)) = serde_json::from_str(value) {
        let mut found = Vec::new();
        flatten("", &json, &mut found);
        return found;
    }
    // A comma of a value is written twice.
    let parts = value.replace(",,", "\0");
    let parts = parts.split(',').map(|part| part.replace('\0', ","));
    let pair = |part: String| match part.split_once('=') {
        Some((name, text)) => (name.to_owned(), text.to_owned()),
        None => (String::new(), part),
    };
    parts.map(pair).collect()
}

fn flatten(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| flatten(&below(name), value, found)),
        Value::Array(items) => items.iter().for_each(|item| flatten(path, item, found)),
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        other => found.push((path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_say_the_same() {
        let args = ["-S", "-a", r#"{"t":"x","s":{"path":"/p"},"on":true}"#, "-b", "x,path=/p,,q,on=true", "-k", "/z"];
        let args = args.map(str::to_owned);
        let [a, b, k] = &Said::all(&args)[..] else { panic!("three have values") };
        assert_eq!((a.get("path"), a.get("on"), a.get("th")), (Some("/p"), Some("true"), None));
        assert_eq!((b.get(""), b.get("path")), (Some("x"), Some("/p,q")));
        assert_eq!(a.files().collect::<Vec<_>>(), [("path", "/p")]);
        assert_eq!((k.option, k.files().collect::<Vec<_>>()), ("-k", vec![("", "/z")]));
    }
}
