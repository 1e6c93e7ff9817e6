-- The journal of smppost: one SQLite file for one account.
--
-- Tables hold facts, appended and never rewritten (exceptions: the counts of a campaign, the state of a message whose
-- story is not the plain one, the end of a session, for which parts of its messages a campaign expects receipts, and the
-- text of an inbound part whose last character stands in the next part, too; and what is purged or forgotten). Views at the end are the public, stable part; tables may change
-- between versions.
--
-- Numbers that carry structure:
--   message.id   is the number of the message's first part: a message of three parts takes id, id+1 and id+2, and the next
--                message follows. A campaign is therefore a range of numbers, and so is an intent to send.
--   attempt      is (part << 12) | try, try counting from 0: all that is known of a message lies in one range of keys.
--   receipt.id   is (attempt << 8) | n, n counting from 0; a receipt that matched nothing when it came has a negative id.
--   serial       numbers the attempts in the order in which they may be written; the write mark is such a number.
-- Times are milliseconds since 1970, UTC. Views show ISO 8601.

PRAGMA application_id = 0x534D5050;
PRAGMA user_version = 2;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The names by which the account is known that the journal serves; how it goes by stands in meta.
CREATE TABLE account_name (
    name     TEXT PRIMARY KEY,                  -- as --account has it, or SYSTEM_ID at HOST, the host in small letters
    given    INTEGER NOT NULL CHECK (given IN (0, 1)),         -- 1: by --account
    source   INTEGER NOT NULL CHECK (source BETWEEN 1 AND 3),  -- 1 a run had it, 2 of its receiver, 3 --same-account
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE campaign (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    file           TEXT NOT NULL,
    digest         TEXT,                        -- SHA-256 of the file, in hex
    options        TEXT NOT NULL,               -- JSON: all that, with the file, decides what is sent
    source         TEXT NOT NULL DEFAULT '',    -- sender of the rows that name none
    first_id       INTEGER NOT NULL,            -- its messages are first_id <= id < end_id
    end_id         INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    imported_at    INTEGER,                     -- NULL: not whole (yet); hidden, and undone at the next start
    cancelled_at   INTEGER,
    duplicate_rows INTEGER NOT NULL DEFAULT 0,
    rejected_rows  INTEGER NOT NULL DEFAULT 0,
    header         TEXT,                        -- of the file, as it was written; NULL: an older program did not keep it
    room           INTEGER NOT NULL DEFAULT 0,  -- numbers from first_id on that are its own, to which messages are added one by one
    purged_at      INTEGER,                     -- its messages and all that was known of them are deleted; its totals are not
    pseudonymised_at INTEGER,                   -- its numbers are keyed hashes, its texts are deleted
    CHECK (first_id <= end_id)
) STRICT;
CREATE INDEX campaign_by_first_id ON campaign (first_id);

-- Fields and optional parameters that were added for the rest of a campaign: for all that is encoded from then on. The later
-- beat the earlier, and these the campaign's own; what a row has of its own beats all.
CREATE TABLE campaign_field (
    id          INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    fields      TEXT NOT NULL                   -- JSON, as the options have them
) STRICT;

-- What a campaign may cost at most, over all of its runs, from this moment on; the last one counts. What it has cost follows
-- from its claims.
CREATE TABLE budget (
    id          INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    max_cost    INTEGER,                        -- millionths of the currency; NULL: there is no limit any more
    currency    TEXT NOT NULL,
    prices      TEXT NOT NULL                   -- a line for each prefix: prefix, price of a part, currency
) STRICT;
CREATE INDEX budget_by_campaign ON budget (campaign_id);

-- The messages of a campaign by state, kept in the transaction that changes them.
CREATE TABLE campaign_count (
    campaign_id      INTEGER PRIMARY KEY REFERENCES campaign (id) ON DELETE CASCADE,
    messages         INTEGER NOT NULL DEFAULT 0,
    parts            INTEGER NOT NULL DEFAULT 0,
    queued           INTEGER NOT NULL DEFAULT 0 CHECK (queued >= 0),
    sending          INTEGER NOT NULL DEFAULT 0 CHECK (sending >= 0),
    accepted         INTEGER NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    delivered        INTEGER NOT NULL DEFAULT 0 CHECK (delivered >= 0),
    partly_delivered INTEGER NOT NULL DEFAULT 0 CHECK (partly_delivered >= 0),
    failed           INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    rejected         INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    in_doubt         INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt >= 0),
    cancelled        INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    suppressed       INTEGER NOT NULL DEFAULT 0 CHECK (suppressed >= 0),
    first_sent_at    INTEGER,
    last_sent_at     INTEGER
) STRICT;

CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    line        INTEGER NOT NULL,               -- line of the CSV file on which the row begins
    destination TEXT NOT NULL,                  -- digits, no plus sign
    source      TEXT,                           -- NULL: the campaign's
    text        TEXT NOT NULL,
    encoding    INTEGER NOT NULL,               -- 0 GSM 7-bit, 1 UCS2, 2 ASCII, 3 Latin-1, 4 octets (text: in hex),
                                                -- from 5 on GSM 7-bit with national language shift tables
    parts       INTEGER NOT NULL CHECK (parts BETWEEN 1 AND 255),
    fields      TEXT,                           -- JSON: submit_sm fields given in the row; NULL: none
    typed       TEXT                            -- the number as the file has it; NULL: as it travels, with or without +
) STRICT;

CREATE TABLE skipped_row (
    id          INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    line        INTEGER NOT NULL,
    duplicate   INTEGER NOT NULL CHECK (duplicate IN (0, 1)),
    reason      TEXT NOT NULL,
    row         TEXT NOT NULL
) STRICT;
CREATE INDEX skipped_row_by_campaign ON skipped_row (campaign_id);

-- Files whose rows were added to a campaign later. Their lines count on from last_line, and their messages are the last ones
-- that the campaign had then.
CREATE TABLE appended (
    id             INTEGER PRIMARY KEY,
    campaign_id    INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    file           TEXT NOT NULL,
    digest         TEXT NOT NULL,               -- SHA-256 of the file, in hex
    last_line      INTEGER NOT NULL,
    messages       INTEGER NOT NULL,
    parts          INTEGER NOT NULL,
    duplicate_rows INTEGER NOT NULL,
    rejected_rows  INTEGER NOT NULL
) STRICT;

-- Numbers that are never sent to, as they stand now. Who put a number there (source): 0 not known (an older program),
-- 1 the operator, 2 a file, 3 an opt-out word from its handset, 4 an opt-in word, 5 another journal of the account.
CREATE TABLE suppression (
    destination TEXT PRIMARY KEY,
    added_at    INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    source      INTEGER NOT NULL DEFAULT 0 CHECK (source BETWEEN 0 AND 5)
) STRICT, WITHOUT ROWID;

-- What happened to the list, written with every change of it. Running senders read on from the last that they saw.
CREATE TABLE suppression_event (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    destination TEXT NOT NULL,
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3), -- 1 added, 2 removed, 3 kept: an opt-in word removes it no more
    source      INTEGER NOT NULL CHECK (source BETWEEN 0 AND 5),
    reason      TEXT NOT NULL
) STRICT;

CREATE TABLE session (
    id           INTEGER PRIMARY KEY,
    opened_at    INTEGER NOT NULL,
    closed_at    INTEGER,                       -- NULL: open, or its process died
    boot_id      TEXT NOT NULL,                 -- the write mark is worth something only in the boot that wrote it
    first_serial INTEGER NOT NULL,              -- no earlier attempt is this session's
    peer         TEXT NOT NULL,
    system_id    TEXT NOT NULL,
    bind         TEXT NOT NULL,
    smpp_version TEXT NOT NULL,
    sends_reference INTEGER NOT NULL DEFAULT 0, -- its requests carry a user_message_reference: the part's low 16 bits
    reason       TEXT
) STRICT;

-- An intent: a run of parts, each given a sequence number, committed before any of them is written. Part first_part + k
-- has sequence number first_sequence_number + k and serial first_serial + k.
CREATE TABLE claim (
    first_serial          INTEGER PRIMARY KEY,
    try                   INTEGER NOT NULL,
    first_part            INTEGER NOT NULL,
    parts                 INTEGER NOT NULL CHECK (parts > 0),
    first_message         INTEGER NOT NULL,     -- the message of first_part
    session_id            INTEGER NOT NULL,
    first_sequence_number INTEGER NOT NULL CHECK (first_sequence_number BETWEEN 1 AND 2147483647),
    claimed_at            INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX claim_by_part ON claim (try, first_part);

-- The SMSC's answer to an attempt.
CREATE TABLE answer (
    attempt        INTEGER PRIMARY KEY,
    answered_at    INTEGER NOT NULL,
    answer_ms      INTEGER NOT NULL,            -- how long after the attempt was written
    command_status INTEGER NOT NULL,
    outcome        INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 2),  -- 0 accepted, 1 to retry, 2 rejected
    message_id     TEXT
) STRICT;
-- Those without an id, as a rule none: any receipt to their number may be theirs.
CREATE INDEX answer_without_id ON answer (attempt) WHERE outcome = 0 AND message_id IS NULL;

-- The optional parameters of an answer that has some, as they came, and what they say in words: the text in
-- additional_status_info_text, else, where the answer refuses, all of them.
CREATE TABLE answer_tlv (
    attempt INTEGER PRIMARY KEY,
    tlvs    BLOB NOT NULL,
    reason  TEXT
) STRICT;

-- What was found out or decided about an attempt other than by its answer. The newest one holds; an answer beats all.
CREATE TABLE verdict (
    id      INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 6),
            -- 1 in doubt, 2 not written, 3 resend, 4 assume sent, 5 abandon, 6 retry although rejected
    reason  TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_by_attempt ON verdict (attempt);

CREATE TABLE receipt (
    id          INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    state       INTEGER,                        -- SMPP's message_state; 100 failed, for SMSCs that say only that
    final       INTEGER NOT NULL CHECK (final IN (0, 1)),
    rule        INTEGER NOT NULL,               -- how it was matched: 0 not at all, 1 exact id, 2 equivalent id,
                                                -- 3 user_message_reference, 4 attempt in doubt, 5 the operator,
                                                -- 6 not at all, since several attempts fit, 7 it is no receipt: a
                                                -- query_sm was answered so, 8 exact id in the text, 9 equivalent id
                                                -- in the text, 10 exact id alone: it names another number, 11 not at
                                                -- all, since it names another number
    error       TEXT,
    message_id  TEXT,                           -- NULL: the same as in the answer
    source      TEXT,                           -- addresses of the receipt, where it matched nothing or none of them is
    destination TEXT,                           -- a number
    text        ANY,                            -- as received: TEXT where it is UTF-8, else BLOB
    tlvs        BLOB,                           -- optional parameters as received
    other_state INTEGER,                        -- where TLV and text differ in the state: what the one says that did not win
    text_id     TEXT                            -- the id in the text, where message_id is another one of the TLV
) STRICT;

-- A receipt matched after it was stored, or matched anew. The newest row of a receipt holds; attempt NULL takes it back.
CREATE TABLE receipt_match (
    id         INTEGER PRIMARY KEY,
    receipt_id INTEGER NOT NULL,
    attempt    INTEGER,
    rule       INTEGER NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX receipt_match_by_receipt ON receipt_match (receipt_id);
-- Those that several messages fit, or that were taken back, have none.
CREATE INDEX receipt_match_by_attempt ON receipt_match (attempt) WHERE attempt IS NOT NULL;

-- Receipts that were judged and may be judged otherwise yet: with an owner that was only inferred, or assigned by hand to an
-- attempt without an answer, or with none although several fit, or a late answer may bring their id. Those that wait to be
-- judged first are not here: their numbers are below the one in meta, and neither are those that have no owner for good.
CREATE TABLE stray (
    receipt INTEGER PRIMARY KEY
) STRICT;

-- Message ids of old parts by the keyed hash of their folded form, in sorted runs (the newer ones are in memory while
-- a sender runs). The keys of the hash and the part before which ids are here are in meta. Ids that came late, and runs of
-- older programs, are rows of spilled_id; other runs are chunks of up to 166 ids, of 24 octets each, little-endian: hash,
-- attempt with `plain` as its highest bit, exact, tag. A chunk's id is run << 24 | its place in the run.
CREATE TABLE spilled_id (
    run     INTEGER NOT NULL,                   -- 0: came after the run of its part was written
    hash    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    plain   INTEGER NOT NULL CHECK (plain IN (0, 1)),
    exact   INTEGER NOT NULL,                   -- 32 bits of the keyed hash of the id as it came
    tag     INTEGER NOT NULL,                   -- one more than the last digits of its number; 0: not looked up
    PRIMARY KEY (run, hash, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE spilled_run (
    run    INTEGER PRIMARY KEY,
    filter BLOB NOT NULL,                       -- a Bloom filter of its hashes
    ids    INTEGER NOT NULL DEFAULT 0           -- how many there are in chunks; 0: they are rows of spilled_id
) STRICT;

CREATE TABLE spilled_chunk (
    id  INTEGER PRIMARY KEY,
    ids BLOB NOT NULL
) STRICT;

-- The look-up by number: runs of messages sorted by a keyed hash of their numbers. No number stands in them, and each hit
-- counts only if the message itself agrees. A chunk has the number of its run and its place in it (run << 24 | n) as id,
-- and up to 500 entries of 8 octets, little-endian: 40 bits of hash, and the message's distance from first_id. A chunk whose
-- run has no row is left over. The key of the hash is in meta.
CREATE TABLE number_run (
    run      INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,                  -- it covers the ids first_id <= id < end_id
    end_id   INTEGER NOT NULL,
    entries  INTEGER NOT NULL,
    CHECK (first_id <= end_id)
) STRICT;

CREATE TABLE number_chunk (
    id      INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
) STRICT;

-- query_sm, cancel_sm and replace_sm: what was asked about a part that the SMSC has. Committed before it is written, so
-- that one without an answer may have been done or not.
CREATE TABLE operation (
    id         INTEGER PRIMARY KEY,
    attempt    INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('query_sm', 'cancel_sm', 'replace_sm')),
    message_id TEXT NOT NULL,
    text       TEXT,                            -- of a replace_sm: the new one
    asked_at   INTEGER NOT NULL,
    command    INTEGER                          -- of a service: which command it is asked for
) STRICT;
CREATE INDEX operation_by_attempt ON operation (attempt);

CREATE TABLE operation_answer (
    operation      INTEGER PRIMARY KEY,
    answered_at    INTEGER NOT NULL,
    command_status INTEGER NOT NULL,
    state          INTEGER,                     -- of a query: message_state, as it came
    final_date     TEXT,                        -- and when the message came to its end, as SMPP writes times
    error_code     INTEGER
) STRICT;

-- Messages from handsets, and receipts that could not be read.
CREATE TABLE inbound (
    id          INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    session_id  INTEGER NOT NULL,
    source      TEXT NOT NULL,
    destination TEXT NOT NULL,
    esm_class   INTEGER NOT NULL,
    data_coding INTEGER NOT NULL,
    text        TEXT NOT NULL,                  -- decoded
    pdu         BLOB NOT NULL,                  -- the whole PDU as received
    first_id    INTEGER,                        -- of a part of a long message: which part of it came first
    reference   INTEGER,                        -- and its place in that message
    parts       INTEGER,
    part        INTEGER
) STRICT;
CREATE INDEX inbound_by_reference ON inbound (source, reference) WHERE reference IS NOT NULL;

-- The state of messages whose story is not the plain one (one part, one attempt, one final receipt). The plain ones
-- are read off their facts by message_status.
CREATE TABLE message_state (
    message            INTEGER PRIMARY KEY,
    state              INTEGER NOT NULL,
    possible_duplicate INTEGER NOT NULL DEFAULT 0 CHECK (possible_duplicate IN (0, 1))
) STRICT;

-- Decisions taken while a sender may be running; it honours them at its next claim.
CREATE TABLE control (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('cancel', 'resend', 'assume-sent', 'abandon', 'retry-rejected',
                                              'receipts-for', 'assign', 'retry-failed', 'uncancel')),
    detail      TEXT,                           -- JSON: which lines, which command_status, which parts
    applied_at  INTEGER
) STRICT;

-- Messages that were cancelled one by one, and those that a campaign's cancellation had left half sent and that stay so.
CREATE TABLE cancelled_message (
    message  INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    again_at INTEGER                            -- when that was taken back
) STRICT;

-- How campaigns were sent: a row for each run that bound or tried to.
CREATE TABLE run (
    id          INTEGER PRIMARY KEY,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,                        -- NULL: it goes on, or its process died
    account     TEXT NOT NULL,
    host        TEXT NOT NULL,
    port        INTEGER NOT NULL,
    tls         INTEGER NOT NULL CHECK (tls IN (0, 1)),
    bind        TEXT NOT NULL,
    connections INTEGER NOT NULL,
    window      INTEGER NOT NULL,
    rate        TEXT NOT NULL                   -- parts a second, or unlimited
) STRICT;

CREATE TABLE run_campaign (
    campaign_id INTEGER NOT NULL,
    run_id      INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, run_id)
) STRICT, WITHOUT ROWID;

-- By which rules a campaign goes on. The newest canary holds until it is followed by 2 or 4; a 3 until it is followed by 4.
CREATE TABLE restraint (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    campaign_id INTEGER NOT NULL,
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 4),
                -- 1 the first messages go before the others, 2 the others follow, 3 stopped, 4 to go on all the same
    rule        TEXT NOT NULL,                  -- as typed
    end_id      INTEGER,                        -- of a canary: its messages have lower numbers
    words       TEXT NOT NULL
) STRICT;
CREATE INDEX restraint_by_campaign ON restraint (campaign_id);

-- What commands ask of a running service (`smppost run`), one row each, written in one statement. The service answers in the
-- row, in the transaction of what it brings about. The same key again is the same command, and does nothing twice.
CREATE TABLE command (
    id           INTEGER PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,          -- the command's own name for it
    what         TEXT NOT NULL,                 -- release, gathered, status; query, replace, cancel: at the SMSC
    who          TEXT NOT NULL,                 -- user and process, for people
    at           INTEGER NOT NULL,
    options      TEXT NOT NULL,                 -- JSON
    withdrawn_at INTEGER,                       -- whoever wrote it gave up waiting: nothing comes of it
    answered_at  INTEGER,                       -- NULL: no service has taken it yet
    answer       TEXT,                          -- JSON
    accepted_at  INTEGER,                       -- of what takes its time: the service does it, and will answer
    progress     TEXT                           -- JSON: how far it is
) STRICT;
CREATE INDEX command_waiting ON command (id) WHERE answered_at IS NULL AND withdrawn_at IS NULL;
CREATE INDEX command_ended ON command (coalesce(answered_at, withdrawn_at));

-- What came of the parts that a command asks the SMSC about, a page of them in each row, for whoever waits for it.
CREATE TABLE command_result (
    id      INTEGER PRIMARY KEY,
    command INTEGER NOT NULL,
    results TEXT NOT NULL                       -- JSON: message, line, part, attempt, operation, and why not
) STRICT;
CREATE INDEX command_result_by_command ON command_result (command, id);

-- Which campaigns a service sends. The order of release is that of the numbers of the newest `released`; `released` also
-- lifts a pause. One that has no row is not sent by a service.
CREATE TABLE release (
    id          INTEGER PRIMARY KEY,
    campaign_id INTEGER,                        -- NULL: all sending (paused and resumed only)
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('released', 'paused', 'resumed', 'held')),
                -- held: the service itself has stopped sending it, until it is released anew
    reason      TEXT NOT NULL,
    who         TEXT NOT NULL,
    end_id      INTEGER,                        -- of released: its messages from here on are not; NULL: also what is added later
    terms       TEXT NOT NULL DEFAULT '{}',     -- of released: JSON, the options of its run
    CHECK (campaign_id IS NOT NULL OR kind IN ('paused', 'resumed'))
) STRICT;
CREATE INDEX release_by_campaign ON release (campaign_id);

-- Messages that were sent one by one with a name of their own (`send --to … --id KEY`): the same name to the same number is not
-- sent again. Kept when the message is purged.
CREATE TABLE alert (
    name    BLOB PRIMARY KEY,                   -- a keyed hash of KEY and number, 16 octets
    at      INTEGER NOT NULL,
    message INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How a campaign shares the account with others that are sent with it: its last row counts. One without a row is of the class
-- normal, and has no rate of its own.
CREATE TABLE share (
    id          INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    priority    INTEGER NOT NULL CHECK (priority BETWEEN 1 AND 3),  -- 1 urgent, 2 normal, 3 bulk
    rate        REAL                            -- parts a second at most; NULL: as many as the account
) STRICT;
CREATE INDEX share_by_campaign ON share (campaign_id);

-- When a campaign may be sent: its last row counts. One without a row may be sent at any time.
CREATE TABLE campaign_hours (
    id          INTEGER PRIMARY KEY,
    campaign_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    hours       TEXT NOT NULL                   -- JSON: hours, days, time zone, first and last moment; {}: any time
) STRICT;
CREATE INDEX campaign_hours_by_campaign ON campaign_hours (campaign_id);

-- When the operator declared a copy of a journal, or an older state of it, the one that is sent from.
CREATE TABLE adoption (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    code     TEXT NOT NULL,                     -- as it was typed
    file     TEXT NOT NULL,                     -- which file it is since
    queued   TEXT NOT NULL CHECK (queued IN ('InDoubt', 'NothingSent', 'LastState')),
    in_doubt INTEGER NOT NULL                   -- messages that are in doubt for it
) STRICT;

-- What stays of a campaign that was purged, besides its row and its counts: what its report told.
CREATE TABLE kept_report (
    campaign_id INTEGER PRIMARY KEY,
    report      TEXT NOT NULL                   -- JSON: numbers alone
) STRICT;

CREATE TABLE kept_status (
    campaign_id    INTEGER NOT NULL,
    command_status INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, command_status)
) STRICT, WITHOUT ROWID;

CREATE TABLE kept_minute (
    campaign_id INTEGER NOT NULL,
    minute      INTEGER NOT NULL,               -- since 1970
    submitted   INTEGER NOT NULL,
    accepted    INTEGER NOT NULL,
    delivered   INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, minute)
) STRICT, WITHOUT ROWID;

-- That something was deleted, and when: never what it was.
CREATE TABLE forgetting (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    kind   INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),  -- 1 purged, 2 pseudonymised, 3 a number forgotten
    up_to  INTEGER NOT NULL,                    -- facts of this moment and before it may be gone
    what   TEXT NOT NULL                        -- how much, in words
) STRICT;

CREATE TABLE state (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO state (id, name) VALUES
    (0, 'queued'), (1, 'sending'), (2, 'accepted'), (3, 'delivered'), (4, 'partly_delivered'), (5, 'failed'),
    (6, 'rejected'), (7, 'in_doubt'), (8, 'cancelled'), (9, 'suppressed');

CREATE TABLE status_name (
    command_status INTEGER PRIMARY KEY,
    name           TEXT NOT NULL
) STRICT;

-- The names of optional parameters, the specification's and those of the account's profile.
CREATE TABLE tlv_name (
    tag  TEXT PRIMARY KEY,                      -- as in 0x1403
    name TEXT NOT NULL,
    kind INTEGER NOT NULL                       -- how its value reads: 0 as it looks, 1 a number, 2 a network type and an
                                                -- error code, 3 a text of which only the length is told
) STRICT, WITHOUT ROWID;

-- What the errors of receipts mean at this account's SMSC, by its profile. Codes in capitals without leading zeros.
CREATE TABLE error_name (
    code    TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The octets, by their two hexadecimal digits.
CREATE TABLE octet (
    h TEXT PRIMARY KEY,
    v INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO octet (h, v)
    WITH RECURSIVE up (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM up WHERE n < 255) SELECT printf('%02X', n), n FROM up;

CREATE TABLE part_number (
    n INTEGER PRIMARY KEY
) STRICT;
INSERT INTO part_number (n)
    WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 255) SELECT n FROM up;

-- Public views -------------------------------------------------------------------------------------------------------

CREATE VIEW campaign_summary AS
SELECT c.name AS campaign, n.messages, n.parts,
       n.queued, n.sending, n.accepted, n.delivered, n.partly_delivered, n.failed, n.rejected, n.in_doubt, n.cancelled,
       n.suppressed, c.duplicate_rows, c.rejected_rows,
       strftime('%Y-%m-%dT%H:%M:%fZ', n.first_sent_at / 1000.0, 'unixepoch') AS first_sent_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', n.last_sent_at / 1000.0, 'unixepoch') AS last_sent_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', c.purged_at / 1000.0, 'unixepoch') AS purged_at
  FROM campaign c JOIN campaign_count n ON n.campaign_id = c.id
 WHERE c.imported_at IS NOT NULL
 ORDER BY c.id;

-- One row a message, with its state as a number and its times in milliseconds: what message_status and
-- delivery_latency are made of.
CREATE VIEW message_fact AS
SELECT c.id AS campaign_id, c.name AS campaign, m.id AS message, m.line, m.destination,
       coalesce(m.source, c.source) AS source, m.text, m.encoding, m.parts, m.typed,
       c.imported_at AS queued_at,
       -- The first write; of a first part that was never answered only the claim is known.
       CASE WHEN EXISTS (SELECT 1 FROM answer a WHERE a.attempt = (m.id << 12)) THEN
           (SELECT min(a.answered_at - a.answer_ms) FROM answer a
             WHERE a.attempt >= (m.id << 12) AND a.attempt < ((m.id + m.parts) << 12))
       WHEN EXISTS (SELECT 1 FROM verdict v WHERE v.attempt = (m.id << 12) AND v.kind = 2) THEN
           -- It was claimed and not written: of each part the first try counts, and each that follows one not written,
           -- unless it was not written either.
           (SELECT min(coalesce(
                       (SELECT a.answered_at - a.answer_ms FROM answer a WHERE a.attempt = w.attempt),
                       CASE WHEN NOT EXISTS (SELECT 1 FROM verdict v WHERE v.attempt = w.attempt AND v.kind = 2) THEN
                           (SELECT CASE WHEN k.first_part + k.parts > (w.attempt >> 12) THEN k.claimed_at END FROM claim k
                             WHERE k.try = (w.attempt & 4095) AND k.first_part <= (w.attempt >> 12)
                             ORDER BY k.first_part DESC LIMIT 1)
                       END))
              FROM (SELECT (m.id + p.n - 1) << 12 AS attempt FROM part_number p WHERE p.n <= m.parts
                    UNION ALL
                    SELECT v.attempt + 1 FROM verdict v
                     WHERE v.attempt >= (m.id << 12) AND v.attempt < ((m.id + m.parts) << 12) AND v.kind = 2) w)
       ELSE
           (SELECT CASE WHEN k.first_part + k.parts > m.id THEN
                       min(k.claimed_at,
                           coalesce((SELECT min(a.answered_at - a.answer_ms) FROM answer a
                                      WHERE a.attempt >= (m.id << 12) AND a.attempt < ((m.id + m.parts) << 12)),
                                    k.claimed_at)) END
              FROM claim k
             WHERE k.try = 0 AND k.first_part <= m.id ORDER BY k.first_part DESC LIMIT 1)
       END AS sent_at,
       (SELECT max(a.answered_at) FROM answer a
         WHERE a.attempt >= (m.id << 12) AND a.attempt < ((m.id + m.parts) << 12)) AS answered_at,
       coalesce(
           s.state,
           (SELECT CASE r.state WHEN 2 THEN 3 ELSE 5 END FROM receipt r WHERE r.id = (m.id << 20) AND r.final = 1),
           (SELECT CASE a.outcome WHEN 0 THEN 2 ELSE 6 END FROM answer a WHERE a.attempt = (m.id << 12)),
           (SELECT CASE WHEN k.first_part + k.parts > m.id THEN 1 END FROM claim k
             WHERE k.try = 0 AND k.first_part <= m.id ORDER BY k.first_part DESC LIMIT 1),
           CASE WHEN c.cancelled_at IS NOT NULL THEN 8 ELSE 0 END) AS state,
       coalesce(s.possible_duplicate, 0) AS possible_duplicate
  FROM campaign c
  JOIN message m ON m.id >= c.first_id AND m.id < c.end_id
  LEFT JOIN message_state s ON s.message = m.id
 WHERE c.imported_at IS NOT NULL;

-- Every receipt with the attempt that it belongs to (NULL: none).
CREATE VIEW receipt_fact AS
SELECT r.id, r.received_at, r.state, r.final, r.error, r.text, r.tlvs, r.message_id, r.source, r.destination, r.other_state,
       CASE WHEN x.id IS NOT NULL THEN x.attempt WHEN r.id >= 0 THEN r.id >> 8 END AS attempt,
       CASE WHEN x.id IS NOT NULL THEN x.rule ELSE r.rule END AS rule
  FROM receipt r
  LEFT JOIN receipt_match x ON x.id = (SELECT max(y.id) FROM receipt_match y WHERE y.receipt_id = r.id);

CREATE VIEW message_status AS
SELECT f.campaign, f.line, f.destination, f.source, f.text,
       CASE f.encoding WHEN 0 THEN 'gsm7' WHEN 1 THEN 'ucs2' WHEN 2 THEN 'ascii' WHEN 3 THEN 'latin1'
            WHEN 4 THEN 'octets' WHEN 5 THEN 'gsm7-tr' WHEN 6 THEN 'gsm7-es' WHEN 7 THEN 'gsm7-pt' WHEN 8 THEN 'gsm7-tr-locking' WHEN 9 THEN 'gsm7-pt-locking' WHEN 10 THEN 'gsm7-tr-both' WHEN 11 THEN 'gsm7-pt-both'
            ELSE f.encoding END AS encoding, f.parts,
       t.name AS state,
       (SELECT a.command_status FROM answer a
         WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12)
           -- The last one of each part: what was tried again does not count any more.
           AND NOT EXISTS (SELECT 1 FROM answer b
                            WHERE b.attempt > a.attempt AND b.attempt < ((a.attempt >> 12) + 1) << 12)
         ORDER BY a.outcome = 2 DESC, a.answered_at DESC, a.attempt DESC LIMIT 1) AS command_status,
       -- Those of the answers, then those that only a receipt told.
       (SELECT group_concat(i.message_id, ' ') FROM (
           SELECT 0, a.attempt, a.message_id FROM answer a
            WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12) AND a.outcome = 0
           UNION
           SELECT 1, r.id >> 8, r.message_id FROM receipt r
            WHERE r.id >= (f.message << 20) AND r.id < ((f.message + f.parts) << 20) AND r.message_id <> ''
              AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
              AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.attempt = r.id >> 8)
           UNION
           SELECT 1, x.attempt, r.message_id FROM receipt_match x JOIN receipt r ON r.id = x.receipt_id
            WHERE x.attempt >= (f.message << 12) AND x.attempt < ((f.message + f.parts) << 12) AND r.message_id <> ''
              AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)
              AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.attempt = x.attempt)
           ORDER BY 1, 2, 3) i) AS message_ids,
       CASE f.state
           WHEN 3 THEN NULL
           WHEN 6 THEN (SELECT coalesce(n.name, 'status ' || a.command_status)
                          FROM answer a LEFT JOIN status_name n ON n.command_status = a.command_status
                         WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12)
                           AND a.outcome = 2 ORDER BY a.attempt DESC LIMIT 1)
           WHEN 7 THEN (SELECT v.reason FROM verdict v
                         WHERE v.attempt >= (f.message << 12) AND v.attempt < ((f.message + f.parts) << 12) AND v.kind = 1
                         ORDER BY v.id DESC LIMIT 1)
               || coalesce((SELECT '; another try or part was rejected: ' || coalesce(n.name, 'status ' || a.command_status)
                              FROM answer a LEFT JOIN status_name n ON n.command_status = a.command_status
                             WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12)
                               AND a.outcome = 2 ORDER BY a.attempt DESC LIMIT 1), '')
           ELSE coalesce(
               (SELECT r.error FROM receipt r
                 WHERE r.id >= (f.message << 20) AND r.id < ((f.message + f.parts) << 20) AND r.final = 1
                   AND r.state <> 2 AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
                 ORDER BY r.id DESC LIMIT 1),
               (SELECT r.error FROM receipt_match x JOIN receipt_fact r ON r.id = x.receipt_id
                 WHERE x.attempt >= (f.message << 12) AND x.attempt < ((f.message + f.parts) << 12)
                   AND r.attempt = x.attempt AND r.final = 1 AND r.state <> 2 ORDER BY x.id DESC LIMIT 1),
               (SELECT v.reason FROM verdict v
                 WHERE v.attempt >= (f.message << 12) AND v.attempt < ((f.message + f.parts) << 12) AND f.state = 5
                   AND v.kind = 5
                 ORDER BY v.id DESC LIMIT 1),
               -- A part that was rejected, and not taken later.
               (SELECT coalesce(n.name, 'status ' || a.command_status)
                  FROM answer a LEFT JOIN status_name n ON n.command_status = a.command_status
                 WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12) AND f.state IN (2, 4, 5)
                   AND a.outcome = 2
                   AND NOT EXISTS (SELECT 1 FROM answer b
                                    WHERE b.attempt > a.attempt AND b.attempt < ((a.attempt >> 12) + 1) << 12)
                 ORDER BY a.attempt DESC LIMIT 1),
               -- Some parts were taken, no receipt says more, and nothing was refused or given up.
               CASE WHEN f.state = 5 AND f.parts > 1
                     AND NOT EXISTS (SELECT 1 FROM receipt r
                                      WHERE r.id >= (f.message << 20) AND r.id < ((f.message + f.parts) << 20) AND r.final = 1
                                        AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id))
                     AND NOT EXISTS (SELECT 1 FROM receipt_match x JOIN receipt_fact r ON r.id = x.receipt_id
                                      WHERE x.attempt >= (f.message << 12) AND x.attempt < ((f.message + f.parts) << 12)
                                        AND r.attempt = x.attempt AND r.final = 1)
                    THEN 'cancelled before all of its parts were sent' END)
       END AS error,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.queued_at / 1000.0, 'unixepoch') AS queued_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.sent_at / 1000.0, 'unixepoch') AS sent_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.answered_at / 1000.0, 'unixepoch') AS answered_at,
       CASE WHEN f.state IN (3, 4, 5) THEN
           strftime('%Y-%m-%dT%H:%M:%fZ', nullif(max(
               coalesce(nullif(max(
                   coalesce((SELECT max(r.received_at) FROM receipt r
                              WHERE r.id >= (f.message << 20) AND r.id < ((f.message + f.parts) << 20) AND r.final = 1
                                AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)), 0),
                   coalesce((SELECT max(r.received_at) FROM receipt_match x JOIN receipt_fact r ON r.id = x.receipt_id
                              WHERE x.attempt >= (f.message << 12) AND x.attempt < ((f.message + f.parts) << 12)
                                AND r.attempt = x.attempt AND r.final = 1), 0)), 0), f.answered_at, 0),
               coalesce((SELECT max(v.at) FROM verdict v
                          WHERE v.attempt >= (f.message << 12) AND v.attempt < ((f.message + f.parts) << 12)
                            AND v.kind = 5 AND f.state = 5), 0)), 0) / 1000.0, 'unixepoch')
            WHEN f.state = 6 THEN strftime('%Y-%m-%dT%H:%M:%fZ', f.answered_at / 1000.0, 'unixepoch')
       END AS done_at,
       -- It may have arrived twice: more than one try of a part was taken or never answered, or one was that had been
       -- given up.
       f.possible_duplicate,
       -- Of what failed, what the profile says of the error; else what the SMSC said beside the status.
       coalesce(
           CASE WHEN f.state IN (4, 5) THEN (
               SELECT g.meaning FROM error_name g JOIN (SELECT coalesce(
                   (SELECT r.error FROM receipt r
                     WHERE r.id >= (f.message << 20) AND r.id < ((f.message + f.parts) << 20) AND r.final = 1
                       AND r.state <> 2 AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
                     ORDER BY r.id DESC LIMIT 1),
                   (SELECT r.error FROM receipt_match x JOIN receipt_fact r ON r.id = x.receipt_id
                     WHERE x.attempt >= (f.message << 12) AND x.attempt < ((f.message + f.parts) << 12)
                       AND r.attempt = x.attempt AND r.final = 1 AND r.state <> 2 ORDER BY x.id DESC LIMIT 1)) AS error) e
                WHERE g.code = CASE WHEN ltrim(replace(e.error, rtrim(e.error, replace(e.error, ' ', '')), ''), '0') = '' THEN '0' ELSE ltrim(upper(replace(e.error, rtrim(e.error, replace(e.error, ' ', '')), '')), '0') END) END,
           (SELECT y.reason FROM answer a JOIN answer_tlv y ON y.attempt = a.attempt
             WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12)
               AND NOT EXISTS (SELECT 1 FROM answer b
                                WHERE b.attempt > a.attempt AND b.attempt < ((a.attempt >> 12) + 1) << 12)
             ORDER BY a.outcome = 2 DESC, a.answered_at DESC, a.attempt DESC LIMIT 1)) AS reason,
       -- Where that is more than digits behind a plus sign.
       f.typed AS number_in_file
  FROM message_fact f JOIN state t ON t.id = f.state;

CREATE VIEW attempt_log AS
SELECT c.name AS campaign, m.line, p.n AS part, k.try + 1 AS attempt, k.session_id,
       k.first_sequence_number + (m.id + p.n - 1 - k.first_part) AS sequence_number,
       strftime('%Y-%m-%dT%H:%M:%fZ', k.claimed_at / 1000.0, 'unixepoch') AS claimed_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.answered_at / 1000.0, 'unixepoch') AS answered_at,
       CASE WHEN a.outcome = 0 THEN 'accepted' WHEN a.outcome = 1 THEN 'to retry' WHEN a.outcome = 2 THEN 'rejected'
            ELSE coalesce((SELECT CASE v.kind WHEN 1 THEN 'in doubt' WHEN 2 THEN 'not written' WHEN 3 THEN 'in doubt, resent'
                                              WHEN 4 THEN 'in doubt, assumed sent' WHEN 5 THEN 'in doubt, abandoned' END
                             FROM verdict v WHERE v.attempt = (((m.id + p.n - 1) << 12) | k.try)
                            ORDER BY v.id DESC LIMIT 1), 'claimed')
       END AS state,
       a.command_status, a.message_id, x.reason,
       (WITH RECURSIVE cut (n, at, size) AS (
           SELECT 1, 1, ((SELECT v FROM octet WHERE h = hex(substr(x.tlvs, 1 + 2, 1))) << 8 | (SELECT v FROM octet WHERE h = hex(substr(x.tlvs, 1 + 3, 1))))
            WHERE length(x.tlvs) >= 4
           UNION ALL
           SELECT n + 1, at + 4 + size,
                  ((SELECT v FROM octet WHERE h = hex(substr(x.tlvs, at + 4 + size + 2, 1))) << 8 | (SELECT v FROM octet WHERE h = hex(substr(x.tlvs, at + 4 + size + 3, 1))))
             FROM cut WHERE n < 64 AND length(x.tlvs) >= at + size + 7),
       held AS (
           SELECT '0x' || hex(substr(x.tlvs, c.at, 2)) AS tag, c.size, substr(x.tlvs, c.at + 4, c.size) AS v,
                  substr(x.tlvs, c.at + 4, c.size - (substr(x.tlvs, c.at + 3 + c.size, 1) = x'00' AND c.size > 0)) AS w
             FROM cut c WHERE c.at + c.size + 3 <= length(x.tlvs)),
       read AS (
           SELECT h.*, k.name, k.kind, instr(h.w, x'00') = 0 AND CAST(h.w AS TEXT) NOT GLOB '*[^ -~]*' AS is_text
             FROM held h LEFT JOIN tlv_name k ON k.tag = h.tag)
       SELECT group_concat(q.tag || coalesce(' ' || q.name, '') || '=' ||
              CASE
                  WHEN q.kind = 3 THEN q.size || ' octets'
                  WHEN q.kind = 2 AND q.size = 3 THEN
                      CASE hex(substr(q.v, 1, 1)) WHEN '01' THEN 'ANSI-136 ' WHEN '02' THEN 'IS-95 ' WHEN '03' THEN 'GSM '
                           ELSE (SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 1, 1))) || ' ' END
                      || ((SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 2, 1))) << 8
                          | (SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 3, 1))))
                  WHEN q.size = 1 OR q.size IN (2, 4) AND (q.kind = 1 OR NOT q.is_text) THEN
                      (SELECT sum(o.v << 8 * (q.size - i.n)) FROM part_number i JOIN octet o ON o.h = hex(substr(q.v, i.n, 1))
                        WHERE i.n <= q.size)
                  WHEN q.is_text THEN CAST(q.w AS TEXT)
                  ELSE '0x' || lower(hex(q.v)) END, '; ') FROM read q) AS tlvs
  FROM claim k
  JOIN message m ON m.id >= k.first_message AND m.id < k.first_part + k.parts
  JOIN part_number p ON p.n <= m.parts
                    AND m.id + p.n - 1 >= k.first_part AND m.id + p.n - 1 < k.first_part + k.parts
  JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                              ORDER BY d.first_id DESC LIMIT 1)
  LEFT JOIN answer a ON a.attempt = (((m.id + p.n - 1) << 12) | k.try)
  LEFT JOIN answer_tlv x ON x.attempt = (((m.id + p.n - 1) << 12) | k.try);

CREATE VIEW run_log AS
SELECT c.name AS campaign,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', r.ended_at / 1000.0, 'unixepoch') AS ended_at,
       r.account, r.host, r.port, r.tls, r.bind, r.connections, r.window, r.rate
  FROM run_campaign x
  JOIN run r ON r.id = x.run_id
  JOIN campaign c ON c.id = x.campaign_id
 WHERE c.imported_at IS NOT NULL
 ORDER BY r.id;

-- receipt is its number, as `resolve --receipt` takes it. source and destination are the receipt's own, kept where it
-- matched nothing when it came. other_state is what its text says, or its TLV message_state, where that is another state.
CREATE VIEW receipt_log AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', r.received_at / 1000.0, 'unixepoch') AS received_at,
       coalesce(r.message_id, a.message_id, (SELECT b.message_id FROM answer b WHERE b.attempt = r.id >> 8)) AS message_id,
       CASE r.state WHEN 0 THEN 'SCHEDULED' WHEN 1 THEN 'ENROUTE' WHEN 2 THEN 'DELIVERED' WHEN 3 THEN 'EXPIRED'
                    WHEN 4 THEN 'DELETED' WHEN 5 THEN 'UNDELIVERABLE' WHEN 6 THEN 'ACCEPTED' WHEN 7 THEN 'UNKNOWN'
                    WHEN 8 THEN 'REJECTED' WHEN 9 THEN 'SKIPPED' WHEN 100 THEN 'FAILED' ELSE r.state END AS state,
       r.error,
       CASE r.rule WHEN 0 THEN 'unmatched' WHEN 1 THEN 'exact id' WHEN 2 THEN 'equivalent id'
                   WHEN 3 THEN 'user_message_reference' WHEN 4 THEN 'attempt in doubt' WHEN 5 THEN 'operator'
                   WHEN 6 THEN 'ambiguous' WHEN 7 THEN 'query_sm' WHEN 8 THEN 'exact id in text'
                   WHEN 9 THEN 'equivalent id in text' WHEN 10 THEN 'exact id alone' WHEN 11 THEN 'other number' END AS rule,
       c.name AS campaign, m.line, (r.attempt >> 12) - m.id + 1 AS part,
       r.text, r.id AS receipt, r.source, r.destination,
       CASE r.other_state WHEN 0 THEN 'SCHEDULED' WHEN 1 THEN 'ENROUTE' WHEN 2 THEN 'DELIVERED' WHEN 3 THEN 'EXPIRED'
                    WHEN 4 THEN 'DELETED' WHEN 5 THEN 'UNDELIVERABLE' WHEN 6 THEN 'ACCEPTED' WHEN 7 THEN 'UNKNOWN'
                    WHEN 8 THEN 'REJECTED' WHEN 9 THEN 'SKIPPED' WHEN 100 THEN 'FAILED' END AS other_state,
       -- The last word of the error is the code.
       (SELECT g.meaning FROM error_name g
         WHERE g.code = CASE WHEN ltrim(replace(r.error, rtrim(r.error, replace(r.error, ' ', '')), ''), '0') = '' THEN '0' ELSE ltrim(upper(replace(r.error, rtrim(r.error, replace(r.error, ' ', '')), '')), '0') END) AS meaning,
       (WITH RECURSIVE cut (n, at, size) AS (
           SELECT 1, 1, ((SELECT v FROM octet WHERE h = hex(substr(r.tlvs, 1 + 2, 1))) << 8 | (SELECT v FROM octet WHERE h = hex(substr(r.tlvs, 1 + 3, 1))))
            WHERE length(r.tlvs) >= 4
           UNION ALL
           SELECT n + 1, at + 4 + size,
                  ((SELECT v FROM octet WHERE h = hex(substr(r.tlvs, at + 4 + size + 2, 1))) << 8 | (SELECT v FROM octet WHERE h = hex(substr(r.tlvs, at + 4 + size + 3, 1))))
             FROM cut WHERE n < 64 AND length(r.tlvs) >= at + size + 7),
       held AS (
           SELECT '0x' || hex(substr(r.tlvs, c.at, 2)) AS tag, c.size, substr(r.tlvs, c.at + 4, c.size) AS v,
                  substr(r.tlvs, c.at + 4, c.size - (substr(r.tlvs, c.at + 3 + c.size, 1) = x'00' AND c.size > 0)) AS w
             FROM cut c WHERE c.at + c.size + 3 <= length(r.tlvs)),
       read AS (
           SELECT h.*, k.name, k.kind, instr(h.w, x'00') = 0 AND CAST(h.w AS TEXT) NOT GLOB '*[^ -~]*' AS is_text
             FROM held h LEFT JOIN tlv_name k ON k.tag = h.tag)
       SELECT group_concat(q.tag || coalesce(' ' || q.name, '') || '=' ||
              CASE
                  WHEN q.kind = 3 THEN q.size || ' octets'
                  WHEN q.kind = 2 AND q.size = 3 THEN
                      CASE hex(substr(q.v, 1, 1)) WHEN '01' THEN 'ANSI-136 ' WHEN '02' THEN 'IS-95 ' WHEN '03' THEN 'GSM '
                           ELSE (SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 1, 1))) || ' ' END
                      || ((SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 2, 1))) << 8
                          | (SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 3, 1))))
                  WHEN q.size = 1 OR q.size IN (2, 4) AND (q.kind = 1 OR NOT q.is_text) THEN
                      (SELECT sum(o.v << 8 * (q.size - i.n)) FROM part_number i JOIN octet o ON o.h = hex(substr(q.v, i.n, 1))
                        WHERE i.n <= q.size)
                  WHEN q.is_text THEN CAST(q.w AS TEXT)
                  ELSE '0x' || lower(hex(q.v)) END, '; ') FROM read q) AS tlvs
  FROM receipt_fact r
  LEFT JOIN answer a ON a.attempt = r.attempt
  LEFT JOIN message m ON m.id = (SELECT q.id FROM message q WHERE q.id <= (r.attempt >> 12) ORDER BY q.id DESC LIMIT 1)
  LEFT JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                                   ORDER BY d.first_id DESC LIMIT 1);

-- A row for each optional parameter of answers and receipts.
CREATE VIEW tlv_log AS
WITH RECURSIVE
held (kind, id, attempt, tlvs) AS (
    SELECT 'answer', NULL, attempt, tlvs FROM answer_tlv
    UNION ALL
    SELECT 'receipt', id, attempt, tlvs FROM receipt_fact WHERE tlvs IS NOT NULL),
cut (kind, id, attempt, tlvs, n, at, size) AS (
    SELECT kind, id, attempt, tlvs, 1, 1,
           ((SELECT v FROM octet WHERE h = hex(substr(tlvs, 1 + 2, 1))) << 8 | (SELECT v FROM octet WHERE h = hex(substr(tlvs, 1 + 3, 1))))
      FROM held WHERE length(tlvs) >= 4
    UNION ALL
    SELECT kind, id, attempt, tlvs, n + 1, at + 4 + size,
           ((SELECT v FROM octet WHERE h = hex(substr(tlvs, at + 4 + size + 2, 1))) << 8 | (SELECT v FROM octet WHERE h = hex(substr(tlvs, at + 4 + size + 3, 1))))
      FROM cut WHERE n < 64 AND length(tlvs) >= at + size + 7),
whole AS (
    SELECT c.kind AS came_with, c.id, c.attempt, c.n, '0x' || hex(substr(c.tlvs, c.at, 2)) AS tag, c.size,
           substr(c.tlvs, c.at + 4, c.size) AS v,
           substr(c.tlvs, c.at + 4, c.size - (substr(c.tlvs, c.at + 3 + c.size, 1) = x'00' AND c.size > 0)) AS w
      FROM cut c WHERE c.at + c.size + 3 <= length(c.tlvs)),
q AS (
    SELECT h.*, k.name, k.kind, instr(h.w, x'00') = 0 AND CAST(h.w AS TEXT) NOT GLOB '*[^ -~]*' AS is_text
      FROM whole h LEFT JOIN tlv_name k ON k.tag = h.tag)
SELECT c.name AS campaign, m.line, (q.attempt >> 12) - m.id + 1 AS part, (q.attempt & 4095) + 1 AS attempt, q.came_with,
       q.id AS receipt, q.tag, q.name,
       '' || CASE
           WHEN q.kind = 3 THEN q.size || ' octets'
           WHEN q.kind = 2 AND q.size = 3 THEN
               CASE hex(substr(q.v, 1, 1)) WHEN '01' THEN 'ANSI-136 ' WHEN '02' THEN 'IS-95 ' WHEN '03' THEN 'GSM '
                    ELSE (SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 1, 1))) || ' ' END
               || ((SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 2, 1))) << 8
                   | (SELECT o.v FROM octet o WHERE o.h = hex(substr(q.v, 3, 1))))
           WHEN q.size = 1 OR q.size IN (2, 4) AND (q.kind = 1 OR NOT q.is_text) THEN
               (SELECT sum(o.v << 8 * (q.size - i.n)) FROM part_number i JOIN octet o ON o.h = hex(substr(q.v, i.n, 1))
                 WHERE i.n <= q.size)
           WHEN q.is_text THEN CAST(q.w AS TEXT)
           ELSE '0x' || lower(hex(q.v)) END AS value
  FROM q
  LEFT JOIN message m ON m.id = (SELECT p.id FROM message p WHERE p.id <= (q.attempt >> 12) ORDER BY p.id DESC LIMIT 1)
  LEFT JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                                   ORDER BY d.first_id DESC LIMIT 1);

CREATE VIEW operation_log AS
SELECT c.name AS campaign, m.line, (o.attempt >> 12) - m.id + 1 AS part, o.kind AS operation, o.message_id,
       strftime('%Y-%m-%dT%H:%M:%fZ', o.asked_at / 1000.0, 'unixepoch') AS asked_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', a.answered_at / 1000.0, 'unixepoch') AS answered_at,
       a.command_status,
       CASE a.state WHEN 0 THEN 'SCHEDULED' WHEN 1 THEN 'ENROUTE' WHEN 2 THEN 'DELIVERED' WHEN 3 THEN 'EXPIRED'
                    WHEN 4 THEN 'DELETED' WHEN 5 THEN 'UNDELIVERABLE' WHEN 6 THEN 'ACCEPTED' WHEN 7 THEN 'UNKNOWN'
                    WHEN 8 THEN 'REJECTED' WHEN 9 THEN 'SKIPPED' ELSE a.state END AS state,
       a.final_date, a.error_code, o.text,
       CASE WHEN a.command_status = 0 THEN 'done' WHEN a.command_status IS NOT NULL THEN 'refused'
            ELSE 'not answered' END AS outcome
  FROM operation o
  LEFT JOIN operation_answer a ON a.operation = o.id
  LEFT JOIN message m ON m.id = (SELECT q.id FROM message q WHERE q.id <= (o.attempt >> 12) ORDER BY q.id DESC LIMIT 1)
  LEFT JOIN campaign c ON c.id = (SELECT d.id FROM campaign d WHERE d.first_id <= m.id AND d.end_id > m.id
                                   ORDER BY d.first_id DESC LIMIT 1)
 ORDER BY o.id;

-- Who put which number on the list of those that are never sent to, and who took it off.
CREATE VIEW suppression_log AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS at, e.destination AS number,
       CASE e.kind WHEN 1 THEN 'added' WHEN 2 THEN 'removed' ELSE 'kept' END AS event,
       CASE e.source WHEN 1 THEN 'operator' WHEN 2 THEN 'file' WHEN 3 THEN 'opt-out word' WHEN 4 THEN 'opt-in word'
                     WHEN 5 THEN 'other journal' ELSE 'not known' END AS source,
       e.reason
  FROM (SELECT id, at, destination, kind, source, reason FROM suppression_event
        UNION ALL
        -- What an older program put there has no event of its own until it is removed.
        SELECT 0, s.added_at, s.destination, 1, 0, s.reason FROM suppression s WHERE s.source = 0) e
 ORDER BY e.id, e.at;

-- Messages from handsets, the parts of a long one joined as far as they came.
CREATE VIEW inbound_message AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', min(q.received_at) / 1000.0, 'unixepoch') AS received_at,
       q.source, q.destination, group_concat(q.text, '') AS text, coalesce(max(q.parts), 1) AS parts,
       count(*) AS parts_received
  FROM (SELECT coalesce(i.first_id, i.id) AS message, i.received_at, i.source, i.destination, i.text, i.parts
          FROM inbound i ORDER BY message, i.part) q
 GROUP BY q.message
 ORDER BY q.message;

CREATE VIEW restraint_log AS
SELECT c.name AS campaign, strftime('%Y-%m-%dT%H:%M:%fZ', r.at / 1000.0, 'unixepoch') AS at,
       CASE r.kind WHEN 1 THEN 'canary' WHEN 2 THEN 'went on' WHEN 3 THEN 'stopped' ELSE 'overridden' END AS decision,
       r.rule, r.words
  FROM restraint r JOIN campaign c ON c.id = r.campaign_id
 ORDER BY r.id;

CREATE VIEW release_log AS
SELECT c.name AS campaign, strftime('%Y-%m-%dT%H:%M:%fZ', r.at / 1000.0, 'unixepoch') AS at, r.kind AS event, r.reason, r.who
  FROM release r LEFT JOIN campaign c ON c.id = r.campaign_id
 ORDER BY r.id;

CREATE VIEW share_log AS
SELECT c.name AS campaign, strftime('%Y-%m-%dT%H:%M:%fZ', s.at / 1000.0, 'unixepoch') AS at,
       CASE s.priority WHEN 1 THEN 'urgent' WHEN 2 THEN 'normal' ELSE 'bulk' END AS priority, s.rate AS campaign_rate
  FROM share s JOIN campaign c ON c.id = s.campaign_id
 ORDER BY s.id;

-- What was deleted when: purges, pseudonyms, numbers that were forgotten.
CREATE VIEW forgetting_log AS
SELECT strftime('%Y-%m-%dT%H:%M:%fZ', f.at / 1000.0, 'unixepoch') AS at,
       CASE f.kind WHEN 1 THEN 'purged' WHEN 2 THEN 'pseudonymised' ELSE 'forgotten' END AS event,
       strftime('%Y-%m-%dT%H:%M:%fZ', f.up_to / 1000.0, 'unixepoch') AS up_to, f.what
  FROM forgetting f
 ORDER BY f.id;

CREATE VIEW rejected_row AS
SELECT c.name AS campaign, s.line, s.reason, s.row
  FROM skipped_row s JOIN campaign c ON c.id = s.campaign_id
 WHERE c.imported_at IS NOT NULL AND s.duplicate = 0;

CREATE VIEW duplicate_row AS
SELECT c.name AS campaign, s.line, s.reason, s.row
  FROM skipped_row s JOIN campaign c ON c.id = s.campaign_id
 WHERE c.imported_at IS NOT NULL AND s.duplicate = 1;

CREATE VIEW append_log AS
SELECT c.name AS campaign, strftime('%Y-%m-%dT%H:%M:%fZ', a.at / 1000.0, 'unixepoch') AS at, a.file,
       a.last_line + 1 AS first_line, a.messages, a.parts, a.duplicate_rows, a.rejected_rows
  FROM appended a JOIN campaign c ON c.id = a.campaign_id
 ORDER BY a.id;

CREATE VIEW status_breakdown AS
SELECT c.name AS campaign, a.command_status, coalesce(n.name, 'unknown') AS name, count(*) AS attempts
  FROM campaign c
  JOIN answer a ON a.attempt >= (c.first_id << 12) AND a.attempt < (c.end_id << 12)
  LEFT JOIN status_name n ON n.command_status = a.command_status
 WHERE c.imported_at IS NOT NULL AND c.purged_at IS NULL
 GROUP BY c.id, a.command_status
UNION ALL
SELECT c.name, k.command_status, coalesce(n.name, 'unknown'), k.attempts
  FROM kept_status k
  JOIN campaign c ON c.id = k.campaign_id AND c.purged_at IS NOT NULL
  LEFT JOIN status_name n ON n.command_status = k.command_status;

CREATE VIEW throughput_per_minute AS
WITH minute_fact (campaign_id, minute, submitted, accepted, delivered) AS (
    SELECT c.id, k.claimed_at / 60000, sum(k.parts), 0, 0
      FROM campaign c JOIN claim k ON k.first_part >= c.first_id AND k.first_part < c.end_id
     WHERE c.purged_at IS NULL GROUP BY 1, 2
    UNION ALL
    -- Claimed, and never left.
    SELECT c.id, k.claimed_at / 60000, -count(*), 0, 0
      FROM campaign c
      JOIN verdict v ON v.attempt >= (c.first_id << 12) AND v.attempt < (c.end_id << 12) AND v.kind = 2
      JOIN claim k ON k.try = (v.attempt & 4095)
                  AND k.first_part = (SELECT max(p.first_part) FROM claim p
                                       WHERE p.try = (v.attempt & 4095) AND p.first_part <= (v.attempt >> 12))
     WHERE c.purged_at IS NULL
     GROUP BY 1, 2
    UNION ALL
    SELECT c.id, a.answered_at / 60000, 0, count(*), 0
      FROM campaign c JOIN answer a ON a.attempt >= (c.first_id << 12) AND a.attempt < (c.end_id << 12)
     WHERE a.outcome = 0 AND c.purged_at IS NULL GROUP BY 1, 2
    UNION ALL
    SELECT c.id, r.received_at / 60000, 0, 0, count(*)
      FROM campaign c JOIN receipt r ON r.id >= (c.first_id << 20) AND r.id < (c.end_id << 20)
     WHERE r.state = 2 AND r.final = 1 AND c.purged_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
       AND NOT EXISTS (SELECT 1 FROM receipt b
                        WHERE b.id >= (r.id >> 8 << 8) AND b.id < r.id AND b.state = 2 AND b.final = 1)
     GROUP BY 1, 2
    UNION ALL
    SELECT c.id, r.received_at / 60000, 0, 0, count(*)
      FROM campaign c
      JOIN receipt_match x ON x.attempt >= (c.first_id << 12) AND x.attempt < (c.end_id << 12)
      JOIN receipt r ON r.id = x.receipt_id
     WHERE r.state = 2 AND r.final = 1 AND c.purged_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM receipt_match y WHERE y.receipt_id = x.receipt_id AND y.id > x.id)
     GROUP BY 1, 2
    UNION ALL
    SELECT k.campaign_id, k.minute, k.submitted, k.accepted, k.delivered
      FROM kept_minute k JOIN campaign c ON c.id = k.campaign_id AND c.purged_at IS NOT NULL)
SELECT c.name AS campaign, strftime('%Y-%m-%dT%H:%MZ', f.minute * 60, 'unixepoch') AS minute,
       sum(f.submitted) AS submitted, sum(f.accepted) AS accepted, sum(f.delivered) AS delivered
  FROM minute_fact f JOIN campaign c ON c.id = f.campaign_id
 WHERE c.imported_at IS NOT NULL
 GROUP BY f.campaign_id, f.minute;

-- The longest wait for an answer, and from the first write to the last part's first receipt that says delivered.
CREATE VIEW delivery_latency AS
SELECT f.campaign, f.line,
       (SELECT max(a.answer_ms) FROM answer a
         WHERE a.attempt >= (f.message << 12) AND a.attempt < ((f.message + f.parts) << 12)) AS answer_ms,
       CASE f.state WHEN 3 THEN
           (SELECT max(p.delivered_at) - f.sent_at FROM (
               SELECT min(d.received_at) AS delivered_at FROM (
                   SELECT r.id >> 20 AS part, r.received_at FROM receipt r
                    WHERE r.id >= (f.message << 20) AND r.id < ((f.message + f.parts) << 20)
                      AND r.final = 1 AND r.state = 2
                      AND NOT EXISTS (SELECT 1 FROM receipt_match x WHERE x.receipt_id = r.id)
                   UNION ALL
                   SELECT x.attempt >> 12, r.received_at FROM receipt_match x JOIN receipt_fact r ON r.id = x.receipt_id
                    WHERE x.attempt >= (f.message << 12) AND x.attempt < ((f.message + f.parts) << 12)
                      AND r.attempt = x.attempt AND r.final = 1 AND r.state = 2) d
                GROUP BY d.part) p) / 1000.0
       END AS delivery_s
  FROM message_fact f
 WHERE f.answered_at IS NOT NULL;
