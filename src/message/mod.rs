//! From a row's words to the fields and parts of a submit_sm: numbers and senders, texts with columns in them, alphabets,
//! parts, fields by name. Pure.

pub mod address;
pub mod fields;
pub mod number_set;
pub mod prices;
pub mod template;
pub mod text;
pub mod tlv_words;
