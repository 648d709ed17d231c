"""Calls a method with one string argument through the agent: motan_client.py PORT SERVICE METHOD TEXT"""
import json, socket, struct, sys

def call(port, service, method, text):
    metadata = "\n".join(["M_p", service, "M_m", method]).encode()
    body = b"\x01" + struct.pack(">I", len(text.encode())) + text.encode()  # simple: tag 1 is a string
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        head = struct.pack(">HBBBQI", 0xF1F1, 0, 0x08, 0x30, 1, len(metadata))
        connection.sendall(head + metadata + struct.pack(">I", len(body)) + body)
        answer = connection.makefile("rb")
        _, _, status, _, _, size = struct.unpack(">HBBBQI", answer.read(17))
        pairs = answer.read(size).decode().split("\n")
        body = answer.read(struct.unpack(">I", answer.read(4))[0])
    if status & 7:
        raise RuntimeError(json.loads(dict(zip(pairs[::2], pairs[1::2]))["M_e"])["errmsg"])
    return body[5:].decode()  # the answer is a string, too

print(call(int(sys.argv[1]), *sys.argv[2:5]))
