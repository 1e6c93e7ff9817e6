//! Command statuses: what an SMSC says of a request, what it means and what to do (v3.4 section 5.1.3, v5.0 section 4.7.6).
use std::fmt;
use std::str::FromStr;

/// A command_status, known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CommandStatus(pub u32);

/// What a status means for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusClass {
    /// The request was done.
    Accepted,
    /// The account is too fast: slow down and try again, without an attempt spent.
    Throttled,
    /// Try again later. Every status that is not known is of this class.
    Temporary,
    /// It says that the session is not bound, which it was: it is left and bound anew, and the request goes again.
    Session,
    /// It condemns the account or its settings and not the message: every further message would fare the same.
    Account,
    /// This message will never be taken.
    Permanent,
}

impl CommandStatus {
    /// 0x00: no error.
    pub const OK: Self = Self(0x00);
    /// 0x01: message length invalid.
    pub const INVALID_MESSAGE_LENGTH: Self = Self(0x01);
    /// 0x02: command length invalid.
    pub const INVALID_COMMAND_LENGTH: Self = Self(0x02);
    /// 0x03: invalid command id.
    pub const INVALID_COMMAND_ID: Self = Self(0x03);
    /// 0x04: wrong bind state for the command.
    pub const WRONG_BIND_STATE: Self = Self(0x04);
    /// 0x05: already bound.
    pub const ALREADY_BOUND: Self = Self(0x05);
    /// 0x08: system error.
    pub const SYSTEM_ERROR: Self = Self(0x08);
    /// 0x0A: invalid source address.
    pub const INVALID_SOURCE_ADDRESS: Self = Self(0x0A);
    /// 0x0B: invalid destination address.
    pub const INVALID_DESTINATION_ADDRESS: Self = Self(0x0B);
    /// 0x0C: invalid message id.
    pub const INVALID_MESSAGE_ID: Self = Self(0x0C);
    /// 0x0D: bind failed.
    pub const BIND_FAILED: Self = Self(0x0D);
    /// 0x0E: invalid password.
    pub const INVALID_PASSWORD: Self = Self(0x0E);
    /// 0x0F: invalid system id.
    pub const INVALID_SYSTEM_ID: Self = Self(0x0F);
    /// 0x11: cancel_sm failed.
    pub const CANCEL_FAILED: Self = Self(0x11);
    /// 0x13: replace_sm failed.
    pub const REPLACE_FAILED: Self = Self(0x13);
    /// 0x14: message queue full.
    pub const QUEUE_FULL: Self = Self(0x14);
    /// 0x58: over the account's message rate.
    pub const THROTTLED: Self = Self(0x58);
    /// 0x64: receiver temporary application error. What a receipt that could not be stored is answered with.
    pub const RECEIVER_TEMPORARY: Self = Self(0x64);
    /// 0x67: query_sm failed.
    pub const QUERY_FAILED: Self = Self(0x67);
    /// 0xC1: optional parameter not allowed.
    pub const TLV_NOT_ALLOWED: Self = Self(0xC1);
    /// 0x12F: country or network not available.
    pub const NO_ROUTE: Self = Self(0x12F);

    /// The known statuses in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| Self(row.code))
    }

    /// Whether it stands in the table.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.row().is_some()
    }

    /// The name in the specification, such as `ESME_RTHROTTLED`; `"unknown"` for others.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |row| row.name)
    }

    /// What it means, in words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("a code of the SMSC's own", |row| row.meaning)
    }

    /// What to do about it; empty if there is nothing to say.
    #[must_use]
    pub fn advice(self) -> &'static str {
        self.row().map_or("ask the provider what it means; it counts as temporary", |row| row.advice)
    }

    /// What it means for the sender.
    #[inline]
    #[must_use]
    pub fn class(self) -> StatusClass {
        // Nearly every answer is this one, and needs no search.
        if self == Self::OK { Accepted } else { self.row().map_or(Temporary, |row| row.class) }
    }

    /// Reads `0x58`, `88` or `ESME_RTHROTTLED` (in any case). `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits_only = |text: &str, radix| text.chars().all(|digit| digit.is_digit(radix));
        if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return u32::from_str_radix(hex, 16).ok().filter(|_| digits_only(hex, 16)).map(Self);
        }
        if let Ok(code) = text.parse() {
            return digits_only(text, 10).then_some(Self(code));
        }
        TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(text)).map(|row| Self(row.code))
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.binary_search_by_key(&self.0, |row| row.code).ok().map(|index| &TABLE[index])
    }
}

/// `0x58 ESME_RTHROTTLED`, or only the number of an unknown one.
impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(f, "0x{:02X} {}", self.0, row.name),
            None => write!(f, "0x{:02X}", self.0),
        }
    }
}

impl StatusClass {
    /// The class in one lower-case word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Accepted => "accepted",
            Throttled => "throttled",
            Temporary => "temporary",
            Session => "session",
            Account => "account",
            Permanent => "permanent",
        }
    }
}

impl fmt::Display for StatusClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchStatus;

impl fmt::Display for NoSuchStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a command status: write it as 0x58, 88 or ESME_RTHROTTLED")
    }
}

impl std::error::Error for NoSuchStatus {}

impl FromStr for CommandStatus {
    type Err = NoSuchStatus;

    fn from_str(text: &str) -> Result<Self, NoSuchStatus> {
        Self::parse(text).ok_or(NoSuchStatus)
    }
}

use StatusClass::{Accepted, Account, Permanent, Session, Temporary, Throttled};

struct Row {
    code: u32,
    name: &'static str,
    class: StatusClass,
    meaning: &'static str,
    advice: &'static str,
}

const fn row(code: u32, name: &'static str, class: StatusClass, meaning: &'static str, advice: &'static str) -> Row {
    Row { code, name, class, meaning, advice }
}

/// Ascending by code, for the search. Codes that the reference provider does not list are temporary, as unknown ones are.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(0x00, "ESME_ROK", Accepted, "no error", ""),
    row(0x01, "ESME_RINVMSGLEN", Permanent, "message length invalid", "at most 140 octets or 160 characters of the default alphabet in one message; longer texts must be split into parts"),
    row(0x02, "ESME_RINVCMDLEN", Permanent, "command length invalid", "the SMSC could not frame the request: check host, port and TLS, then report it with a trace"),
    row(0x03, "ESME_RINVCMDID", Permanent, "invalid command id", "the SMSC does not offer this operation, or not in this SMPP version"),
    row(0x04, "ESME_RINVBNDSTS", Session, "wrong bind state for the command", "bind before any other request; to submit, bind as transmitter or transceiver"),
    row(0x05, "ESME_RALYBND", Session, "already bound", "the account is bound already: close the other session, or use fewer --connections"),
    row(0x06, "ESME_RINVPRTFLG", Permanent, "invalid priority flag", "use a priority of 0 to 3"),
    row(0x07, "ESME_RINVREGDLVFLG", Permanent, "invalid registered_delivery flag", "ask for other receipts, or for none (--receipts)"),
    row(0x08, "ESME_RSYSERR", Temporary, "system error", "a fault at the SMSC: where it lasts, tell the provider"),
    row(0x0A, "ESME_RINVSRCADR", Account, "invalid source address", "the sender is not allowed or malformed: check --from, and have it registered for the account"),
    row(0x0B, "ESME_RINVDSTADR", Permanent, "invalid destination address", "4 to 16 digits in international format, without + or 00"),
    row(0x0C, "ESME_RINVMSGID", Permanent, "invalid message id", "the SMSC does not know (or no longer knows) this message_id"),
    row(0x0D, "ESME_RBINDFAIL", Session, "bind failed", "check --system-id and the password, that this IP address is whitelisted, that the bind mode is allowed, and that --connections is no more than the account may have"),
    row(0x0E, "ESME_RINVPASWD", Account, "invalid password", "check --system-id and the password; if it has more than 8 characters, ask the provider for a shorter one"),
    row(0x0F, "ESME_RINVSYSID", Account, "invalid system id", "check --system-id, and that this IP address is whitelisted"),
    row(0x11, "ESME_RCANCELFAIL", Permanent, "cancel_sm failed", "the message was delivered already or is not known"),
    row(0x13, "ESME_RREPLACEFAIL", Permanent, "replace_sm failed", "the message was delivered already or is not known"),
    row(0x14, "ESME_RMSGQFUL", Throttled, "message queue full", "too many messages wait at the SMSC: lower --rate; where it comes only while others are outstanding, --window (some SMSCs allow 1 or 2)"),
    row(0x15, "ESME_RINVSERTYP", Account, "invalid service type", "leave service_type empty (null)"),
    row(0x33, "ESME_RINVNUMDESTS", Permanent, "invalid number of destinations", "1 to 254 destinations in one submit_multi"),
    row(0x34, "ESME_RINVDLNAME", Permanent, "invalid distribution list name", ""),
    row(0x40, "ESME_RINVDESTFLAG", Permanent, "invalid destination flag (submit_multi)", ""),
    row(0x42, "ESME_RINVSUBREP", Permanent, "replace_if_present not valid for this submit", "leave replace_if_present 0"),
    row(0x43, "ESME_RINVESMCLASS", Permanent, "invalid esm_class", "leave esm_class to the program; the SMSC may not take a user data header"),
    row(0x44, "ESME_RCNTSUBDL", Permanent, "cannot submit to a distribution list", ""),
    row(0x45, "ESME_RSUBMITFAIL", Temporary, "submit_sm or submit_multi failed", "a fault at the SMSC: where it lasts, tell the provider; where it comes only while others are outstanding, lower --window (some SMSCs allow 1 or 2)"),
    row(0x48, "ESME_RINVSRCTON", Account, "invalid source TON", "1, 3 or 5 only; 5 (alphanumeric) for a sender with letters"),
    row(0x49, "ESME_RINVSRCNPI", Account, "invalid source NPI", "0 or 1 only; 0 for a sender with letters"),
    row(0x50, "ESME_RINVDSTTON", Permanent, "invalid destination TON", "0 or 1 only"),
    row(0x51, "ESME_RINVDSTNPI", Permanent, "invalid destination NPI", "0 or 1 only"),
    row(0x53, "ESME_RINVSYSTYP", Account, "invalid system_type", "leave system_type empty, or ask the provider for its value"),
    row(0x54, "ESME_RINVREPFLAG", Permanent, "invalid replace_if_present flag", "0 or 1 only"),
    row(0x55, "ESME_RINVNUMMSGS", Permanent, "invalid number of messages", ""),
    row(0x58, "ESME_RTHROTTLED", Throttled, "throttled: over the account's message rate", "lower --rate to what the account allows; nothing is lost by it. Where it comes only while others are outstanding, lower --window (some SMSCs allow 1 or 2)"),
    row(0x61, "ESME_RINVSCHED", Permanent, "invalid scheduled delivery time", "check schedule_delivery_time: YYMMDDhhmmsstnnp, in the future and not too far"),
    row(0x62, "ESME_RINVEXPIRY", Permanent, "invalid validity period", "check validity_period: YYMMDDhhmmsstnnp, or relative with R; the SMSC may limit its length"),
    row(0x63, "ESME_RINVDFTMSGID", Account, "predefined message invalid or not found", "canned messages are not supported: leave sm_default_msg_id 0 (null)"),
    row(0x64, "ESME_RX_T_APPN", Temporary, "receiver temporary application error", "a fault behind the SMSC: where it lasts, tell the provider"),
    row(0x65, "ESME_RX_P_APPN", Permanent, "receiver permanent application error", ""),
    row(0x66, "ESME_RX_R_APPN", Permanent, "receiver rejects the message", ""),
    row(0x67, "ESME_RQUERYFAIL", Permanent, "query_sm failed", "the SMSC does not know (or no longer knows) this message"),
    row(0xC0, "ESME_RINVOPTPARSTREAM", Permanent, "error in the optional part of the PDU", "leave out TLVs that the SMSC does not take"),
    row(0xC1, "ESME_ROPTPARNOTALLWD", Permanent, "optional parameter not allowed", "leave out the TLV that was added"),
    row(0xC2, "ESME_RINVPARLEN", Permanent, "invalid parameter length", "check the lengths of sender, destination and TLVs"),
    row(0xC3, "ESME_RMISSINGOPTPARAM", Permanent, "expected optional parameter missing", "ask the provider which TLV it requires"),
    row(0xC4, "ESME_RINVOPTPARAMVAL", Permanent, "invalid optional parameter value", "not normal: an optional value could not be read"),
    row(0xFE, "ESME_RDELIVERYFAILURE", Temporary, "delivery failure (data_sm_resp)", "a fault behind the SMSC: where it lasts, tell the provider"),
    row(0xFF, "ESME_RUNKNOWNERR", Temporary, "unknown error", "a fault at the SMSC: where it lasts, tell the provider"),
    row(0x100, "ESME_RSERTYPUNAUTH", Temporary, "not authorised for this service_type (v5.0)", "leave service_type empty, or ask the provider"),
    row(0x101, "ESME_RPROHIBITED", Temporary, "not authorised for this operation (v5.0)", "ask the provider what the account may do"),
    row(0x102, "ESME_RSERTYPUNAVAIL", Temporary, "service_type not available (v5.0)", "leave service_type empty, or ask the provider"),
    row(0x103, "ESME_RSERTYPDENIED", Temporary, "service_type denied (v5.0)", "leave service_type empty, or ask the provider"),
    row(0x104, "ESME_RINVDCS", Temporary, "invalid data_coding (v5.0)", "choose another encoding"),
    row(0x105, "ESME_RINVSRCADDRSUBUNIT", Temporary, "invalid source address subunit (v5.0)", ""),
    row(0x106, "ESME_RINVDSTADDRSUBUNIT", Temporary, "invalid destination address subunit (v5.0)", ""),
    row(0x107, "ESME_RINVBCASTFREQINT", Temporary, "invalid broadcast frequency interval (v5.0)", ""),
    row(0x108, "ESME_RINVBCASTALIAS_NAME", Temporary, "invalid broadcast alias name (v5.0)", ""),
    row(0x109, "ESME_RINVBCASTAREAFMT", Temporary, "invalid broadcast area format (v5.0)", ""),
    row(0x10A, "ESME_RINVNUMBCAST_AREAS", Temporary, "invalid number of broadcast areas (v5.0)", ""),
    row(0x10B, "ESME_RINVBCASTCNTTYPE", Temporary, "invalid broadcast content type (v5.0)", ""),
    row(0x10C, "ESME_RINVBCASTMSGCLASS", Temporary, "invalid broadcast message class (v5.0)", ""),
    row(0x10D, "ESME_RBCASTFAIL", Temporary, "broadcast_sm failed (v5.0)", ""),
    row(0x10E, "ESME_RBCASTQUERYFAIL", Temporary, "query_broadcast_sm failed (v5.0)", ""),
    row(0x10F, "ESME_RBCASTCANCELFAIL", Temporary, "cancel_broadcast_sm failed (v5.0)", ""),
    row(0x110, "ESME_RINVBCAST_REP", Temporary, "invalid broadcast repetition (v5.0)", ""),
    row(0x111, "ESME_RINVBCASTSRVGRP", Temporary, "invalid broadcast service group (v5.0)", ""),
    row(0x112, "ESME_RINVBCASTCHANIND", Temporary, "invalid broadcast channel indicator (v5.0)", ""),
    row(0x12F, "ESME_RNOROUTE", Permanent, "country or network not available", "the provider has no route to this country or network: remove the destination or ask for the route"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ascending_and_its_names_are_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn f25_classes_are_the_providers() {
        for status in (0..=0x200).map(CommandStatus) {
            let expected = match status.0 {
                0 => Accepted,
                0x14 | 0x58 => Throttled,
                0x04 | 0x05 | 0x0D => Session,
                0x0A | 0x0E | 0x0F | 0x15 | 0x48 | 0x49 | 0x53 | 0x63 => Account,
                0x08 | 0x64 | 0x45 | 0xFE | 0xFF => Temporary,
                0x01..=0x03 | 0x06 | 0x07 | 0x0B | 0x0C | 0x11 | 0x13 | 0x33 | 0x34 | 0x40 | 0x42..=0x44 => Permanent,
                0x50 | 0x51 | 0x54 | 0x55 | 0x61 | 0x62 | 0x65..=0x67 | 0xC0..=0xC4 | 0x12F => Permanent,
                _ => Temporary,
            };
            assert_eq!(status.class(), expected, "{status}");
        }
        assert_eq!(CommandStatus(0x0400_0001).class(), Temporary);
        assert_eq!(CommandStatus(u32::MAX).class(), Temporary);
    }

    #[test]
    fn a_status_is_read_in_every_form() {
        for text in ["0x58", "0X58", "88", " 88 ", "ESME_RTHROTTLED", "esme_rthrottled"] {
            assert_eq!(CommandStatus::parse(text), Some(CommandStatus::THROTTLED), "{text}");
        }
        assert_eq!("303".parse(), Ok(CommandStatus::NO_ROUTE));
        assert_eq!(CommandStatus::parse("0xFFFFFFFF"), Some(CommandStatus(u32::MAX)));
        for text in ["", "0x", "-1", "+1", "0x+1", "0x100000000", "4294967296", "ESME", "88 messages"] {
            assert_eq!(CommandStatus::parse(text), None, "{text}");
        }
        for status in CommandStatus::all() {
            assert_eq!(CommandStatus::parse(status.name()), Some(status));
            assert!(!status.meaning().is_empty());
        }
    }

    #[test]
    fn it_shows_itself_with_its_number() {
        assert_eq!(CommandStatus(0x58).to_string(), "0x58 ESME_RTHROTTLED");
        assert_eq!(CommandStatus(0x12F).to_string(), "0x12F ESME_RNOROUTE");
        assert_eq!(CommandStatus(0x600).to_string(), "0x600");
    }
}
