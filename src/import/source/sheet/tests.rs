use super::super::{How, Source};
use super::*;

const KUNDEN: &[u8] = include_bytes!("../../../../tests/data/sheets/kunden.xlsx");
const LISTE: &[u8] = include_bytes!("../../../../tests/data/sheets/liste.ods");

fn text(file: &[u8], sheet: Option<&str>) -> Result<String, String> {
    let how = How { sheet: sheet.map(str::to_owned), ..How::default() };
    let mut source = Source::new(file, how);
    let mut text = String::new();
    loop {
        match source.fill(&mut text) {
            Ok(true) => {}
            Ok(false) => break,
            Err(SourceError::Sheet(words)) => return Err(words),
            Err(error) => return Err(format!("{error:?}")),
        }
    }
    assert_eq!(source.octets(), file.len() as u64);
    assert_eq!(source.digest(), Some(super::super::digest_of(file).unwrap()));
    Ok(text)
}

/// Cells as they are shown, a line for each row, whatever is in them.
#[test]
fn a_sheet_is_read_as_it_is_shown() {
    assert_eq!(
        text(KUNDEN, None).unwrap(),
        "Kundenliste 2026\n\nTelefon,Vorname,Datum,Betrag,PLZ,Text\n\
         447700900101,Ann,24.12.2026,\"1,234.50\",01067,Hi Ann, ab 1.12.\n"
            .replace("Hi Ann, ab 1.12.", "\"Hi Ann, ab 1.12.\"")
            + "+447700900102,Zoë,25.12.2026,0.15,80331,\"Grüße, \"\"Zoë\"\"\nzweite Zeile\"\n\
               447700900103,Cid,05.01.2026,5.00,10115,\"  blank around \"\n\n447700900104,,,,,after an empty row\n"
    );
    assert_eq!(
        text(LISTE, None).unwrap(),
        "MSISDN,Name,Message\n447700900101,Ann,Hi Ann & Bob <3\n447700900102,Zoë,\"zwei\nZeilen, \"\"x\"\"\"\n\
         \n\n\n\n\n447700900103,,after empty rows\n"
    );
}

#[test]
fn sheets_are_named_or_numbered() {
    for (file, sheet, begins) in [
        (KUNDEN, Some("Alt"), "to,text\n447700900105,old\n"),
        (KUNDEN, Some("alt"), "to,text\n"),
        (KUNDEN, Some("2"), "Kundenliste"),
        (KUNDEN, Some("Versteckt"), "x\n"),
        (LISTE, Some("Zwei"), "to,text\n447700900104,second\n"),
        (LISTE, Some("2"), "to,text\n"),
    ] {
        let text = text(file, sheet).unwrap();
        assert!(text.starts_with(begins), "{sheet:?}: {text}");
    }
    let words = text(KUNDEN, Some("Neu")).unwrap_err();
    assert_eq!(words, "it has no sheet `Neu`; there are: `Versteckt`, `Kunden`, `Alt`");
    assert!(text(b"to,text\n", Some("Neu")).unwrap_err().contains("NoSpreadsheet"));
}

/// Whatever octets there are, it is text, or an error, and the thread ends.
#[test]
fn damaged_files_are_refused() {
    for file in [KUNDEN, LISTE] {
        for cut in (4..file.len()).step_by(97) {
            let _ = text(&file[..cut], None);
            let mut torn = file.to_vec();
            torn[cut] ^= 0x55;
            let _ = text(&torn, None);
        }
        assert!(text(&file[..file.len() / 2], None).unwrap_err().contains("it is damaged"));
    }
    // Nobody reads on: the thread must not wait for ever, nor what opened it.
    let mut source = Source::new(KUNDEN, How::default());
    source.fill(&mut String::new()).unwrap();
}

/// A library that panics within the rows must not make a whole file of what came before.
#[test]
fn a_sheet_whose_reading_breaks_off_is_no_whole_one() {
    let (send, pieces) = bounded(PIECES);
    let out = Rows { send, piece: String::new(), row: 0, columns: 0 };
    let work = |out: &mut Rows| -> Result<(), BadValue> {
        out.write(0, &mut vec!["to".into(), "text".into()])?;
        out.piece.push_str(&" ".repeat(PIECE_OCTETS));
        out.send_full()?;
        panic!("the file is damaged (said on purpose)");
    };
    in_thread(work, out).unwrap();
    let sheet = Sheet { name: "Kunden".into(), others: Vec::new() };
    let (piece, given, is_ended) = (String::new(), 0, false);
    let mut text = SheetText { pieces, piece, given, is_ended, format: Format::Xlsx, sheet };
    let mut room = vec![0; 2 * PIECE_OCTETS];
    assert!(text.read(&mut room).unwrap() > PIECE_OCTETS);
    match text.read(&mut room) {
        Err(SourceError::Sheet(words)) => assert!(words.contains("`Kunden` cannot be read to its end"), "{words}"),
        other => panic!("{other:?}"),
    }
}

/// The file with another part in place of the one of this name. `says`: how long it says to be.
fn with_part(file: &[u8], name: &str, part: &[u8], says: Option<u32>) -> Vec<u8> {
    use std::io::Write as _;
    use zip::write::{SimpleFileOptions, ZipWriter};
    let mut archive = ZipArchive::new(Cursor::new(file)).unwrap();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..archive.len() {
        let mut of = archive.by_index(n).unwrap();
        let of_name = of.name().unwrap().into_owned();
        let mut octets = Vec::new();
        of.read_to_end(&mut octets).unwrap();
        writer.start_file(of_name.as_str(), SimpleFileOptions::default()).unwrap();
        writer.write_all(if of_name == name { part } else { &octets }).unwrap();
    }
    if archive.index_for_name(name).is_none() {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(part).unwrap();
    }
    let mut made = writer.finish().unwrap().into_inner();
    if let Some(says) = says {
        // In front of the part, and in the list at the end.
        for (signature, header, size) in [(b"PK\x03\x04", 30, 22), (b"PK\x01\x02", 46, 24)] {
            let at = (0..made.len() - header - name.len()).find(|&at| {
                &made[at..at + 4] == signature && &made[at + header..at + header + name.len()] == name.as_bytes()
            });
            let at = at.unwrap() + size;
            made[at..at + 4].copy_from_slice(&says.to_le_bytes());
        }
    }
    made
}

#[test]
fn f53_what_is_packed_small_and_is_large_is_refused_whatever_it_says_of_itself() {
    const MIB: usize = 1024 * 1024;
    let long = "a".repeat(3 * MIB);
    let strings = format!("<sst xmlns=\"x\" count=\"1\"><si><t>{long}</t></si></sst>");
    let inline = format!(
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData><row r=\"1\">\
         <c r=\"A1\" t=\"inlineStr\"><is><t>{long}</t></is></c></row></sheetData></worksheet>"
    );
    let cells = |texts: &str| {
        format!(
            "<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\"><table:table table:name=\"a\">\
             <table:table-row>{texts}</table:table-row></table:table></office:document-content>"
        )
    };
    let one = cells(&format!("<table:table-cell><text:p>{long}</text:p></table:table-cell>"));
    let repeated = cells(&format!(
        "<table:table-cell table:number-columns-repeated=\"900\"><text:p>{}</text:p></table:table-cell>",
        &long[..MIB / 2]
    ));
    let pieces = format!("<text:p>{}</text:p>", &long[..MIB / 2]).repeat(60);
    let paragraphs = cells(&format!("<table:table-cell>{pieces}</table:table-cell>"));
    for (file, name, part) in [
        (KUNDEN, "xl/sharedStrings.xml", &strings),
        (KUNDEN, "xl/worksheets/sheet2.xml", &inline),
        (KUNDEN, "xl/worksheets/sheet1.xml", &inline),
        (LISTE, "content.xml", &one),
        (LISTE, "content.xml", &repeated),
        (LISTE, "content.xml", &paragraphs),
    ] {
        let words = text(&with_part(file, name, part.as_bytes(), None), None).unwrap_err();
        assert!(words.contains("more text than"), "{name}: {words}");
        // One that says that it is short is read as far as it says, or found out.
        match text(&with_part(file, name, part.as_bytes(), Some(100)), None) {
            Ok(text) => assert!(text.len() < MIB, "{name}"),
            Err(words) => assert!(words.contains("more text than") || words.contains("damaged"), "{name}: {words}"),
        }
    }
    let tags = "<x/>".repeat(MIB);
    let made = with_part(KUNDEN, "xl/sharedStrings.xml", tags.as_bytes(), None);
    let mut archive = ZipArchive::new(Cursor::new(made)).unwrap();
    assert!(refuse_bomb(&mut archive, 5 * MIB as u64).is_ok());
    assert!(
        matches!(refuse_bomb(&mut archive, 3 * MIB as u64), Err(SourceError::Sheet(words)) if words.contains("512 MiB"))
    );
}
