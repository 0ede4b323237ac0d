//! How Rust names become XML names.

/// `current_memory` → `currentMemory`.
pub(crate) fn camel_case(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for character in name.trim_start_matches("r#").chars() {
        if character == '_' {
            upper = true;
        } else if upper {
            out.extend(character.to_uppercase());
            upper = false;
        } else {
            out.push(character);
        }
    }
    out
}

/// `PcieRoot` → `pcie-root`.
pub(crate) fn kebab_case(name: &str) -> String {
    let mut out = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_uppercase() && index > 0 {
            out.push('-');
        }
        out.extend(character.to_lowercase());
    }
    out
}
