//! What vendors mean by their own statuses, as far as their public pages say so. Read there, not tried with them.
//!
//! A vendor's code that stops the account's sending is of class account, one that concerns the number or the text permanent,
//! and one of the vendor's own trouble temporary.

use crate::wire::StatusClass::{self, Account, Permanent, Temporary};
use crate::words::{BadValue, bad};

/// A vendor's statuses.
#[derive(Debug)]
pub struct Preset {
    /// As it is typed.
    pub name: &'static str,
    /// The public page that says so.
    pub origin: &'static str,
    /// Codes, their class, and what the vendor means by them.
    pub codes: &'static [(u32, StatusClass, &'static str)],
}

/// All presets, by name.
pub static PRESETS: [Preset; 7] = [
    Preset {
        name: "hollatags",
        origin: "docs.hollatags.com/smpp/smpp-response-error-codes",
        codes: &[
            (0x45, Permanent, "the number is on the do-not-disturb list"),
            (0x400, Permanent, "no route to the number"),
            (0x401, Account, "no credit"),
            (0x402, Account, "credit limit reached"),
            (0x403, Account, "the account is frozen"),
            (0x404, Permanent, "bad data"),
            (0x405, Permanent, "an error of the client"),
            (0x40A, Permanent, "do-not-disturb, or a sender that is not allowed"),
            (0x430, Permanent, "a length that is not allowed"),
            (0x431, Temporary, "an error inside"),
            (0x432, Permanent, "refused by the spam filter"),
            (0x433, Permanent, "data_coding does not fit the text"),
            (0x4FF, Temporary, "an error inside"),
        ],
    },
    Preset {
        name: "horisen",
        origin: "developers.horisen.com/en/sms-smpp-api",
        codes: &[
            (0x401, Permanent, "no route to the number"),
            (0x402, Account, "no credit"),
            (0x403, Permanent, "the number is barred"),
            (0x404, Permanent, "the message goes round in circles"),
            (0x405, Permanent, "the sender is barred"),
            (0x406, Account, "an unknown account"),
            (0x407, Account, "the account has no prices"),
            (0x408, Permanent, "an unknown destination"),
            (0x409, Permanent, "the text is too long"),
            (0x410, Temporary, "an error inside"),
            (0x411, Temporary, "an unknown error"),
        ],
    },
    Preset {
        name: "infobip",
        origin: "dev.infobip.com/smpp-specification/command-status-and-gsm-error-codes",
        codes: &[
            (0x22, Permanent, "the network is not covered"),
            (0xFF, Account, "not enough balance"),
            (0x4A1, Temporary, "an error inside, or the channel is switched off"),
        ],
    },
    Preset {
        name: "serwersms",
        origin: "dev.serwersms.pl/en/smpp-api/error-codes",
        codes: &[(0x40B, Account, "not enough credit")],
    },
    Preset {
        name: "telesign",
        origin: "developer.telesign.com",
        codes: &[
            (0xC3, Account, "a TLV that the account needs is missing"),
            (0xC4, Permanent, "a TLV has a value that is not allowed"),
        ],
    },
    Preset {
        name: "world-text",
        origin: "www.world-text.com/docs/smpperrors.php",
        codes: &[(0x400, Account, "no credit, or its limit reached")],
    },
    Preset { name: "ycloud", origin: "docs.ycloud.com", codes: &[(0x06, Temporary, "too many connections")] },
];

/// The preset of this name. Fails with the names that there are.
pub fn parse(name: &str) -> Result<&'static Preset, BadValue> {
    PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name.trim())).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        bad!("it is none of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_stand_once_in_order() {
        assert!(PRESETS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for preset in &PRESETS {
            assert!(!preset.codes.is_empty() && preset.origin.contains('.'), "{}", preset.name);
            assert!(preset.codes.windows(2).all(|pair| pair[0].0 < pair[1].0), "{}", preset.name);
            assert!(parse(preset.name).is_ok_and(|found| found.name == preset.name));
        }
        assert!(parse("nobody").is_err_and(|words| words.contains("horisen, infobip")));
    }
}
