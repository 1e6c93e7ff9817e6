//! UTF-8 that some program read as another encoding, before it wrote the file: `CafÃ©`, `РџСЂРёРІРµС‚`, `Caf√©`.

/// Where in a text the first such characters are.
pub(super) fn mojibake(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().peekable();
    let mut before = None;
    // Pairs that are letters of their own languages, too, have to come one behind the other.
    let mut pairs = Pairs::default();
    while let Some((at, c)) = characters.next() {
        let next = characters.peek().map(|&(_, next)| next).filter(|next| !next.is_ascii());
        let Some(next) = next.filter(|_| !c.is_ascii()) else {
            before = Some(c);
            continue;
        };
        let after = || text[at + c.len_utf8() + next.len_utf8()..].chars().next();
        match c {
            'Ã' | 'Â' | 'Ä' | 'Å' if continues_1252(next) => {
                let may_be_end = is_punctuation(next)
                    && !after().is_some_and(char::is_alphanumeric)
                    && before.is_none_or(|before: char| before.is_uppercase() || !before.is_alphabetic());
                if !may_be_end {
                    return Some(at);
                }
            }
            'â' if matches!(next, '€' | '‚' | '„' | '\u{80}'..='\u{9f}') => return Some(at),
            'ï' if matches!((next, after()), ('¿', Some('½')) | ('»', Some('¿'))) => return Some(at),
            'Ă' if matches!(next, '©' | '¶' | '¤' | 'ˇ' | '±' | '«' | '®' | '¨' | 'Ľ') => return Some(at),
            '√' | '├' | '┬' if !next.is_whitespace() => return Some(at),
            'Ð' | 'Ñ' | 'Î' | 'Ï' | 'Ø' | 'Ù' if continues_1252(next) && pairs.is_second(at, c, next) => {
                return Some(pairs.first);
            }
            'Р' | 'С' if continues_1251(next) && pairs.is_second(at, c, next) => return Some(pairs.first),
            _ => {}
        }
        before = Some(c);
    }
    None
}

/// Pairs one behind the other.
#[derive(Default)]
struct Pairs {
    first: usize,
    /// Where the next one would begin.
    next: Option<usize>,
}

impl Pairs {
    /// Notes a pair, and says whether one stands right in front of it.
    fn is_second(&mut self, at: usize, c: char, next: char) -> bool {
        let follows = self.next == Some(at);
        if !follows {
            self.first = at;
        }
        self.next = Some(at + c.len_utf8() + next.len_utf8());
        follows
    }
}

/// What Windows-1252 makes of the octets 0x80 to 0xBF, which follow the first of a character in UTF-8.
fn continues_1252(c: char) -> bool {
    matches!(
        c,
        '\u{80}'
            ..='\u{bf}'
            | '€' | '‚' | 'ƒ' | '„' | '…' | '†' | '‡' | 'ˆ' | '‰' | 'Š' | '‹' | 'Œ' | 'Ž' | '‘' | '’' | '“' | '”' | '•' | '–' | '—' | '˜' | '™' | 'š'
            | '›' | 'œ' | 'ž' | 'Ÿ'
            // Windows-1254 has these instead.
            | 'ğ' | 'ş' | 'ı'
    )
}

/// What Windows-1251 makes of them.
fn continues_1251(c: char) -> bool {
    matches!(
        c,
        'Ђ' | 'Ѓ'
            | '‚'
            | 'ѓ'
            | '„'
            | '…'
            | '†'
            | '‡'
            | '€'
            | '‰'
            | 'Љ'
            | '‹'
            | 'Њ'
            | 'Ќ'
            | 'Ћ'
            | 'Џ'
            | 'ђ'
            | '‘'
            | '’'
            | '“'
            | '”'
            | '•'
            | '–'
            | '—'
            | '\u{98}'
            | '™'
            | 'љ'
            | '›'
            | 'њ'
            | 'ќ'
            | 'ћ'
            | 'џ'
            | '\u{a0}'
            | 'Ў'
            | 'ў'
            | 'Ј'
            | '¤'
            | 'Ґ'
            | '¦'
            | '§'
            | 'Ё'
            | '©'
            | 'Є'
            | '«'
            | '¬'
            | '\u{ad}'
            | '®'
            | 'Ї'
            | '°'
            | '±'
            | 'І'
            | 'і'
            | 'ґ'
            | 'µ'
            | '¶'
            | '·'
            | 'ё'
            | '№'
            | 'є'
            | '»'
            | 'ј'
            | 'Ѕ'
            | 'ѕ'
            | 'ї'
    )
}

fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        '‘' | '’'
            | '“'
            | '”'
            | '„'
            | '‚'
            | '…'
            | '–'
            | '—'
            | '‹'
            | '›'
            | '«'
            | '»'
            | '\u{a0}'
            | '°'
            | '®'
            | '™'
            | '©'
            | '€'
            | '£'
    )
}
