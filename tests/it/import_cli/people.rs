//! Files as spreadsheets, CRMs and people write them.

use super::desk::Desk;

#[test]
fn encodings_are_found_out_and_said() {
    let desk = Desk::new();
    desk.file("russian.csv", encoding_rs::WINDOWS_1251.encode("to;text\r\n79000000001;Привет, скидка 10%\r\n").0);
    desk.run(&["check", "russian.csv"]).says(0, &[]);
    let ran = desk.run(&["import", "russian.csv"]).says(0, &["taken for windows-1251: it reads “Привет”, “скидка”"]);
    assert!(ran.err.contains("imported 1 message"), "{}", ran.err);
    assert_eq!(desk.sql("SELECT text FROM message_status"), ["Привет, скидка 10%"]);
    // The same file again is the same campaign.
    desk.run(&["import", "russian.csv"]).says(0, &["in the journal already"]);
    let mac: Vec<u8> =
        encoding_rs::MACINTOSH.encode("to,text\r447700900101,Café à la crème\r447700900102,naïve\r").0.into_owned();
    desk.file("mac.csv", mac);
    desk.run(&["import", "mac.csv"]).says(0, &["taken for macintosh", "imported 2 messages"]);
    let wide: Vec<u8> = "to,text\r\n447700900101,Žluťoučký\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    desk.file("wide.csv", wide).run(&["import", "wide.csv"]).says(0, &["imported 1 message"]);
    assert_eq!(desk.sql("SELECT text FROM message_status WHERE campaign = 'wide'"), ["Žluťoučký"]);
}

#[test]
fn columns_and_titles_are_found_and_said() {
    let desk = Desk::new();
    let file = "Spring 2026,,\r\n,,\r\nMobile,First Name,Text\r\n447700900101,Ann,Hi Ann\r\n,,\r\n";
    desk.file("spring.csv", file);
    let ran = desk.run(&["check", "spring.csv"]).says(0, &[]);
    for words in [
        "1 message to send",
        "the header is in line 3",
        "the numbers from column `Mobile`, the texts from column `Text`",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let json = desk.run(&["check", "spring.csv", "--format", "json"]).says(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["read_as"]["to_column"], "Mobile");
    assert_eq!(json["read_as"]["header_line"], 3);
    desk.run(&["import", "spring.csv", "--text", "Hi {firstname}, first name"])
        .says(0, &["imported 1 message", "the header is in line 3", "the numbers from column `Mobile`"]);
    assert_eq!(desk.sql("SELECT line, text FROM message_status"), ["4|Hi Ann, first name"]);
}

#[test]
fn texts_that_are_not_meant_are_refused_where_nobody_can_be_asked() {
    let desk = Desk::new();
    desk.file(
        "merge.csv",
        "to,name,text\n447700900101,Ann,Hi %name%\n447700900102,Bob,Hi Bob\n447700900103,Cid,NULL\n",
    );
    let ran = desk.run(&["check", "merge.csv"]).says(0, &[]);
    for words in [
        "warning: 1 message has a placeholder in it that nothing fills (line 2): %name%",
        "warning: 1 message has a word in it that programs write for a missing value (line 4): NULL",
        "`send` and `import` ask about that, or refuse it without --allow-placeholders",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let words =
        ["2 texts may not be meant to go out so. Nothing was imported", "(line 2): %name%", "--allow-placeholders"];
    desk.run(&["import", "merge.csv"]).usage(&words);
    desk.run(&["send", "merge.csv", "--simulate"]).usage(&words);
    desk.run(&["send", "merge.csv", "--simulate", "--dry-run"]).usage(&words);
    assert_eq!(desk.names(), ["merge.csv"]);
    desk.run(&["import", "merge.csv", "--allow-placeholders"]).says(0, &["imported 3 messages"]);
}
