"""Measures the two paths that matter most, each beside the least that it could cost, in one run, interleaved; and
signing in with an address that somebody has beside one that nobody has, which should be 1.0.

    make bench        the ratios: how many times the least each path takes

No figure here is a test: machines differ, ratios less so.
"""

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

from auth.crypto.credential_format import generate_api_key, generate_api_secret
from auth.crypto.keyring import Purpose
from auth.crypto.secret import Secret
from auth.crypto.secret_hash import hash_secret, secret_matches
from auth.principal import Principal
from models.account import Account, DeliveryMethod
from models.credential import Credential
from models.database import transaction
from models.identity import Identity
from models.ids import new_id
from models.service import Service
from models.user import Role, User
from resolvers.caller import Caller, Deployment
from resolvers.check_credential import Question, verify_credential
from resolvers.errors import Refused
from resolvers.sessions import sign_in
from schema.api import build_api
from schema.context import Context
from server.app import deployed
from server.demo import prepare_demo
from server.settings import Settings

ROUNDS = 7
CREDENTIALS = 1000
_NODE = """id name maskedApiKey status usable blockers deliveryMethod createdAt expiresAt revokedAt lastUsedAt
    identity { id name status } service { id code status } owner { id email } account { id name }"""
_PAGE = f"{{ credentials(first: 100) {{ nodes {{ {_NODE} }} pageInfo {{ endCursor }} }} }}"


async def main() -> None:
    print(f"Making {CREDENTIALS} credentials in a new SQLite database.")
    with tempfile.TemporaryDirectory() as directory:
        async with deployed(Settings(data_dir=Path(directory))) as deployment:
            await prepare_demo(deployment)
            await _measure(deployment, await _make_credentials(deployment))


async def _measure(deployment: Deployment, question: Question) -> None:
    operator = await User.get(role=Role.OPERATOR).select_related("account")
    caller = Caller(Principal.of_user(operator), None, deployment.clock(), deployment)
    api, context = build_api(), Context(caller)
    key = deployment.keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, deployment.clock())
    kept = hash_secret(key, question.api_key, question.api_secret)

    async def keyed_hash() -> None:
        secret_matches(deployment.keyring, key.id, bytes.fromhex(kept), question.api_key, question.api_secret)

    async def check() -> None:
        await verify_credential(caller, question)

    async def rows() -> None:
        await Credential.all().select_related("account", "owner", "identity", "service").limit(100)

    async def page() -> None:
        assert not (await api.executor.execute(_PAGE, None, None, context)).errors

    sources = count()

    async def sign_in_in_vain(email: str) -> None:
        # Each from elsewhere, so that none of them has to wait.
        elsewhere = replace(caller, source_ip=str(IPv4Address(0x0A000000 + next(sources))), now=deployment.clock())
        with suppress(Refused):
            await sign_in(elsewhere, email=email, password=Secret("not the password"))

    async def known() -> None:
        await sign_in_in_vain(operator.email)

    async def unknown() -> None:
        await sign_in_in_vain("nobody@sealkey.example")

    print("One round of each before counting; then the median of", ROUNDS, "rounds.")
    await _compare("check a credential", check, "its keyed hash alone", keyed_hash, times=300)
    await _compare("a page of 100 credentials", page, "its rows alone", rows, times=20)
    await _compare("a wrong password, address known", known, "the same, address unknown", unknown, times=5)


async def _compare(
    name: str, path: Callable[[], Awaitable[None]], least_name: str, least: Callable[[], Awaitable[None]], *, times: int
) -> None:
    await _seconds(path, 1)
    rounds = [(await _seconds(path, times), await _seconds(least, times)) for _ in range(ROUNDS)]
    ratio = median(a / b for a, b in rounds)
    microseconds = [median(round_[which] for round_ in rounds) / times * 1e6 for which in (0, 1)]
    print(f"{name}: {microseconds[0]:,.0f} µs; {least_name}: {microseconds[1]:,.0f} µs; ratio {ratio:,.1f}")


async def _seconds(path: Callable[[], Awaitable[None]], times: int) -> float:
    began = perf_counter()
    for _ in range(times):
        await path()
    return perf_counter() - began


async def _make_credentials(deployment: Deployment) -> Question:
    """Rows written directly: what is measured is reading them. The answer asks about one of them."""
    now, key = deployment.clock(), deployment.keyring.symmetric_key(Purpose.CREDENTIAL_HASHING, deployment.clock())
    account = await Account.all().first()
    owner = await User.get(account=account, role=Role.MEMBER, api_access=True)
    service = await Service.filter(account=account).first()
    identity = await Identity.filter(account=account).first()
    question = Question(generate_api_key("bench"), generate_api_secret("bench"))
    async with transaction():
        for number in range(CREDENTIALS):
            question = replace(question, api_key=generate_api_key("bench"))
            await Credential.create(
                id=new_id(now),
                account=account,
                owner=owner,
                service=service,
                identity=identity,
                name=f"bench_{number}",
                api_key=question.api_key,
                secret_hash=hash_secret(key, question.api_key, question.api_secret),
                hashing_key_id=key.id,
                delivery_method=DeliveryMethod.VIEW_AND_COPY,
                created_at=now,
            )
    return question
