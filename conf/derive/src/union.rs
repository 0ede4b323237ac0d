//! `#[union]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser;
use syn::{Fields, ItemEnum, LitStr};

use crate::names::kebab_case;

pub(crate) fn expand(options: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut tag_attr = None;
    let parser = syn::meta::parser(|meta| {
        if !meta.path.is_ident("tag") {
            return Err(meta.error("expected tag"));
        }
        tag_attr = Some(meta.value()?.parse::<LitStr>()?.value());
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
    let element = tag_attr.map(|attr| {
        quote! {
            impl ::ostler_conf::xml::Element for #ident {
                fn read(reader: &::ostler_conf::xml::Reader<'_>) -> ::std::result::Result<Self, ::ostler_conf::Problem> {
                    let Some(tag) = reader.attr_text(#attr) else {
                        return Err(reader.problem(::std::format!("the attribute '{}' is missing", #attr)));
                    };
                    Ok(::ostler_conf::xml::read_choice(reader, #attr, Some(tag), reader)?.expect("a tag was given"))
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
