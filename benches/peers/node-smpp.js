// The campaign through the npm package smpp: node node-smpp.js PORT CSV WINDOW. Prints the seconds that it took.
'use strict';
const fs = require('fs');
const smpp = require('smpp');

const [port, file, window] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const rows = fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(1).map((row) => {
  const comma = row.indexOf(',');
  return [row.slice(0, comma), row.slice(comma + 1)];
});
let next = 0;
let outstanding = 0;
let answers = 0;
let receipts = 0;
let started;

const session = smpp.connect({ url: `smpp://127.0.0.1:${port}`, auto_enquire_link_period: 10000 }, () => {
  session.socket.setNoDelay(true);
  session.bind_transceiver({ system_id: 'peer', password: 'secret' }, (pdu) => {
    if (pdu.command_status !== 0) throw new Error(`bind: ${pdu.command_status}`);
    started = process.hrtime.bigint();
    submit();
  });
});
session.on('error', (error) => { throw error; });
session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  receipts += 1;
  end();
});

function submit() {
  while (outstanding < window && next < rows.length) {
    const [to, text] = rows[next++];
    outstanding += 1;
    session.submit_sm({ destination_addr: to, short_message: text, registered_delivery: 1 }, (pdu) => {
      if (pdu.command_status !== 0) throw new Error(`submit: ${pdu.command_status}`);
      outstanding -= 1;
      answers += 1;
      submit();
      end();
    });
  }
}

function end() {
  if (answers === rows.length && receipts === rows.length) {
    console.log(Number(process.hrtime.bigint() - started) / 1e9);
    session.close(() => process.exit(0));
  }
}
