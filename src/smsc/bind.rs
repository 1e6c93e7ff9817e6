//! Who may bind, and how often.
//!
//! A refused bind leaves the connection open, so that the peer can try again with other credentials; a connection that
//! stays without a bind ends after `bind_timeout`. bind_transceiver under version 3.3, which does not have it, is
//! answered with 0x03. The connection limit counts bound sessions of a system_id, and one too many gets 0x0D.
use std::sync::Arc;

use super::checks::status;
use super::message::version_name;
use super::reader::{Reader, kind_name};
use super::receipts::{Delivery, Fate, Party, Receipt};
use super::session::Bound;
use crate::wire::{Bind, BindKind, BindResp, CommandStatus, Header, Pdu, Tag, TlvBuilder, encode};

/// The name that bind answers carry.
const SMSC_SYSTEM_ID: &[u8] = b"smppost-smsc";
/// The highest interface_version of v3.3 and older.
const V33: u8 = 0x33;
const V34: u8 = 0x34;
const V50: u8 = 0x50;
/// Where the numbers of receipts for messages that never were begin.
const FLOOD_NUMBERS: u64 = 1 << 62;

impl Reader {
    /// Answers a bind.
    pub(super) fn handle_bind(&mut self, header: Header, bind: &Bind<'_>) {
        let verdict = self.try_bind(bind);
        let command_status = verdict.as_ref().err().copied().unwrap_or(status::OK);
        if command_status == status::OK {
            self.shared.counters.binds.add(1);
            self.shared.counters.bound.add(1);
            log::info!("smsc: session {}: {}", self.session.id, kind_name(bind.kind));
        } else {
            log::info!("smsc: session {}: {} refused, 0x{command_status:02X}", self.session.id, kind_name(bind.kind));
        }
        if self.shared.ledger.is_some() {
            self.batch.prefix.set(self.batch.now_us, self.session.id, bind.system_id);
            self.batch
                .prefix
                .begin("bind", &mut self.batch.lines)
                .number("sequence_number", header.sequence_number)
                .text("command", kind_name(bind.kind).as_bytes())
                .number("status", command_status)
                .text("status_name", CommandStatus(command_status).name().as_bytes())
                .text("version", version_name(bind.interface_version).as_bytes())
                .text("system_type", bind.system_type)
                .number("addr_ton", bind.addr_ton)
                .number("addr_npi", bind.addr_npi)
                .text("address_range", bind.address_range)
                .text("peer", self.session.peer_name.as_bytes())
                .end();
            self.set_prefix();
        }
        self.answer_bind(header, bind, command_status);
        if let Ok(bound) = verdict {
            // The writer learns of it when the answer is on its way: no receipt may come before that.
            self.newly_bound = Some(bound);
            self.flood();
        }
    }

    fn try_bind(&mut self, bind: &Bind<'_>) -> Result<Arc<Bound>, u32> {
        let settings = &self.shared.settings;
        if self.bound.is_some() {
            return Err(status::ALREADY_BOUND);
        }
        let v33 = bind.interface_version <= V33;
        if v33 && bind.kind == BindKind::Transceiver {
            return Err(status::COMMAND_ID);
        }
        let known = settings.accounts.iter().find(|account| account.system_id.as_bytes() == bind.system_id);
        if bind.system_id.is_empty() || !self.shared.may_bind(bind.system_id) {
            return Err(status::SYSTEM_ID);
        }
        let password = match known {
            Some(account) => &account.password,
            None => &settings.password,
        };
        if password.as_ref().is_some_and(|password| !password.is(bind.password)) {
            return Err(status::PASSWORD);
        }
        let most = known.and_then(|account| account.max_connections).unwrap_or(settings.max_connections);
        let account = self.shared.account(bind.system_id);
        if !account.join(&self.session, bind.kind, most) {
            return Err(status::BIND_FAILED);
        }
        let v50 = bind.interface_version >= V50 && settings.sc_interface_version.is_some_and(|ours| ours >= V50);
        let long_service_type = self.shared.behaviours.of(bind.system_id).faults.long_service_type;
        let interface_version = bind.interface_version;
        let version_name = version_name(interface_version);
        let kind = bind.kind;
        let bound = Bound { account, kind, interface_version, version_name, v33, v50, long_service_type };
        let bound = Arc::new(bound);
        self.bound = Some(Arc::clone(&bound));
        self.look_up_behaviour();
        Ok(bound)
    }

    fn answer_bind(&mut self, header: Header, bind: &Bind<'_>, command_status: u32) {
        let mut tlvs = TlvBuilder::new();
        let version = self.shared.settings.sc_interface_version.filter(|_| bind.interface_version > V33);
        if let Some(version) = version
            && command_status == status::OK
        {
            // A session has the lower one of both versions.
            tlvs.u8(Tag::SC_INTERFACE_VERSION, version.min(bind.interface_version.max(V34)));
        }
        let system_id = if command_status == status::OK { SMSC_SYSTEM_ID } else { b"" };
        let answer = Pdu::BindResp(BindResp { kind: bind.kind, system_id, tlvs: tlvs.tlvs() });
        let status = CommandStatus(command_status);
        if let Err(e) = encode(&answer, header.sequence_number, status, &mut self.batch.out) {
            log::error!("smsc: the answer to a bind: {e}");
        }
    }

    /// The fault of receipts for messages that never were.
    fn flood(&mut self) {
        let count = u64::from(self.behaviour.faults.receipt_flood);
        let (now, now_s) = (self.batch.now, (self.batch.now_us / 1_000_000) as u32);
        let nobody = Party::new(1, 1, b"10000");
        let receipt = |n| Receipt::new(FLOOD_NUMBERS + n, now_s, nobody, nobody, Fate::Delivered);
        self.batch.scheduled.extend((0..count).map(|n| (now, Delivery::Receipt(receipt(n)))));
    }
}
