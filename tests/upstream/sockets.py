"""What the tests of the lean transport share: a scripted server, its certificates, counted sockets."""

import asyncio
import contextlib
import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Line:
    """The server's end of one connection."""

    def __init__(self, reader, writer) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[bytes, bytes]:
        """The next request's head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        return head, await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


class ScriptedServer:
    """`script(line)` plays each connection; `scripts` are those of the first, second, ... one."""

    def __init__(self, *scripts, context: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._context = context
        self._tasks = set()
        self.connections = 0
        self.problems = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert not self.problems, self.problems

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/v1/chat/completions"

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            await script(Line(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()


def answering(*answers: bytes):
    """A script: the answers to the requests of one connection in turn, the last one for ever."""

    async def script(line: Line) -> None:
        number = 0
        while True:
            await line.request()
            await line.send(answers[min(number, len(answers) - 1)])
            number += 1

    return script


def sockets() -> frozenset[str]:
    """The sockets that this process holds, by the names the system has for them.

    Names, and not their number: those of another test may close at any moment.
    """
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return frozenset(name for name in found if name.startswith("socket:"))


def opened_since(held: frozenset[str]) -> int:
    """How many sockets this process holds that were not among `held`."""
    return len(sockets() - held)


async def settled(condition) -> None:
    """Let the loop turn until `condition()` holds; fail after a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


# --- certificates -------------------------------------------------------------------


def certificates(folder, host="127.0.0.1", days=1):
    """A CA and a certificate for `host`: (path of the CA, the server's context)."""
    ca_key, ca = _certificate("test CA", days=1)
    key, certificate = _certificate("server", issuer=ca, issuer_key=ca_key, host=host, days=days)
    ca_path, chain = folder / "ca.pem", folder / "server.pem"
    ca_path.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return ca_path, context


def _certificate(name, *, days, issuer=None, issuer_key=None, host=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if host:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
        )
    return key, builder.sign(issuer_key or key, hashes.SHA256())
