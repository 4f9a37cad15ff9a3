"""Signed notes and checkpoints, by the examples of their specifications and by readers that are not ours."""

from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auth.crypto.merkle_tree import MerkleTree
from auth.crypto.signed_note import Checkpoint, NoteRefused, NoteVerifier, parse_notes, sign_note, verifier_of

# https://c2sp.org/signed-note, Example
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
NOTE = f"This is an example message.\n\n— example.com/foo {SIGNATURE}\n"
# https://c2sp.org/tlog-checkpoint
CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_the_note_of_the_specification_is_accepted() -> None:
    verifier = NoteVerifier.parse(VKEY)
    assert verifier.vkey() == VKEY
    (note,) = parse_notes(NOTE.encode())
    assert note.text == "This is an example message.\n"
    assert note.signed_by([verifier_of("example.com/foo", KEY), verifier]) == verifier


def test_the_checkpoint_of_the_specification_is_read_and_written() -> None:
    checkpoint = Checkpoint.parse(CHECKPOINT)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == CHECKPOINT
    assert Checkpoint.parse(f"{CHECKPOINT}an extension\n") == checkpoint


def test_what_we_sign_verifies_by_the_letter_of_the_specification() -> None:
    text, _, line = sign_note(CHECKPOINT, "keys.example/audit", KEY).partition("\n\n")
    dash, name, encoded = line.removesuffix("\n").split(" ")
    name_of_vkey, key_id, key = verifier_of("keys.example/audit", KEY).vkey().split("+", 2)
    public, signed = b64decode(key), b64decode(encoded)
    assert (dash, name, public[:1]) == ("\u2014", name_of_vkey, b"\x01")
    assert key_id == sha256(b"keys.example/audit\n" + public).hexdigest()[:8] == signed[:4].hex()
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(signed[4:], f"{text}\n".encode())


def test_signatures_of_others_are_not_looked_at() -> None:
    others = "— example.com/witness " + b64encode(b"\0\0\0\1" + b"x" * 70).decode()
    (note,) = parse_notes(NOTE.replace("\n\n", f"\n\n{others}\n").encode())
    assert note.signed_by([NoteVerifier.parse(VKEY)]).name == "example.com/foo"


def test_a_file_may_have_several_notes() -> None:
    assert [note.text for note in parse_notes(f"{NOTE}\n{NOTE}".encode())] == ["This is an example message.\n"] * 2


REFUSED = {
    "nothing": "",
    "an altered text": NOTE.replace("example message", "exemplary message"),
    "an altered signature": NOTE.replace("Uw2QOkn8s", "Uw2QOkn8t"),
    "another name": NOTE.replace("example.com", "example.org"),
    "another key": NOTE.replace("Uw2QOk", "Uw2QOl"),
    "no signature": "This is an example message.\n",
    "an empty signature": NOTE.replace(SIGNATURE, ""),
    "half a signature": NOTE.replace(SIGNATURE, SIGNATURE[:40]),
    "a signature that is no base64": NOTE.replace(SIGNATURE, f"{SIGNATURE[:-2]}*="),
    "another dash": NOTE.replace("—", "-"),
    "a control character": NOTE.replace("message", "mess\tage"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_note_that_is_not_right_is_refused(name: str) -> None:
    with pytest.raises(NoteRefused):
        parse_notes(REFUSED[name].encode())[0].signed_by([NoteVerifier.parse(VKEY)])


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "a\n1\n", f"a\n01\n{'A' * 43}=\n", f"a\n-1\n{'A' * 43}=\n", "a\n1\nAAAA\n", f"\n1\n{'A' * 43}=\n"],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        Checkpoint.parse(text)


@pytest.mark.parametrize("vkey", ["", "a+b+c", VKEY.replace("530d", "530e"), VKEY.replace("+Aeky", "+Beky"), VKEY[:-4]])
def test_what_is_no_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteRefused):
        NoteVerifier.parse(vkey)


# RFC 6962's own tree, of the leaves in RFC 9162's reference implementations.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_tree_has_the_roots_that_certificate_transparency_has() -> None:
    tree = MerkleTree()
    assert tree.root().hex() == ROOTS[0]
    for leaf, root in zip(LEAVES, ROOTS[1:], strict=True):
        tree.append(bytes.fromhex(leaf))
        assert tree.root().hex() == root
