//! By which rule a receipt is whose.

/// How a receipt was matched; the numbers stand in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rule {
    /// Not at all.
    None = 0,
    /// The exact id of the account.
    Exact = 1,
    /// The same id in another case, radix or padding.
    Equivalent = 2,
    /// An echoed user_message_reference, with the destination.
    Reference = 3,
    /// The one attempt in doubt that it fits.
    Doubt = 4,
    /// The operator said so.
    Operator = 5,
    /// Several fit: not guessed.
    Ambiguous = 6,
    /// It is no receipt, but what the SMSC answered to a query_sm.
    Query = 7,
    /// The exact id of the account, in the text; what the TLV receipted_message_id holds leads nowhere.
    TextExact = 8,
    /// As `TextExact`, in another case, radix or padding.
    TextEquivalent = 9,
    /// The exact id alone: the receipt names another number, as receipts of this account always have so far.
    IdAlone = 10,
    /// Not at all: it has the exact id of a message to another number than it names.
    OtherNumber = 11,
}

impl Rule {
    /// The rule with this number in the journal.
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Exact,
            2 => Self::Equivalent,
            3 => Self::Reference,
            4 => Self::Doubt,
            5 => Self::Operator,
            6 => Self::Ambiguous,
            7 => Self::Query,
            8 => Self::TextExact,
            9 => Self::TextEquivalent,
            10 => Self::IdAlone,
            11 => Self::OtherNumber,
            _ => Self::None,
        }
    }

    /// Whether what it decided may yet be decided otherwise when more is known: such receipts stand in table `stray`.
    pub fn may_change(self) -> bool {
        matches!(self, Self::None | Self::Ambiguous | Self::Doubt | Self::IdAlone | Self::OtherNumber)
    }

    /// Whether it shows that the ids of the account's receipts are those of its answers.
    pub fn shows_ids(self) -> bool {
        matches!(self, Self::Exact | Self::Equivalent | Self::TextExact | Self::TextEquivalent | Self::IdAlone)
    }
}
