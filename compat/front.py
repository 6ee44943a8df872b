"""nginx in front of a gateway: TLS with an authority of its own, and a path prefix that it takes off."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chaos.engines import HOST, free_port

PREFIX: Final = "/teams/ai"
# the client asks for a name: it cannot connect to an address over TLS
_NAME: Final = "localhost"
_DAYS: Final = timedelta(days=30)
_TEMPORARY: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Front:
    """`url`: where the gateway is reached through it. `authority`: the file with the certificate to trust."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="compat-front-"))
        self.port = free_port()
        self.url = f"https://{_NAME}:{self.port}{PREFIX}"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("compat authority")
        self.authority = self.folder / "authority.pem"
        made = _certificate(self._name, self._key.public_key(), self._name, self._key, authority=True)
        self.authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.renew()
        self._serving: subprocess.Popen[bytes] | None = None

    @staticmethod
    def program() -> str | None:
        return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

    def renew(self) -> None:
        """A new certificate of the same authority for the same address."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(_name(_NAME), key.public_key(), self._name, self._key, authority=False)
        (self.folder / "leaf.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        (self.folder / "leaf.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def start(self, gateway_port: int) -> None:
        """Serve with the certificate of now. Raises AssertionError when it does not come up."""
        program = self.program()
        assert program is not None, "no nginx here"
        paths = " ".join(f"{name}_temp_path {self.folder}/{name};" for name in _TEMPORARY)
        (self.folder / "conf").write_text(
            f"""daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log; worker_processes 1;
events {{}}
http {{ access_log off; {paths}
server {{ listen {HOST}:{self.port} ssl;
ssl_certificate {self.folder}/leaf.pem; ssl_certificate_key {self.folder}/leaf.key;
location {PREFIX}/ {{ proxy_pass http://{HOST}:{gateway_port}/; proxy_http_version 1.1;
proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Proto $scheme; proxy_buffering off; proxy_request_buffering off;
client_max_body_size 32m; }} }} }}"""
        )
        self._serving = subprocess.Popen([program, "-c", str(self.folder / "conf"), "-p", str(self.folder)])
        deadline = time.monotonic() + 20
        while not (self.folder / "pid").exists():
            assert self._serving.poll() is None and time.monotonic() < deadline, "nginx does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._serving is not None:
            self._serving.terminate()
            self._serving.wait(20)
            (self.folder / "pid").unlink(missing_ok=True)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _DAYS)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = x509.SubjectAlternativeName([x509.DNSName(_NAME)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())
