//! Texts with columns in them: `Hi {name}, your code is {code}`. Pure: nothing here does I/O.
//!
//! `{column}` is replaced by the row's value, `{column|default}` by the default where the row has none, `{{` and `}}`
//! are the braces themselves. Values are put in as they are, without the spaces around them; braces in a value mean
//! nothing.

use std::fmt;

use crate::words::escape::name_value;
use crate::words::names;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece<String>>,
}

/// A template whose columns have been found in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundTemplate {
    pieces: Vec<Piece<Bound>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<C> {
    Literal(String),
    Column { column: C, default: Option<String> },
}

/// A column by its place, and by the name that the template gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    index: usize,
    name: String,
}

/// A row of values.
pub trait Record {
    /// The value in a column, counted from 0; `None` where the row is too short.
    fn value(&self, column: usize) -> Option<&str>;
}

impl<S: AsRef<str>> Record for [S] {
    fn value(&self, column: usize) -> Option<&str> {
        self.get(column).map(AsRef::as_ref)
    }
}

impl<S: AsRef<str>> Record for Vec<S> {
    fn value(&self, column: usize) -> Option<&str> {
        self.as_slice().value(column)
    }
}

/// A row has no value for a column that the template needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` is empty: fill it in, or give a default as in {{{column}|friend}}")]
pub struct MissingValue {
    /// The column, as the template names it.
    pub column: String,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without its `}`; its place, in characters from 1.
    #[error("the `{{` at character {0} of the text is never closed: close it, or write `{{{{` for a brace")]
    Unclosed(usize),
    /// A `}` without its `{`.
    #[error("the `}}` at character {0} of the text closes nothing: write `}}}}` for a brace")]
    Unopened(usize),
    /// A `{` inside a placeholder.
    #[error("the `{{` at character {0} of the text stands inside a placeholder: write `{{{{` for a brace")]
    Nested(usize),
    /// `{}`, or `{|default}`.
    #[error("the placeholder at character {0} of the text names no column")]
    NoColumn(usize),
    /// The header has no such column.
    #[error(fmt = fmt_unknown_column)]
    UnknownColumn {
        /// The column, as the template names it.
        column: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// The header has the column more than once.
    #[error("the text names column `{0}`, which the file has more than once: rename one of them")]
    AmbiguousColumn(String),
}

fn fmt_unknown_column(column: &str, columns: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let columns: Vec<_> = columns.iter().map(|name| name_value(name)).collect();
    let meant = names::meant(column, columns.iter().map(|name| name.as_ref()));
    let meant = meant.map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"));
    write!(f, "the text names column `{column}`, but the file has only: {}{meant}", columns.join(", "))
}

impl Template {
    /// Reads a template.
    ///
    /// ```
    /// # use smppost::testing::message::template::Template;
    ///
    /// let template = Template::parse("Hi {name|friend}, {code}")?.bind(&["to", "name", "code"])?;
    /// let mut text = String::new();
    /// template.render(&vec!["447700900123", "", "1234"], &mut text)?;
    /// assert_eq!(text, "Hi friend, 1234");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut characters = (1..).zip(text.chars()).peekable();
        while let Some((at, c)) = characters.next() {
            match c {
                '{' | '}' if characters.next_if(|&(_, next)| next == c).is_some() => literal.push(c),
                '}' => return Err(TemplateError::Unopened(at)),
                '{' => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(placeholder(at, &mut characters)?);
                }
                _ => literal.push(c),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Template { pieces })
    }

    /// The columns that the text names, in its order.
    #[cfg(test)]
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column { column, .. } => Some(column.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// Finds the columns in a header. See [`find_column`] for how names are compared.
    pub fn bind<S: AsRef<str>>(&self, headers: &[S]) -> Result<BoundTemplate, TemplateError> {
        let bind = |piece: &Piece<String>| match piece {
            Piece::Literal(literal) => Ok(Piece::Literal(literal.clone())),
            Piece::Column { column, default } => match find_column(headers, column) {
                Found::One(index) => {
                    Ok(Piece::Column { column: Bound { index, name: column.clone() }, default: default.clone() })
                }
                Found::Several => Err(TemplateError::AmbiguousColumn(column.clone())),
                Found::None => Err(TemplateError::UnknownColumn {
                    column: column.clone(),
                    columns: headers.iter().map(|header| header.as_ref().to_owned()).collect(),
                }),
            },
        };
        Ok(BoundTemplate { pieces: self.pieces.iter().map(bind).collect::<Result<_, _>>()? })
    }
}

impl BoundTemplate {
    /// The columns that it has in it, by their places, each as often as it does.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column { column, .. } => Some(column.index),
            Piece::Literal(_) => None,
        })
    }

    /// The columns without which there is no text, by their places.
    pub fn needed_columns(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column { column, default: None } => Some(column.index),
            _ => None,
        })
    }

    /// What it has between the columns, a line for each piece.
    pub fn literals(&self) -> String {
        let literals = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(literal) => Some(literal.as_str()),
            Piece::Column { .. } => None,
        });
        literals.collect::<Vec<_>>().join("\n")
    }

    /// Appends the text for one row to `out`. A value of spaces is no value.
    pub fn render<R: Record + ?Sized>(&self, record: &R, out: &mut String) -> Result<(), MissingValue> {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Column { column, default } => match (record.value(column.index).map(str::trim), default) {
                    (Some(value), _) if !value.is_empty() => out.push_str(value),
                    (_, Some(default)) => out.push_str(default),
                    (_, None) => return Err(MissingValue { column: column.name.clone() }),
                },
            }
        }
        Ok(())
    }
}

/// Where a header has a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nowhere.
    None,
    /// At this index, from 0.
    One(usize),
    /// More than once, so that nobody can say which is meant.
    Several,
}

/// Finds a column by its exact name or, if there is none, without regard to case, to the form of accents and to how words
/// are parted: exports write `To`, `FIRST NAME` and, on a Mac, an accent as a character of its own.
pub fn find_column<S: AsRef<str>>(headers: &[S], name: &str) -> Found {
    let places = |matches: &dyn Fn(&str) -> bool| {
        let mut places = (0..headers.len()).filter(|&i| matches(headers[i].as_ref()));
        match (places.next(), places.next()) {
            (None, _) => Found::None,
            (Some(index), None) => Found::One(index),
            (Some(_), Some(_)) => Found::Several,
        }
    };
    let same_when = |form: fn(&str) -> String| {
        let name = form(name);
        places(&|header| !name.is_empty() && form(header) == name)
    };
    let mut found = places(&|header| header == name);
    for form in [names::folded, names::unspaced] {
        if found == Found::None {
            found = same_when(form);
        }
    }
    found
}

/// Reads a placeholder whose `{` stands at `opened`.
fn placeholder(
    opened: usize,
    characters: &mut impl Iterator<Item = (usize, char)>,
) -> Result<Piece<String>, TemplateError> {
    let mut inside = String::new();
    for (at, c) in characters {
        match c {
            '{' => return Err(TemplateError::Nested(at)),
            '}' => {
                let (column, default) = match inside.split_once('|') {
                    Some((column, default)) => (column.trim(), Some(default.to_owned())),
                    None => (inside.trim(), None),
                };
                return match column.is_empty() {
                    true => Err(TemplateError::NoColumn(opened)),
                    false => Ok(Piece::Column { column: column.to_owned(), default }),
                };
            }
            _ => inside.push(c),
        }
    }
    Err(TemplateError::Unclosed(opened))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, row: &[&str]) -> Result<String, MissingValue> {
        let mut text = String::new();
        let bound = Template::parse(template).unwrap().bind(&["to", "name", "Code", "last name"]).unwrap();
        bound.render(row, &mut text).map(|()| text)
    }

    #[test]
    fn f05_rows_fill_the_template() {
        let row = ["4477", " Ann ", "{to}", ""];
        for (template, expected) in [
            ("", Ok("")),
            ("plain", Ok("plain")),
            ("Hi {name}!", Ok("Hi Ann!")),
            ("{name}{name}", Ok("AnnAnn")),
            ("{{name}} is {name}", Ok("{name} is Ann")),
            ("{{{name}}}", Ok("{Ann}")),
            ("{code}", Ok("{to}")),
            ("{ name }", Ok("Ann")),
            ("{last name|friend}", Ok("friend")),
            ("{last name|}", Ok("")),
            ("{last name|a|b}", Ok("a|b")),
            ("{name|friend}", Ok("Ann")),
            ("Hi {last name}", Err("last name")),
        ] {
            let expected =
                expected.map(str::to_owned).map_err(|column: &str| MissingValue { column: column.to_owned() });
            assert_eq!(render(template, &row), expected, "{template}");
        }
        assert_eq!(render("{last name}", &["4477"]), Err(MissingValue { column: "last name".to_owned() }));
    }

    #[test]
    fn what_is_no_template() {
        for (template, error) in [
            ("Hi {name", TemplateError::Unclosed(4)),
            ("é{", TemplateError::Unclosed(2)),
            ("a } b", TemplateError::Unopened(3)),
            ("{a{b}", TemplateError::Nested(3)),
            ("{}", TemplateError::NoColumn(1)),
            ("a{ |x}", TemplateError::NoColumn(2)),
        ] {
            assert_eq!(Template::parse(template), Err(error), "{template}");
        }
    }

    #[test]
    fn f05_an_unknown_column_is_named_with_those_there_are() {
        let template = Template::parse("Hi {nmae}").unwrap();
        let words = template.bind(&["to", "name"]).unwrap_err().to_string();
        assert_eq!(words, "the text names column `nmae`, but the file has only: to, name (did you mean `name`?)");
        assert_eq!(Template::parse("{a} {b|x}").unwrap().columns().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn columns_are_found_exactly_or_without_case() {
        let headers = ["to", "Name", "NAME", "Code", "dup", "dup"];
        let others = ["Pr\u{e9}nom", "First  Name", "e\u{301}t\u{e9}", "last_name", "", ""];
        for (name, found) in [
            ("Pre\u{301}nom", Found::One(0)),
            ("first name", Found::One(1)),
            ("FirstName", Found::One(1)),
            ("\u{e9}te\u{301}", Found::One(2)),
            ("Prenom", Found::None),
            ("last name", Found::None),
        ] {
            assert_eq!(find_column(&others, name), found, "{name}");
        }
        for (name, found) in [
            ("to", Found::One(0)),
            ("TO", Found::One(0)),
            ("Name", Found::One(1)),
            ("name", Found::Several),
            ("code", Found::One(3)),
            ("dup", Found::Several),
            ("nope", Found::None),
            ("", Found::None),
        ] {
            assert_eq!(find_column(&headers, name), found, "{name}");
        }
    }

    proptest! {
        #[test]
        fn doubled_braces_are_literal(text in any::<String>()) {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(render(&doubled, &[]).unwrap(), text);
        }

        #[test]
        fn no_text_panics(text in "[{}|a \u{e9}]{0,12}") {
            let _ = Template::parse(&text).map(|template| template.bind(&["a"]));
        }
    }
}
