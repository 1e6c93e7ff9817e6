"""Kannel's bearerbox as an ESME: python3 client.py ROOT MODE PORT FILE, MODE trx or txrx. Hands the messages that the file has to
its smsbox over HTTP, and hears from its callbacks what Kannel itself made of answers and receipts. Tells it in lines of JSON."""

import http.client
import http.server
import json
import os
import pathlib
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

root, mode, port, file = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
PATIENCE_S = 40
# As Kannel counts: 1 delivered, 8 taken by the SMSC.
DELIVERED, TAKEN = 1, 8
heard = queue.Queue()


def say(**event):
    print(json.dumps(event), flush=True)


class Callback(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        heard.put(dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def get(at, path):
    connection = http.client.HTTPConnection("127.0.0.1", at, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def wait_for(what, ready):
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if found := ready():
                return found
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"Kannel: no {what} within {PATIENCE_S} s")


folder = tempfile.TemporaryDirectory()
admin, box, sendsms = free_ports(3)
# A pair is two connections of one name, by which Kannel knows that a receipt on one is for what went out on the other.
binds = [f"port = {port}\ntransceiver-mode = true"] if mode == "trx" else [f"port = {port}", f"port = 0\nreceive-port = {port}"]
smscs = "\n".join(f"""
group = smsc
smsc = smpp
smsc-id = smppost
host = 127.0.0.1
{bind}
smsc-username = test
smsc-password = secret
system-type = ""
address-range = ""
dest-addr-ton = 1
dest-addr-npi = 1
enquire-link-interval = 1
""" for bind in binds)
configuration = pathlib.Path(folder.name, "kannel.conf")
configuration.write_text(f"""
group = core
admin-port = {admin}
admin-password = secret
status-password = secret
smsbox-port = {box}
log-level = 0
log-file = {folder.name}/bearerbox.log
box-allow-ip = "127.0.0.1"
admin-allow-ip = "127.0.0.1"
dlr-storage = internal
{smscs}
group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-level = 4

group = sendsms-user
username = peer
password = secret
concatenation = true
max-messages = 20
""")
libraries = ":".join(sorted({str(path.parent) for path in root.rglob("lib*.so*")}))
environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
callbacks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
threading.Thread(target=callbacks.serve_forever, daemon=True).start()


def start(name):
    command = [root / "usr/sbin" / name, configuration]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def online():
    """Both connections, where there are two."""
    _, status = get(admin, "/status.txt?password=secret")
    return status if len(re.findall(r"smppost.*\(online", status)) == len(binds) else None


def hand_in(to, text):
    is_gsm = not re.search(r"[Ѐ-ӿ✓\U00010000-\U0010ffff]", text)
    callback = f"http://127.0.0.1:{callbacks.server_port}/?to={to}&type=%d&id=%F"
    query = {
        "username": "peer", "password": "secret", "from": "Test", "to": to, "text": text, "charset": "UTF-8",
        "coding": 0 if is_gsm else 2, "dlr-mask": 31, "dlr-url": callback,
    }
    status, body = get(sendsms, f"/cgi-bin/sendsms?{urllib.parse.urlencode(query)}")
    if status != 202:
        raise SystemExit(f"Kannel: {status} {body}")


def main(boxes):
    boxes.append(start("bearerbox"))
    status = wait_for("connection to the SMSC", online)
    say(event="bound", status=0, version=status.split("\n")[0])
    boxes.append(start("smsbox"))
    wait_for("smsbox", lambda: get(sendsms, "/"))
    messages = json.load(open(file, encoding="utf-8"))
    for message in messages:
        hand_in(message["to"], message["text"])
    answers = receipts = 0
    while answers < len(messages) or receipts < len(messages):
        told = heard.get(timeout=PATIENCE_S)
        kind = int(told["type"])
        if kind == TAKEN:
            answers += 1
            say(event="answered", status=0, to=told["to"])
        elif kind == DELIVERED:
            receipts += 1
            say(event="receipt", to=told["to"], id=told.get("id"), state="DELIVRD", right=True)
        else:
            say(event="other", type=kind, to=told["to"])


started = []
try:
    main(started)
except BaseException:
    log = pathlib.Path(folder.name, "bearerbox.log")
    print(log.read_text(errors="replace")[-3000:] if log.exists() else "no log", file=sys.stderr)
    raise
finally:
    for child in reversed(started):
        child.terminate()
    for child in started:
        child.wait(PATIENCE_S)
say(event="unbound", status=0)
