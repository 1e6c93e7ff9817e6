// An ESME made of the npm package smpp: node client.js PORT FILE. Sends what the file says, with callbacks, and matches receipts
// by the message_id that the answer had. Tells what it sees in lines of JSON.
'use strict';
const fs = require('fs');
const smpp = require('smpp');
const split = require('split-sms');

const say = (event) => console.log(JSON.stringify(event));
const messages = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
// The parts of each message by its id: what comes back names it.
const sent = new Map();
const early = [];
let outstanding = 0;
let matched = 0;
let reference = 0;

const session = smpp.connect({ url: `smpp://127.0.0.1:${process.argv[2]}`, auto_enquire_link_period: 200 });
session.on('connect', () => {
  session.bind_transceiver({ system_id: 'test', password: 'secret' }, (pdu) => {
    say({ event: 'bound', status: pdu.command_status, system_id: pdu.system_id, version: pdu.sc_interface_version });
    for (const { to, text } of messages) send(to, text);
  });
});
session.on('error', (error) => {
  say({ event: 'error', words: String(error) });
  process.exit(1);
});
session.on('enquire_link_resp', () => say({ event: 'enquire_link_answered', status: 0 }));
session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  if (!match(pdu)) early.push(pdu);
  end();
});

function send(to, text) {
  const { parts } = split.split(text);
  reference = (reference + 1) % 256;
  parts.forEach((part, at) => {
    const udh = parts.length > 1 ? { udh: Buffer.from([5, 0, 3, reference, parts.length, at + 1]) } : {};
    outstanding += 1;
    session.submit_sm({
      source_addr: 'Test', source_addr_ton: 5, destination_addr: to, dest_addr_ton: 1, dest_addr_npi: 1,
      registered_delivery: 1, short_message: { message: part.content, ...udh },
      data_coding: smpp.encodings.detect(text) === 'ASCII' ? 0 : 8,
    }, (pdu) => {
      outstanding -= 1;
      say({ event: 'answered', status: pdu.command_status, to, id: pdu.message_id });
      sent.set(pdu.message_id, to);
      while (early.length > 0 && match(early[0])) early.shift();
      end();
    });
  });
}

function match(pdu) {
  const id = pdu.receipted_message_id;
  if (!sent.has(id)) return false;
  const found = pdu.short_message.message.match(/^id:(\S+) .*stat:(\S+) err:/);
  matched += 1;
  say({
    event: 'receipt', to: sent.get(id), id, state: found ? found[2] : '', message_state: pdu.message_state,
    right: Boolean(found) && found[1] === id && pdu.source_addr === sent.get(id) && (pdu.esm_class & 0x3C) === 4,
  });
  return true;
}

let ending = false;
function end() {
  if (ending || outstanding > 0 || matched < sent.size) return;
  ending = true;
  const [id, to] = sent.entries().next().value;
  session.query_sm({ message_id: id, source_addr: 'Test', source_addr_ton: 5 }, (pdu) => {
    say({ event: 'queried', status: pdu.command_status, to, right: pdu.message_id === id, message_state: pdu.message_state });
    // One enquire_link at least is to be on its way.
    setTimeout(() => session.unbind({}, (last) => {
      say({ event: 'unbound', status: last.command_status });
      session.close(() => process.exit(0));
    }), 500);
  });
}
