use proptest::prelude::*;

use super::*;

#[test]
fn what_is_set_is_kept_as_json() {
    for (name, value, json) in [
        ("service_type", "WAP", r#"{"service_type":"WAP"}"#),
        ("source_addr_ton", "5", r#"{"source_addr_ton":5}"#),
        ("source_addr_npi", "18", r#"{"source_addr_npi":18}"#),
        ("dest_addr_ton", "0", r#"{"dest_addr_ton":0}"#),
        ("dest_addr_npi", " 1 ", r#"{"dest_addr_npi":1}"#),
        ("esm_class", "0x80", r#"{"esm_class":128}"#),
        ("protocol_id", "0x41", r#"{"protocol_id":65}"#),
        ("priority_flag", "3", r#"{"priority_flag":3}"#),
        ("schedule_delivery_time", "261123120000004+", r#"{"schedule_delivery_time":"261123120000004+"}"#),
        ("validity_period", "2h", r#"{"validity_period":"000000020000000R"}"#),
        ("registered_delivery", "17", r#"{"registered_delivery":17}"#),
        ("replace_if_present_flag", "1", r#"{"replace_if_present_flag":1}"#),
        ("data_coding", "0x18", r#"{"data_coding":24}"#),
        ("sm_default_msg_id", "254", r#"{"sm_default_msg_id":254}"#),
        ("tlv:0x1400", "hi", r#"{"tlvs":{"0x1400":"6869"}}"#),
        ("tlv:0x204", "0x00fF", r#"{"tlvs":{"0x0204":"00ff"}}"#),
        ("tlv:0x204", "0x", r#"{"tlvs":{"0x0204":""}}"#),
        ("tlv:0x1401:cstring", "1107", r#"{"tlvs":{"0x1401":"3131303700"}}"#),
        ("tlv:0x1401:CString", "0x3100", r#"{"tlvs":{"0x1401":"3100"}}"#),
        ("tlv:0x1401:cstring", "0x31", r#"{"tlvs":{"0x1401":"3100"}}"#),
        ("tlv:0x1401:cstring", "0x", r#"{"tlvs":{"0x1401":"00"}}"#),
        ("tlv:0x1401", "12E18", r#"{"tlvs":{"0x1401":"3132453138"}}"#),
        ("tlv:0x1401", "1107160000000003213", r#"{"tlvs":{"0x1401":"31313037313630303030303030303033323133"}}"#),
        ("priority_flag", "", "{}"),
    ] {
        let mut fields = SubmitFields::default();
        assert_eq!(fields.set(name, value), Ok(true), "{name}");
        assert_eq!(fields.to_json(), json);
        assert_eq!(SubmitFields::from_json(json).unwrap(), fields);
        assert_eq!(fields.is_empty(), json == "{}");
    }
    assert_eq!(SubmitFields::default().set("colour", "red"), Ok(false));
    assert!(SubmitFields::from_json(r#"{"colour":"red"}"#).is_err());
}

#[test]
fn what_cannot_be_set() {
    let range = |value: &str, max| Problem::Range { value: value.to_owned(), max };
    for (name, value, problem) in [
        ("priority_flag", "4", range("4", 3)),
        ("priority_flag", "-1", range("-1", 3)),
        ("priority_flag", "+1", range("+1", 3)),
        ("data_coding", "256", range("256", 255)),
        ("data_coding", "0x", range("0x", 255)),
        ("data_coding", "0x+1", range("0x+1", 255)),
        ("source_addr_ton", "7", range("7", 6)),
        ("dest_addr_npi", "19", range("19", 18)),
        ("replace_if_present_flag", "yes", range("yes", 1)),
        ("service_type", "TOOLONG", Problem::Text { found: 7, max: 5 }),
        ("service_type", "é", Problem::NotAscii),
        ("validity_period", "tomorrow", Problem::Time("tomorrow".to_owned())),
        ("data_coding", "4", Problem::Binary(4)),
        ("data_coding", "0x02", Problem::Binary(2)),
        ("tlv:0x1400", "0x123", Problem::Hex),
        ("tlv:0x1400", "0xzz", Problem::Hex),
        ("tlv:1400", "x", Problem::Tag),
        ("tlv:0x1400:text", "x", Problem::Tag),
        ("tlv:0x1400:", "x", Problem::Tag),
        ("tlv:0x1401", "1.10716E+18", Problem::Spreadsheet),
        ("tlv:0x1401", "1,10716E+18", Problem::Spreadsheet),
        ("tlv:0x1401", " 1e+18 ", Problem::Spreadsheet),
        ("tlv:0x1401", "1.10716E18", Problem::Spreadsheet),
        ("tlv:0x1401:cstring", "1.10716E+18", Problem::Spreadsheet),
        ("tlv:0x1401:cstring", "0x310032", Problem::Nul),
        ("tlv:0x0424:cstring", "x", Problem::OwnTag),
        ("tlv:0x14000", "x", Problem::Tag),
        ("tlv:0x+12", "x", Problem::Tag),
        ("tlv:0x0424", "x", Problem::OwnTag),
    ] {
        let mut fields = SubmitFields::default();
        let error = fields.set(name, value).unwrap_err();
        assert_eq!(error, FieldError::new(name, problem));
        assert!(error.to_string().starts_with(name), "{error}");
        assert!(fields.is_empty());
    }
}

#[test]
fn what_is_set_can_be_read() {
    let mut fields = SubmitFields::default();
    for (name, value) in [
        ("tlv:0x1401:cstring", "1107"),
        ("tlv:0x0204", "0x0001"),
        ("tlv:0x1400", "é"),
        ("validity_period", "2h"),
        ("priority_flag", "1"),
    ] {
        fields.set(name, value).unwrap();
    }
    let entries: Vec<String> = fields.entries().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = "priority_flag=1 validity_period=000000020000000R tlv:0x0204=0x0001 tlv:0x1400=é tlv:0x1401=1107";
    assert_eq!(entries.join(" "), expected);
}

#[test]
fn optional_parameters_are_ordered_and_single() {
    let mut fields = SubmitFields::default();
    for (name, value) in [("tlv:0x1401", "b"), ("tlv:0x0204", "a"), ("tlv:0x1401", "c")] {
        fields.set(name, value).unwrap();
    }
    assert_eq!(fields.tlvs.iter().collect::<Vec<_>>(), [(0x0204, &b"a"[..]), (0x1401, b"c")]);
    assert_eq!((fields.tlvs.get(0x1401), fields.tlvs.get(1)), (Some(&b"c"[..]), None));
}

#[test]
fn names_are_those_of_the_fields() {
    for (name, field) in FIELD_NAMES {
        assert_eq!(field.to_string(), name);
        assert_eq!(Field::from_name(name), Ok(Some(field)));
    }
    assert_eq!(Field::from_name("replace_if_present"), Ok(Some(Field::ReplaceIfPresentFlag)));
}

proptest! {
    #[test]
    fn nothing_set_panics(name in "(tlv:)?[0-9a-fx]{0,7}", value in any::<String>()) {
        let mut fields = SubmitFields::default();
        let _ = fields.set(&name, &value);
        for (name, _) in FIELD_NAMES {
            let _ = fields.set(name, &value).map_err(|error| error.to_string());
        }
        prop_assert_eq!(SubmitFields::from_json(&fields.to_json()).unwrap(), fields);
    }
}
