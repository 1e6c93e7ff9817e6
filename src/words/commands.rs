//! Commands in the program's words: they stand between backquotes, and may have one in a quoted argument.

/// Words and commands in turn, as they stand; `true`: a command, without its backquotes.
pub fn pieces(text: &str) -> Vec<(bool, &str)> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((words, after)) = rest.split_once('`') {
        pieces.push((false, words));
        let end = end(after);
        pieces.push((true, &after[..end]));
        rest = after.get(end + 1..).unwrap_or_default();
    }
    pieces.push((false, rest));
    pieces.retain(|(is_command, piece)| *is_command || !piece.is_empty());
    pieces
}

/// Where a command ends that begins here: before the backquote that no shell would take for a part of an argument. Where its
/// quotes are not closed it is no command that can be pasted, and ends at the first backquote.
pub fn end(command: &str) -> usize {
    #[derive(Clone, Copy, PartialEq)]
    enum Within {
        Nothing,
        /// `'…'`
        Quotes,
        /// `$'…'`
        Escapes,
    }
    let (mut within, mut before) = (Within::Nothing, ' ');
    let mut letters = command.char_indices();
    while let Some((at, c)) = letters.next() {
        within = match (within, c) {
            (Within::Nothing, '`') => return at,
            (Within::Nothing, '\'') if before == '$' => Within::Escapes,
            (Within::Nothing, '\'') => Within::Quotes,
            (Within::Quotes | Within::Escapes, '\'') => Within::Nothing,
            (Within::Nothing | Within::Escapes, '\\') => {
                letters.next();
                within
            }
            _ => within,
        };
        before = c;
    }
    command.find('`').unwrap_or(command.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::format::command;

    #[test]
    fn a_command_is_one_piece_whatever_a_campaign_is_called() {
        for name in ["spring", "a`b", "`", "it's `x` and 'y'", "a\\`b", "$'`'", "\u{1b}`'\\", "`rm -rf /`"] {
            let command = command("smppost resume", name, " --journal 'other`.db'");
            let text = format!("first `{command}` goes on, and `smppost list` tells");
            let expected = [
                (false, "first "),
                (true, &*command),
                (false, " goes on, and "),
                (true, "smppost list"),
                (false, " tells"),
            ];
            assert_eq!(pieces(&text), expected);
        }
    }

    #[test]
    fn what_is_no_command_is_cut_up_somehow_and_nothing_is_lost() {
        assert_eq!(pieces(""), []);
        assert_eq!(pieces("`it's` so"), [(true, "it's"), (false, " so")]);
        assert_eq!(pieces("a`b"), [(false, "a"), (true, "b")]);
        assert_eq!(pieces("a``"), [(false, "a"), (true, "")]);
        assert_eq!(pieces("`\\"), [(true, "\\")]);
    }
}
