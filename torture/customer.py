"""A customer who changes things as people and their scripts do: one thing after the other, each again until there is
an answer, with notes of what was answered."""

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from tests.support.world import PASSWORD
from torture.campaign import CampaignFailed
from torture.fleet import Fleet, Life
from torture.ledger import ELSEWHERE_WITHIN, Held, Ledger
from torture.messages import TOLD_OF, Messages
from torture.stage import Customer, Stage
from torture.wire import Answer, Lost, Wire

_ANSWERED_WITHIN = 40  # seconds, of trying again
_AGAIN_AFTER = 0.02
_MOST_HELD = 12
_FORGETS = 0.2
"""How often a customer who got no answer does not ask again."""
_ASKS_TWICE = 0.25
_INPUTS = {
    **dict.fromkeys(["suspendService", "resumeService"], "ServiceInput"),
    **dict.fromkeys(["rejectIdentity", "suspendIdentity", "reinstateIdentity"], "IdentityInput"),
    **dict.fromkeys(["grantApiAccess", "removeApiAccess", "deactivateUser", "reactivateUser"], "UserInput"),
}
_VIEW_AND_COPY = {"method": "VIEW_AND_COPY"}
_DELIVERED = "credential { id } delivery { ... on ViewAndCopyDelivery { apiKey apiSecret } }"
_WITH_ENDPOINTS = 4
"""So many customers have some of their own: of an account there may be ten."""
_ENDPOINT = "endpoint { id } signingSecret"
_ENDPOINTS = "{ webhookEndpoints { nodes { id url } } }"
_NETWORKS: list[tuple[str, ...]] = [(), ("127.0.0.0/8",), ("192.0.2.0/24",)]


class Forgotten(Exception):
    """No answer came, and the customer did not ask again."""


@dataclass(frozen=True)
class Told:
    """An answer, by which life it was given, and how many requests before it may or may not have done the same."""

    payload: dict[str, Any]
    errors: frozenset[str]
    life: Life
    unknown: int

    def done(self, already: str) -> None:
        """It was done now, or, where no answer came, before. Raises CampaignFailed."""
        if self.errors and not (self.unknown and self.errors == {already}):
            raise CampaignFailed(f"{sorted(self.errors)} after {self.unknown} requests without an answer")


@dataclass
class Asking:
    """Whoever asks: any server that lives, and another where no answer came."""

    fleet: Fleet
    ledger: Ledger
    random: Random
    wire: Wire = field(default_factory=Wire)

    async def somebody(self) -> Life:
        """A server that can be asked."""
        give_up_at = time.monotonic() + _ANSWERED_WITHIN
        while not (living := self.fleet.living()):
            if time.monotonic() > give_up_at:
                raise CampaignFailed("no server could be asked")
            await asyncio.sleep(0.005)
        return self.random.choice(living)

    async def mutate(
        self, name: str, selection: str, token: str | None, fields: dict[str, Any] | None, forgets: float = 0
    ) -> Told:
        """The answer, asked for until there is one. Raises Forgotten, CampaignFailed."""
        unknown, give_up_at = 0, time.monotonic() + _ANSWERED_WITHIN
        while True:
            life = await self.somebody()
            try:
                answer = await self.graphql(life, _document(name, selection, fields), {"input": fields}, token)
                told = _told(name, answer, life, unknown)
            except Lost:
                told = None
            if told:
                self.ledger.counts["answered"] += 1
                return told
            self.ledger.counts["not answered"] += 1
            unknown += 1
            if self.random.random() < forgets:
                raise Forgotten
            if time.monotonic() > give_up_at:
                raise CampaignFailed(f"{name} was not answered within {_ANSWERED_WITHIN} s")
            await asyncio.sleep(_AGAIN_AFTER)

    async def graphql(self, life: Life, document: str, variables: dict[str, Any], token: str | None) -> Answer:
        """Raises Lost."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = orjson.dumps({"query": document, "variables": variables})
        return await self.wire.ask(life.port, "/graphql", headers, body)

    async def verify(self, held: Held, gateway: str, life: Life) -> Answer:
        """What a gateway is told. Raises Lost."""
        shown = b64encode(f"{held.key}:{held.secret}".encode()).decode()
        headers = {
            "Authorization": f"Basic {shown}",
            "X-Sealkey-Gateway-Token": gateway,
            "X-Sealkey-Client-Address": "127.0.0.1",
        }
        try:
            answer = await self.wire.ask(life.port, "/verify", headers)
        except Lost:
            self.ledger.maybe_allowed += 1
            raise
        if answer.status == 200:
            self.ledger.allowed.append((time.monotonic(), life))
        elif answer.status not in {401, 403, 503}:
            raise CampaignFailed(f"/verify answered {answer.status}")
        self.ledger.counts["checks"] += 1
        return answer


def _document(name: str, selection: str, fields: dict[str, Any] | None) -> str:
    if fields is None:
        return f"mutation {{ {name} {{ {selection} userErrors {{ code message }} }} }}"
    input_type = _INPUTS.get(name, f"{name[0].upper()}{name[1:]}Input")
    return (
        f"mutation ($input: {input_type}!) {{ {name}(input: $input) {{ {selection} userErrors {{ code message }} }} }}"
    )


def _told(name: str, answer: Answer, life: Life, unknown: int) -> Told | None:
    """None where it is not known whether anything was done."""
    if answer.status == 503:
        return None
    if answer.status != 200:
        raise CampaignFailed(f"{name} was answered by {answer.status}: {answer.body!r}")
    body = answer.json()
    codes = frozenset(error["extensions"]["code"] for error in body.get("errors", ()))
    if codes:
        if codes == {"UNAVAILABLE"}:
            return None
        if codes != {"UNAUTHENTICATED"}:
            raise CampaignFailed(f"{name} was answered by {body}")
        return Told({}, codes, life, unknown)
    payload = body["data"][name]
    return Told(payload, frozenset(error["code"] for error in payload["userErrors"]), life, unknown)


class Customers(Asking):
    """One customer, for as long as it lives."""

    def __init__(
        self, fleet: Fleet, ledger: Ledger, stage: Stage, customer: Customer, messages: Messages, seed: int
    ) -> None:
        super().__init__(fleet, ledger, Random(f"{seed}-{customer.number}"))
        self._stage, self._me = stage, customer
        self._messages = messages
        self._endpoint: str | None = None
        self._made = 0
        self._held: list[Held] = []
        self._puppet = {"role": "MEMBER", "access": True, "active": True}
        self._things: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (30, self._generate),
            (16, self._rotate),
            (14, self._reassociate),
            (24, self._revoke),
            (12, self._set_networks),
            (8, self._view),
            (10, self._suspend_and_resume),
            (4, self._suspend_and_reinstate_identity),
            (6, self._vet_identity),
            (10, self._replace_endpoint),
            (12, self._change_puppet),
            (1, self._sign_in_and_out),
        ]

    async def live(self, over: asyncio.Event) -> None:
        """Does one thing after the other until it is over."""
        weights, things = zip(*self._things, strict=True)
        while not over.is_set():
            (thing,) = self.random.choices(things, weights)
            try:
                await thing()
            except Forgotten:
                self.ledger.counts["forgotten"] += 1
        self.wire.close()

    @asynccontextmanager
    async def _changing(self, id_: str) -> AsyncIterator[None]:
        """Meanwhile, and until every process must know, nobody can say what is let in."""
        self.ledger.begin(id_)
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(ELSEWHERE_WITHIN, self.ledger.end, id_)

    def _choose(self) -> Held | None:
        return self.random.choice(self._held) if self._held else None

    async def _generate(self) -> None:
        if len(self._held) >= _MOST_HELD:
            await self._revoke()
            return
        self._made += 1
        name, service = f"c{self._me.number}_{self._made}", self.random.randrange(2)
        fields = {
            "name": name,
            "serviceId": self._me.services[service],
            "identityId": self._me.identity,
            "delivery": _VIEW_AND_COPY,
            "idempotencyKey": f"{self.random.getrandbits(160):040x}",
        }
        try:
            told = await self.mutate("generateCredential", _DELIVERED, self._me.member, fields, _FORGETS)
        except Forgotten:
            self.ledger.abandoned.append(name)
            raise
        told.done("")
        held = self._hold(told, name, service)
        self.ledger.expect("credential.generated", held.id)
        await self._ask_again("generateCredential", fields, held, told.unknown)

    def _hold(self, told: Told, name: str, service: int, networks: tuple[str, ...] = ()) -> Held:
        delivery = told.payload["delivery"]
        id_ = told.payload["credential"]["id"]
        held = Held(id_, name, delivery["apiKey"], delivery["apiSecret"], self._me, service, networks)
        self._held.append(held)
        self.ledger.credentials.append(held)
        return held

    async def _ask_again(self, name: str, fields: dict[str, Any], held: Held, unknown: int) -> None:
        """The same request is answered by the same secret."""
        self.ledger.may_be("credential.delivered_again", held.id, unknown)
        if self.random.random() >= _ASKS_TWICE:
            return
        again = await self.mutate(name, _DELIVERED, self._me.member, fields)
        again.done("")
        delivery = again.payload["delivery"]
        if (delivery["apiKey"], delivery["apiSecret"]) != (held.key, held.secret):
            raise CampaignFailed(f"a retry of {name} was answered by another secret")
        self.ledger.expect("credential.delivered_again", held.id, again.unknown)

    async def _rotate(self) -> None:
        old = self._choose()
        if old is None:
            return
        grace = self.random.choice([0, 24])
        fields = {
            "credentialId": old.id,
            "delivery": _VIEW_AND_COPY,
            "graceHours": grace,
            "idempotencyKey": f"{self.random.getrandbits(160):040x}",
        }
        async with self._changing(old.id):
            self._held.remove(old)
            told = await self.mutate("rotateCredential", _DELIVERED, self._me.member, fields)
            told.done("")
            if grace == 0:
                old.ended, old.ended_by = time.monotonic(), told.life
        new = self._hold(told, old.name, old.service, old.networks)
        self.ledger.expect("credential.retired", old.id)
        self.ledger.expect("credential.rotated", new.id)
        await self._ask_again("rotateCredential", fields, new, told.unknown)

    async def _reassociate(self) -> None:
        held = self._choose()
        if held is None:
            return
        to = 1 - held.service
        fields = {"credentialId": held.id, "serviceId": self._me.services[to]}
        async with self._changing(held.id):
            told = await self.mutate("reassociateCredential", "credential { id }", self._me.member, fields)
            told.done("CONFLICT")
            held.service = to
        self.ledger.expect("credential.reassociated", held.id)

    async def _revoke(self) -> None:
        held = self._choose()
        if held is None:
            return
        self._held.remove(held)
        async with self._changing(held.id):
            by = self.random.choice([self._me.member, self._me.administrator, self._stage.operator])
            told = await self.mutate("revokeCredential", "credential { status }", by, {"credentialId": held.id})
            told.done("ALREADY_REVOKED")
            held.ended, held.ended_by = time.monotonic(), told.life
        self.ledger.expect("credential.revoked", held.id)
        await self._check_ended(held, told.life)

    async def _check_ended(self, held: Held, life: Life) -> None:
        """At once, where it was ended."""
        try:
            answer = await self.verify(held, self._stage.gateway, life)
        except Lost:
            return
        if answer.status == 200 and self.fleet.is_living(life):
            raise CampaignFailed("a credential was let in by the process that had just ended it")

    async def _set_networks(self) -> None:
        held = self._choose()
        if held is None:
            return
        networks = self.random.choice(_NETWORKS)
        async with self._changing(held.id):
            fields = {"credentialId": held.id, "networks": list(networks)}
            told = await self.mutate("setAllowedNetworks", "credential { id }", self._me.member, fields)
            told.done("")
            held.networks = networks
        self.ledger.expect("credential.networks_set", held.id, told.unknown)

    async def _view(self) -> None:
        held = self._choose()
        if held is None:
            return
        told = await self.mutate("revealApiKey", "apiKey", self._me.member, {"credentialId": held.id})
        told.done("")
        if told.payload["apiKey"] != held.key:
            raise CampaignFailed("another key was shown than the one that was handed over")
        self.ledger.expect("credential.viewed", held.id, told.unknown)

    async def _suspend_and_resume(self) -> None:
        await self._block_and_unblock("service", self.random.choice(self._me.services), "suspend", "resume")

    async def _suspend_and_reinstate_identity(self) -> None:
        await self._block_and_unblock("identity", self._me.identity, "suspend", "reinstate")

    async def _block_and_unblock(self, kind: str, id_: str, *verbs: str) -> None:
        for verb, past in zip(verbs, ("suspended", f"{verbs[1].removesuffix('e')}ed"), strict=True):
            async with self._changing(id_):
                life = await self._decide(kind, id_, verb, past)
                self.ledger.suspended[id_] = past == "suspended"
            if past == "suspended":
                await self._look_at_suspended(id_, life)

    async def _decide(self, kind: str, id_: str, verb: str, past: str) -> Life:
        """What an operator decides about an identity or a service; by which life it was done."""
        name = f"{verb}{kind.capitalize()}"
        told = await self.mutate(name, f"{kind} {{ id }}", self._stage.operator, {f"{kind}Id": id_})
        told.done("CONFLICT")
        self.ledger.expect(f"{kind}.{past}", id_)
        return told.life

    async def _vet_identity(self) -> None:
        """Another one, which no credential has."""
        self._made += 1
        new = {"name": f"identity {self._me.number}_{self._made}", "kind": "DOMAIN"}
        told = await self.mutate("submitIdentity", "identity { id }", self._me.administrator, new)
        told.done("")
        id_ = told.payload["identity"]["id"]
        self.ledger.expect("identity.submitted", id_)
        if self.random.random() < 0.3:
            await self._decide("identity", id_, "reject", "rejected")
            return
        for verb, past in (("approve", "approved"), ("suspend", "suspended"), ("reinstate", "reinstated")):
            await self._decide("identity", id_, verb, past)

    async def _replace_endpoint(self) -> None:
        """Makes an endpoint with another secret, and removes the one before; and those that may have been made by
        requests without an answer."""
        if self._me.number >= _WITH_ENDPOINTS:
            return
        self._made += 1
        path = f"/of-{self._me.number}/{self._made}"
        new = {"url": self._messages.receiver.url(path), "eventTypes": TOLD_OF}
        told = await self.mutate("createWebhookEndpoint", _ENDPOINT, self._me.administrator, new)
        told.done("")
        made = told.payload["endpoint"]["id"]
        self._messages.secrets[path] = told.payload["signingSecret"]
        self.ledger.expect("webhook.created", made)
        strays = await self._strays(path, made) if told.unknown else []
        for other in [*([self._endpoint] if self._endpoint else []), *strays]:
            removed = await self.mutate("removeWebhookEndpoint", "", self._me.administrator, {"endpointId": other})
            removed.done("NOT_FOUND")
            self.ledger.expect("webhook.removed", other)
        self._endpoint = made
        self.ledger.counts["endpoints"] += 1

    async def _strays(self, path: str, but: str) -> list[str]:
        """Endpoints at this address whose secret nobody was told. Who signed what came there can't be told."""
        del self._messages.secrets[path]
        while True:
            life = await self.somebody()
            try:
                answer = await self.graphql(life, _ENDPOINTS, {}, self._me.administrator)
            except Lost:
                continue
            if answer.status == 200 and answer.json().get("data"):
                nodes = answer.json()["data"]["webhookEndpoints"]["nodes"]
                return [each["id"] for each in nodes if each["url"].endswith(path) and each["id"] != but]

    async def _look_at_suspended(self, id_: str, life: Life) -> None:
        for held in [each for each in self._held if id_ in (self._me.identity, self._me.services[each.service])][:1]:
            try:
                answer = await self.verify(held, self._stage.gateway, life)
            except Lost:
                return
            if answer.status == 200 and self.fleet.is_living(life):
                raise CampaignFailed("a credential was let in by the process that had just suspended what it needs")
        if self.random.random() < 0.3:
            await asyncio.sleep(ELSEWHERE_WITHIN * 1.2)  # for those who ask elsewhere

    async def _change_puppet(self) -> None:
        puppet, done = self._me.puppet, self._puppet
        changes: Sequence[tuple[str, str, str, Any]] = [
            ("removeApiAccess", "user.api_access_removed", "access", False)
            if done["access"]
            else ("grantApiAccess", "user.api_access_granted", "access", True),
            ("deactivateUser", "user.deactivated", "active", False)
            if done["active"]
            else ("reactivateUser", "user.reactivated", "active", True),
            ("setUserRole", "user.role_set", "role", "AUDITOR" if done["role"] == "MEMBER" else "MEMBER"),
        ]
        verb, event, name, value = self.random.choice(changes)
        fields = {"userId": puppet, **({"role": value} if name == "role" else {})}
        told = await self.mutate(verb, "user { id }", self._me.administrator, fields)
        told.done("CONFLICT")
        self._puppet[name] = value
        self.ledger.expect(event, puppet)

    async def _sign_in_and_out(self) -> None:
        fields = {"email": self._me.email, "password": PASSWORD}
        told = await self.mutate("signIn", "sessionToken", None, fields)
        told.done("")
        session = told.payload["sessionToken"]
        self.ledger.expect("session.started", self._me.member_id, told.unknown)
        await self._reads(session, await self.somebody())  # and is remembered there
        told = await self.mutate("signOut", "", session, None)
        told.done("UNAUTHENTICATED")
        self.ledger.expect("session.ended", self._me.member_id)
        if await self._reads(session, told.life) and self.fleet.is_living(told.life):
            raise CampaignFailed("a session was let in by the process that had just ended it")
        await asyncio.sleep(ELSEWHERE_WITHIN)
        for life in self.fleet.living():
            if await self._reads(session, life):
                raise CampaignFailed(f"a session was let in {ELSEWHERE_WITHIN} s after it was ended")

    async def _reads(self, session: str, life: Life) -> bool:
        """Whether somebody may read, as far as there is an answer."""
        try:
            answer = await self.graphql(life, "{ viewer { user { id } } }", {}, session)
        except Lost:
            return False
        data = answer.json().get("data") if answer.status == 200 else None
        return bool(data and data["viewer"]["user"])


class Gateway(Asking):
    """Asks about whatever was handed over, all the time."""

    def __init__(self, fleet: Fleet, ledger: Ledger, stage: Stage, seed: str) -> None:
        super().__init__(fleet, ledger, Random(seed))
        self._stage = stage

    async def live(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await asyncio.sleep(0)
            if not self.ledger.credentials:
                await asyncio.sleep(0.01)
                continue
            # The last ones more often than those before.
            place = int(len(self.ledger.credentials) * (1 - self.random.random() ** 3))
            await self.check(self.ledger.credentials[min(place, len(self.ledger.credentials) - 1)])
        self.wire.close()

    async def check(self, held: Held) -> None:
        """Raises CampaignFailed where a gateway is told what it must not be."""
        life = await self.somebody()
        ledger = self.ledger
        version, may, must = ledger.version(held), ledger.may_be_let_in(held, life), ledger.must_be_let_in(held)
        try:
            answer = await self.verify(held, self._stage.gateway, life)
        except Lost:
            return
        if answer.status == 503:
            ledger.counts["checks unavailable"] += 1
            return
        is_let_in = answer.status == 200
        code = answer.headers.get("x-sealkey-code")
        if is_let_in and not may:
            ended = time.monotonic() - (held.ended or 0)
            raise CampaignFailed(f"{held.name} was let in {ended:.3f} s after it was ended")
        if must is not None and is_let_in is not must and ledger.version(held) == version:
            raise CampaignFailed(f"{held.name} ({held.id}) should have been {'let in' if must else 'refused'}: {code}")
        if must is not None:
            ledger.counts["checks foreseen"] += 1
