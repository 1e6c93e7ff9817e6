"""The campaign through Kannel: python kannel.py FOLDER PORT CSV WINDOW. Starts bearerbox and smsbox with a file store, hands
the messages in over HTTP on some connections, and waits for the callbacks with the receipts. Prints the seconds that it
took, and the CPU seconds of the two boxes."""

import http.client
import http.server
import os
import subprocess
import sys
import threading
import time
import urllib.parse

folder, port, file, window = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
CONNECTIONS = 8
with open(file, encoding="utf-8") as rows:
    next(rows)
    messages = [row.rstrip("\n").split(",", 1) for row in rows]

receipts = 0
lock = threading.Lock()
done = threading.Event()


class Callback(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global receipts
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        with lock:
            receipts += 1
            if receipts >= len(messages):
                done.set()

    def log_message(self, *arguments):
        pass


callbacks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
threading.Thread(target=callbacks.serve_forever, daemon=True).start()
admin, box, sendsms = port + 1, port + 2, port + 3
spool = os.path.join(folder, "spool")
os.makedirs(spool, exist_ok=True)
configuration = os.path.join(folder, "kannel.conf")
with open(configuration, "w", encoding="utf-8") as out:
    out.write(f"""
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {box}
log-level = 4
box-allow-ip = "127.0.0.1"
admin-allow-ip = "127.0.0.1"
store-type = file
store-location = {folder}/kannel.store
sms-incoming-queue-limit = -1
sms-outgoing-queue-limit = -1

group = smsc
smsc = smpp
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = peer
smsc-password = secret
system-type = ""
address-range = ""
max-pending-submits = {window}

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
log-level = 4
global-sender = 13013

group = sendsms-user
username = peer
password = secret
concatenation = true
max-messages = 1
""")
root = os.environ["KANNEL_ROOT"]
library = os.environ["KANNEL_LIBRARY_PATH"]
environment = dict(os.environ, LD_LIBRARY_PATH=library)
boxes = [subprocess.Popen([f"{root}/usr/sbin/bearerbox", configuration], env=environment, stderr=subprocess.DEVNULL)]
time.sleep(2)
boxes.append(subprocess.Popen([f"{root}/usr/sbin/smsbox", configuration], env=environment, stderr=subprocess.DEVNULL))
time.sleep(3)


def cpu():
    seconds = 0
    for process in boxes:
        fields = open(f"/proc/{process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def hand_in(some):
    connection = http.client.HTTPConnection("127.0.0.1", sendsms)
    callback = f"http://127.0.0.1:{callbacks.server_port}/?d=%d"
    for to, text in some:
        query = urllib.parse.urlencode({
            "username": "peer", "password": "secret", "to": to, "text": text, "dlr-mask": 3, "dlr-url": callback,
        })
        connection.request("GET", f"/cgi-bin/sendsms?{query}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 202):
            raise SystemExit(f"{answer.status}: {body}")


started = time.monotonic()
threads = [threading.Thread(target=hand_in, args=(messages[n::CONNECTIONS],)) for n in range(CONNECTIONS)]
for thread in threads:
    thread.start()
try:
    if not done.wait(300):
        raise SystemExit(f"{receipts} of {len(messages)} receipts after 300 s")
    print(time.monotonic() - started, cpu())
finally:
    for process in reversed(boxes):
        process.terminate()
