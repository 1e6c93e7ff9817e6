//! The thread of a connection that writes what is due.
use super::*;

pub(super) struct Writer {
    pub(super) hub: Arc<Hub>,
    pub(super) shared: Arc<Shared>,
    pub(super) stream: TcpStream,
    pub(super) next_number: u32,
    pub(super) is_mute: bool,
    pub(super) unanswered: BTreeMap<u32, Receipt>,
    /// Receipts that were due when the connection failed.
    pub(super) unwritten: Vec<Receipt>,
}

impl Writer {
    pub(super) fn run(mut self) {
        while !self.shared.ended.load(Ordering::SeqCst) {
            let due = self.due();
            if !due.is_empty() && self.write(due).is_err() {
                break;
            }
        }
        let _ = self.stream.shutdown(Shutdown::Both);
        self.leave_behind();
    }

    /// Everything that is due by now, in order. Waits a little when nothing is.
    fn due(&mut self) -> Vec<Out> {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut heap = hold(&self.shared.heap);
        while heap.peek().is_some_and(|Reverse(next)| next.at <= now) {
            due.extend(heap.pop().map(|Reverse(next)| next.what));
        }
        let can_receive = self.shared.receives.load(Ordering::SeqCst) && !self.is_mute;
        let mut wait = Duration::from_millis(5);
        if let Some(Reverse(next)) = heap.peek() {
            wait = wait.min(next.at.saturating_duration_since(now)).max(Duration::from_micros(100));
        }
        if due.is_empty() {
            drop(self.shared.wake.wait_timeout(heap, wait));
        } else {
            drop(heap);
        }
        if can_receive && hold(&self.shared.judge).is_bound() {
            let mut state = self.hub.lock();
            while state.receipts.peek().is_some_and(|Reverse(next)| next.at <= now) {
                due.extend(state.receipts.pop().map(|Reverse(next)| Out::Receipt(next.what)));
            }
        }
        due
    }

    /// Puts the PDUs on the wire. The judge hears of each before the client can.
    fn write(&mut self, due: Vec<Out>) -> std::io::Result<()> {
        let mut due = due.into_iter();
        let written = self.write_each(&mut due);
        // Those behind the one that failed.
        self.unwritten.extend(due.filter_map(|out| match out {
            Out::Receipt(receipt) => Some(receipt),
            _ => None,
        }));
        written
    }

    fn write_each(&mut self, due: &mut std::vec::IntoIter<Out>) -> std::io::Result<()> {
        let mut together = Vec::new();
        let waiting = due.as_slice();
        let is_glued = waiting.iter().any(|out| matches!(out, Out::Bind { .. })) && waiting.len() > 1;
        for out in due {
            let mut octet_by_octet = false;
            let (octets, is_regular) = match out {
                Out::Answer { sequence_number, octets, is_regular } => {
                    hold(&self.shared.judge).answered(sequence_number);
                    (octets, is_regular)
                }
                Out::SubmitAnswer { index, status, message_id, octets, is_regular } => {
                    if self.is_mute {
                        continue;
                    }
                    let mut state = self.hub.lock();
                    let submit = &mut state.submits[index];
                    submit.status = Some(status);
                    submit.message_id = message_id;
                    let number = submit.sequence_number;
                    drop(state);
                    hold(&self.shared.judge).answered(number);
                    (octets, is_regular)
                }
                Out::Bind { sequence_number, status, octets, octet_by_octet: slowly } => {
                    octet_by_octet = slowly;
                    hold(&self.shared.judge).bind_answered(sequence_number, status);
                    (octets, true)
                }
                Out::Receipt(receipt) => {
                    let number = self.number(receipt.command_id);
                    let octets = pdu(receipt.command_id, 0, number, &receipt.body);
                    let is_regular = receipt.is_regular;
                    self.hub.lock().counts.delivers += 1;
                    self.unanswered.insert(number, receipt);
                    (octets, is_regular)
                }
                Out::Request(id) => {
                    let number = self.number(id);
                    (pdu(id, 0, number, &[]), matches!(id, 6 | 0x15))
                }
                Out::Raw(octets) => (octets, false),
                Out::Junk(octets) => {
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    hold(&self.shared.judge).junk_was_sent();
                    self.is_mute = true;
                    if !together.is_empty() {
                        self.stream.write_all(&together)?;
                        together.clear();
                    }
                    self.stream.write_all(&octets)?;
                    continue;
                }
                Out::Mute => {
                    self.is_mute = true;
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    continue;
                }
                Out::Close => {
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    self.stream.write_all(&together)?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                Out::Reset => {
                    self.shared.cut_by_us.store(true, Ordering::SeqCst);
                    self.stream.write_all(&together)?;
                    return Err(ErrorKind::ConnectionReset.into());
                }
            };
            if self.is_mute {
                continue;
            }
            if is_regular {
                self.check_ours(&octets);
            }
            if octet_by_octet {
                for octet in octets {
                    self.stream.write_all(&[octet])?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                continue;
            }
            match self.hub.settings.writing {
                _ if is_glued => together.extend(octets),
                Writing::Normal => self.stream.write_all(&octets)?,
                Writing::Coalesced => together.extend(octets),
                Writing::Fragmented => self.write_in_pieces(&octets)?,
            }
        }
        self.stream.write_all(&together)
    }

    fn write_in_pieces(&mut self, octets: &[u8]) -> std::io::Result<()> {
        let random = self.hub.lock().random();
        let piece_max = match random % 8 {
            0 => 1,
            1 => 4,
            2 => 17,
            _ => 64,
        };
        let mut rest = octets;
        let mut dice = random >> 8;
        while !rest.is_empty() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let length = (1 + (dice >> 33) as usize % piece_max).min(rest.len());
            self.stream.write_all(&rest[..length])?;
            rest = &rest[length..];
            std::thread::sleep(Duration::from_micros(20));
        }
        Ok(())
    }

    /// A number for a request of ours. They start at 1, as the client's do: the directions are apart.
    fn number(&mut self, command_id: u32) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        // Nobody answers an alert_notification; an unknown request is answered by generic_nack.
        if matches!(command_id, 5 | 6 | 0x15 | 0x103) {
            hold(&self.shared.judge).asked(command_id, number, Instant::now());
        }
        number
    }

    /// The SMSC must not err where it is not meant to.
    fn check_ours(&self, octets: &[u8]) {
        let decoded = Command::<16>::decode(&octets[4..], octets.len() - 4);
        if !decoded.as_ref().is_ok_and(|(_, size)| *size == octets.len() - 4) {
            self.hub.lock().violations.push(format!("the SMSC itself wrote {octets:02X?}: {decoded:?}"));
        }
    }

    /// Receipts that were not written or not answered go to another session.
    fn leave_behind(&mut self) {
        if !self.hub.settings.redeliver {
            return;
        }
        let judge = hold(&self.shared.judge);
        let mut left = std::mem::take(&mut self.unwritten);
        left.extend(self.unanswered.iter().filter(|(number, _)| judge.is_asked(**number)).map(|(_, r)| r.clone()));
        drop(judge);
        for Reverse(due) in hold(&self.shared.heap).drain() {
            if let Out::Receipt(receipt) = due.what {
                left.push(receipt);
            }
        }
        let mut state = self.hub.lock();
        for receipt in left {
            let at = Instant::now();
            state.receipts.push(Reverse(Due { at, place: self.hub.place(), what: receipt }));
        }
    }
}
