//! Optional parameters: tag, length, value (v3.4 section 5.3).
use std::fmt;

use super::encode::EncodeError;

/// Octets of a TLV before its value.
const TLV_HEADER_OCTETS: usize = 4;

/// The tag of a TLV, known or not. 0x1400 to 0x3FFF are for vendors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u16);

macro_rules! tags {
    ($($constant:ident $value:literal $name:literal)*) => {
        impl Tag {
            $(#[doc = concat!("`", $name, "`, ", stringify!($value), ".")] pub const $constant: Self = Self($value);)*

            /// The name in the specification (v3.4 or v5.0), if it has this tag.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($name),)* _ => None }
            }

            /// All tags of the specification.
            pub const ALL: &'static [Self] = &[$(Self($value),)*];

            /// The tag of this name in the specification.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self($value)),)* _ => None }
            }
        }
    };
}

tags! {
    DEST_ADDR_SUBUNIT 0x0005 "dest_addr_subunit"
    DEST_NETWORK_TYPE 0x0006 "dest_network_type"
    DEST_BEARER_TYPE 0x0007 "dest_bearer_type"
    DEST_TELEMATICS_ID 0x0008 "dest_telematics_id"
    SOURCE_ADDR_SUBUNIT 0x000D "source_addr_subunit"
    SOURCE_NETWORK_TYPE 0x000E "source_network_type"
    SOURCE_BEARER_TYPE 0x000F "source_bearer_type"
    SOURCE_TELEMATICS_ID 0x0010 "source_telematics_id"
    QOS_TIME_TO_LIVE 0x0017 "qos_time_to_live"
    PAYLOAD_TYPE 0x0019 "payload_type"
    ADDITIONAL_STATUS_INFO_TEXT 0x001D "additional_status_info_text"
    RECEIPTED_MESSAGE_ID 0x001E "receipted_message_id"
    MS_MSG_WAIT_FACILITIES 0x0030 "ms_msg_wait_facilities"
    PRIVACY_INDICATOR 0x0201 "privacy_indicator"
    SOURCE_SUBADDRESS 0x0202 "source_subaddress"
    DEST_SUBADDRESS 0x0203 "dest_subaddress"
    USER_MESSAGE_REFERENCE 0x0204 "user_message_reference"
    USER_RESPONSE_CODE 0x0205 "user_response_code"
    SOURCE_PORT 0x020A "source_port"
    DESTINATION_PORT 0x020B "destination_port"
    SAR_MSG_REF_NUM 0x020C "sar_msg_ref_num"
    LANGUAGE_INDICATOR 0x020D "language_indicator"
    SAR_TOTAL_SEGMENTS 0x020E "sar_total_segments"
    SAR_SEGMENT_SEQNUM 0x020F "sar_segment_seqnum"
    SC_INTERFACE_VERSION 0x0210 "sc_interface_version"
    CALLBACK_NUM_PRES_IND 0x0302 "callback_num_pres_ind"
    CALLBACK_NUM_ATAG 0x0303 "callback_num_atag"
    NUMBER_OF_MESSAGES 0x0304 "number_of_messages"
    CALLBACK_NUM 0x0381 "callback_num"
    DPF_RESULT 0x0420 "dpf_result"
    SET_DPF 0x0421 "set_dpf"
    MS_AVAILABILITY_STATUS 0x0422 "ms_availability_status"
    NETWORK_ERROR_CODE 0x0423 "network_error_code"
    MESSAGE_PAYLOAD 0x0424 "message_payload"
    DELIVERY_FAILURE_REASON 0x0425 "delivery_failure_reason"
    MORE_MESSAGES_TO_SEND 0x0426 "more_messages_to_send"
    MESSAGE_STATE 0x0427 "message_state"
    CONGESTION_STATE 0x0428 "congestion_state"
    USSD_SERVICE_OP 0x0501 "ussd_service_op"
    BROADCAST_CHANNEL_INDICATOR 0x0600 "broadcast_channel_indicator"
    BROADCAST_CONTENT_TYPE 0x0601 "broadcast_content_type"
    BROADCAST_CONTENT_TYPE_INFO 0x0602 "broadcast_content_type_info"
    BROADCAST_MESSAGE_CLASS 0x0603 "broadcast_message_class"
    BROADCAST_REP_NUM 0x0604 "broadcast_rep_num"
    BROADCAST_FREQUENCY_INTERVAL 0x0605 "broadcast_frequency_interval"
    BROADCAST_AREA_IDENTIFIER 0x0606 "broadcast_area_identifier"
    BROADCAST_ERROR_STATUS 0x0607 "broadcast_error_status"
    BROADCAST_AREA_SUCCESS 0x0608 "broadcast_area_success"
    BROADCAST_END_TIME 0x0609 "broadcast_end_time"
    BROADCAST_SERVICE_GROUP 0x060A "broadcast_service_group"
    BILLING_IDENTIFICATION 0x060B "billing_identification"
    SOURCE_NETWORK_ID 0x060D "source_network_id"
    DEST_NETWORK_ID 0x060E "dest_network_id"
    SOURCE_NODE_ID 0x060F "source_node_id"
    DEST_NODE_ID 0x0610 "dest_node_id"
    DEST_ADDR_NP_RESOLUTION 0x0611 "dest_addr_np_resolution"
    DEST_ADDR_NP_INFORMATION 0x0612 "dest_addr_np_information"
    DEST_ADDR_NP_COUNTRY 0x0613 "dest_addr_np_country"
    DISPLAY_TIME 0x1201 "display_time"
    SMS_SIGNAL 0x1203 "sms_signal"
    MS_VALIDITY 0x1204 "ms_validity"
    ALERT_ON_MESSAGE_DELIVERY 0x130C "alert_on_message_delivery"
    ITS_REPLY_TYPE 0x1380 "its_reply_type"
    ITS_SESSION_INFO 0x1383 "its_session_info"
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "TLV 0x{:04X}", self.0),
        }
    }
}

/// One optional parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: Tag,
    /// Its octets, as they came.
    pub value: &'a [u8],
}

/// The optional parameters of a PDU, still encoded and read lazily.
///
/// Reading is lenient: a TLV that runs past the end and a lone trailing octet end the iteration, and what came before
/// them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tlvs<'a>(pub &'a [u8]);

impl<'a> Tlvs<'a> {
    /// No TLVs.
    pub const NONE: Tlvs<'static> = Tlvs(&[]);

    /// The TLVs in the order in which they came.
    #[inline]
    #[must_use]
    pub fn iter(self) -> TlvIter<'a> {
        TlvIter { rest: self.0 }
    }

    /// The encoded octets.
    #[inline]
    #[must_use]
    pub fn octets(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are no octets at all.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether the octets are whole TLVs and nothing else.
    #[must_use]
    pub fn is_well_formed(self) -> bool {
        let mut iter = self.iter();
        iter.by_ref().for_each(drop);
        iter.rest.is_empty()
    }

    /// The value of the first TLV of this tag.
    #[inline]
    #[must_use]
    pub fn get(self, tag: Tag) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// A C-octet string, which real peers send with and without its NUL: the octets before the first NUL.
    #[inline]
    #[must_use]
    pub fn get_c_string(self, tag: Tag) -> Option<&'a [u8]> {
        self.get(tag).map(|value| value.split(|&octet| octet == 0).next().unwrap_or(value))
    }

    /// A value of exactly one octet.
    #[inline]
    #[must_use]
    pub fn get_u8(self, tag: Tag) -> Option<u8> {
        self.get(tag)?.try_into().ok().map(u8::from_be_bytes)
    }

    /// A value of exactly two octets.
    #[inline]
    #[must_use]
    pub fn get_u16(self, tag: Tag) -> Option<u16> {
        self.get(tag)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A value of exactly four octets.
    #[inline]
    #[must_use]
    pub fn get_u32(self, tag: Tag) -> Option<u32> {
        self.get(tag)?.try_into().ok().map(u32::from_be_bytes)
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

/// Iterates over [`Tlvs`].
#[derive(Debug, Clone)]
pub struct TlvIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    #[inline]
    fn next(&mut self) -> Option<Tlv<'a>> {
        let (&[tag_high, tag_low, length_high, length_low], after) =
            self.rest.split_first_chunk::<TLV_HEADER_OCTETS>()?;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (value, rest) = after.split_at_checked(length)?;
        self.rest = rest;
        Some(Tlv { tag: Tag(u16::from_be_bytes([tag_high, tag_low])), value })
    }
}

/// Collects TLVs for a PDU that is to be encoded. Reuse one (with [`clear`](Self::clear)) to allocate nothing per PDU.
///
/// ```
/// use smppost::wire::{Tag, TlvBuilder};
/// let mut builder = TlvBuilder::new();
/// builder.u16(Tag::SAR_MSG_REF_NUM, 7).u8(Tag::SAR_TOTAL_SEGMENTS, 2).u8(Tag::SAR_SEGMENT_SEQNUM, 1);
/// assert_eq!(builder.tlvs().get_u16(Tag::SAR_MSG_REF_NUM), Some(7));
/// ```
#[derive(Debug, Clone, Default)]
pub struct TlvBuilder {
    octets: Vec<u8>,
}

impl TlvBuilder {
    /// No TLVs yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds octets as they are.
    ///
    /// # Errors
    /// A value of more than 65,535 octets.
    pub fn octets(&mut self, tag: Tag, value: &[u8]) -> Result<&mut Self, EncodeError> {
        push_tlv(&mut self.octets, tag, value)?;
        Ok(self)
    }

    /// Adds a C-octet string; the NUL is added here.
    ///
    /// # Errors
    /// A NUL within the value, or more than 65,534 octets.
    pub fn c_string(&mut self, tag: Tag, value: &[u8]) -> Result<&mut Self, EncodeError> {
        let field = tag.name().unwrap_or("a TLV");
        if let Some(offset) = value.iter().position(|&octet| octet == 0) {
            return Err(EncodeError::NulInString { field, offset });
        }
        let Ok(length) = u16::try_from(value.len() + 1) else {
            return Err(EncodeError::TooLong { field, length: value.len(), most: usize::from(u16::MAX) - 1 });
        };
        self.head(tag, length);
        self.octets.extend_from_slice(value);
        self.octets.push(0);
        Ok(self)
    }

    /// Adds one octet.
    pub fn u8(&mut self, tag: Tag, value: u8) -> &mut Self {
        self.head(tag, 1);
        self.octets.push(value);
        self
    }

    /// Adds two octets.
    pub fn u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.head(tag, 2);
        self.octets.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Adds four octets.
    pub fn u32(&mut self, tag: Tag, value: u32) -> &mut Self {
        self.head(tag, 4);
        self.octets.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// What was added so far.
    #[must_use]
    pub fn tlvs(&self) -> Tlvs<'_> {
        Tlvs(&self.octets)
    }

    /// Forgets what was added and keeps the memory.
    pub fn clear(&mut self) {
        self.octets.clear();
    }

    fn head(&mut self, tag: Tag, length: u16) {
        self.octets.extend_from_slice(&tag.0.to_be_bytes());
        self.octets.extend_from_slice(&length.to_be_bytes());
    }
}

/// Appends one TLV to encoded octets.
///
/// # Errors
/// A value of more than 65,535 octets; nothing is appended then.
pub fn push_tlv(octets: &mut Vec<u8>, tag: Tag, value: &[u8]) -> Result<(), EncodeError> {
    let Ok(length) = u16::try_from(value.len()) else {
        let field = tag.name().unwrap_or("a TLV");
        return Err(EncodeError::TooLong { field, length: value.len(), most: usize::from(u16::MAX) });
    };
    octets.extend_from_slice(&tag.0.to_be_bytes());
    octets.extend_from_slice(&length.to_be_bytes());
    octets.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_tlvs_keep_what_came_before() {
        let good = [0x04, 0x27, 0, 1, 2];
        let table: &[(&[u8], bool)] = &[
            (&[], true),
            (&[0], false),
            (&[0, 0x1E], false),
            (&[0, 0x1E, 0], false),
            (&[0, 0x1E, 0, 1], false),
            (&[0, 0x1E, 0xFF, 0xFF, 1, 2, 3], false),
            (&[0x14, 0x00, 0, 0], true),
        ];
        for (tail, well_formed) in table {
            let octets = [&good[..], tail].concat();
            let tlvs = Tlvs(&octets);
            assert_eq!(tlvs.get_u8(Tag::MESSAGE_STATE), Some(2), "{tail:02X?}");
            assert_eq!(tlvs.is_well_formed(), *well_formed, "{tail:02X?}");
            assert_eq!(tlvs.get(Tag::RECEIPTED_MESSAGE_ID), None);
        }
    }

    #[test]
    fn values_are_read_by_their_width() {
        let mut builder = TlvBuilder::new();
        builder.u8(Tag::MESSAGE_STATE, 2).u16(Tag::SOURCE_PORT, 9200).u32(Tag::QOS_TIME_TO_LIVE, 1 << 20);
        builder.c_string(Tag::RECEIPTED_MESSAGE_ID, b"77").unwrap().octets(Tag(0x1400), b"\0x").unwrap();
        let tlvs = builder.tlvs();
        assert_eq!(tlvs.get_u8(Tag::MESSAGE_STATE), Some(2));
        assert_eq!(tlvs.get_u16(Tag::SOURCE_PORT), Some(9200));
        assert_eq!(tlvs.get_u32(Tag::QOS_TIME_TO_LIVE), Some(1 << 20));
        assert_eq!(tlvs.get_u16(Tag::MESSAGE_STATE), None);
        assert_eq!(tlvs.get(Tag::RECEIPTED_MESSAGE_ID), Some(&b"77\0"[..]));
        assert_eq!(tlvs.get_c_string(Tag::RECEIPTED_MESSAGE_ID), Some(&b"77"[..]));
        assert_eq!(tlvs.get(Tag(0x1400)), Some(&b"\0x"[..]));
        assert!(tlvs.is_well_formed());
        assert_eq!(Tlvs(&[0, 0x1E, 0, 2, b'7', b'7']).get_c_string(Tag::RECEIPTED_MESSAGE_ID), Some(&b"77"[..]));
        assert_eq!(Tlvs(&[0, 0x1E, 0, 0]).get_c_string(Tag::RECEIPTED_MESSAGE_ID), Some(&b""[..]));
    }

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        let mut builder = TlvBuilder::new();
        assert!(builder.octets(Tag::MESSAGE_PAYLOAD, &vec![1; 65_535]).is_ok());
        builder.clear();
        assert_eq!(
            builder.octets(Tag::MESSAGE_PAYLOAD, &vec![1; 65_536]).map(|_| ()),
            Err(EncodeError::TooLong { field: "message_payload", length: 65_536, most: 65_535 })
        );
        assert_eq!(
            builder.c_string(Tag::RECEIPTED_MESSAGE_ID, b"7\x007").map(|_| ()),
            Err(EncodeError::NulInString { field: "receipted_message_id", offset: 1 })
        );
        assert!(builder.tlvs().is_empty());
    }

    #[test]
    fn tags_have_names_both_ways() {
        assert_eq!(Tag::MESSAGE_PAYLOAD.to_string(), "message_payload");
        assert_eq!(Tag(0x1400).to_string(), "TLV 0x1400");
        assert_eq!(Tag::from_name("sar_msg_ref_num"), Some(Tag::SAR_MSG_REF_NUM));
        assert_eq!(Tag::from_name("nonsense"), None);
    }
}
