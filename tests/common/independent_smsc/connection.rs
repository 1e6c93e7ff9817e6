//! The thread of a connection that reads, judges and decides.
use super::*;

pub(super) struct Connection<'a> {
    hub: &'a Arc<Hub>,
    shared: Arc<Shared>,
    stream: TcpStream,
    session: usize,
    submits: usize,
    reads: bool,
    next_enquire: Option<Instant>,
}

impl Connection<'_> {
    pub(super) fn run(hub: &Arc<Hub>, stream: TcpStream, session: usize) {
        let _ = stream.set_nodelay(true);
        let (is_over_limit, answer) = {
            let state = hub.lock();
            let binds = &hub.settings.binds;
            let nth = state.counts.binds.min(binds.len() - 1);
            (state.open > hub.settings.connections_max, binds[nth])
        };
        if answer == BindAnswer::CloseAtOnce {
            hub.lock().counts.binds += 1;
            hub.changed.notify_all();
            return;
        }
        let shared = Arc::new(Shared {
            judge: Mutex::new(Judge::new(hub.settings.rules.clone(), session)),
            heap: Mutex::new(BinaryHeap::new()),
            wake: Condvar::new(),
            ended: AtomicBool::new(false),
            receives: AtomicBool::new(false),
            cut_by_us: AtomicBool::new(false),
        });
        let writer = {
            let (hub, shared) = (Arc::clone(hub), Arc::clone(&shared));
            let stream = stream.try_clone().expect("a second handle");
            let writer = Writer {
                hub,
                shared,
                stream,
                next_number: 1,
                is_mute: false,
                unanswered: BTreeMap::new(),
                unwritten: Vec::new(),
            };
            std::thread::spawn(move || writer.run())
        };
        let mut connection = Connection {
            hub,
            shared: Arc::clone(&shared),
            stream,
            session,
            submits: 0,
            reads: true,
            next_enquire: None,
        };
        let unfinished = connection.read(is_over_limit);
        shared.ended.store(true, Ordering::SeqCst);
        shared.wake.notify_all();
        let _ = connection.stream.shutdown(Shutdown::Both);
        let _ = writer.join();
        let mut judge = hold(&shared.judge);
        let stopping = hub.stopping.load(Ordering::SeqCst);
        judge.ended(unfinished, stopping || shared.cut_by_us.load(Ordering::SeqCst));
        let mut state = hub.lock();
        if !judge.is_unbound() && !stopping && !shared.cut_by_us.load(Ordering::SeqCst) {
            state.counts.ended_rudely += 1;
        }
        state.outstanding_max = state.outstanding_max.max(judge.outstanding_max);
        state.violations.append(&mut judge.violations);
    }

    /// Reads until the end; how many octets of an unfinished PDU are left over.
    fn read(&mut self, is_over_limit: bool) -> usize {
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(5)));
        let mut octets = Vec::new();
        let mut chunk = vec![0; 256 * 1024];
        loop {
            if self.shared.ended.load(Ordering::SeqCst) || self.hub.stopping.load(Ordering::SeqCst) {
                return octets.len();
            }
            self.tick();
            if !self.reads {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return octets.len(),
                Ok(count) => octets.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => return octets.len(),
            }
            let now = Instant::now();
            let mut at = 0;
            loop {
                let next = hold(&self.shared.judge).frame_length(&octets[at..]);
                match next {
                    Ok(Some(length)) => {
                        let frame = octets[at..at + length].to_vec();
                        at += length;
                        let seen = hold(&self.shared.judge).pdu(&frame, now);
                        self.act(seen, now, is_over_limit);
                    }
                    Ok(None) => break,
                    Err(()) => {
                        self.push(now, Out::Raw(pdu(0x8000_0000, 2, 0, &[])));
                        self.push(now, Out::Close);
                        return 0;
                    }
                }
            }
            octets.drain(..at);
            self.hub.changed.notify_all();
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let is_bound = {
            let mut judge = hold(&self.shared.judge);
            judge.tick(now);
            judge.is_bound()
        };
        let Some(every) = self.hub.settings.enquire_every.filter(|_| is_bound) else { return };
        if self.next_enquire.is_none_or(|next| now >= next) {
            self.next_enquire = Some(now + every);
            self.push(now, Out::Request(0x15));
        }
    }

    fn push(&self, at: Instant, what: Out) {
        self.push_at_place(at, self.hub.place(), what);
    }

    fn push_at_place(&self, at: Instant, place: u64, what: Out) {
        hold(&self.shared.heap).push(Reverse(Due { at, place, what }));
        self.shared.wake.notify_all();
    }

    fn act(&mut self, seen: Seen, now: Instant, is_over_limit: bool) {
        match seen {
            Seen::Bind { command_id, sequence_number, .. } => {
                self.bind(command_id, sequence_number, is_over_limit, now);
            }
            Seen::Submit(submit) => self.submit(*submit, now),
            Seen::EnquireLink(sequence_number) => {
                self.hub.lock().counts.enquire_links += 1;
                if self.hub.settings.answers_enquire_link {
                    let octets = pdu(0x8000_0015, 0, sequence_number, &[]);
                    self.push(now, Out::Answer { sequence_number, octets, is_regular: true });
                }
            }
            Seen::Unbind(sequence_number) => {
                self.hub.lock().counts.unbinds += 1;
                self.shared.receives.store(false, Ordering::SeqCst);
                if self.hub.settings.answers_unbind {
                    let octets = pdu(0x8000_0006, 0, sequence_number, &[]);
                    self.push(now, Out::Answer { sequence_number, octets, is_regular: true });
                }
            }
            Seen::Answer(0x8000_0006, ..) => {
                self.hub.lock().counts.unbinds_answered += 1;
                self.shared.cut_by_us.store(true, Ordering::SeqCst);
                self.push(now, Out::Close);
            }
            Seen::Answer(id, status, _) if id != 0x8000_0015 => {
                let mut state = self.hub.lock();
                state.counts.delivers_answered += 1;
                state.counts.delivers_refused += usize::from(status != 0);
            }
            Seen::Answer(..) => {}
            Seen::Nack(_, sequence_number) => {
                self.hub.lock().counts.nacks += 1;
                if sequence_number == 0 {
                    hold(&self.shared.judge).client_gave_up();
                }
            }
            Seen::Unknown(_, sequence_number) => {
                let octets = pdu(0x8000_0000, 3, sequence_number, &[]);
                self.push(now, Out::Answer { sequence_number, octets, is_regular: true });
            }
        }
    }

    fn bind(&mut self, command_id: u32, sequence_number: u32, is_over_limit: bool, now: Instant) {
        let answer = {
            let mut state = self.hub.lock();
            let binds = &self.hub.settings.binds;
            let answer = binds[state.counts.binds.min(binds.len() - 1)];
            state.counts.binds += 1;
            let answer = if is_over_limit { BindAnswer::Refused(self.hub.settings.over_limit) } else { answer };
            let accepts = matches!(
                answer,
                BindAnswer::Accepted
                    | BindAnswer::OctetByOctet
                    | BindAnswer::GluedWithDeliver
                    | BindAnswer::WithoutVersion
            );
            state.counts.binds_accepted += usize::from(accepts);
            answer
        };
        self.hub.changed.notify_all();
        let id = command_id | 0x8000_0000;
        let mut body = b"independent\0".to_vec();
        if answer != BindAnswer::WithoutVersion {
            body.extend([0x02, 0x10, 0, 1, 0x34]);
        }
        let refusal = match answer {
            BindAnswer::Refused(status) => Some((status, pdu(id, status, sequence_number, &[]))),
            BindAnswer::RefusedWithBody(status) => Some((status, pdu(id, status, sequence_number, b"independent\0"))),
            BindAnswer::Nack => Some((3, pdu(0x8000_0000, 3, sequence_number, &[]))),
            BindAnswer::Silent => return,
            BindAnswer::Banner => {
                self.push(now, Out::Junk(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec()));
                return;
            }
            BindAnswer::CloseInstead | BindAnswer::CloseAtOnce => {
                self.shared.cut_by_us.store(true, Ordering::SeqCst);
                self.push(now, Out::Close);
                return;
            }
            _ => None,
        };
        if let Some((status, octets)) = refusal {
            self.push(now, Out::Bind { sequence_number, status, octets, octet_by_octet: false });
            return;
        }
        let octet_by_octet = answer == BindAnswer::OctetByOctet;
        let octets = pdu(id, 0, sequence_number, &body);
        if command_id == 2 {
            self.push(now, Out::Bind { sequence_number, status: 0, octets, octet_by_octet });
        } else {
            // A writer that finds both due at once has to write both at once.
            let glued = (answer == BindAnswer::GluedWithDeliver).then(|| inbound("glued to the bind"));
            let mut heap = hold(&self.shared.heap);
            let bind = Out::Bind { sequence_number, status: 0, octets, octet_by_octet };
            heap.push(Reverse(Due { at: now, place: self.hub.place(), what: bind }));
            if let Some(message) = glued {
                heap.push(Reverse(Due { at: now, place: self.hub.place(), what: Out::Receipt(message) }));
            }
            drop(heap);
            self.shared.receives.store(true, Ordering::SeqCst);
            self.shared.wake.notify_all();
        }
        self.happen(0, now);
    }

    /// The events of this moment.
    fn happen(&mut self, after: usize, now: Instant) {
        let events = self.hub.settings.events.iter();
        let due: Vec<Action> = events
            .filter(|event| (event.session == 0 || event.session == self.session) && event.after == after)
            .map(|event| event.action.clone())
            .collect();
        for action in due {
            match action {
                Action::Octets(octets) => self.push(now, Out::Raw(octets)),
                Action::Junk(octets) => self.push(now, Out::Junk(octets)),
                Action::Unbind => {
                    self.shared.receives.store(false, Ordering::SeqCst);
                    self.push(now, Out::Request(6));
                }
                Action::Close => self.push(now, Out::Close),
                Action::Reset => self.push(now, Out::Reset),
                Action::Mute => self.push(now, Out::Mute),
                Action::StopReading => self.reads = false,
                Action::Inbound(text) => self.push(now, Out::Receipt(inbound(&text))),
                Action::Request(id) => self.push(now, Out::Request(id)),
                Action::Nack(status) => self.push(now, Out::Raw(pdu(0x8000_0000, status, 0, &[]))),
                Action::EnquireLink => self.push(now, Out::Request(0x15)),
            }
        }
    }

    fn submit(&mut self, mut submit: Submit, now: Instant) {
        let settings = &self.hub.settings;
        self.submits += 1;
        let (index, number, random) = {
            let mut state = self.hub.lock();
            submit.nth = state.submits.len() + 1;
            let number = state.next_id;
            state.next_id += 1;
            state.submits.push(submit.clone());
            (state.submits.len() - 1, number, state.random())
        };
        let status = if self.is_throttled(now) { 0x58 } else { (settings.status)(&submit) };
        let fate = (settings.fate)(&submit);
        let id = (status == 0).then(|| form(settings.id, number, settings.seed));
        let octets = match (fate, &id) {
            (Fate::Nack(status), _) => pdu(0x8000_0000, status, submit.sequence_number, &[]),
            (_, Some(id)) => {
                let mut body = id.clone().into_bytes();
                body.push(0);
                if settings.unknown_tlvs {
                    body.extend([0x17, 0x77, 0, 3, 1, 2, 3, 0x30, 0x39, 0, 0]);
                }
                pdu(0x8000_0004, 0, submit.sequence_number, &body)
            }
            (_, None) => {
                let body: &[u8] = if settings.error_body { &[0] } else { &[] };
                pdu(0x8000_0004, status, submit.sequence_number, body)
            }
        };
        let status = if let Fate::Nack(status) = fate { status } else { status };
        let id = if matches!(fate, Fate::Nack(_)) { None } else { id };
        if matches!(settings.shape, Shape::Early | Shape::EarlyAndAgain) && id.is_some() {
            // Places are given in order: this one is before any of the answer's.
            self.receipt(&submit, number, now, true);
        }
        let (at, place) = self.moment(fate, now, random);
        let answer = Out::SubmitAnswer {
            index,
            status,
            message_id: id.clone(),
            octets,
            is_regular: settings.id != IdForm::Empty,
        };
        match fate {
            Fate::Silent | Fate::SilentWithReceipt => {}
            Fate::ResetBefore => {
                self.shared.cut_by_us.store(true, Ordering::SeqCst);
                self.push_at_place(now, 0, Out::Reset);
            }
            _ => self.push_at_place(at, place, answer),
        }
        let has_receipt = (id.is_some() && !matches!(fate, Fate::Silent | Fate::ResetBefore))
            || (status == 0 && fate == Fate::SilentWithReceipt);
        if has_receipt && settings.shape != Shape::Early {
            self.receipt(&submit, number, at, false);
        }
        if fate == Fate::CloseAfter {
            self.shared.cut_by_us.store(true, Ordering::SeqCst);
            self.push(at, Out::Close);
        }
        self.happen(self.submits, now);
    }

    /// When, and in which place among the others of that moment, an answer goes out.
    fn moment(&self, fate: Fate, now: Instant, random: u64) -> (Instant, u64) {
        let settings = &self.hub.settings;
        let mut at = now + settings.answer_delay;
        if let Fate::Late(delay) = fate {
            at += delay;
        }
        let place = self.hub.place();
        if settings.order == Order::AsTheyCame {
            return (at, place);
        }
        // What comes within the same 15 ms is answered together, in another order.
        let start = hold(&self.shared.judge).started();
        let step = Duration::from_millis(15);
        let steps = at.duration_since(start).as_nanos() / step.as_nanos() + 1;
        let at = start + step * u32::try_from(steps).unwrap_or(u32::MAX);
        let place = if settings.order == Order::Reversed { u64::MAX - place } else { random };
        (at, place)
    }

    fn is_throttled(&self, now: Instant) -> bool {
        let limit = self.hub.settings.rate_max;
        if limit == usize::MAX {
            return false;
        }
        let mut state = self.hub.lock();
        state.accepted.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if state.accepted.len() >= limit {
            return true;
        }
        state.accepted.push(now);
        false
    }

    /// Puts the receipts of a message on their way.
    fn receipt(&self, submit: &Submit, number: u64, at: Instant, is_early: bool) {
        let settings = &self.hub.settings;
        let outcome = (settings.outcome)(submit);
        let is_asked_for = match submit.registered_delivery & 3 {
            1 => true,
            2 => outcome != Outcome::Delivered,
            _ => false,
        };
        if settings.shape == Shape::None || outcome == Outcome::Lost || !is_asked_for {
            return;
        }
        let mut receipts = Vec::new();
        if settings.shape == Shape::IntermediateFirst {
            receipts.push(receipt_of(settings, submit, number, (1, "ENROUTE", "000")));
        }
        let last = receipt_of(settings, submit, number, outcome.state());
        if settings.shape == Shape::Duplicate {
            receipts.push(last.clone());
        }
        receipts.push(last);
        // Where answers are shuffled, a receipt of the same moment could overtake its answer.
        let shuffled = if settings.order == Order::AsTheyCame { 0 } else { 1 };
        let at = if is_early { at } else { at + Duration::from_millis(shuffled) };
        for receipt in receipts {
            if is_early || settings.receipt_delay.is_zero() {
                self.push(at, Out::Receipt(receipt));
            } else {
                let at = at + settings.receipt_delay;
                let due = Due { at, place: self.hub.place(), what: receipt };
                self.hub.lock().receipts.push(Reverse(due));
            }
        }
    }
}
