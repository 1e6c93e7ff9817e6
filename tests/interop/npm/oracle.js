// Texts as others encode them: node oracle.js IN OUT. Reads an array of texts, and writes a line for each: encoding, octets of its
// parts, and those packed. The alphabets are those of smpp, the parts those of split-sms, what is packed is packed by node-pdu.
'use strict';
const fs = require('fs');
const pdu = require('node-pdu');
const smpp = require('smpp');
const split = require('split-sms');

const out = JSON.parse(fs.readFileSync(process.argv[2], 'utf8')).map((text) => {
  const isGsm = smpp.encodings.ASCII.match(text);
  const parts = split.split(text).parts.map((part) => part.content);
  const octets = parts.map((part) => smpp.encodings[isGsm ? 'ASCII' : 'UCS2'].encode(part).toString('hex'));
  // One bit is left free behind a header of six octets.
  // Where 3GPP TS 23.038 has § this package has `.
  const pack = (part) => pdu.utils.Helper.encode7Bit(part.replaceAll('§', '`'), parts.length > 1 ? 1 : 0).result.toLowerCase();
  return [isGsm ? 'gsm7' : 'ucs2', octets.join(','), isGsm ? parts.map(pack).join(',') : ''].join('\t');
});
fs.writeFileSync(process.argv[3], `${out.join('\n')}\n`);
