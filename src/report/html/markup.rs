//! HTML in the making. Markup comes from literals alone; whatever is not one is escaped on its way in, so that nothing that a
//! file, a peer or a user supplied can be markup.

use crate::words::commands::pieces;
use crate::words::escape::escape_terminal;
use crate::words::format::{cut, number};

/// Characters of a foreign text that are shown at most.
const FOREIGN_MAX: usize = 200;

/// A page, or a part of one.
#[derive(Debug, Default)]
pub struct Html(String);

impl Html {
    /// What was made.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Appends markup.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends text, and no markup: what a browser would obey or not show is spelled out.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for c in escape_terminal(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Appends a text that somebody else wrote, which turns the reading order of nothing around it.
    pub fn foreign(&mut self, text: &str) -> &mut Self {
        self.raw("<bdi>").text(&cut(text, FOREIGN_MAX)).raw("</bdi>")
    }

    /// Appends words of the program, in which commands stand between backquotes.
    pub fn words(&mut self, words: &str) -> &mut Self {
        for (is_command, piece) in pieces(words) {
            if is_command {
                self.raw("<code>").text(piece).raw("</code>");
            } else {
                self.text(piece);
            }
        }
        self
    }

    /// Appends a number with separators.
    pub fn number(&mut self, n: i64) -> &mut Self {
        self.text(&number(n))
    }

    /// Appends an attribute, with a space before it.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// Appends a row of a table: a heading, and cells of numbers or words.
    pub fn row(&mut self, heading: &str, cells: &[&str]) -> &mut Self {
        self.raw("<tr><th scope=\"row\">").text(heading).raw("</th>");
        for cell in cells {
            self.raw("<td class=\"n\">").text(cell).raw("</td>");
        }
        self.raw("</tr>\n")
    }

    /// Appends the beginning of a table that may be wider than the screen: its caption, and the headings of its columns, those
    /// with `true` of numbers.
    pub fn table(&mut self, caption: &str, columns: &[(&'static str, bool)]) -> &mut Self {
        self.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\"").attribute("aria-label", caption);
        self.raw("><table><caption>").text(caption).raw("</caption><thead><tr>");
        for (column, is_number) in columns {
            self.raw(if *is_number { "<th scope=\"col\" class=\"n\">" } else { "<th scope=\"col\">" });
            self.text(column).raw("</th>");
        }
        self.raw("</tr></thead><tbody>\n")
    }

    /// Appends its end.
    pub fn end_table(&mut self) -> &mut Self {
        self.raw("</tbody></table></div>\n")
    }

    /// Appends an entry of a list of facts.
    pub fn fact(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.raw("<dt>").raw(name).raw("</dt><dd>").words(value).raw("</dd>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_are_markup() {
        let hostile = "</p><script>alert('x')</script>\"&amp;\u{0}\u{202e}`";
        let mut html = Html::default();
        html.raw("<p").attribute("title", hostile).raw(">").text(hostile).foreign(hostile).words(hostile).raw("</p>");
        html.row(hostile, &[hostile]).table(hostile, &[("n", true)]).end_table().fact("f", hostile);
        let made = html.into_string();
        assert!(!made.contains("<script") && !made.contains("</script") && !made.contains("'x'"), "{made}");
        assert!(!made.contains(['\0', '\u{202e}']), "{made}");
        assert!(
            made.contains("title=\"&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;amp;"),
            "{made}"
        );
    }

    #[test]
    fn commands_stand_out_and_long_texts_are_cut() {
        let mut html = Html::default();
        html.words("do `smppost resume 'a b'` then").foreign(&"x".repeat(10_000));
        let made = html.into_string();
        assert!(made.starts_with("do <code>smppost resume &#39;a b&#39;</code> then<bdi>xxx"), "{made}");
        assert!(made.len() < 400, "{}", made.len());
    }
}
