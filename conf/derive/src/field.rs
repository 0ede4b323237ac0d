//! One field of an element: what its type and its `#[xml(…)]` say.

use syn::{GenericArgument, Ident, LitStr, PathArguments, Type};

use crate::names::camel_case;

pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    pub(crate) name: String,
    pub(crate) default: bool,
    pub(crate) required: bool,
    pub(crate) blank: bool,
    pub(crate) confidential: bool,
    pub(crate) keep: bool,
    pub(crate) bind: bool,
    /// Only status documents have it.
    pub(crate) live: bool,
    /// The error code of a value that can't be read; absent: the reader's.
    pub(crate) code: Option<String>,
    /// The child that it stands in.
    pub(crate) on: Option<String>,
}

pub(crate) enum Kind {
    Attr,
    Child,
    Text,
    Flag,
    Flatten,
    Choice { attr: String, absent: Option<String>, empty: Option<syn::Path>, flatten: bool, in_place: bool },
    Any,
    Skip,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Plain,
    Optional,
    List,
}

impl Field {
    /// Reads and removes the field's `#[xml(…)]`.
    pub(crate) fn take(field: &mut syn::Field) -> syn::Result<Self> {
        let ident =
            field.ident.clone().ok_or_else(|| syn::Error::new_spanned(&*field, "an element's fields have names"))?;
        let mut name = None;
        let (mut attr, mut text, mut flag, mut flatten, mut skip, mut any) = (false, false, false, false, false, false);
        let (mut default, mut required, mut blank, mut keep, mut bind, mut in_place) =
            (false, false, false, false, false, false);
        let (mut live, mut confidential) = (false, false);
        let (mut on, mut choice, mut absent, mut empty, mut code) = (None, None, None, None, None);
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("xml")) {
            attribute.parse_nested_meta(|meta| {
                let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                let string = || Ok::<_, syn::Error>(Some(meta.value()?.parse::<LitStr>()?.value()));
                match key.as_str() {
                    "attr" => attr = true,
                    "text" => text = true,
                    "flag" => flag = true,
                    "flatten" => flatten = true,
                    "skip" => skip = true,
                    "any" => any = true,
                    "default" => default = true,
                    "required" => required = true,
                    "blank" => blank = true,
                    "confidential" => confidential = true,
                    "keep" => keep = true,
                    "bind" => bind = true,
                    "in_place" => in_place = true,
                    "live" => live = true,
                    "name" => name = string()?,
                    "on" => on = string()?,
                    "choice" => choice = string()?,
                    "absent" => absent = string()?,
                    "empty" => empty = Some(meta.value()?.parse::<LitStr>()?.parse()?),
                    "code" => code = string()?,
                    _ => return Err(meta.error("unknown key: see ostler-conf-derive's page")),
                }
                Ok(())
            })?;
        }
        field.attrs.retain(|a| !a.path().is_ident("xml"));
        let kind = match (choice, attr, text, flag, flatten, skip, any) {
            (Some(attr), false, false, false, flatten, false, false) => {
                Kind::Choice { attr, absent, empty, flatten, in_place }
            }
            (None, true, false, false, false, false, false) => Kind::Attr,
            (None, false, true, false, false, false, false) => Kind::Text,
            (None, false, false, true, false, false, false) => Kind::Flag,
            (None, false, false, false, true, false, false) => Kind::Flatten,
            (None, false, false, false, false, true, false) => Kind::Skip,
            (None, false, false, false, false, false, true) => Kind::Any,
            (None, false, false, false, false, false, false) => Kind::Child,
            _ => {
                return Err(syn::Error::new(
                    ident.span(),
                    "only one of attr, text, flag, flatten, choice, any and skip",
                ));
            }
        };
        let name = name.unwrap_or_else(|| camel_case(&ident.to_string()));
        let shape = shape(&field.ty);
        if live && shape == Shape::Plain && !default && !matches!(kind, Kind::Flag) {
            return Err(syn::Error::new(
                ident.span(),
                "what only status documents have may lack: an Option, a Vec or default",
            ));
        }
        Ok(Field { shape, ident, kind, name, default, required, blank, confidential, keep, bind, live, code, on })
    }

    /// Whether an element without it can be made.
    pub(crate) fn may_lack(&self) -> bool {
        self.default || self.shape != Shape::Plain || matches!(self.kind, Kind::Flag | Kind::Skip)
    }
}

fn shape(ty: &Type) -> Shape {
    let Type::Path(path) = ty else { return Shape::Plain };
    let Some(last) = path.path.segments.last() else { return Shape::Plain };
    let has_argument = matches!(&last.arguments, PathArguments::AngleBracketed(a) if a.args.iter().any(|a| matches!(a, GenericArgument::Type(_))));
    match last.ident.to_string().as_str() {
        "Option" if has_argument => Shape::Optional,
        "Vec" if has_argument => Shape::List,
        _ => Shape::Plain,
    }
}
