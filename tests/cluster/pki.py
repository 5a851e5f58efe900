"""Certificates: one authority of the cluster's own, and one certificate for each component.

A component is what its certificate says: the common name is the user, the organizations are the groups that RBAC knows.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster import files
from tests.cluster.errors import ClusterError
from tests.cluster.topology import API_SERVER_PORT

_LIFETIME = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """The cluster's certificate authority, kept in a folder; it is made when the folder has none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate_file = folder / "ca.crt"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.certificate_file.exists():
            self._make()
        try:
            self._key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
            self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        except (ValueError, OSError) as error:
            raise ClusterError(f"The certificate authority in {folder} is damaged: {error}") from None

    def issue(self, file_name: str, user: str, groups: Sequence[str] = (), *, serves: Sequence[str] = ()) -> Pair:
        """A certificate for `user`, made once; with `serves`, the host names and addresses that it may serve as."""
        pair = Pair(self.folder / f"{file_name}.crt", self.folder / f"{file_name}.key")
        if pair.certificate.exists():
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if serves else [])]
        builder = (
            self._builder(_name(user, groups), key.public_key(), issuer=self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if serves:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(n) for n in serves]), False)
        _write_key(pair.key, key)
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return pair

    def kubeconfig(self, path: Path, pair: Pair) -> Path:
        """Writes a kubeconfig that holds the certificates themselves, so that it can be copied anywhere."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": f"https://127.0.0.1:{API_SERVER_PORT}",
                        "certificate-authority-data": _base64(self.certificate_file),
                    },
                }
            ],
            "users": [
                {
                    "name": "user",
                    "user": {
                        "client-certificate-data": _base64(pair.certificate),
                        "client-key-data": _base64(pair.key),
                    },
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
            "current-context": "test",
        }
        return files.write(path, yaml.safe_dump(config), mode=0o600)

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("resumable-test-ca")
        builder = self._builder(name, key.public_key(), issuer=name).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        _write_key(self.folder / "ca.key", key)
        certificate = builder.sign(key, hashes.SHA256())
        self.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _builder(
        subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, issuer: x509.Name
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _LIFETIME)
        )


def signing_key(path: Path) -> Path:
    """The key that signs ServiceAccount tokens, made once."""
    if not path.exists():
        _write_key(path, ec.generate_private_key(ec.SECP256R1()))
    return path


def _name(user: str, groups: Sequence[str] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
