"""A receiver of webhooks, over HTTPS, and Standard Webhooks' own judgement of
what it receives."""

import asyncio
import base64
import datetime
import http.server
import ipaddress
import json
import os
import queue
import secrets
import ssl
import sys
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client, StdioServerParameters
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from parts import say, target

OLD, NEW, OTHER = (
    "whsec_" + base64.b64encode(secrets.token_bytes(size)).decode() for size in (24, 32, 64)
)


def certificate(name, issuer, issuer_key, key, extension):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(extension, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def pem(directory, name, *parts):
    path = os.path.join(directory, name)
    with open(path, "wb") as file:
        for part in parts:
            if isinstance(part, x509.Certificate):
                file.write(part.public_bytes(serialization.Encoding.PEM))
            else:
                file.write(
                    part.private_bytes(
                        serialization.Encoding.PEM,
                        serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption(),
                    )
                )
    return path


class Receiver(http.server.BaseHTTPRequestHandler):
    arrived = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.arrived.put((dict(self.headers), body.decode()))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def verifies(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


async def main():
    with tempfile.TemporaryDirectory() as directory:
        authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        authority = certificate(
            "authority", "authority", authority_key, authority_key,
            x509.BasicConstraints(ca=True, path_length=None),
        )
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        leaf = certificate(
            "receiver", "authority", authority_key, key, x509.SubjectAlternativeName(names)
        )
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem(directory, "receiver.pem", leaf, key))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        host = f"localhost:{server.server_port}"
        fixture = StdioServerParameters(
            command=target,
            args=["--webhooks", host, OLD, NEW],
            env={"SSL_CERT_FILE": pem(directory, "authority.pem", authority)},
        )
        async with Client(fixture) as client:
            arguments = {"seconds": 0, "callback_url": f"https://{host}/hook"}
            started = await client.call_tool("slow_compute_initiate", arguments)
            arrived = await asyncio.to_thread(Receiver.arrived.get, timeout=30)
        headers, body = arrived
        forged = body.replace("completed", "cancelled")
        late = {**headers, "webhook-id": headers["webhook-id"] + "0"}
        say(
            "webhook",
            task=started.structured_content["task_id"],
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
            old=verifies(OLD, headers, body),
            new=verifies(NEW, headers, body),
            other=verifies(OTHER, headers, body),
            forged=forged != body and verifies(NEW, headers, forged),
            renamed=verifies(NEW, late, body),
            secrets=[OLD, NEW, OTHER],
        )


asyncio.run(main())
