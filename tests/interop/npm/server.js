// An SMSC made of the npm package smpp: node server.js. Tells what it sees in lines of JSON.
'use strict';
const smpp = require('smpp');

const say = (event) => console.log(JSON.stringify(event));
const BEFORE_UNBIND = 20;
let submits = 0;
let binds = 0;
// Receipts for what came when this side had said that it unbinds: a request then would be one too many. They wait for the next bind.
let leaving = false;
const held = [];

// The package gives the elements of a header without the octet that is its length.
function header(udh) {
  const elements = Buffer.concat(udh || []);
  return udh ? Buffer.concat([Buffer.from([elements.length]), elements]).toString('hex') : '';
}

const server = smpp.createServer((session) => {
  const bind = (pdu) => {
    binds += 1;
    say({ event: 'bind', mode: pdu.command, system_id: pdu.system_id });
    session.send(pdu.response({ system_id: 'npm' }));
    if (binds < 2) return;
    leaving = false;
    held.splice(0).forEach((receipt) => deliver(session, receipt));
    inbound(session);
  };
  for (const mode of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) session.on(mode, bind);
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    say({ event: 'unbind' });
    session.send(pdu.response(), () => session.close());
  });
  session.on('submit_sm', (pdu) => {
    const id = `npm-${++submits}`;
    const { message, udh } = pdu.short_message;
    say({
      event: 'submit', to: pdu.destination_addr, from: pdu.source_addr, data_coding: pdu.data_coding,
      text: message, udh: header(udh),
    });
    session.send(pdu.response({ message_id: id }));
    const text = `id:${id} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:DELIVRD err:000 text:`;
    const receipt = {
      source_addr: pdu.destination_addr, source_addr_ton: 1, source_addr_npi: 1,
      destination_addr: pdu.source_addr, esm_class: 4, short_message: text,
    };
    if (leaving) held.push(receipt);
    else deliver(session, receipt);
    if (submits === BEFORE_UNBIND) {
      session.enquire_link({}, (answer) => {
        say({ event: 'enquire_link_answered', status: answer.command_status });
        leaving = true;
        session.unbind({}, (last) => {
          say({ event: 'unbind_answered', status: last.command_status });
          session.close();
        });
      });
    }
  });
  session.on('error', (error) => say({ event: 'error', words: String(error) }));
});

function deliver(session, receipt) {
  session.deliver_sm(receipt, (answer) => say({ event: 'receipt_answered', status: answer.command_status }));
}

// What a handset sends: a short one, and one in two parts, each with its header.
function inbound(session) {
  const answered = (answer) => say({ event: 'inbound_answered', status: answer.command_status });
  const from = { source_addr: '447700900999', source_addr_ton: 1, source_addr_npi: 1, destination_addr: '12345' };
  // Where no data_coding is given the package says 1, which is IA5, of what it encodes as GSM 7-bit.
  session.deliver_sm({ ...from, data_coding: 0, short_message: 'Yes {please} €' }, answered);
  ['Длинный ', 'ответ 😀'].forEach((message, part) => {
    const udh = Buffer.from([5, 0, 3, 7, 2, part + 1]);
    session.deliver_sm({ ...from, data_coding: 8, short_message: { udh, message } }, answered);
  });
}

server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));
