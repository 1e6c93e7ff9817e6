//! Numbers, texts, octets, times and money as people have them.

use super::desk::Desk;

#[test]
fn numbers_are_read_as_people_write_them_and_the_original_is_kept() {
    let desk = Desk::new();
    let rows = [
        "+44 7700 900101",
        "0044 7700 900102",
        "+44 (0)7700 900103",
        "(+44) 7700-900104",
        "+44.7700.900105",
        "\u{200e}+447700900107",
        "+44\u{a0}7700\u{a0}900108",
        "tel:+447700900109",
        "'+447700900110",
        "４４７７００９００１１１",
        "٤٤٧٧٠٠٩٠٠١١٢",
        "+44–7700–900113",
    ];
    let file: String = rows.iter().map(|number| format!("{number},hi\n")).collect();
    desk.file("people.csv", format!("to,text\n{file}+447700900114 / +447700900115,two\n"));
    let ran = desk.run(&["import", "people.csv"]).says(0, &["imported 12 messages", "44… 12 digits: 12"]);
    assert!(ran.err.contains("more than one number in the cell: --several-numbers first"), "{}", ran.err);
    let kept = desk.sql("SELECT destination, number_in_file FROM message_status WHERE line = 2");
    assert_eq!(kept, ["447700900101|+44 7700 900101"]);
    let digits = desk.sql("SELECT count(*) FROM message_status WHERE destination GLOB '4477009001[01][0-9]'");
    assert_eq!(digits, ["12"]);
    desk.run(&["import", "people.csv", "--campaign", "first", "--several-numbers", "first", "--allow-same-file"])
        .says(0, &["imported 13 messages"]);
    desk.run(&["import", "people.csv", "--campaign", "all", "--several-numbers", "all", "--allow-same-file"])
        .says(0, &["imported 14 messages"]);
    let both = desk.sql("SELECT destination FROM message_status WHERE campaign = 'all' AND line = 14 ORDER BY 1");
    assert_eq!(both, ["447700900114", "447700900115"]);
}

#[test]
fn what_looks_national_needs_a_country_or_somebodys_word() {
    let desk = Desk::new();
    desk.file(
        "national.csv",
        "to,text\n07700 900101,a\n7700900102,b\n07700-900103,c\n447700900104,d\n00447700900105,e\n011447700900106,f\n\
         02079460001,g\n0900123456,h\n",
    );
    let ran = desk.run(&["check", "national.csv"]).says(0, &[]);
    assert!(ran.out.contains("3 messages to send") && ran.out.contains("--country"), "{}", ran.out);
    let ran = desk.run(&["check", "national.csv", "--country", "GB"]).says(0, &[]);
    assert!(ran.out.contains("7 messages to send"), "{}", ran.out);
    assert!(ran.out.contains("numbers of fixed lines: 1 (line 8)"), "{}", ran.out);
    assert!(ran.out.contains("no number in GB is like this"), "{}", ran.out);
    desk.run(&["import", "national.csv", "--country", "GB"]).says(0, &["imported 7 messages"]);
    let numbers = desk.sql("SELECT destination FROM message_status ORDER BY line");
    assert_eq!(
        numbers[..6],
        ["447700900101", "447700900102", "447700900103", "447700900104", "447700900105", "447700900106"]
    );
    // Another spelling of the country's is the same number.
    desk.run(&["import", "national.csv", "--country", "GB"]).says(0, &["in the journal already"]);
    let ran =
        desk.run(&["check", "national.csv", "--country", "GB", "--numbers", "strict", "--campaign", "s"]).says(0, &[]);
    assert!(ran.out.contains("6 messages to send") && ran.out.contains("fixed line"), "{}", ran.out);
    let ran = desk.run(&["check", "national.csv", "--numbers", "any", "--campaign", "any"]).says(0, &[]);
    assert!(ran.out.contains("8 messages to send") && ran.out.contains("numbers that look national"), "{}", ran.out);
    desk.run(&["check", "national.csv", "--country", "44"]).usage(&["--country", "ISO 3166"]);
}

#[test]
fn texts_cost_what_they_must() {
    let desk = Desk::new();
    let turkish =
        "Sayın müşterimiz siparişiniz yola çıktı bugün saat on yedi ile yirmi arasında adresinize teslim edilecektir";
    desk.file("shop.csv", format!("to,text\n905000000001,{turkish}\n"));
    let ran = desk.run(&["check", "shop.csv"]).says(0, &[]);
    assert!(ran.out.contains("1 message to send in 2 parts"), "{}", ran.out);
    assert!(ran.out.contains("--transliterate all would make 1 message GSM 7-bit and save 1 part"), "{}", ran.out);
    for tables in ["tr", "auto"] {
        let ran = desk.run(&["check", "shop.csv", "--shift-tables", tables, "--show", "2"]).says(0, &[]);
        assert!(ran.out.contains("part 1 of 1") && ran.out.contains(turkish), "{}", ran.out);
        assert!(ran.out.contains("user data header 240101"), "{}", ran.out);
    }
    desk.run(&["check", "shop.csv", "--shift-tables", "tr", "--concat", "sar"])
        .usage(&["--shift-tables", "--concat sar"]);

    desk.file(
        "quotes.csv",
        "to,text\n447700900101,“It’s here” – don’t wait…\n447700900102,It's here\n447700900103,Tab\there\n",
    );
    let ran = desk.run(&["check", "quotes.csv"]).says(0, &[]);
    assert!(ran.out.contains("--transliterate punctuation would make 2 messages GSM 7-bit"), "{}", ran.out);
    assert!(ran.out.contains("’ U+2019 in line 2"), "{}", ran.out);
    desk.run(&["import", "quotes.csv", "--transliterate", "punctuation"]).says(0, &["imported 3 messages"]);
    let texts = desk.sql("SELECT encoding, text FROM message_status ORDER BY line");
    assert_eq!(texts, ["gsm7|\"It's here\" - don't wait...", "gsm7|It's here", "gsm7|Tab here"]);

    desk.file("mac.csv", "to,text\n447700900101,Re\u{301}ne\u{301}e\n");
    desk.run(&["import", "mac.csv"]).says(0, &["imported 1 message"]);
    assert_eq!(desk.sql("SELECT encoding, text FROM message_status WHERE campaign = 'mac'"), ["gsm7|Rénée"]);

    desk.file("long.csv", format!("to,text\n447700900101,{}\n447700900102,x\n", "y".repeat(153 * 10 + 1)));
    let ran = desk.run(&["check", "long.csv"]).says(0, &[]);
    assert!(ran.out.contains("the text comes to 11 SMS, and at most 10 are allowed"), "{}", ran.out);
    let ran = desk.run(&["check", "long.csv", "--max-parts", "11"]).says(0, &[]);
    assert!(ran.out.contains("2 messages to send in 12 parts"), "{}", ran.out);
}

#[test]
fn codings_by_hand_say_what_is_sent_or_are_refused() {
    let desk = Desk::new();
    desk.file(
        "hand.csv",
        "to,text,data_coding\n447700900101,Привет,6\n447700900102,Hi,0xF5\n447700900103,Hi,5\n447700900104,Hi,8\n",
    );
    let ran = desk.run(&["check", "hand.csv"]).says(0, &[]);
    assert!(
        ran.out.contains("1 message to send") && ran.out.contains("is no alphabet that texts are sent in"),
        "{}",
        ran.out
    );
    let ran = desk.run(&["check", "hand.csv", "--alphabet", "ucs2"]).says(0, &[]);
    assert!(ran.out.contains("4 messages to send"), "{}", ran.out);
    desk.run(&["check", "hand.csv", "--field", "esm_class=0x40"]).usage(&["user data header"]);
    desk.run(&["check", "hand.csv", "--field", "data_coding=0xC0"]).usage(&["no alphabet"]);
    desk.run(&["check", "hand.csv", "--flash"]).refused(&["--flash", "data_coding"]);
    desk.file("plain.csv", "to,text\n447700900101,Hi\n");
    let ran = desk.run(&["check", "plain.csv", "--flash", "--show", "2"]).says(0, &[]);
    assert!(ran.out.contains("flash"), "{}", ran.out);

    desk.file(
        "wap.csv",
        "to,udh:hex,hex,text\n447700900101,05040B8423F0,0A0603AE81EA,\n447700900102,,,Hi\n447700900103,0504,00,\n\
         447700900104,,00,both\n",
    );
    let ran = desk.run(&["check", "wap.csv", "--show", "2", "--show", "4", "--show", "5"]).says(0, &[]);
    for words in
        ["0605040b8423f00a0603ae81ea", "data_coding 0x04", "user data header is broken", "octets (in a column hex"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    desk.run(&["send", "wap.csv", "--simulate", "--wait-receipts", "1s", "--journal", "wap.db"]).says(0, &["2 "]);
}

#[test]
fn times_are_local_ones_of_the_zone() {
    let desk = Desk::new();
    desk.file(
        "when.csv",
        "to,text,Schedule_Delivery_Time,Validity_Period\n447700900101,a,2037-07-05 09:00,48h\n\
         447700900102,b,31/02/2037 09:00,\n447700900103,c,2020-01-01 00:00,\n447700900104,d,05/07/2037 09:00,\n",
    );
    let ran = desk.run(&["check", "when.csv", "--time-zone", "Europe/London"]).says(0, &[]);
    for words in ["1 message to send", "2037-07-05T09:00:00+01:00", "2d after it is sent", "has passed", "two months"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    desk.run(&["import", "when.csv", "--time-zone", "Asia/Kolkata"]).says(0, &["imported 1 message"]);
    let fields = desk.sql("SELECT fields FROM message");
    assert!(fields[0].contains("370705090000022+"), "{fields:?}");
}
