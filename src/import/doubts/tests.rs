use super::*;

fn found(header: &[&str], text: &str) -> Vec<&'static str> {
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let mut watch = Watch::new(&header);
    watch.look(2, text);
    watch.doubts.kinds().map(|(doubt, _)| doubt.code()).collect()
}

#[test]
fn placeholders_of_columns_are_found_in_every_form() {
    let header = ["to", "name", "First Name", "Prénom", "text"];
    for text in [
        "Hi {name}",
        "Hi {{name}}",
        "Hi {{ Name }}",
        "Hi {NAME}!",
        "Hi %name%",
        "Hi %%name%%",
        "Hi [name]",
        "Hi [[name]]",
        "Hi #name#",
        "Hi <<name>>",
        "Hi <name>",
        "Hi *|NAME|*",
        "Hi ${name}",
        "Hi $name, all well?",
        "Hi «name»",
        "Hi @name@",
        "Hi {First Name}",
        "Hi {firstname}",
        "Hi {{first name|friend}}",
        "Hi <%= name %>",
        "Hi {pre\u{301}nom}",
        "Hi {{vorname}}",
        "Hi *|VORNAME|*",
        "Hi <<Vor Name>>",
        "Hi ${vorname}",
    ] {
        assert_eq!(found(&header, text), ["placeholder"], "{text}");
    }
    for text in [
        "Hi Ann",
        "50% off, 20% more",
        "Hi {vorname}",
        "see [1] or [sic]",
        "#1 and #2",
        "a < b > c",
        "mail to a@name.example",
        "5 $ a name",
        "{}",
        "",
        "name",
    ] {
        assert_eq!(found(&header, text), [""; 0], "{text}");
    }
}

#[test]
fn what_programs_leave_in_texts_is_found() {
    for (text, code) in [
        ("line one\\nline two", "escape"),
        ("caf\\u00e9", "escape"),
        ("Tom &amp; Jerry", "escape"),
        ("it&#39;s", "escape"),
        ("one<br>two", "escape"),
        ("#N/A", "cell_error"),
        ("Hi #REF!, hello", "cell_error"),
        ("Hallo #NV", "cell_error"),
        ("Err:502", "cell_error"),
        ("Привет #Н/Д", "cell_error"),
        ("NULL", "no_value"),
        ("nan", "no_value"),
        ("None", "no_value"),
        ("Dear NULL, hello", "no_value"),
        ("Hi nan!", "no_value"),
        ("Hi undefined", "no_value"),
        ("Hi \u{fffd}", "lost_character"),
        ("Hello CafÃ©", "misread"),
        ("It\u{e2}\u{20ac}\u{2122}s here", "misread"),
        ("5 â‚¬", "misread"),
        ("20Â°C", "misread"),
        ("CÃ”TE", "misread"),
        ("РџСЂРёРІРµС‚", "misread"),
        ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "misread"),
        ("Caf√©", "misread"),
        ("Dear  your code is", "gap"),
        ("your code is ", "gap"),
    ] {
        assert_eq!(found(&["to", "text"], text), [code], "{text}");
    }
}

#[test]
fn ordinary_texts_are_none() {
    for text in [
        "Grüße aus Köln: »Spaß«, 5 € – täglich…",
        "voilà\u{a0}» et «\u{a0}ça va\u{a0}»",
        "AMANHÃ – ATÉ AMANHÃ…",
        "ESPAÑA “SEÑOR”",
        "Ω Привет, Рёбра и Россия",
        "Ångström, Ærø, Øl",
        "banana Nancy NULLIFY tenant",
        "End.  Next sentence",
        "C:\\new\\table",
        "a & b; c &d",
        "√2 and √ x",
        "NÃO, SÃO, PÃO",
        "None of these are nil",
        "MÂU, CÂINE",
        "definitely",
    ] {
        assert_eq!(found(&["to", "text"], text), [""; 0], "{text}");
    }
}

#[test]
fn they_are_counted_by_message_and_told_by_line() {
    let mut watch = Watch::new(&["to".to_owned(), "name".to_owned(), "text".to_owned()]);
    for line in 2..=20 {
        watch.look(line, "Hi {name} and {name}, NULL");
    }
    watch.look(21, "two  spaces");
    assert_eq!(watch.doubts.asked_about(), 19);
    let said = watch.doubts.said();
    assert_eq!(said.len(), 3);
    assert_eq!(
        said[0],
        "19 messages have placeholders in them that nothing fills (lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …): {name}"
    );
    assert!(said[2].contains("(line 21)"), "{said:?}");
}

/// Pieces of which doubts are made, and what stands beside them in texts that are none.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "«",
    "»",
    "%",
    "#",
    "|",
    "*",
    "@",
    "~",
    "$",
    "\\",
    "&",
    "amp;",
    "n",
    "name",
    "NULL",
    "NaN",
    "nan",
    "N",
    "UL",
    "undefined",
    "[object Object]",
    "Err:502",
    "Err:",
    "r:",
    " ",
    "  ",
    "#N/A",
    "#REF!",
    "\u{fffd}",
    "Ã",
    "Â",
    "Ä",
    "Å",
    "â",
    "€",
    "ï",
    "¿",
    "½",
    "»",
    "Ă",
    "©",
    "√",
    "├",
    "┬",
    "Ð",
    "Ñ",
    "Î",
    "Ï",
    "Ø",
    "Ù",
    "Р",
    "С",
    "°",
    "µ",
    "ё",
    "і",
    "\u{a0}",
    "’",
    "é",
    "ü",
    "ß",
    "Привет",
    "Скидка",
    "日本",
    "👋",
    "a",
    "Hello, all is well",
    "1",
];

proptest::proptest! {
    #[test]
    fn nothing_is_passed_over_at_first_sight(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)) {
        let text = pieces.concat();
        if !may_be_doubtful(text.as_bytes()) && !is_whole_no_value(&text) {
            let mut found = Vec::new();
            Watch::new(&["name".to_owned()]).look_closely(&text, &mut found);
            proptest::prop_assert!(found.is_empty(), "{:?}: {:?}", text, found);
        }
    }
}

#[test]
fn plain_texts_of_any_language_are_seen_through_at_first_sight() {
    for text in [
        "Hello Ann, your code is 123456. See you on Friday!",
        "Schöne Grüße aus München, Ihr Termin ist am Dienstag um 9 Uhr",
        "Votre commande est prête, à très bientôt à l'hôtel",
        "Su código está listo, señor Ibáñez",
        "Здравствуйте! Скидка 20 процентов до конца недели. Рады видеть вас",
        "ご予約は明日の9時です",
        "Καλημέρα σας",
    ] {
        assert!(!may_be_doubtful(text.as_bytes()), "{text}");
    }
}
