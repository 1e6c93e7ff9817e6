// An ESME made of the npm package smpp that tells nothing: node driven.js PORT FILE. It sends what the file says, answers what comes,
// and ends when its connection does. Whoever tests it asks the SMSC.
'use strict';
const fs = require('fs');
const smpp = require('smpp');
const split = require('split-sms');

const messages = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
let reference = 0;
const session = smpp.connect({ url: `smpp://127.0.0.1:${process.argv[2]}`, auto_enquire_link_period: 200 });
session.on('connect', () => {
  session.bind_transceiver({ system_id: 'npm', password: 'secret' }, (bound) => {
    if (bound.command_status !== 0) process.exit(1);
    for (const { to, text } of messages) send(to, text);
  });
});
session.on('deliver_sm', (pdu) => session.send(pdu.response()));
session.on('close', () => process.exit(0));
session.on('error', () => process.exit(2));

function send(to, text) {
  const { parts } = split.split(text);
  reference = (reference + 1) % 256;
  parts.forEach((part, at) => {
    const udh = parts.length > 1 ? { udh: Buffer.from([5, 0, 3, reference, parts.length, at + 1]) } : {};
    session.submit_sm({
      source_addr: 'Test', source_addr_ton: 5, destination_addr: to, dest_addr_ton: 1, dest_addr_npi: 1,
      registered_delivery: 1, short_message: { message: part.content, ...udh },
      data_coding: smpp.encodings.detect(text) === 'ASCII' ? 0 : 8,
    });
  });
}
