//! SMPP on the wire: framing, PDU bodies, status codes, times and delivery receipts (v3.3, v3.4 and v5.0).
//!
//! Nothing here knows a socket, a clock or SQL: octets go in, borrowed values come out, and the reverse.
//! What is sent is strict: every limit of the specification holds, or encoding fails and the buffer is as it was.
//! What is received is lenient: whatever can still be read of a PDU is read, because a refused PDU is a lost receipt.
//!
//! The way of an inbound octet: [`FrameBuffer`] cuts the stream into PDUs, [`decode()`] turns one into a [`Header`] and a
//! [`Pdu`] that borrow from the buffer, [`Receipt::of`] reads a delivery receipt out of a message. Outbound: [`encode()`]
//! appends a [`Pdu`] to a `Vec<u8>`; answers that are sent once per message have functions of their own in it
//! ([`encode_deliver_sm_resp`] and its like). Neither direction allocates per PDU once its buffers have grown.
//!
//! Invariants: no length that a peer sent is ever allocated; no input makes this module panic; strings are octets as
//! they came, never checked to be text, so whoever shows one escapes it.

pub mod decode;
pub mod encode;
pub mod frame;
pub mod header;
pub mod pdu;
pub mod receipt;
pub mod status;
pub mod time;
pub mod tlv;
pub mod udh;
pub mod values;

pub use decode::{DecodeError, decode, decode_answer, decode_message_id};
pub use encode::{
    EncodeError, append_tlv_u16, encode, encode_data_sm_resp, encode_deliver_sm_resp, encode_enquire_link,
    encode_enquire_link_resp, encode_generic_nack, encode_header_only, encode_submit_sm_resp, patch_sequence_number,
};
pub use frame::{Foreign, FrameBuffer, FrameError};
pub use header::{CommandId, HEADER_OCTETS, Header, MAX_PDU_OCTETS, SEQUENCE_NUMBER_MAX, decode_header};
pub use pdu::{
    Address, AlertNotification, Bind, BindKind, BindResp, CancelSm, DataSm, Destination, Destinations, MessageId,
    Outbind, Pdu, QuerySm, QuerySmResp, ReplaceSm, Sm, SubmitMulti, SubmitMultiResp, Unsuccess, Unsuccesses,
};
pub use receipt::{Receipt, ReceiptKind, Stat};
pub use status::{CommandStatus, StatusClass};
pub use time::{SmppTime, TimeError};
pub use tlv::{Tag, Tlv, TlvBuilder, Tlvs};
pub use values::MessageState;
