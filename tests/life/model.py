"""The life of a credential as the product describes it: a small reference for the server to be compared with.

Plain Python, none of it the server's: no database, nothing at once, and a clock that somebody else moves. It knows one
account, its people and what is theirs. Things have names in the place of ids; a name that is not here names something
that is not there, or another account's, which nobody can tell apart.

An operation is attempted. Where several things are wrong with it the model says them all, since which of them a server
notices first is its own business; where nothing is, the operation is done.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.life.things import (
    ADMINISTRATOR,
    AUDITOR,
    IDENTITY_STEPS,
    LOGIN_CODES,
    MAY,
    MEMBER,
    NETWORKS_AROUND_US,
    PERSON_STEPS,
    POLICY_FIELDS,
    RSA_KEYS,
    SERVICE_STEPS,
    WRONG_KEYS,
    Answer,
    Codes,
    Credential,
    Identity,
    Operation,
    Outcome,
    Person,
    Policy,
    Service,
    later,
    when,
    wrong_networks,
)

Given = Mapping[str, Any]


@dataclass
class World:
    now: datetime
    people: dict[str, Person]
    identities: dict[str, Identity]
    services: dict[str, Service]
    links: set[tuple[str, str]]
    policy: Policy = field(default_factory=Policy)
    suspended: bool = False
    credentials: dict[str, Credential] = field(default_factory=dict)
    answers: dict[tuple[str, str, str], Answer] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------ what is so now

    def status(self, credential: Credential) -> str:
        if credential.revoked:
            return "REVOKED"
        if self._is_past(credential.ends_at):
            return "EXPIRED"
        return "RETIRING" if credential.successor else "ACTIVE"

    def identity_status(self, name: str) -> str:
        identity = self.identities[name]
        vetted = identity.decision in {"ACTIVE", "SUSPENDED"}
        return "EXPIRED" if vetted and self._is_past(identity.valid_until) else identity.decision

    def service_status(self, name: str) -> str:
        service = self.services[name]
        if service.cancelled or service.suspended:
            return "CANCELLED" if service.cancelled else "SUSPENDED"
        if self._is_past(service.ends_at):
            return "EXPIRED"
        return "SCHEDULED" if self.now < service.starts_at else "ACTIVE"

    def blockers(self, credential: Credential) -> list[str]:
        """All that keeps it out, in the order in which it is told."""
        owner, service = self.people[credential.owner], self.services[credential.service]
        reasons = {
            "REVOKED": self.status(credential) == "REVOKED",
            "EXPIRED": self.status(credential) == "EXPIRED",
            "OWNER_ACCESS_REMOVED": not owner.api_access or owner.role != MEMBER,
            "OWNER_DEACTIVATED": not owner.active,
            "ACCOUNT_SUSPENDED": self.suspended,
            "IDENTITY_NOT_ACTIVE": self.identity_status(credential.identity) != "ACTIVE",
            "SERVICE_NOT_STARTED": self.now < service.starts_at,
            "SERVICE_EXPIRED": self._is_past(service.ends_at),
            "SERVICE_SUSPENDED": service.suspended,
            "SERVICE_CANCELLED": service.cancelled,
        }
        return [reason for reason, holds in reasons.items() if holds]

    def verdict(self, credential: Credential, *, address_known: bool) -> str:
        """What a gateway is answered."""
        allowed = not credential.networks or (address_known and _is_around_us(credential))
        return next(iter([*self.blockers(credential), "OK" if allowed else "ADDRESS_NOT_ALLOWED"]))

    def login(self, credential: Credential) -> str:
        """What a client is answered: the token's scope, or why there is none. A service that may not be used does not
        stop the login; the scope is then empty."""
        blockers = self.blockers(credential)
        for blocker in blockers:
            if not blocker.startswith("SERVICE_"):
                return LOGIN_CODES.get(blocker, blocker)
        if credential.networks and not _is_around_us(credential):
            return "ADDRESS_NOT_ALLOWED"
        return "scope: " + ("" if blockers else self.services[credential.service].code)

    def may_be_here(self, who: str) -> bool:
        """Whether somebody can sign in."""
        person = self.people[who]
        return person.active and not (self.suspended and person.account == "here")

    def moments(self) -> list[datetime]:
        """The instants to come at which something changes by itself."""
        known = [credential.ends_at for credential in self.credentials.values()]
        known += [moment for service in self.services.values() for moment in (service.starts_at, service.ends_at)]
        known += [identity.valid_until for identity in self.identities.values()]
        known += [answer.until for answer in self.answers.values()]
        return sorted({moment for moment in known if moment is not None and moment > self.now})

    def _is_past(self, moment: datetime | None) -> bool:
        return moment is not None and moment <= self.now

    # ------------------------------------------------------------------------------------------------ operations

    def attempt(self, operation: Operation) -> Outcome:
        """What comes of an operation; it is done where nothing is wrong."""
        if denied := self._denied(operation):
            return Outcome(frozenset(denied))
        key = operation.given.get("idempotencyKey")
        kept = self.answers.get((operation.who, operation.verb, str(key)))
        if key and kept and self.now < kept.until:
            same = kept.request == operation.given
            return Outcome(made=kept.made) if same else Outcome(frozenset({"CONFLICT"}))
        if wrong := self._perform(operation):
            return Outcome(frozenset(wrong))
        if key:
            until = self.now + timedelta(minutes=10)
            self.answers[operation.who, operation.verb, key] = Answer(operation.given, operation.makes, until)
        return Outcome(made=operation.makes or None)

    def _denied(self, operation: Operation) -> Codes:
        person = self.people[operation.who]
        if not self.may_be_here(operation.who):
            return {"UNAUTHENTICATED"}
        if operation.verb not in MAY[person.role]:
            return {"FORBIDDEN"}
        needs_access = person.role == MEMBER and operation.verb != "submitIdentity"
        return when(needs_access and not person.api_access, "API_ACCESS_REMOVED")

    def _perform(self, operation: Operation) -> Codes:
        verb, given = operation.verb, operation.given
        if verb in PERSON_STEPS:
            return self._change_person(operation, given["userId"], *PERSON_STEPS[verb])
        if verb in IDENTITY_STEPS:
            return self._decide(given["identityId"], given.get("validUntil"), *IDENTITY_STEPS[verb])
        if verb in SERVICE_STEPS:
            return self._change_service(given["serviceId"], given.get("expiresAt"), *SERVICE_STEPS[verb])
        method = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", verb)
        wrong: Codes = getattr(self, f"_{method}")(operation, given)
        return wrong

    def _generate_credential(self, operation: Operation, given: Given) -> Codes:
        networks = given.get("allowedNetworks", [])
        wrong, ends_at = self._end(given.get("expiry"))
        wrong |= when(not re.fullmatch("[a-z0-9_]{1,64}", given["name"]), "INVALID") | wrong_networks(networks)
        wrong |= self._wrong_delivery(given["delivery"]) | self._wrong_pair(given["serviceId"], given["identityId"])
        living = [each for each in self.credentials.values() if not each.revoked and not each.successor]
        wrong |= when(given["name"] in [each.name for each in living], "TAKEN")
        held = [each for each in living if each.owner == operation.who and self.status(each) == "ACTIVE"]
        wrong |= when(len(held) >= self.policy.limit, "LIMIT_REACHED")
        if not wrong:
            self.credentials[operation.makes] = Credential(
                given["name"], operation.who, given["serviceId"], given["identityId"], ends_at, networks
            )
        return wrong

    def _rotate_credential(self, operation: Operation, given: Given) -> Codes:
        wrong, ends_at = self._end(given.get("expiry"))
        wrong |= when(not 0 <= given["graceHours"] <= 720, "INVALID") | self._wrong_delivery(given["delivery"])
        old = self._credential(operation)
        if old is None:
            return wrong | {"NOT_FOUND"}
        wrong |= self._not_active(old) | self._wrong_pair(old.service, old.identity)
        if not wrong:
            self.credentials[operation.makes] = Credential(
                old.name, old.owner, old.service, old.identity, ends_at, old.networks, given["credentialId"]
            )
            old.successor = operation.makes
            grace = self.now + timedelta(hours=given["graceHours"])
            old.ends_at = min(old.ends_at or grace, grace)
        return wrong

    def _reassociate_credential(self, operation: Operation, given: Given) -> Codes:
        if not {"serviceId", "identityId"} & set(given):
            return {"REQUIRED"}
        credential = self._credential(operation)
        if credential is None:
            return {"NOT_FOUND"}
        service, identity = given.get("serviceId", credential.service), given.get("identityId", credential.identity)
        wrong = self._not_active(credential) | self._wrong_pair(service, identity)
        # Of what it keeps nothing is asked but the link.
        wrong -= when("serviceId" not in given, "SERVICE_NOT_ACTIVE")
        wrong -= when("identityId" not in given, "IDENTITY_NOT_ACTIVE")
        wrong |= when((service, identity) == (credential.service, credential.identity), "CONFLICT")
        if not wrong:
            credential.service, credential.identity = service, identity
        return wrong

    def _revoke_credential(self, operation: Operation, given: Given) -> Codes:
        credential = self._credential(operation)
        if credential is None:
            return {"NOT_FOUND"}
        meant = [credential, *(self._relatives(credential) if given.get("lineage") else [])]
        wrong = when(all(each.revoked for each in meant), "ALREADY_REVOKED")
        for each in meant:
            each.revoked = True
        return wrong

    def _set_allowed_networks(self, operation: Operation, given: Given) -> Codes:
        credential, wrong = self._credential(operation), wrong_networks(given["networks"])
        if credential is None:
            return wrong | {"NOT_FOUND"}
        wrong |= when(self.status(credential) not in {"ACTIVE", "RETIRING"}, "CREDENTIAL_NOT_ACTIVE")
        if not wrong:
            credential.networks = given["networks"]
        return wrong

    def _reveal_api_key(self, operation: Operation, _given: Given) -> Codes:
        return when(self._credential(operation) is None, "NOT_FOUND")

    def _set_user_role(self, operation: Operation, given: Given) -> Codes:
        if given["role"] not in {MEMBER, ADMINISTRATOR, AUDITOR}:
            return {"INVALID", "NOT_FOUND", "CONFLICT"}  # whichever of these holds and was looked at first
        return self._change_person(operation, given["userId"], "role", given["role"])

    def _change_person(self, operation: Operation, name: str, attribute: str, value: Any) -> Codes:
        if name not in self.people or not self._is_of_here(operation):
            return {"NOT_FOUND"}
        wrong = when(getattr(self.people[name], attribute) == value or name == operation.who, "CONFLICT")
        if not wrong:
            setattr(self.people[name], attribute, value)
        return wrong

    def _suspend_account(self, _operation: Operation, _given: Given) -> Codes:
        was, self.suspended = self.suspended, True
        return when(was, "CONFLICT")

    def _reinstate_account(self, _operation: Operation, _given: Given) -> Codes:
        was, self.suspended = self.suspended, False
        return when(not was, "CONFLICT")

    def _update_credential_policy(self, operation: Operation, given: Given) -> Codes:
        changes = {POLICY_FIELDS[name]: value for name, value in given.items() if name != "accountId"}
        policy = Policy(**{**vars(self.policy), **changes})
        wrong = when(not changes or not policy.makes_sense(), "INVALID")
        wrong |= when(not self._is_of_here(operation), "NOT_FOUND")
        if self.people[operation.who].role == ADMINISTRATOR:
            beyond = changes.get("limit", 0) > 20 or changes.get("never", False) or changes.get("bits", 2048) < 2048
            wrong |= when(beyond, "NOT_ALLOWED_BY_POLICY")
        if not wrong:
            self.policy = policy
        return wrong

    def _submit_identity(self, operation: Operation, _given: Given) -> Codes:
        self.identities[operation.makes] = Identity()
        return set()

    def _decide(self, name: str, valid_until: datetime | None, fro: Codes, decision: str) -> Codes:
        wrong = when(self._is_past(valid_until), "INVALID") | when(name not in self.identities, "NOT_FOUND")
        wrong |= when(name in self.identities and self.identity_status(name) not in fro, "CONFLICT")
        if not wrong:
            identity = self.identities[name]
            if "PENDING_VETTING" in fro:  # vetting sets an end, or none; other steps leave it
                identity.valid_until = valid_until
            identity.decision = decision
        return wrong

    def _create_service(self, operation: Operation, given: Given) -> Codes:
        start, end, identities = given.get("startsAt", self.now), given.get("expiresAt"), given.get("identityIds", [])
        wrong = when(end is not None and end <= max(start, self.now), "INVALID")
        wrong |= when(not set(identities) <= set(self.identities), "NOT_FOUND")
        wrong |= when(given["code"] in [each.code for each in self.services.values() if not each.cancelled], "TAKEN")
        if not wrong:
            self.services[operation.makes] = Service(given["code"], start, end)
            self.links |= {(operation.makes, identity) for identity in identities}
        return wrong

    def _change_service(self, name: str, new_end: datetime | None, fro: Codes, changes: Mapping[str, bool]) -> Codes:
        service = self.services.get(name)
        if service is None:
            return {"NOT_FOUND"}
        wrong = when(self.service_status(name) not in fro, "CONFLICT")
        wrong |= when(new_end is not None and new_end <= max(service.starts_at, self.now), "INVALID")
        if not wrong:
            self.services[name] = Service(**{**vars(service), **changes, "ends_at": new_end or service.ends_at})
        return wrong

    def _link_identity_to_service(self, _operation: Operation, given: Given) -> Codes:
        pair = (given["serviceId"], given["identityId"])
        if not self._are_here(*pair):
            return {"NOT_FOUND"}
        wrong = when(pair in self.links, "CONFLICT")
        self.links.add(pair)
        return wrong

    def _unlink_identity_from_service(self, _operation: Operation, given: Given) -> Codes:
        pair = (given["serviceId"], given["identityId"])
        if not self._are_here(*pair):
            return {"NOT_FOUND"}
        wrong = when(pair not in self.links, "CONFLICT")
        self.links.discard(pair)
        return wrong

    # ------------------------------------------------------------------------------------------------ rules in common

    def _is_of_here(self, operation: Operation) -> bool:
        return self.people[operation.who].account in {None, "here"}

    def _are_here(self, service: str, identity: str) -> bool:
        return service in self.services and identity in self.identities

    def _credential(self, operation: Operation) -> Credential | None:
        """The one that is meant, if it is there for who asks: members see their own."""
        found = self.credentials.get(operation.given["credentialId"]) if self._is_of_here(operation) else None
        of_others = found is not None and found.owner != operation.who
        return None if of_others and self.people[operation.who].role == MEMBER else found

    def _relatives(self, credential: Credential) -> Iterator[Credential]:
        before, after = credential.predecessor, credential.successor
        while before:
            yield self.credentials[before]
            before = self.credentials[before].predecessor
        while after:
            yield self.credentials[after]
            after = self.credentials[after].successor

    def _not_active(self, credential: Credential) -> Codes:
        return when(self.status(credential) != "ACTIVE", "CREDENTIAL_NOT_ACTIVE")

    def _wrong_pair(self, service: str, identity: str) -> Codes:
        """What keeps credentials from being made for a service and an identity."""
        if not self._are_here(service, identity):
            active = {"SERVICE_NOT_ACTIVE", "IDENTITY_NOT_ACTIVE"}
            return {"NOT_FOUND"} | active  # whichever of them was looked at first
        wrong = when(self.service_status(service) != "ACTIVE", "SERVICE_NOT_ACTIVE")
        wrong |= when(self.identity_status(identity) != "ACTIVE", "IDENTITY_NOT_ACTIVE")
        return wrong | when((service, identity) not in self.links, "IDENTITY_NOT_LINKED_TO_SERVICE")

    def _wrong_delivery(self, delivery: Given) -> Codes:
        key, by_file = delivery.get("publicKey"), delivery["method"] == "ENCRYPTED_FILE"
        wrong = when(delivery["method"] not in self.policy.methods, "NOT_ALLOWED_BY_POLICY")
        wrong |= when(by_file and key is None, "REQUIRED") | when(not by_file and key is not None, "INVALID")
        if by_file and key in WRONG_KEYS:
            wrong.add(WRONG_KEYS[key])
        return wrong | when(
            by_file and RSA_KEYS.get(str(key), self.policy.bits) < self.policy.bits, "PUBLIC_KEY_TOO_WEAK"
        )

    def _end(self, expiry: Given | None) -> tuple[Codes, datetime | None]:
        """When a credential made now ends."""
        if expiry is None:
            months = self.policy.default_months
            return set(), None if months is None else later(self.now, months)
        if "never" in expiry:
            return when(not self.policy.never, "NOT_ALLOWED_BY_POLICY") | when(not expiry["never"], "INVALID"), None
        if "months" in expiry and not 1 <= expiry["months"] <= 1200:
            return {"INVALID"}, None
        end = expiry["at"] if "at" in expiry else later(self.now, expiry["months"])
        if end > later(self.now, 1200):
            return {"INVALID"}, None
        bound = self.policy.maximum_months
        beyond = bound is not None and end > later(self.now, bound)
        return when(end <= self.now, "INVALID") | when(beyond, "NOT_ALLOWED_BY_POLICY"), end


def _is_around_us(credential: Credential) -> bool:
    return bool(NETWORKS_AROUND_US.intersection(credential.networks))
