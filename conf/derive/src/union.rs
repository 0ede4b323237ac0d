//! `#[union]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Fields, ItemEnum, LitStr};

use crate::names::kebab_case;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let (mut tag_attr, mut absent, mut code) = (None, None, None);
    let parser = syn::meta::parser(|meta| {
        let option = match () {
            () if meta.path.is_ident("tag") => &mut tag_attr,
            () if meta.path.is_ident("absent") => &mut absent,
            () if meta.path.is_ident("code") => &mut code,
            () => return Err(meta.error("expected tag, absent or code")),
        };
        *option = Some(meta.value()?.parse::<LitStr>()?.value());
        Ok(())
    });
    parser.parse2(options)?;
    let mut item: ItemEnum = syn::parse2(item)?;
    let mut variants = Vec::new();
    for variant in &mut item.variants {
        let mut tag = kebab_case(&variant.ident.to_string());
        for attribute in variant.attrs.iter().filter(|a| a.path().is_ident("xml")) {
            attribute.parse_nested_meta(|meta| {
                if !meta.path.is_ident("name") {
                    return Err(meta.error("expected name"));
                }
                tag = meta.value()?.parse::<LitStr>()?.value();
                Ok(())
            })?;
        }
        variant.attrs.retain(|a| !a.path().is_ident("xml"));
        if !matches!(&variant.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1) {
            return Err(syn::Error::new_spanned(variant, "a variant holds one element"));
        }
        variants.push((variant.ident.clone(), tag));
    }
    let ident = &item.ident;
    let (names, tags): (Vec<_>, Vec<_>) = variants.into_iter().unzip();
    let code = code.map(|code| {
        let code = quote::format_ident!("{code}");
        quote!(.map_err(|problem| problem.with_code(::ostler_conf::ErrorCode::#code)))
    });
    let element = tag_attr.map(|attr| {
        let missing = match absent {
            Some(tag) => quote!(#tag),
            None => quote!({
                return Err(reader.problem(::std::format!("the attribute '{}' is missing", #attr)));
            }),
        };
        quote! {
            impl ::ostler_conf::xml::Element for #ident {
                fn read(reader: &::ostler_conf::xml::Reader<'_>) -> ::std::result::Result<Self, ::ostler_conf::Problem> {
                    let tag = match reader.attr_text(#attr) { Some(tag) => tag, None => #missing };
                    Ok(::ostler_conf::xml::read_choice(reader, #attr, Some(tag), reader)#code?.expect("a tag was given"))
                }
                fn attrs(&self, writer: &mut ::ostler_conf::xml::Writer) {
                    writer.attr_text(#attr, ::ostler_conf::xml::Union::tag(self));
                    ::ostler_conf::xml::Union::attrs(self, writer);
                }
                fn body(&self, writer: &mut ::ostler_conf::xml::Writer) {
                    ::ostler_conf::xml::Union::body(self, writer);
                }
            }
        }
    });
    Ok(quote! {
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(::schemars::JsonSchema))]
        #[serde(rename_all = "camelCase")]
        #[allow(clippy::large_enum_variant, reason = "a document holds few of them")]
        #item

        impl ::ostler_conf::xml::Union for #ident {
            const TAGS: &'static [&'static str] = &[#(#tags,)*];
            fn read_tagged(tag: &str, reader: &::ostler_conf::xml::Reader<'_>) -> ::std::result::Result<Option<Self>, ::ostler_conf::Problem> {
                Ok(match tag {
                    #(#tags => Some(#ident::#names(::ostler_conf::xml::Element::read(reader)?)),)*
                    _ => None,
                })
            }
            fn tag(&self) -> &'static str {
                match self { #(#ident::#names(_) => #tags,)* }
            }
            fn attrs(&self, writer: &mut ::ostler_conf::xml::Writer) {
                match self { #(#ident::#names(content) => ::ostler_conf::xml::Element::attrs(content, writer),)* }
            }
            fn body(&self, writer: &mut ::ostler_conf::xml::Writer) {
                match self { #(#ident::#names(content) => ::ostler_conf::xml::Element::body(content, writer),)* }
            }
        }
        #element
    })
}
