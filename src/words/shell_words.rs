//! A line in words, as a shell splits it (POSIX, 2.2 Quoting), without a shell: nothing is expanded, nothing is substituted.

use super::BadValue;
use super::bad_value::bad;

/// The words of a line: blanks separate, `'…'` is literal, `"…"` is but for `\"`, `\\`, `\$` and `` \` ``, and `\` makes the
/// next octet literal. What a shell would obey (`|`, `>`, `&&`) is refused where it stands as a word of its own, since nobody
/// obeys it here.
pub fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, BadValue> {
    let mut words = Vec::new();
    // The word that has begun, and whether a part of it is quoted.
    let mut word: Option<(Vec<u8>, bool)> = None;
    let mut octets = line.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b' ' | b'\t' | b'\n' | b'\r' => words.extend(word.take()),
            b'\'' => {
                let (word, is_quoted) = word.get_or_insert_default();
                *is_quoted = true;
                loop {
                    match octets.next() {
                        Some(b'\'') => break,
                        Some(octet) => word.push(octet),
                        None => return Err("a ' is never closed".into()),
                    }
                }
            }
            b'"' => {
                let (word, is_quoted) = word.get_or_insert_default();
                *is_quoted = true;
                loop {
                    match octets.next() {
                        Some(b'"') => break,
                        Some(b'\\') => match octets.next() {
                            Some(b'\n') => {}
                            Some(octet @ (b'"' | b'\\' | b'$' | b'`')) => word.push(octet),
                            Some(octet) => word.extend([b'\\', octet]),
                            None => return Err("a \" is never closed".into()),
                        },
                        Some(octet) => word.push(octet),
                        None => return Err("a \" is never closed".into()),
                    }
                }
            }
            b'\\' => match octets.next() {
                Some(b'\n') => {}
                Some(octet) => {
                    let (word, is_quoted) = word.get_or_insert_default();
                    *is_quoted = true;
                    word.push(octet);
                }
                None => return Err("it ends with a \\ that makes nothing literal".into()),
            },
            octet => word.get_or_insert_default().0.push(octet),
        }
    }
    words.extend(word);
    let obeyed = |(word, is_quoted): &&(Vec<u8>, bool)| !is_quoted && word.iter().all(|octet| b"|&;<>".contains(octet));
    if let Some((operator, _)) = words.iter().find(obeyed) {
        let operator = String::from_utf8_lossy(operator);
        return Err(bad!("{operator} means nothing, as no shell is run: write sh -c '…', or quote it"));
    }
    Ok(words.into_iter().map(|(word, _)| word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (line, expected) in [
            ("notify", &["notify"][..]),
            ("  a \t b\nc ", &["a", "b", "c"]),
            ("'a b' \"c d\" e\\ f", &["a b", "c d", "e f"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("'' \"\"", &["", ""]),
            ("'it'\\''s'", &["it's"]),
            (r#""a \"b\" \\ \$x \n""#, &[r#"a "b" \ $x \n"#]),
            ("'\\n'", &["\\n"]),
            ("a\\\nb", &["ab"]),
            ("$HOME *.csv #x ~", &["$HOME", "*.csv", "#x", "~"]),
            ("grüß 'жук 😀'", &["grüß", "жук 😀"]),
            ("a \\; '|' \"&&\" x>y http://h/?a=1&b", &["a", ";", "|", "&&", "x>y", "http://h/?a=1&b"]),
            ("", &[]),
        ] {
            let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(split(line.as_bytes()), Ok(expected), "{line:?}");
        }
        assert_eq!(split(b"a \xFF\xFE"), Ok(vec![b"a".to_vec(), vec![0xFF, 0xFE]]));
    }

    #[test]
    fn a_real_shell_agrees() {
        for line in ["a 'b c' d\\ e \"f \\\" \\\\ \\g\" ''", "x'y'\"z\"\\'", "\"a\\\nb\" c\\\nd", "é '\u{7f}' \\\\"] {
            let script = format!("printf '%s\\0' {line}");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let said: Vec<Vec<u8>> = output.stdout.split(|&octet| octet == 0).map(<[u8]>::to_vec).collect();
            assert_eq!(split(line.as_bytes()).unwrap(), said[..said.len() - 1], "{line:?}");
        }
    }

    #[test]
    fn what_is_not_closed_or_would_need_a_shell_is_refused() {
        for (line, words) in [
            ("a 'b", "' is never closed"),
            ("a \"b", "\" is never closed"),
            ("a \"b\\", "\" is never closed"),
            ("a \\", "makes nothing literal"),
            ("a | b", "| means nothing"),
            ("a && b", "sh -c"),
            ("a > f", "> means nothing"),
        ] {
            let error = split(line.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{line:?}: {error}");
        }
    }
}
