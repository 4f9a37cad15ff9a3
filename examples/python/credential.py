"""The life of a credential: generated, opened, logged in with, rotated, revoked, and watched all along.

Takes SEALKEY, EMAIL and PASSWORD from the environment, and the packages of requirements.txt.
"""

import asyncio
import base64
import csv
import os
from contextlib import aclosing
from threading import Thread
from typing import Any

import httpx
from gql import Client, GraphQLRequest, gql
from gql.transport.httpx import HTTPXTransport
from gql.transport.websockets import WebsocketsTransport
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

SEALKEY = os.environ.get("SEALKEY", "http://127.0.0.1:8000")

SIGN_IN = """
mutation ($input: SignInInput!) {
  signIn(input: $input) { sessionToken viewer { user { displayName } } userErrors { message } }
}
"""
SERVICES = """
{ services(filter: {statuses: [ACTIVE]}) { nodes { id name identities { nodes { id status } } } } }
"""
GENERATE = """
mutation ($input: GenerateCredentialInput!) {
  generateCredential(input: $input) {
    credential { id name }
    delivery { ... on EncryptedFileDelivery { file { name contentBase64 } } }
    userErrors { message }
  }
}
"""
ROTATE = """
mutation ($input: RotateCredentialInput!) {
  rotateCredential(input: $input) {
    credential { id }
    predecessor { expiresAt }
    delivery { ... on EncryptedFileDelivery { file { name contentBase64 } } }
    userErrors { message }
  }
}
"""
REVOKE = """
mutation ($input: RevokeCredentialInput!) {
  revokeCredential(input: $input) { credential { name status } userErrors { message } }
}
"""
CHANGES = """
subscription { credentialChanged { eventType credential { name } } }
"""


class Refused(Exception):
    """What a caller could expect to go wrong did, and nothing was changed."""


class Sealkey:
    """Somebody's side of the API."""

    def __init__(self, session: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {session}"} if session else {}
        self.session = session
        self.client = Client(transport=HTTPXTransport(f"{SEALKEY}/graphql", headers=headers))

    def ask(self, document: str, **variables: Any) -> Any:
        """The value of the document's one field. What is wrong on top is raised by gql."""
        (answer,) = self.client.execute(GraphQLRequest(document, variable_values=variables)).values()
        if answer.get("userErrors"):
            raise Refused(answer["userErrors"][0]["message"])
        return answer

    async def watch(self, told: list[str]) -> None:
        """Notes what is told of credentials, over a WebSocket, until two of them are revoked."""
        who = {"Authorization": f"Bearer {self.session}"}
        transport = WebsocketsTransport(f"{SEALKEY.replace('http', 'ws')}/graphql", init_payload=who)
        async with Client(transport=transport) as socket, aclosing(socket.subscribe(gql(CHANGES))) as answers:
            async for answer in answers:
                change = answer["credentialChanged"]
                told.append(f"{change['eventType']} {change['credential']['name']}")
                if sum(line.startswith("credential.revoked") for line in told) == 2:
                    break


def open_and_log_in(delivery: Any, private_key: JWK) -> str:
    """What an API client does with the file that was delivered: an access token for the key and the secret in it."""
    envelope = JWE()
    envelope.deserialize(base64.b64decode(delivery["file"]["contentBase64"]).decode(), private_key)
    (row,) = csv.DictReader(envelope.payload.decode().splitlines())
    print(f"Opened {delivery['file']['name']}.")
    keys = {"api_key": row["API Key"], "api_secret": row["API Secret"]}
    answer = httpx.post(f"{SEALKEY}/v2/login", json=keys).raise_for_status().json()
    print(f"Logged in as {keys['api_key']}.")
    token: str = answer["access_token"]
    return token


def main() -> None:
    who = {"email": os.environ["EMAIL"], "password": os.environ["PASSWORD"]}
    signed_in = Sealkey().ask(SIGN_IN, input=who)
    sealkey = Sealkey(signed_in["sessionToken"])
    print(f"Signed in as {signed_in['viewer']['user']['displayName']}.")
    told: list[str] = []
    watching = Thread(target=asyncio.run, args=[sealkey.watch(told)], daemon=True)
    watching.start()

    service = sealkey.ask(SERVICES)["nodes"][0]
    identity = next(each for each in service["identities"]["nodes"] if each["status"] == "ACTIVE")

    # The private key stays here; the server seals key and secret to the public one.
    private_key = JWK.generate(kty="RSA", size=3072)
    public_key = private_key.export_to_pem().decode()
    delivery = {"method": "ENCRYPTED_FILE", "format": "JWE", "publicKey": public_key}

    wanted = {"name": "python_example", "serviceId": service["id"], "identityId": identity["id"], "delivery": delivery}
    generated = sealkey.ask(GENERATE, input=wanted)
    print(f"Generated {generated['credential']['name']} for {service['name']}.")
    open_and_log_in(generated["delivery"], private_key)

    rotated = sealkey.ask(ROTATE, input={"credentialId": generated["credential"]["id"], "delivery": delivery})
    print(f"Rotated it; the old secret works until {rotated['predecessor']['expiresAt']}.")
    open_and_log_in(rotated["delivery"], private_key)

    # With lineage, the old one as well.
    revocation = {"credentialId": rotated["credential"]["id"], "reason": "SUPERSEDED", "lineage": True}
    revoked = sealkey.ask(REVOKE, input=revocation)["credential"]
    print(f"{revoked['name']} is {revoked['status']}.")
    watching.join()
    print("Was told of:", *told, sep="\n")


if __name__ == "__main__":
    main()
