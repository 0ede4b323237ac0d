//! `#[element]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Fields, ItemStruct, LitInt, LitStr};

use crate::field::{Field, Kind, Shape};

#[derive(Default)]
struct Options {
    root: Option<String>,
    after_read: bool,
    live: bool,
    before_write: bool,
    open: bool,
    closed: Option<String>,
    single: Option<String>,
    most: Option<usize>,
    deepest: Option<usize>,
}

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let options = parse_options(options)?;
    let mut item: ItemStruct = syn::parse2(item)?;
    let mut fields = Vec::new();
    match &mut item.fields {
        Fields::Named(named) => {
            for field in &mut named.named {
                let parsed = Field::take(field)?;
                match parsed.shape {
                    _ if parsed.live => field.attrs.push(syn::parse_quote!(#[serde(skip)])),
                    Shape::Optional => {
                        field.attrs.push(syn::parse_quote!(#[serde(skip_serializing_if = "Option::is_none")]))
                    }
                    Shape::List => {
                        field.attrs.push(syn::parse_quote!(#[serde(default, skip_serializing_if = "Vec::is_empty")]))
                    }
                    Shape::Plain if matches!(parsed.kind, Kind::Flag) => {
                        field
                            .attrs
                            .push(syn::parse_quote!(#[serde(default, skip_serializing_if = "std::ops::Not::not")]));
                    }
                    Shape::Plain if parsed.default && !matches!(parsed.kind, Kind::Skip) => {
                        field.attrs.push(syn::parse_quote!(#[serde(default)]))
                    }
                    Shape::Plain => {}
                }
                fields.push(parsed);
            }
        }
        Fields::Unit => {}
        Fields::Unnamed(unnamed) => return Err(syn::Error::new_spanned(unnamed, "an element's fields have names")),
    }
    let ident = &item.ident;
    let default = fields.iter().all(Field::may_lack).then(|| quote!(#[derive(Default)]));
    let reads = fields.iter().map(read_field);
    let attrs = choices_first(&fields).into_iter().filter(|field| field.on.is_none()).filter_map(write_attr);
    let body = fields.iter().filter_map(|field| write_part(field, &fields));
    let closed = options.closed.map(|code| {
        let code = quote::format_ident!("{code}");
        quote!(reader.refuse_others(::ostler_conf::ErrorCode::#code)?;)
    });
    let single = options.single.map(|name| quote!(reader.refuse_second(#name)?;));
    let most = options.most.map(|most| quote!(reader.refuse_more(#most)?;));
    let deepest = options.deepest.map(|deepest| quote!(reader.refuse_deeper(#deepest)?;));
    let open = options.open.then(|| quote!(writer.open();));
    let root = options.root.map(|name| {
        let before_write = options.before_write.then(|| {
            quote!(
                fn before_write(&self) -> Option<Self> {
                    Self::before_write(self)
                }
            )
        });
        let after_read = options.after_read.then(|| {
            quote!(
                fn after_read(&mut self) {
                    Self::after_read(self)
                }
            )
        });
        let is_live = options.live;
        quote! {
            impl ::ostler_conf::xml::Root for #ident {
                const NAME: &'static str = #name;
                const IS_LIVE: bool = #is_live;
                #after_read
                #before_write
            }
        }
    });
    Ok(quote! {
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #default
        #[cfg_attr(feature = "schema", derive(::schemars::JsonSchema))]
        #[serde(rename_all = "camelCase")]
        #item

        impl ::ostler_conf::xml::Element for #ident {
            #[allow(unused_variables, reason = "an element can be empty")]
            fn read(reader: &::ostler_conf::xml::Reader<'_>) -> ::std::result::Result<Self, ::ostler_conf::Problem> {
                #most
                #deepest
                let value = Self { #(#reads,)* };
                #closed
                #single
                Ok(value)
            }
            #[allow(unused_variables, reason = "an element can lack attributes")]
            fn attrs(&self, writer: &mut ::ostler_conf::xml::Writer) { #(#attrs)* }
            #[allow(unused_variables, reason = "an element can lack content")]
            fn body(&self, writer: &mut ::ostler_conf::xml::Writer) { #open #(#body)* }
        }
        #root
    })
}

fn parse_options(options: TokenStream) -> syn::Result<Options> {
    let mut parsed = Options::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("root") {
            parsed.root = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("after_read") {
            parsed.after_read = true;
        } else if meta.path.is_ident("before_write") {
            parsed.before_write = true;
        } else if meta.path.is_ident("live") {
            parsed.live = true;
        } else if meta.path.is_ident("open") {
            parsed.open = true;
        } else if meta.path.is_ident("closed") {
            parsed.closed = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("single") {
            parsed.single = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("most") {
            parsed.most = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
        } else if meta.path.is_ident("deepest") {
            parsed.deepest = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
        } else {
            return Err(
                meta.error("expected root, after_read, before_write, live, open, closed, single, most or deepest")
            );
        }
        Ok(())
    });
    parser.parse2(options)?;
    Ok(parsed)
}

fn read_field(field: &Field) -> TokenStream {
    let Field { ident, name, shape, .. } = field;
    let code = field.code.as_ref().map(|code| {
        let code = quote::format_ident!("{code}");
        quote!(.map_err(|problem| problem.with_code(::ostler_conf::ErrorCode::#code)))
    });
    let value = match &field.kind {
        Kind::Any => match shape {
            Shape::Optional => quote!(::ostler_conf::xml::read_any(reader)?.into_iter().next()),
            Shape::List => quote!(::ostler_conf::xml::read_any(reader)?),
            Shape::Plain => quote!(::ostler_conf::xml::read_one(reader)?),
        },
        Kind::Skip => quote!(::std::default::Default::default()),
        Kind::Attr if field.confidential => quote!(reader.confidential(#name)#code?),
        Kind::Attr => match shape {
            Shape::Optional if field.required => quote!(Some(reader.required_attr(#name)#code?)),
            Shape::Optional => quote!(reader.attr(#name)#code?),
            _ if field.default || field.blank => quote!(reader.attr(#name)#code?.unwrap_or_default()),
            _ => quote!(reader.required_attr(#name)#code?),
        },
        Kind::Text if *shape == Shape::Optional => {
            quote!(if reader.raw_text().trim().is_empty() { None } else { Some(reader.text()#code?) })
        }
        Kind::Text => quote!(reader.text()#code?),
        Kind::Flag => quote!(reader.child(#name).is_some()),
        Kind::Flatten => quote!(::ostler_conf::xml::Element::read(reader)?),
        Kind::Child => match shape {
            Shape::Optional => quote!(reader.element(#name)#code?),
            Shape::List => quote!(reader.elements(#name)#code?),
            Shape::Plain if field.default => quote!(reader.element(#name)#code?.unwrap_or_default()),
            Shape::Plain => quote!(reader.required_element(#name)#code?),
        },
        Kind::Choice { attr, absent, empty, flatten, .. } => {
            let content = if *flatten { quote!(*reader) } else { quote!(reader.child_or_absent(#name)) };
            let missing = match (absent, shape) {
                (Some(tag), _) => quote!(Some(#tag)),
                (None, Shape::Optional) => quote!(None),
                (None, _) => {
                    quote!(return Err(reader.problem(::std::format!("the attribute '{}' is missing", #attr)))#code)
                }
            };
            let wrap = if *shape == Shape::Optional {
                quote!()
            } else {
                quote!(.expect("the attribute is there or its absence was reported"))
            };
            let empty =
                empty.as_ref().map(|is_empty| quote!(let tag = if #is_empty(tag, &content) { #missing } else { tag };));
            quote!({
                let content = #content;
                let tag: Option<&str> = match reader.attr_text(#attr) { Some(tag) => Some(tag), None => #missing };
                #empty
                ::ostler_conf::xml::read_choice(reader, #attr, tag, &content)#code? #wrap
            })
        }
    };
    let value = match field.live {
        true => quote!(if reader.is_live() { #value } else { ::std::default::Default::default() }),
        false => value,
    };
    match &field.on {
        Some(child) => quote!(#ident: { let reader = &reader.child_or_absent(#child); #value }),
        None => quote!(#ident: #value),
    }
}

/// libvirt writes the attribute that names a choice before all others.
fn choices_first(fields: &[Field]) -> Vec<&Field> {
    let is_choice = |field: &&Field| matches!(field.kind, Kind::Choice { in_place: false, .. });
    fields.iter().filter(is_choice).chain(fields.iter().filter(|field| !is_choice(field))).collect()
}

fn write_attr(field: &Field) -> Option<TokenStream> {
    Some(where_it_belongs(field, write_any_attr(field)?))
}

/// What only status documents have is written there only.
fn where_it_belongs(field: &Field, write: TokenStream) -> TokenStream {
    if field.live { quote!(if writer.is_live() { #write }) } else { write }
}

fn write_any_attr(field: &Field) -> Option<TokenStream> {
    let Field { ident, name, shape, .. } = field;
    match &field.kind {
        Kind::Attr => Some(one_attr(field)),
        Kind::Flatten => Some(quote!(::ostler_conf::xml::Element::attrs(&self.#ident, writer);)),
        Kind::Choice { attr, flatten, .. } => {
            let content = flatten.then(|| quote!(::ostler_conf::xml::Union::attrs(choice, writer);));
            let write = quote!(writer.attr_text(#attr, ::ostler_conf::xml::Union::tag(choice)); #content);
            Some(match shape {
                Shape::Optional => quote!(if let Some(choice) = &self.#ident { #write }),
                _ => quote!({ let choice = &self.#ident; #write }),
            })
        }
        Kind::Child if field.bind => {
            let prefix = name.split(':').next().unwrap_or_default();
            Some(quote!(if self.#ident.is_some() { writer.bind(#prefix); }))
        }
        _ => None,
    }
}

fn one_attr(field: &Field) -> TokenStream {
    let Field { ident, name, shape, .. } = field;
    match shape {
        _ if field.confidential => quote!(if let Some(value) = &self.#ident { writer.confidential(#name, value); }),
        Shape::Optional => quote!(if let Some(value) = &self.#ident { writer.attr(#name, value); }),
        _ => quote!(writer.attr(#name, &self.#ident);),
    }
}

/// The field's part of the element's content. Fields that stand `on` a child that no field holds make it, at the place of
/// the first of them.
fn write_part(field: &Field, all: &[Field]) -> Option<TokenStream> {
    let Some(child) = &field.on else { return write_body(field, all) };
    let is_held = all.iter().any(|other| other.on.is_none() && other.name == *child && holds(other));
    let group: Vec<&Field> = all.iter().filter(|other| other.on.as_ref() == Some(child)).collect();
    if is_held || !std::ptr::eq(group[0], field) {
        return None;
    }
    let keep = group.iter().any(|field| field.keep);
    let attrs = group.iter().filter_map(|field| write_attr(field));
    let body = group.iter().filter_map(|field| write_body(field, &[]));
    Some(quote!(writer.element(#child, #keep, |writer| { #(#attrs)* #(#body)* });))
}

fn holds(field: &Field) -> bool {
    matches!(field.kind, Kind::Child | Kind::Choice { flatten: false, .. })
}

fn write_body(field: &Field, all: &[Field]) -> Option<TokenStream> {
    Some(where_it_belongs(field, write_any_body(field, all)?))
}

fn write_any_body(field: &Field, all: &[Field]) -> Option<TokenStream> {
    let Field { ident, name, shape, keep, .. } = field;
    let borrowed: TokenStream =
        all.iter().filter(|other| other.on.as_ref() == Some(name)).filter_map(write_attr).collect();
    let child = |value: TokenStream, keep: bool| {
        quote!(writer.element(#name, #keep, |writer| {
            #borrowed
            ::ostler_conf::xml::Element::attrs(#value, writer);
            ::ostler_conf::xml::Element::body(#value, writer);
        });)
    };
    match &field.kind {
        Kind::Attr | Kind::Skip => None,
        Kind::Text => Some(match shape {
            Shape::Optional => {
                quote!(if let Some(value) = &self.#ident { ::ostler_conf::xml::Element::body(value, writer); })
            }
            _ => quote!(::ostler_conf::xml::Element::body(&self.#ident, writer);),
        }),
        Kind::Flag => Some(quote!(if self.#ident { writer.element(#name, true, |_| {}); })),
        Kind::Flatten => Some(quote!(::ostler_conf::xml::Element::body(&self.#ident, writer);)),
        Kind::Child => Some(match shape {
            Shape::List => {
                let write = child(quote!(value), true);
                quote!(for value in &self.#ident { #write })
            }
            Shape::Optional => {
                let write = child(quote!(value), *keep);
                quote!(if let Some(value) = &self.#ident { #write })
            }
            Shape::Plain => child(quote!(&self.#ident), *keep),
        }),
        Kind::Any => {
            let write = quote!(writer.element(::ostler_conf::xml::Union::tag(choice), true, |writer| {
                ::ostler_conf::xml::Union::attrs(choice, writer);
                ::ostler_conf::xml::Union::body(choice, writer);
            }););
            Some(match shape {
                Shape::Plain => quote!({ let choice = &self.#ident; #write }),
                Shape::Optional | Shape::List => quote!(for choice in &self.#ident { #write }),
            })
        }
        Kind::Choice { flatten, .. } => {
            let write = if *flatten {
                quote!(::ostler_conf::xml::Union::body(choice, writer);)
            } else {
                quote!(writer.element(#name, #keep, |writer| {
                    ::ostler_conf::xml::Union::attrs(choice, writer);
                    ::ostler_conf::xml::Union::body(choice, writer);
                });)
            };
            Some(match shape {
                Shape::Optional => quote!(if let Some(choice) = &self.#ident { #write }),
                _ => quote!({ let choice = &self.#ident; #write }),
            })
        }
    }
}
