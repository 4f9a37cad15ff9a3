"""Secrets are handed over once and are nowhere else: not in the database's files, not in the log, in no other answer,
whatever goes wrong on the way. A real server is used and misused, and all that it left behind is searched."""

import json
import re
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat

from auth.crypto.envelopes import open_envelope
from tests.auth.crypto import keys
from tests.plugins.database import ENGINE, Databases
from tests.support.command import Serving, run
from tests.support.rows import Rows
from tests.support.world import GENERATED

OPERATOR, MEMBER = "olga@provider.example", "max@alder.example"
# So many characters of a secret in a row are no accident.
PIECE = 12
JSON = {"Content-Type": "application/json"}


@dataclass
class Left:
    """What a server left behind, and the secrets that must not be in it, by name."""

    secrets: dict[str, str] = field(default_factory=dict)
    # Each answer, with the names of the secrets that it was there to hand over.
    answers: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    places: dict[str, bytes] = field(default_factory=dict)
    public: list[str] = field(default_factory=list)


class Session:
    """Somebody who uses a server, and remembers what it said and what was secret."""

    def __init__(self, url: str, left: Left) -> None:
        self.url = url
        self.left = left
        self.http = httpx.Client(verify=False, timeout=60)
        self.token: str | None = None

    def send(
        self, body: bytes | str, headers: dict[str, str] = JSON, path: str = "/graphql", method: str = "POST"
    ) -> str:
        headers = headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        text = self.http.request(method, self.url + path, content=body, headers=headers).text
        self.left.answers.append((text, frozenset()))
        return text

    def ask(self, document: str, **variables: Any) -> Any:
        return json.loads(self.send(json.dumps({"query": document, "variables": variables})))

    def do(self, name: str, selection: str, /, hands_over: dict[str, str] | None = None, **fields: Any) -> Any:
        """The payload of a mutation, of which these fields are the secrets of these names."""
        type_ = {"signIn": "SignIn", "suspendService": "Service"}.get(name, name[0].upper() + name[1:])
        document = (
            f"mutation ($input: {type_}Input!) {{ {name}(input: $input) {{ {selection} userErrors {{ code }} }} }}"
        )
        payload = self.ask(document, input=fields)["data"][name]
        if hands_over:
            text, _ = self.left.answers.pop()
            self.left.answers.append((text, frozenset(hands_over.values())))
            self.left.secrets |= {name: payload[key] for key, name in hands_over.items()}
        return payload


def use(server: Serving, data_dir: Path, rows: Rows, left: Left) -> None:
    """The main job by both deliveries, and everything that can be done wrongly with the secrets it takes."""
    keep = left.secrets
    held = json.loads((data_dir / "server-keys.json").read_text())["keys"]
    keep |= {f"server key {key['kid']}": key.get("k") or key["d"] for key in held}
    private = (
        keys.private_key(name="canary").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, keys.UNPROTECTED).decode()
    )
    keep["private key"] = "".join(private.splitlines()[2:-1])

    session = Session(server.url, left)
    handed = {"sessionToken": "operator's session"}
    signed_in = session.do("signIn", "sessionToken", handed, email=OPERATOR, password=keep["operator's password"])
    session.token = signed_in["sessionToken"]
    account = session.do("createAccount", "account { id }", name="Alder")["account"]["id"]
    identity = session.do("submitIdentity", "identity { id }", accountId=account, name="Alder", kind="ORGANIZATION")
    identity_id = identity["identity"]["id"]
    session.do("approveIdentity", "identity { id }", identityId=identity_id)
    fields = {"accountId": account, "name": "Scans", "code": "scans", "identityIds": [identity_id]}
    service_id = session.do("createService", "service { id }", **fields)["service"]["id"]
    fields = {"accountId": account, "email": MEMBER, "displayName": "Max", "role": "MEMBER", "apiAccess": True}
    invited = session.do("createUser", "user { id } invitationToken", {"invitationToken": "invitation"}, **fields)

    member = Session(server.url, left)
    keep["member's password"] = secrets.token_urlsafe(20)
    accepted = member.do(
        "acceptInvitation",
        "sessionToken",
        {"sessionToken": "member's session"},
        invitationToken=invited["invitationToken"],
        password=keep["member's password"],
    )
    member.token = accepted["sessionToken"]
    wanted = {"serviceId": service_id, "identityId": identity_id}
    delivery = {"method": "VIEW_AND_COPY"}
    shown = member.do("generateCredential", GENERATED, name="shown", delivery=delivery, **wanted)
    hand_over(left, shown["delivery"]["apiSecret"], "shown secret")
    public = keys.spki_pem(keys.private_key(name="canary").public_key())
    delivery = {"method": "ENCRYPTED_FILE", "publicKey": public}
    sealed = member.do("generateCredential", GENERATED, name="sealed", delivery=delivery, **wanted)
    opened = open_envelope(b64decode(sealed["delivery"]["file"]["contentBase64"]), keys.private_key(name="canary"))
    sealed_key, keep["sealed secret"] = opened.decode().splitlines()[1].split(",")
    left.public += [shown["delivery"]["apiKey"], sealed_key]

    for key, secret in ((shown["delivery"]["apiKey"], "shown secret"), (sealed_key, "sealed secret")):
        handed = {"accessToken": f"access token of the {secret}"}
        assert session.do("login", "accessToken", handed, apiKey=key, apiSecret=keep[secret])["accessToken"]
        session.do("verifyCredential", "code credential { maskedApiKey }", apiKey=key, apiSecret=keep[secret])
    member.do("revealApiKey", "apiKey", credentialId=shown["credential"]["id"])
    every = (
        "credentials { nodes { name maskedApiKey } } auditEvents(last: 100) { nodes { summary type subjectId hash } }"
    )
    session.ask(f"{{ {every} users {{ nodes {{ id email }} }} }}")

    for who in (Session(server.url, left), member, session):
        misuse(who, wanted, private, keep)
    member.do("revokeCredential", "credential { id }", credentialId=shown["credential"]["id"])
    session.do("suspendService", "service { id }", serviceId=service_id)
    for key, secret in ((shown["delivery"]["apiKey"], "shown secret"), (sealed_key, "sealed secret")):
        member.do("login", "scope", apiKey=key, apiSecret=keep[secret])
        session.do("verifyCredential", "code", apiKey=key, apiSecret=keep[secret])

    break_the_database(rows)
    for who in (member, session):
        who.do_or_fail("login", "scope", apiKey=sealed_key, apiSecret=keep["sealed secret"])
        who.do_or_fail("signIn", "expiresAt", email=MEMBER, password=keep["member's password"])


def hand_over(left: Left, secret: str, name: str) -> None:
    left.secrets[name] = secret
    text, _ = left.answers.pop()
    left.answers.append((text, frozenset({name})))
