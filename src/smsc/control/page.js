'use strict';
const $ = (id) => document.getElementById(id);
let quiet = false;

// What came is set as text alone, never as markup.
function say(words, isBad) {
  $('said').textContent = words;
  $('said').className = isBad ? 'bad' : 'good';
}

async function ask(path, body) {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

async function act(path, body, words) {
  try {
    await ask(path, body);
    say(words, false);
  } catch (error) {
    say(error.message, true);
  }
  await look();
}

function cell(name, value, kind) {
  const td = document.createElement('td');
  td.textContent = value === null || value === undefined ? '' : String(value);
  if (name) td.dataset.name = name;
  if (kind) td.className = kind;
  return td;
}

function fill(id, rows, columns, none) {
  const body = $(id);
  const lines = rows.map((cells) => {
    const tr = document.createElement('tr');
    tr.append(...cells);
    return tr;
  });
  if (lines.length === 0) {
    const td = cell('', none, 'empty');
    td.colSpan = columns;
    const tr = document.createElement('tr');
    tr.append(td);
    lines.push(tr);
  }
  body.replaceChildren(...lines);
}

function button(words, run) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = words;
  made.addEventListener('click', run);
  return made;
}

function counts(stats) {
  const shown = Object.entries(stats).map(([name, value]) => {
    const div = document.createElement('div');
    const dt = document.createElement('dt');
    const dd = document.createElement('dd');
    dt.textContent = name.replaceAll('_', ' ');
    dd.textContent = value.toLocaleString('en');
    div.append(dt, dd);
    return div;
  });
  $('counts').replaceChildren(...shown);
}

function sessions(all) {
  const rows = all.map((one) => {
    const acts = document.createElement('td');
    acts.append(
      button('unbind', () => act('unbind', { session: one.session }, `session ${one.session}: unbind sent`)),
      ' ',
      button('cut', () => act('drop', { session: one.session }, `session ${one.session} is cut`)),
    );
    return [
      cell('session', one.session, 'tight'), cell('account', one.system_id), cell('bind', one.bind, 'tight'), cell('version', one.version, 'tight'),
      cell('peer', one.peer, 'tight'), cell('messages', one.submits, 'tight'), acts,
    ];
  });
  fill('sessions', rows, 7, 'no connection');
}

function kind(state) {
  if (state === 'delivered' || state === 'answered') return 'tight good';
  return ['refused', 'undelivered', 'expired', 'rejected'].includes(state) ? 'tight bad' : 'tight';
}

function messages(all) {
  const rows = all.reverse().map((one) => {
    const part = one.part === null ? '' : `part ${one.part}/${one.total}: `;
    const state = one.state === 'refused' ? `refused ${one.status_name} (${one.refused_for})` : one.state;
    const seen = kind(one.state).replace('tight', one.state === 'refused' ? '' : 'tight');
    return [
      cell('time', one.time.slice(11, 23), 'tight'), cell('from', one.source, 'tight'), cell('to', one.destination, 'tight'), cell('text', part + one.text, 'text'),
      cell('state', state, seen), cell('receipt', one.receipt, 'tight'),
    ];
  });
  fill('messages', rows, 6, 'none');
}

function inbound(all, waiting) {
  const rows = all.reverse().map((one) => [
    cell('number', one.id, 'tight'), cell('from', one.from, 'tight'), cell('to', one.to, 'tight'), cell('text', one.text, 'text'), cell('state', one.state, kind(one.state)),
  ]);
  fill('inbound-list', rows, 5, waiting > 0 ? `${waiting} for the first session that receives` : 'none');
}

async function look() {
  try {
    const query = new URLSearchParams([...new FormData($('filter'))].filter(([, value]) => value !== ''));
    query.set('limit', '50');
    const [health, stats, open, came, from] = await Promise.all(
      ['healthz', 'stats', 'sessions', `messages?${query}`, 'inbound?limit=10'].map((path) => ask(path)),
    );
    $('where').textContent = `listens on ${health.listening}`;
    counts(stats);
    sessions(open.sessions);
    messages(came.messages);
    inbound(from.inbound, from.waiting_for_a_session);
    if (quiet) say('', false);
    quiet = false;
  } catch (error) {
    quiet = true;
    say(error.message === 'Failed to fetch' ? 'the simulator does not answer' : error.message, true);
  }
}

async function show() {
  try {
    const { all } = await ask('behaviour');
    const form = $('behaviour').elements;
    form.faults.value = all.faults.join(' ');
    form.limits.value = all.limits.join(' ');
    form.rules.value = all.rules.join('\n');
    for (const name of ['rate', 'outcomes', 'answer_delay', 'receipt_delay']) form[name].value = all[name];
  } catch (error) {
    say(error.message, true);
  }
}

$('filter').addEventListener('input', look);
$('filter').addEventListener('submit', (event) => event.preventDefault());
$('inbound').addEventListener('submit', (event) => {
  event.preventDefault();
  const { from, to, text } = Object.fromEntries(new FormData(event.target));
  act('inbound', { from, to, text }, `from ${from} to ${to}: on its way`);
});
$('behaviour').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = Object.fromEntries(new FormData(event.target));
  const words = (text) => text.split(/\s+/).filter(Boolean);
  const rate = /^\d+$/.test(form.rate) ? Number(form.rate) : form.rate;
  const rules = form.rules.split('\n').map((rule) => rule.trim()).filter(Boolean);
  await act('behaviour', { ...form, faults: words(form.faults), limits: words(form.limits), rules, rate }, 'changed');
});
$('calm').addEventListener('click', async () => {
  await act('behaviour', { faults: [], limits: [], rules: [], receipts: [], answer_delay: '0ms', outcomes: 'delivered=1' }, 'nothing goes wrong');
  await show();
});
$('reset').addEventListener('click', async () => {
  await act('reset', {}, 'as it was started');
  await show();
});
$('unbind-all').addEventListener('click', () => act('unbind', {}, 'unbind sent to all'));
$('drop-all').addEventListener('click', () => act('drop', {}, 'all connections are cut'));
// The next time a second after the answer, however long that takes.
async function watch() {
  await look();
  setTimeout(watch, 1000);
}
show();
watch();
