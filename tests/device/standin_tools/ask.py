"""A program of the phone: passes its words to the stand-in, and prints and ends as it says."""

import json
import os
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(os.path.realpath(sys.argv[1]))
connection.sendall(json.dumps(sys.argv[2:]).encode() + b"\n")
answer = b""
while data := connection.recv(65536):
    answer += data
status, out, errors = json.loads(answer)
sys.stdout.write(out)
sys.stderr.write(errors)
sys.exit(status)
