// Texts as another reads them with national language shift tables: node tables.js IN OUT. Reads an array of the numbers of the
// languages of the locking and the single shift table, a text, and the user data of one SMS in hexadecimal, header and all, and
// writes a line for each: the text as JSON. It is read by smpp as that of a deliver_sm.
'use strict';
const fs = require('fs');
const smpp = require('smpp');

const out = JSON.parse(fs.readFileSync(process.argv[2], 'utf8')).map(([, , , hex]) => {
  const pdu = new smpp.PDU('deliver_sm', { esm_class: 0x40, data_coding: 0, short_message: Buffer.from(hex, 'hex') });
  return JSON.stringify(new smpp.PDU(pdu.toBuffer()).short_message.message);
});
fs.writeFileSync(process.argv[3], `${out.join('\n')}\n`);
