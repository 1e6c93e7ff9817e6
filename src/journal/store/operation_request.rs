//! The requests of operations: query_sm, cancel_sm and replace_sm about a part that the SMSC took.

use crate::journal::store::operations::{Operation, Target};
use crate::message::text::{DefaultAlphabet, Encoder, Encoding, Reference, TextError};
use crate::wire::{Address, CancelSm, CommandStatus, EncodeError, Pdu, QuerySm, ReplaceSm, Sm, decode};

/// What is asked about parts of a campaign.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// What.
    pub operation: Operation,
    /// Of a replacement: the new text.
    pub text: Option<&'a str>,
    /// What data_coding 0 means in the campaign.
    pub alphabet: DefaultAlphabet,
}

/// Why nothing can be asked about a part.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The request that the SMSC took does not decode.
    #[error("what was sent cannot be read")]
    Unread,
    /// To be replaced: it has several parts.
    #[error("a long message cannot be replaced part by part: cancel it and send another")]
    LongMessage,
    /// A newer program wrote it.
    #[error("its encoding is unknown")]
    UnknownEncoding,
    /// To be replaced: it has octets of its own.
    #[error("replace_sm has no place for a user data header or for octets: cancel the message and send another")]
    NoPlace,
    /// The new text does not go in the alphabet of the old.
    #[error(
        "replace_sm keeps the alphabet of the text that it replaces, which is {encoding}: {error}{}",
        match error {
            TextError::NotInAlphabet { .. } => ": leave it out, or cancel the message and send another",
            TextError::TooManyParts { .. } => "",
        }
    )]
    NotInItsAlphabet {
        /// The old text's.
        encoding: Encoding,
        /// What is wrong with the new one.
        error: TextError,
    },
    /// The new text is longer than one SMS.
    #[error("the new text has {units} {encoding} units, more than one SMS holds")]
    LongText {
        /// Its length.
        units: usize,
        /// In what.
        encoding: Encoding,
    },
    /// The new text.
    #[error("{0}")]
    Text(#[from] TextError),
    /// A field does not fit.
    #[error("{0}")]
    Encode(#[from] EncodeError),
}

/// The request about a part.
///
/// # Errors
/// There can be none about this part.
pub fn request(asking: Asking<'_>, target: &Target, sequence_number: u32) -> Result<Vec<u8>, RequestError> {
    let (sm, id) = (sent(&target.request), target.message_id.as_bytes());
    let Some(sm) = sm else { return Err(RequestError::Unread) };
    let mut text = Vec::new();
    let pdu = match asking.operation {
        Operation::Query => Pdu::QuerySm(QuerySm { message_id: id, source: sm.source }),
        // With a message_id the destination is left empty (SMPP v3.4, 4.9.1).
        Operation::Cancel => Pdu::CancelSm(CancelSm {
            service_type: sm.service_type,
            message_id: id,
            source: sm.source,
            destination: Address::default(),
        }),
        Operation::Replace => {
            replacement(asking, target, sm.data_coding, &mut text)?;
            Pdu::ReplaceSm(ReplaceSm {
                message_id: id,
                source: sm.source,
                registered_delivery: sm.registered_delivery,
                short_message: &text,
                ..ReplaceSm::default()
            })
        }
    };
    let mut out = Vec::new();
    crate::wire::encode(&pdu, sequence_number, CommandStatus::OK, &mut out)?;
    Ok(out)
}

/// The request that the SMSC took.
fn sent(request: &[u8]) -> Option<Sm<'_>> {
    match decode(request) {
        Ok((_, Pdu::SubmitSm(sm))) => Some(sm),
        Ok((_, Pdu::DataSm(data))) => Some(Sm {
            service_type: data.service_type,
            source: data.source,
            registered_delivery: data.registered_delivery,
            data_coding: data.data_coding,
            ..Sm::default()
        }),
        _ => None,
    }
}

/// The octets of a new text. replace_sm says nothing of an alphabet, so that it has to be that of the text it replaces.
fn replacement(asking: Asking<'_>, target: &Target, data_coding: u8, out: &mut Vec<u8>) -> Result<(), RequestError> {
    if target.parts > 1 {
        return Err(RequestError::LongMessage);
    }
    let encoding = Encoding::from_stored(target.encoding).ok_or(RequestError::UnknownEncoding)?;
    if matches!(encoding, Encoding::Octets | Encoding::Shifted(_)) {
        return Err(RequestError::NoPlace);
    }
    let text = asking.text.unwrap_or_default();
    let alphabet = if data_coding == 0 { asking.alphabet } else { DefaultAlphabet::Gsm7 };
    let policy =
        crate::message::text::Policy { choice: encoding.into(), alphabet, ..crate::message::text::Policy::default() };
    let measured = crate::message::text::segment(text, policy)
        .map_err(|error| RequestError::NotInItsAlphabet { encoding, error })?;
    if measured.sms > 1 {
        return Err(RequestError::LongText { units: measured.units, encoding });
    }
    let encoder = Encoder::new(text, encoding, Reference::Whole)?;
    encoder.with_alphabet(alphabet).next_into(out);
    Ok(())
}
