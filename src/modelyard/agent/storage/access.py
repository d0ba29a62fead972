"""How a bucket is reached and with which right: what obstore is told. Pure.

rclone's parameter names are translated, so that secrets made for rclone work. What has no effect on reading is ignored;
what we cannot honour is refused, because a download by other means than its owner meant is worse than none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage.configs import RemoteConfig
from modelyard.agent.storage.uris import Objects

S3, GCS, AZURE = "s3", "gcs", "azureblob"
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("s3", "s3a"), S3),
    **dict.fromkeys(("gs", "gcs"), GCS),
    **dict.fromkeys(("az", "azure", "abfs", "abfss", "azureblob"), AZURE),
}
_TYPES = {"s3": S3, "gcs": GCS, "google cloud storage": GCS, "azureblob": AZURE}


@dataclass(frozen=True, slots=True)
class Keys:
    id: str
    secret: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """`settings`: obstore's, by its names. `keys`: of s3, where the environment must have no say. `default`: the
    environment's credentials. `endpoint`: empty for the cloud's own; with `account` it tells whose buckets these are.
    """

    kind: str
    settings: Mapping[str, str | bool] = field(default_factory=dict[str, str | bool], repr=False)
    keys: Keys | None = field(default=None, repr=False)
    default: bool = False
    endpoint: str = ""
    account: str = ""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def without_secret(place: Objects) -> Access:
    """The cloud's own defaults: environment variables, roles. Raises `ArtifactProblem`."""
    kind = KINDS.get(place.remote.lower())
    if kind is None:
        raise ArtifactProblem(
            f"there is no storage called {place.remote!r}: use s3://, gs:// or az://, or name a secret (secretName) "
            f"whose `name` is {place.remote}"
        )
    settings: dict[str, str | bool] = {"account_name": place.account} if place.account else {}
    return Access(kind, settings, default=True, account=place.account)


def with_secret(config: RemoteConfig, place: Objects) -> Access:
    """Raises `ArtifactProblem`, naming the secret and the parameter."""
    kind = _TYPES.get(config.type)
    if kind is None:
        raise ArtifactProblem(
            f"{config.where} is of the type {config.type!r}, which is not supported: s3, gcs and azureblob are"
        )
    if place.remote != config.name and KINDS.get(place.remote.lower()) != kind:
        raise ArtifactProblem(
            f"{config.where} is for {config.name or kind}:// and storageUri begins with {place.remote}://: "
            "they must agree"
        )
    given = _Given(config)
    access = _READERS[kind](given, place)
    if unknown := given.unread():
        raise ArtifactProblem(
            f"{config.where}: the parameter {unknown[0]!r} of {config.type} is not supported; leave it out"
        )
    return access


# Parameters that only matter to uploads, to listings or to rclone itself.
_IGNORED = frozenset(
    {
        *("acl", "bucket_acl", "object_acl", "storage_class", "location", "location_constraint", "project_number"),
        *("server_side_encryption", "sse_kms_key_id", "bucket_policy_only", "public_access", "access_tier"),
        *("chunk_size", "upload_cutoff", "upload_concurrency", "copy_cutoff", "copy_concurrency", "max_upload_parts"),
        *("disable_checksum", "no_check_bucket", "leave_parts_on_error", "use_multipart_etag", "use_multipart_uploads"),
        *("use_unsigned_payload", "use_presigned_request", "directory_markers", "delete_snapshots", "no_head"),
        *("no_head_object", "list_chunk", "list_version", "list_url_encode", "encoding", "disable_http2"),
        *("memory_pool_flush_time", "memory_pool_use_mmap", "archive_tier_delete", "no_system_metadata"),
        "description",
    }
)
_SECRET = frozenset(
    {
        *("access_key_id", "secret_access_key", "session_token", "service_account_credentials", "access_token"),
        *("key", "sas_url", "client_secret"),
    }
)


class _Given:
    """The parameters, and which of them have been read."""

    def __init__(self, config: RemoteConfig) -> None:
        self.where, self._values, self._read = config.where, config.parameters, set[str]()

    def text(self, name: str) -> str:
        self._read.add(name)
        return self._values.get(name, "").strip()

    def yes(self, name: str) -> bool:
        value = self.text(name).lower()
        if value not in ("", "true", "false", "1", "0", "yes", "no"):
            raise ArtifactProblem(f"{self.where}: {name} must be true or false")
        return value in ("true", "1", "yes")

    def url(self, name: str, *, needed: bool = False) -> str:
        """Without `/` at its end; https where no scheme is given. Empty where it is not given."""
        value = self.text(name).rstrip("/")
        if not value and not needed:
            return ""
        value = value if "://" in value or not value else f"https://{value}"
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good or any(it.isspace() or not it.isprintable() for it in value) or "@" in value or not value.isascii():
            raise ArtifactProblem(f"{self.where}: {name} must be a URL such as https://minio.example:9000")
        return value

    def secrets(self) -> frozenset[str]:
        return frozenset(value for name, value in self._values.items() if name in _SECRET and value)

    def unread(self) -> list[str]:
        return sorted(name for name, value in self._values.items() if value and name not in self._read | _IGNORED)


def _s3(given: _Given, place: Objects) -> Access:
    provider = given.text("provider").lower() or "aws"
    endpoint, region = given.url("endpoint", needed=provider not in ("aws", "other")), given.text("region")
    id_, secret, token = given.text("access_key_id"), given.text("secret_access_key"), given.text("session_token")
    if bool(id_) != bool(secret):
        raise ArtifactProblem(f"{given.where}: access_key_id and secret_access_key go together")
    default = given.yes("env_auth") and not id_
    path_style = given.yes("force_path_style") or not given.text("force_path_style")
    settings: dict[str, str | bool] = {"virtual_hosted_style_request": not path_style}
    if region or not default:
        settings["region"] = region or "us-east-1"
    if given.yes("requester_pays"):
        settings["request_payer"] = True
    if not endpoint and not default:  # said, so that no variable of the environment says otherwise
        china = ".cn" if region.startswith("cn-") else ""
        endpoint = f"https://s3.{region or 'us-east-1'}.amazonaws.com{china}"
    if endpoint:
        scheme, _, host = endpoint.partition("://")
        url = endpoint if path_style else f"{scheme}://{place.bucket}.{host}"
        settings |= {"endpoint": url, "aws_endpoint_url_s3": url}
    if not default:
        settings["skip_signature"] = not id_  # as with rclone: neither keys nor env_auth is anonymous
    return Access(
        S3, settings, Keys(id_, secret, token or None) if id_ else None, default, endpoint, secrets=given.secrets()
    )


def _gcs(given: _Given, _: Objects) -> Access:
    endpoint = given.url("endpoint")
    key, file = given.text("service_account_credentials"), given.text("service_account_file")
    token, anonymous, default = given.text("access_token"), given.yes("anonymous"), given.yes("env_auth")
    if sum(map(bool, (key, file, token, anonymous, default))) != 1:
        raise ArtifactProblem(
            f"{given.where} must give exactly one of service_account_credentials, service_account_file, access_token, "
            "anonymous: true (for public buckets) and env_auth: true"
        )
    settings: dict[str, str | bool] = {"skip_signature": True} if anonymous else {}
    names = (("service_account_key", key), ("service_account", file), ("bearer_token", token))
    settings |= {name: value for name, value in names if value}
    if endpoint:
        settings["base_url"] = endpoint
    return Access(GCS, settings, default=default, endpoint=endpoint, secrets=given.secrets())


def _azure(given: _Given, place: Objects) -> Access:
    account, key, sas = given.text("account"), given.text("key"), given.url("sas_url")
    endpoint, emulator = given.url("endpoint"), given.yes("use_emulator")
    sas_key = ""
    if sas:
        parts = urlsplit(sas)
        first, _, rest = parts.path.strip("/").partition("/")
        hosted = (parts.hostname or "").partition(".")
        if hosted[2].startswith(("blob.", "dfs.")):  # https://account.blob.core.windows.net/container?…
            account, container, origin = account or hosted[0], first, f"{parts.scheme}://{parts.netloc}"
        else:  # http://127.0.0.1:10000/account/container?…
            account, container, origin = account or first, rest, f"{parts.scheme}://{parts.netloc}/{first}"
        if container and container != place.bucket:
            raise ArtifactProblem(f"{given.where}: its sas_url is for {container}, storageUri names {place.bucket}")
        endpoint, sas_key = endpoint or origin, parts.query
    account = account or place.account
    if emulator:
        account = account or "devstoreaccount1"
        endpoint = endpoint or f"http://127.0.0.1:10000/{account}"
    default = given.yes("env_auth")
    if not account and not default:
        raise ArtifactProblem(f"{given.where} needs `account`, the storage account's name")
    settings: dict[str, str | bool] = {"account_name": account} if account else {}
    secret, managed, cli = given.text("client_secret"), given.yes("use_msi"), given.yes("use_az")
    names = (
        ("client_id", "client_id"),
        ("client_secret", "client_secret"),
        ("tenant", "tenant_id"),
        ("msi_client_id", "client_id"),
        ("msi_object_id", "object_id"),
        ("msi_mi_res_id", "msi_resource_id"),
    )
    settings |= {theirs: value for ours, theirs in names if (value := given.text(ours))}
    if endpoint:
        settings["endpoint"] = endpoint
    how: dict[str, str | bool]
    if key:
        how = {"account_key": key, "credential_type": "access_key"}
    elif sas_key:
        how = {"sas_key": sas_key, "credential_type": "sas_token"}
    elif emulator:
        how = {"use_emulator": True}
    elif secret:
        how = {"credential_type": "client_secret"}
    elif managed:
        how = {"credential_type": "managed_identity"}
    elif cli:
        how = {"credential_type": "azure_cli", "use_azure_cli": True}
    else:
        how = {} if default else {"skip_signature": True}  # as with rclone: an account alone is anonymous
    hidden = given.secrets() | {sas_key} | {value for name, value in parse_qsl(sas_key) if name == "sig"}
    return Access(AZURE, settings | how, default=default, endpoint=endpoint, account=account, secrets=hidden)


_READERS: Mapping[str, Callable[[_Given, Objects], Access]] = {S3: _s3, GCS: _gcs, AZURE: _azure}
