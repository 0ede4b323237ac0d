//! A value as its type serializes it: as JSON, but choices are told from structs.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Map, Value};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// A text, a number, a boolean or nothing.
    Scalar(Value),
    List(Vec<Tree>),
    /// In the order of the type.
    Fields(Vec<(String, Tree)>),
    /// One side of a choice, and what it holds.
    Choice(&'static str, Box<Tree>),
}

/// The tree of a value.
pub(super) fn of<T: Serialize>(value: &T) -> Tree {
    value.serialize(Builder).expect("conf types have only text keys")
}

impl Tree {
    pub(super) fn to_json(&self) -> Value {
        match self {
            Tree::Scalar(value) => value.clone(),
            Tree::List(items) => items.iter().map(Tree::to_json).collect(),
            Tree::Fields(fields) => fields.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
            Tree::Choice(side, content) => Map::from_iter([((*side).to_owned(), content.to_json())]).into(),
        }
    }

    /// What its field `name` says.
    pub(super) fn name(&self) -> Option<&str> {
        let Tree::Fields(fields) = self else { return None };
        match fields.iter().find(|(key, _)| key == "name") {
            Some((_, Tree::Scalar(Value::String(name)))) => Some(name),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, serde_json::Error>;

struct Builder;

macro_rules! scalars {
    ($($method:ident: $ty:ty,)*) => { $(
        fn $method(self, value: $ty) -> Result<Tree> {
            Ok(Tree::Scalar(value.into()))
        }
    )* };
}

impl Serializer for Builder {
    type Ok = Tree;
    type Error = serde_json::Error;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
        serialize_str: &str, serialize_bytes: &[u8],
    }

    fn serialize_char(self, value: char) -> Result<Tree> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_none(self) -> Result<Tree> {
        Ok(Tree::Scalar(Value::Null))
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Tree> {
        self.serialize_none()
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree> {
        self.serialize_none()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, side: &'static str) -> Result<Tree> {
        self.serialize_str(side)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Tree> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        side: &'static str,
        value: &T,
    ) -> Result<Tree> {
        Ok(Tree::Choice(side, Box::new(value.serialize(self)?)))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items> {
        Ok(Items { items: Vec::new(), side: None })
    }
    fn serialize_tuple(self, _: usize) -> Result<Items> {
        self.serialize_seq(None)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items> {
        self.serialize_seq(None)
    }
    fn serialize_tuple_variant(self, _: &'static str, _: u32, side: &'static str, _: usize) -> Result<Items> {
        Ok(Items { items: Vec::new(), side: Some(side) })
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Fields> {
        Ok(Fields { fields: Vec::new(), side: None })
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields> {
        self.serialize_map(None)
    }
    fn serialize_struct_variant(self, _: &'static str, _: u32, side: &'static str, _: usize) -> Result<Fields> {
        Ok(Fields { fields: Vec::new(), side: Some(side) })
    }
}

fn of_side(side: Option<&'static str>, content: Tree) -> Tree {
    match side {
        Some(side) => Tree::Choice(side, Box::new(content)),
        None => content,
    }
}

struct Items {
    items: Vec<Tree>,
    side: Option<&'static str>,
}

macro_rules! items {
    ($($of:ident: $method:ident,)*) => { $(
        impl $of for Items {
            type Ok = Tree;
            type Error = serde_json::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.items.push(value.serialize(Builder)?);
                Ok(())
            }
            fn end(self) -> Result<Tree> {
                Ok(of_side(self.side, Tree::List(self.items)))
            }
        }
    )* };
}

items! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

struct Fields {
    fields: Vec<(String, Tree)>,
    side: Option<&'static str>,
}

macro_rules! fields {
    ($($of:ident,)*) => { $(
        impl $of for Fields {
            type Ok = Tree;
            type Error = serde_json::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
                self.fields.push((key.to_owned(), value.serialize(Builder)?));
                Ok(())
            }
            fn end(self) -> Result<Tree> {
                Ok(of_side(self.side, Tree::Fields(self.fields)))
            }
        }
    )* };
}

fields! { SerializeStruct, SerializeStructVariant, }

impl SerializeMap for Fields {
    type Ok = Tree;
    type Error = serde_json::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let Tree::Scalar(Value::String(key)) = key.serialize(Builder)? else {
            return Err(serde_json::Error::custom("a key that is no text"));
        };
        self.fields.push((key, Tree::Scalar(Value::Null)));
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if let Some((_, last)) = self.fields.last_mut() {
            *last = value.serialize(Builder)?;
        }
        Ok(())
    }
    fn end(self) -> Result<Tree> {
        Ok(Tree::Fields(self.fields))
    }
}
