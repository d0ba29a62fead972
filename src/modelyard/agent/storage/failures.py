"""What a store's refusal means to a user. obstore's errors are text, with the answer's status and body inside. Pure."""

import re

from modelyard.agent.storage.access import Access
from modelyard.agent.storage.uris import Objects
from modelyard.kit import redact

MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([A-Za-z]\w*)\s*</Code>")
_URL_HOST = re.compile(r"Error performing \w+ \w+://([^/\s]+)")
_ELSEWHERE = re.compile(r"/latest/api/token|/meta-data/|/computeMetadata/|/metadata/identity|169\.254\.")
_NO_RETRY = ("builder error", "certificate", "InvalidCertificate")


def status(error: BaseException) -> int | None:
    """Of the answer; None where there was none."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def may_pass(error: BaseException) -> bool:
    text = str(error)
    if _ELSEWHERE.search(text):
        return False  # no credentials: asking again finds none
    code = status(error)
    if code is not None:
        return code in MAY_PASS
    return any(it in text for it in ("HTTP error", "kind: Timeout", "timed out")) and not any(
        it in text for it in _NO_RETRY
    )


def sentence(error: BaseException, access: Access, place: Objects) -> str:
    """The reason, to follow "cannot fetch <uri>: "."""
    return redact.values(_reason(error, access, place), access.secrets)


def _reason(error: BaseException, access: Access, place: Objects) -> str:
    text = str(error)
    found, code = status(error), _CODE.search(text)
    what = code[1] if code else ""
    told = f" ({found}{' ' if what else ''}{what})" if found else ""
    if _ELSEWHERE.search(text):
        return (
            "no credentials were found: name a secret (secretName), set the cloud's environment variables for the "
            "agent, or, for a public bucket, use a secret that says so (docs/storage.md)"
        )
    if what in ("NoSuchBucket", "ContainerNotFound", "InvalidBucketName"):
        where = f" at {access.endpoint}" if access.endpoint else ""
        return f"there is no bucket {place.bucket}{where}{told}"
    if "Account must be specified" in text:
        return (
            "the storage account is not known: give `account` in a secret, or AZURE_STORAGE_ACCOUNT_NAME to the agent"
        )
    if what in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthenticationFailed"):
        return f"the store does not accept the credentials{told}: check the secret's keys"
    if found in (401, 403):
        right = "with the credentials given" if not access.default else "with the environment's credentials"
        if access.settings.get("skip_signature"):
            right = "without credentials"
        return f"the store does not allow reading it {right}{told}: check the rights, or the secret"
    if found in (301, 307, 308) or "redirect without LOCATION" in text:
        return "the bucket is in another region: set `region` in the secret, or AWS_REGION for the agent"
    if found == 404:
        return f"nothing is there{told}"
    if found is not None:
        return f"the store answered {found}{f' ({what})' if what else ''}"
    return _without_answer(text)


def _without_answer(text: str) -> str:
    host = _URL_HOST.search(text)
    at = f" {host[1]}" if host else ""
    lower = text.lower()
    if "dns error" in lower or "failed to lookup" in lower or "name resolution" in lower:
        return f"the host{at} is not known to the DNS: check the endpoint"
    if "connection refused" in lower:
        return f"the host{at} refuses connections: check the endpoint, and whether the store runs"
    if "certificate" in lower:
        return f"the certificate of{at or ' the store'} is not trusted"
    if any(it in lower for it in ("timedout", "timed out", "kind: timeout")):
        return f"the host{at} was silent for too long"
    if "invalidpath" in lower or "path segment" in lower or "parsing path" in lower:
        return "it holds an object whose name cannot be a file's: empty parts, `.` or `..`"
    if "access key" in lower or "pem" in lower or "service account" in lower or "base64" in lower:
        return "the credentials are damaged: the key cannot be read; check the secret"
    if "http error" in lower:
        return f"the connection to{at or ' the store'} broke"
    first = text.partition("\n")[0].partition("Debug source")[0].strip()
    return first[:300] or type(text).__name__
