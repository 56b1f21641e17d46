"""CBOM: CycloneDX 1.7 with the cryptographic assets that were seen, and the services that use them.

An endpoint is a service; what it depends on are its protocols (a TLS version with its suites) and certificates. Equal
assets of many endpoints are one component. The document is written at the end, so its assets are kept in memory: a few
kilobytes an endpoint at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Final

from plimsoll import RELEASE
from plimsoll.scan.report import CertificateReport, EndpointReport, GroupReport, State, SuiteReport, VersionReport
from plimsoll.scan.reports.text import printable
from plimsoll.tls.suite_parts import SuiteParts, parts

if TYPE_CHECKING:
    from cyclonedx.model.bom_ref import BomRef
    from cyclonedx.model.component import Component
    from cyclonedx.model.crypto import AlgorithmProperties, CryptoProperties

_MODES: Final = ("CBC", "CCM", "CFB", "CTR", "ECB", "GCM", "OFB")
#: Ciphers of several sizes.
_SIZED: Final = ("AES", "CAMELLIA", "ARIA", "AEGIS")
_KEY_ALGORITHMS: Final = {"rsa": "RSA", "ec": "ECDSA", "dsa": "DSA", "ed25519": "Ed25519", "ed448": "Ed448"}


class CbomWriter:
    """Gathers the assets and writes them in one document."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def begin(self) -> None:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType

        self._components: dict[str, Component] = {}
        self._needs: dict[str, set[str]] = {}
        self._bom = Bom()
        self._bom.metadata.timestamp = datetime.now(UTC)
        self._bom.metadata.tools.components.add(
            Component(name="plimsoll scan", version=RELEASE, type=ComponentType.APPLICATION)
        )

    def add(self, report: EndpointReport) -> None:
        from cyclonedx.model import Property, XsUri
        from cyclonedx.model.service import Service

        if report.state in (State.UNREACHABLE, State.NOT_TLS):
            return
        used = [self._certificate(leaf) for leaf in report.certificates]
        used += [self._protocol(report.versions[version]) for version in report.accepted]
        service = Service(
            name=str(report.target),
            bom_ref=f"endpoint:{report.target}",
            endpoints=[XsUri(f"tls://{report.target}")],
            authenticated=None,
            properties=[
                Property(name="plimsoll:scan:state", value=report.state.value),
                *(
                    Property(name=f"plimsoll:scan:{version.label}", value=seen.outcome.value)
                    for version, seen in report.versions.items()
                ),
            ],
        )
        self._bom.services.add(service)
        self._bom.register_dependency(service, [self._components[one] for one in used])

    def end(self) -> None:
        from cyclonedx.output.json import JsonV1Dot7

        for reference, component in self._components.items():
            self._bom.components.add(component)
            self._bom.register_dependency(component, [self._components[one] for one in self._needs[reference]])
        self._out.write(JsonV1Dot7(self._bom).output_as_string(indent=2) + "\n")

    # Assets, each returned as its reference

    def _asset(self, reference: str, name: str, properties: CryptoProperties, needs: Iterable[str] = ()) -> str:
        from cyclonedx.model.component import Component, ComponentType

        self._components[reference] = Component(
            name=printable(name) or reference,
            type=ComponentType.CRYPTOGRAPHIC_ASSET,
            bom_ref=reference,
            crypto_properties=properties,
        )
        self._needs[reference] = set(needs)
        return reference

    def _ref(self, reference: str) -> BomRef:
        return self._components[reference].bom_ref

    def _algorithm(self, name: str, properties: AlgorithmProperties) -> str:
        from cyclonedx.model.crypto import CryptoAssetType, CryptoProperties

        reference = f"algorithm:{name}"
        if reference in self._components:
            return reference
        made = CryptoProperties(asset_type=CryptoAssetType.ALGORITHM, algorithm_properties=properties)
        return self._asset(reference, name, made)

    def _protocol(self, seen: VersionReport) -> str:
        """One version as it is configured there: its suites and groups."""
        from cyclonedx.model.crypto import (
            CryptoAssetType,
            CryptoProperties,
            ProtocolProperties,
            ProtocolPropertiesCipherSuite,
            ProtocolPropertiesType,
        )

        groups = [self._group(group) for group in seen.groups]
        by_suite = [(suite, self._suite(suite)) for suite in seen.suites]
        label = f"{seen.version.label} {','.join(f'{suite.code:04x}' for suite in seen.suites)}"
        reference = f"protocol:{label} {','.join(group.name for group in seen.groups)}".strip()
        if reference in self._components:
            return reference
        suites = [
            ProtocolPropertiesCipherSuite(
                name=suite.name,
                algorithms=[self._ref(one) for one in algorithms],
                identifiers=[f"0x{suite.code >> 8:02X}", f"0x{suite.code & 0xFF:02X}"],
            )
            for suite, algorithms in by_suite
        ]
        properties = CryptoProperties(
            asset_type=CryptoAssetType.PROTOCOL,
            protocol_properties=ProtocolProperties(
                type=ProtocolPropertiesType.TLS,
                version=seen.version.label.removeprefix("TLSv").removeprefix("SSLv"),
                cipher_suites=suites,
            ),
        )
        needs = {one for _, algorithms in by_suite for one in algorithms} | set(groups)
        return self._asset(reference, seen.version.label, properties, needs)

    def _suite(self, suite: SuiteReport) -> list[str]:
        """The algorithms of a suite."""
        from cyclonedx.model.crypto import AlgorithmProperties, CryptoPrimitive

        made = parts(suite.code)
        found = []
        if made.cipher:
            found.append(self._cipher(made))
        if made.mac and made.mac != "NULL" and not made.aead:
            name = "HMAC-SHA1" if made.mac == "SHA" else f"HMAC-{made.mac}"
            found.append(self._algorithm(name, AlgorithmProperties(primitive=CryptoPrimitive.MAC)))
        if made.kex in ("RSA", "RSA_PSK"):
            found.append(self._algorithm("RSA-PKCS1", AlgorithmProperties(primitive=CryptoPrimitive.PKE)))
        elif made.kex:
            properties = AlgorithmProperties(primitive=CryptoPrimitive.KEY_AGREE)
            found.append(self._algorithm(made.kex.replace("_", "-"), properties))
        return found

    def _cipher(self, made: SuiteParts) -> str:
        from cyclonedx.model.crypto import AlgorithmProperties, CryptoMode, CryptoPrimitive

        mode = made.mode if made.mode in _MODES else ""
        size = str(made.bits) if made.cipher in _SIZED else ""
        name = "-".join(filter(None, (made.cipher, size, made.mode.replace("_", "-"))))
        primitive = CryptoPrimitive.STREAM_CIPHER
        if made.aead:
            primitive = CryptoPrimitive.AE
        elif made.block_bits:
            primitive = CryptoPrimitive.BLOCK_CIPHER
        properties = AlgorithmProperties(
            primitive=primitive,
            parameter_set_identifier=None if made.bits is None else str(made.bits),
            mode=CryptoMode[mode] if mode else None,
            classical_security_level=made.bits,
        )
        return self._algorithm(name, properties)

    def _group(self, group: GroupReport) -> str:
        from cyclonedx.model.crypto import AlgorithmProperties, CryptoPrimitive

        if group.hybrid:
            properties = AlgorithmProperties(primitive=CryptoPrimitive.COMBINER, parameter_set_identifier=group.name)
        elif group.name.startswith("MLKEM"):
            properties = AlgorithmProperties(primitive=CryptoPrimitive.KEM, parameter_set_identifier=group.name)
        elif group.name.startswith("ffdhe"):
            properties = AlgorithmProperties(
                primitive=CryptoPrimitive.KEY_AGREE, parameter_set_identifier=str(group.bits)
            )
        else:
            properties = AlgorithmProperties(primitive=CryptoPrimitive.KEY_AGREE, curve=group.name)
        return self._algorithm(group.name, properties)

    def _certificate(self, leaf: CertificateReport) -> str:
        from cyclonedx.model import HashAlgorithm, HashType
        from cyclonedx.model.crypto import (
            AlgorithmProperties,
            CertificateProperties,
            CryptoAssetType,
            CryptoPrimitive,
            CryptoProperties,
        )

        reference = f"certificate:{leaf.fingerprint}"
        if reference in self._components:
            return reference
        signature = None
        if leaf.signature:
            properties = AlgorithmProperties(primitive=CryptoPrimitive.SIGNATURE)
            signature = self._algorithm(leaf.signature, properties)
        key = self._key(leaf) if leaf.key else None
        made = CryptoProperties(
            asset_type=CryptoAssetType.CERTIFICATE,
            certificate_properties=CertificateProperties(
                subject_name=printable(leaf.subject) or None,
                issuer_name=printable(leaf.issuer) or None,
                not_valid_before=_moment(leaf.not_before),
                not_valid_after=_moment(leaf.not_after),
                signature_algorithm_ref=self._ref(signature) if signature else None,
                subject_public_key_ref=self._ref(key) if key else None,
                certificate_format="X.509",
            ),
        )
        self._asset(reference, leaf.subject or leaf.fingerprint, made, filter(None, (signature, key)))
        self._components[reference].hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=leaf.fingerprint))
        return reference

    def _key(self, leaf: CertificateReport) -> str:
        from cyclonedx.model.crypto import (
            AlgorithmProperties,
            CryptoAssetType,
            CryptoPrimitive,
            CryptoProperties,
            RelatedCryptoMaterialProperties,
            RelatedCryptoMaterialType,
        )

        name = _KEY_ALGORITHMS.get(leaf.key, leaf.key)
        sized = f"{name}-{leaf.curve or leaf.key_bits}"
        properties = AlgorithmProperties(
            primitive=CryptoPrimitive.SIGNATURE,
            curve=leaf.curve or None,
            parameter_set_identifier=None if leaf.curve else str(leaf.key_bits),
        )
        algorithm = self._algorithm(sized, properties)
        made = CryptoProperties(
            asset_type=CryptoAssetType.RELATED_CRYPTO_MATERIAL,
            related_crypto_material_properties=RelatedCryptoMaterialProperties(
                type=RelatedCryptoMaterialType.PUBLIC_KEY,
                algorithm_ref=self._ref(algorithm),
                size=leaf.key_bits or None,
                format="SubjectPublicKeyInfo",
            ),
        )
        reference = f"public-key:{leaf.fingerprint}"
        return self._asset(reference, f"{sized} public key", made, [algorithm])


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
