"""``ostraka root``: the ceremony, with homes, sticks and machines that share nothing but files."""

import json
import os
import stat
from pathlib import Path

import pytest

from ostraka_consumers.anchor import TrustAnchor
from ostraka_issuer.cli.exits import Exit
from ostraka_issuer.roots.keyfile import read_root_key
from ostraka_issuer.settings import load_settings
from ostraka_issuer.store.roots import roots_in
from ostraka_schemas.root import read_root_bytes, root_bytes
from tests.cli.terminal import Ran, invoke

PASSPHRASE = "four words on paper"


class Place:
    """A machine: its home, its own files, and the command on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.home = path / "home"
        self.variables = {"OSTRAKA_HOME": str(self.home), "OSTRAKA_PASSWORD_PROFILE": "unsafe-for-tests"}

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        before = Path.cwd()
        os.chdir(self.path)
        try:
            return invoke(*arguments, env=self.variables, stdin=stdin)
        finally:
            os.chdir(before)

    def good(self, *arguments: str, stdin: str = "") -> Ran:
        ran = self(*arguments, stdin=stdin)
        assert ran.code == Exit.OK, ran
        return ran

    def versions(self) -> list[int]:
        return [root.version for root in roots_in(load_settings(home=self.home))]


@pytest.fixture
def issuer(tmp_path: Path) -> Place:
    return Place(tmp_path / "issuer")


@pytest.fixture
def vault(tmp_path: Path) -> Place:
    """A machine without a home and without a network."""
    return Place(tmp_path / "vault")


def test_init_puts_the_root_key_into_a_file_and_says_what_it_is(issuer: Place) -> None:
    ran = issuer.good("init")
    file = issuer.home / "root.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"Take the root key away from this machine now:  {file}  (not encrypted)" in ran.out
    assert "every trust anchor must be deployed anew" in ran.out
    assert "it is\nstolen, whoever has it" in ran.out
    assert list((issuer.home / "keys").glob("root-*")) == []
    assert read_root_key(file).kid == TrustAnchor.load(issuer.home / "anchor.json").root_thumbprints[0]


def test_init_encrypts_it_with_a_passphrase_from_where_one_likes(issuer: Place, vault: Place, tmp_path: Path) -> None:
    stick = tmp_path / "stick.pem"
    arguments = ("init", "--operator", "ops", "--password-stdin", "--root-key", str(stick), "--json")
    ran = issuer.good(*arguments, "--root-passphrase-stdin", stdin=f"correct horse battery\n{PASSPHRASE}\n")
    assert ran.document["root_key_file"] == str(stick)
    assert read_root_key(stick, PASSPHRASE.encode()).kid == ran.document["root_key"]
    assert not (issuer.home / "root.pem").exists()
    assert PASSPHRASE not in ran.out + ran.err
    (vault.path / "phrase").write_text(f"{PASSPHRASE}\n")
    vault.good("init", "--root-passphrase-file", "phrase")
    assert read_root_key(vault.home / "root.pem", PASSPHRASE.encode()).alg == "EdDSA"
    assert "passphrase" in vault("init", "--home", "other", "--root-passphrase-file", "nowhere").err
    assert not (vault.path / "other").exists()


def test_init_refuses_a_root_key_file_that_is_there(issuer: Place, tmp_path: Path) -> None:
    stick = tmp_path / "stick.pem"
    stick.write_text("another key")
    ran = issuer("init", "--root-key", str(stick))
    assert ran.code == Exit.FAILED
    assert "never overwritten" in ran.err
    assert stick.read_text() == "another key"
    assert not issuer.home.exists()


def test_the_dev_profile_keeps_it_and_says_so(issuer: Place) -> None:
    ran = issuer.good("init", "--profile", "dev")
    assert "not for production" in ran.out
    assert len(list((issuer.home / "keys").glob("root-*"))) == 1
    assert not (issuer.home / "root.pem").exists()
    assert issuer("init", "--home", "other", "--profile", "dev", "--root-key", "x").code == Exit.USAGE


def test_a_renewal_is_new_sign_publish(issuer: Place) -> None:
    issuer.good("init", "--profile", "dev")
    drafted = issuer.good("root", "new", "--json").document
    assert drafted["file"] == "root-2.json"
    assert [quorum["missing"] for quorum in drafted["quorums"]] == [drafted["root"]["keys"]] * 2
    unsigned = issuer("root", "publish", "root-2.json")
    assert unsigned.code == Exit.FAILED
    assert "1 more of version 1's root keys must sign" in unsigned.err
    assert drafted["root"]["keys"][0] in unsigned.err
    signed = issuer.good("root", "sign", "root-2.json", "--json")
    assert signed.document["signed_with"] == drafted["root"]["keys"]
    assert "heartbeat every 5 s" in signed.err, "what is signed is shown first"
    published = issuer.good("root", "publish", "root-2.json", "--json").document
    assert (published["version"], published["epoch"], published["new_epoch"]) == (2, 1, False)
    assert published["new_anchor"] is False
    shown = issuer.good("root", "show", "--json").document
    assert [version["version"] for version in shown["versions"]] == [1, 2]
    assert [version["position"] for version in shown["versions"]] == [None, None]
    assert shown["newest"]["exp"] == shown["versions"][1]["exp"] >= shown["versions"][0]["exp"]
    again = issuer("root", "publish", "root-2.json")
    assert again.code == Exit.FAILED
    assert "does not follow version 2" in again.err


def test_two_of_three_with_keys_that_never_meet(issuer: Place, vault: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    issuer.good("init", "--root-key", str(vault.path / "a.pem"))
    # Each key is made where it stays; only its public half travels, and the document.
    public = vault.good("root", "key", "--out", "b.pem", "--passphrase-stdin", stdin=PASSPHRASE).out
    (issuer.path / "b.json").write_text(public)
    (issuer.path / "c.json").write_text(other.good("root", "key", "--out", "c.pem", "--json").out)
    issuer.good("root", "new", "--add-root-key", "b.json", "--add-root-key", "c.json", "--threshold", "2")
    draft = issuer.path / "root-2.json"
    vault.good("root", "sign", str(draft), "--key", "a.pem")
    ran = issuer("root", "publish", str(draft))
    kid_b, kid_c = (json.loads((issuer.path / name).read_text())["kid"] for name in ("b.json", "c.json"))
    assert f"1 more of version 2's root keys must sign: {kid_b}, {kid_c}" in ran.err
    shown = issuer.good("root", "show", str(draft), "--json").document
    assert [(quorum["version"], len(quorum["signed"])) for quorum in shown["quorums"]] == [(1, 1), (2, 1)]
    signed = other.good("root", "sign", str(draft), "--key", "c.pem")
    assert "2 of 2 that version 2 asks for" in signed.out
    done = issuer.good("root", "publish", str(draft))
    assert "from now on get the new" in done.out
    assert "every older token" not in done.out
    assert TrustAnchor.load(issuer.home / "anchor.json").root_threshold == 2

    # The first key is retired by the two others; the encrypted one needs its passphrase.
    first = json.loads((issuer.home / "anchor.json").read_text())["root_thumbprints"][0]
    issuer.good("root", "new", "--remove-root-key", first)
    draft = issuer.path / "root-3.json"
    other.good("root", "sign", str(draft), "--key", "c.pem")
    before = draft.read_bytes()
    sign = ("root", "sign", str(draft), "--key", "b.pem")
    assert "is encrypted: use --passphrase-stdin" in vault(*sign).err
    assert "the passphrase is wrong" in vault(*sign, "--passphrase-stdin", stdin="a guess").err
    assert draft.read_bytes() == before
    vault.good(*sign, "--passphrase-stdin", stdin=f"{PASSPHRASE}\n")
    vault.good("root", "sign", str(draft), "--key", "a.pem")
    issuer.good("root", "publish", str(draft))
    assert issuer.versions() == [1, 2, 3]


def test_a_new_epoch_renews_the_anchor_for_those_who_come_later(issuer: Place) -> None:
    issuer.good("init", "--profile", "dev")
    before = TrustAnchor.load(issuer.home / "anchor.json")
    assert "The feed key stays" in issuer.good("root", "new", "--new-epoch", "--out", "x.json").err
    drafted = issuer.good("root", "new", "--new-epoch", "--rotate-feed-key", "--json").document
    assert drafted["epoch"] == 2
    issuer.good("root", "sign", "root-2.json")
    done = issuer.good("root", "publish", "root-2.json")
    assert "every older token is refused" in done.out
    after = TrustAnchor.load(issuer.home / "anchor.json")
    assert (before.minimum, after.minimum) == ((1, 0), (2, 0))
    assert after.root_thumbprints == before.root_thumbprints


def test_limits_days_and_threshold_are_drafted_as_asked(issuer: Place) -> None:
    issuer.good("init", "--profile", "dev")
    asked = (
        *("--days", "10", "--token-lifetime", "600", "--token-key-days", "366", "--token-keys", "8"),
        *("--token-algorithm", "EdDSA", "--token-algorithm", "ES256", "--heartbeat-interval", "2"),
        *("--max-staleness", "30", "--late", "60"),
    )
    drafted = issuer.good("root", "new", *asked, "--json").document
    assert drafted["exp"] - drafted["iat"] == 10 * 24 * 3_600 == drafted["feed"]["exp"] - drafted["iat"]
    assert drafted["limits"] == {
        "token_algorithms": ["EdDSA", "ES256"],
        "token_keys": 8,
        "token_key_lifetime": 366 * 24 * 3_600,
        "token_lifetime": 600,
        "heartbeat_interval": 2,
        "max_staleness": 30,
        "late": 60,
    }
    for wrong in (
        ("--threshold", "2"),
        ("--remove-root-key", "nobody"),
        ("--token-algorithm", "HS256"),
        ("--days", "0"),
    ):
        assert issuer("root", "new", "--out", "y.json", *wrong).code == Exit.USAGE, wrong
    assert "there already" in issuer("root", "new").err
    assert not (issuer.path / "y.json").exists()


def test_files_that_are_something_else_are_refused_and_left_alone(issuer: Place) -> None:
    issuer.good("init", "--profile", "dev")
    (issuer.path / "x.json").write_text('{"payload":"x","signatures":[]}')
    for word in ("show", "sign", "publish"):
        ran = issuer("root", word, "x.json")
        assert ran.code == Exit.FAILED
        assert "is no root document" in ran.err
        assert "cannot read" in issuer("root", word, "nowhere.json").err
    issuer.good("root", "new")
    before = (issuer.path / "root-2.json").read_bytes()
    (issuer.path / "x.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    assert "is no root key" in issuer("root", "sign", "root-2.json", "--key", "x.pem").err
    assert "no public root key" in issuer("root", "new", "--out", "y.json", "--add-root-key", "x.json").err
    assert "never overwritten" in issuer("root", "key", "--out", "x.pem").err
    assert (issuer.path / "root-2.json").read_bytes() == before


def test_sign_without_a_key_and_without_one_in_the_home(issuer: Place, vault: Place) -> None:
    issuer.good("init", "--root-key", str(vault.path / "a.pem"))
    issuer.good("root", "new")
    ran = issuer("root", "sign", "root-2.json")
    assert ran.code == Exit.USAGE
    assert "as it should be; bring it with --key" in ran.err
    assert "say which key signs" in vault("root", "sign", str(issuer.path / "root-2.json")).err


def test_a_stranger_can_sign_but_is_told_that_it_may_not_count(issuer: Place) -> None:
    issuer.good("init", "--profile", "dev")
    issuer.good("root", "new")
    issuer.good("root", "key", "--out", "s.pem")
    assert (
        "counts only if the version before names it" in issuer.good("root", "sign", "root-2.json", "--key", "s.pem").out
    )
    assert issuer("root", "publish", "root-2.json").code == Exit.FAILED
    issuer.good("root", "sign", "root-2.json")
    issuer.good("root", "publish", "root-2.json")
    raw = (issuer.path / "root-2.json").read_bytes().rstrip()
    assert roots_in(load_settings(home=issuer.home))[1].raw == raw == root_bytes(read_root_bytes(raw))


def test_show_reads_files_anywhere(issuer: Place, vault: Place) -> None:
    issuer.good("init", "--profile", "dev")
    issuer.good("root", "new", "--new-epoch")
    file = str(issuer.path / "root-2.json")
    assert len(vault.good("root", "show", file, "--json").document["quorums"]) == 1
    assert "a new one: every token minted before is refused" in issuer.good("root", "show", file).out
    assert "run: ostraka init" in vault("root", "show").err


def test_show_warns_of_an_end_that_is_near(issuer: Place) -> None:
    issuer.good("init", "--profile", "dev")
    assert issuer.good("root", "show", "--json").document["warning"] is None
    issuer.good("root", "new", "--days", "20")
    issuer.good("root", "sign", "root-2.json")
    issuer.good("root", "publish", "root-2.json")
    assert "then every verifier refuses" in issuer.good("root", "show").out
