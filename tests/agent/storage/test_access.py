import pytest

from modelyard.agent.problems import ArtifactProblem
from modelyard.agent.storage import access, configs, uris
from modelyard.agent.storage.access import Keys
from modelyard.agent.storage.uris import LocalPath, Objects, WebFile

PLACE = Objects("s3", "models", "iris")
GOOGLE, AZURE = Objects("gs", "models", "iris"), Objects("az", "models", "iris")
MINIO = "provider: Minio, endpoint: 'http://m:9000', access_key_id: id, secret_access_key: key"


def config(kind: str, parameters: str, name: str = "") -> configs.RemoteConfig:
    return configs.parse(f"{{type: {kind}, name: '{name}', parameters: {{{parameters}}}}}", "the secret 'mine'")


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("/models/iris", LocalPath),
        ("file:///models/my%20iris", LocalPath),
        ("https://host/a/iris.zip?x=1", WebFile("https://host/a/iris.zip?x=1", "iris.zip")),
        ("s3://models/a/iris", Objects("s3", "models", "a/iris")),
        ("s3://models/a/iris/", Objects("s3", "models", "a/iris", folder=True)),
        ("minio:models/iris", Objects("minio", "models", "iris")),
        ("my remote:models/iris", Objects("my remote", "models", "iris")),
        ("abfss://box@acme.dfs.core.windows.net/a/b", Objects("abfss", "box", "a/b", account="acme")),
    ],
)
def test_uris(uri: str, place: object) -> None:
    found = uris.parse(uri)
    assert isinstance(found, place) if isinstance(place, type) else found == place


@pytest.mark.parametrize(
    "uri",
    [
        "s3://id:secret@models/iris",
        "s3,secret_access_key=secret:models/x",
        "https://u:secret@",
        "http://u:secret/x@h/m",
    ],
)
def test_a_uri_that_cannot_be_is_not_quoted_with_its_credentials(uri: str) -> None:
    with pytest.raises(ArtifactProblem) as caught:
        uris.parse(uri)
    assert "secret" not in str(caught.value).replace("a secret (secretName)", "").replace("secret's remote", "")


def test_s3_by_its_own_endpoint() -> None:
    found = access.with_secret(config("s3", MINIO), PLACE)
    assert found.keys == Keys("id", "key")
    assert found.endpoint == "http://m:9000"
    assert found.settings["endpoint"] == found.settings["aws_endpoint_url_s3"] == "http://m:9000"
    assert found.settings["skip_signature"] is False
    assert not found.default
    assert found.secrets == {"id", "key"}


def test_amazon_is_asked_at_its_own_address_whatever_the_environment_says() -> None:
    found = access.with_secret(config("s3", "access_key_id: a, secret_access_key: b, region: eu-west-1"), PLACE)
    assert found.settings["endpoint"] == "https://s3.eu-west-1.amazonaws.com"
    virtual = access.with_secret(config("s3", f"{MINIO}, force_path_style: false"), PLACE)
    assert virtual.settings["endpoint"] == "http://models.m:9000"


def test_neither_keys_nor_the_environment_is_anonymous() -> None:
    found = access.with_secret(config("s3", "region: us-east-1"), PLACE)
    assert (found.keys, found.settings["skip_signature"], found.default) == (None, True, False)
    assert access.with_secret(config("s3", "env_auth: true"), PLACE).default
    assert access.with_secret(config("gcs", "anonymous: true"), GOOGLE).settings == {"skip_signature": True}
    assert access.with_secret(config("azureblob", "account: acme"), AZURE).settings["skip_signature"] is True


@pytest.mark.parametrize(
    ("parameters", "settings"),
    [
        ("account: acme, key: k", {"account_name": "acme", "account_key": "k", "credential_type": "access_key"}),
        (
            "sas_url: 'https://acme.blob.core.windows.net/models?sv=1&sig=s%2B'",
            {
                "account_name": "acme",
                "endpoint": "https://acme.blob.core.windows.net",
                "sas_key": "sv=1&sig=s%2B",
                "credential_type": "sas_token",
            },
        ),
        (
            "sas_url: 'http://127.0.0.1:10000/acme/models?sig=s'",
            {
                "account_name": "acme",
                "endpoint": "http://127.0.0.1:10000/acme",
                "sas_key": "sig=s",
                "credential_type": "sas_token",
            },
        ),
        (
            "account: acme, tenant: t, client_id: c, client_secret: s",
            {
                "account_name": "acme",
                "client_id": "c",
                "client_secret": "s",
                "tenant_id": "t",
                "credential_type": "client_secret",
            },
        ),
        ("account: acme, use_msi: true", {"account_name": "acme", "credential_type": "managed_identity"}),
    ],
)
def test_azure(parameters: str, settings: dict[str, object]) -> None:
    assert access.with_secret(config("azureblob", parameters), AZURE).settings == settings


@pytest.mark.parametrize(
    ("given", "place", "sentence"),
    [
        (config("sftp", "host: h"), PLACE, "the secret 'mine' is of the type 'sftp', which is not supported"),
        (
            config("s3", MINIO, "minio"),
            Objects("other", "b", "p"),
            "is for minio:// and storageUri begins with other://",
        ),
        (config("gcs", "anonymous: true", "gs"), PLACE, "is for gs:// and storageUri begins with s3://"),
        (
            config("s3", f"{MINIO}, sse_customer_key: k"),
            PLACE,
            "the parameter 'sse_customer_key' of s3 is not supported",
        ),
        (config("s3", "access_key_id: a"), PLACE, "access_key_id and secret_access_key go together"),
        (config("s3", "provider: Minio"), PLACE, "endpoint must be a URL such as"),
        (config("s3", "endpoint: 'not a url'"), PLACE, "endpoint must be a URL such as"),
        (config("s3", "endpoint: 'http://u:p@m'"), PLACE, "endpoint must be a URL such as"),
        (config("s3", "env_auth: maybe"), PLACE, "env_auth must be true or false"),
        (config("gcs", ""), GOOGLE, "must give exactly one of service_account_credentials"),
        (config("gcs", "anonymous: true, access_token: t"), GOOGLE, "must give exactly one of"),
        (config("azureblob", "key: k"), AZURE, "needs `account`"),
        (config("azureblob", "sas_url: 'https://a.blob.core.windows.net/box?sig=x'"), AZURE, "its sas_url is for box"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(given: configs.RemoteConfig, place: Objects, sentence: str) -> None:
    with pytest.raises(ArtifactProblem) as caught:
        access.with_secret(given, place)
    assert sentence in str(caught.value)


def test_a_remote_that_nobody_knows() -> None:
    with pytest.raises(ArtifactProblem, match="there is no storage called 'minio'"):
        access.without_secret(Objects("minio", "b", "p"))


def test_what_only_uploads_care_for_is_ignored() -> None:
    access.with_secret(config("s3", f"{MINIO}, acl: private, storage_class: STANDARD, chunk_size: 5M"), PLACE)


def test_credentials_are_in_no_repr() -> None:
    given = config("s3", "access_key_id: planted1, secret_access_key: planted2, session_token: planted3")
    assert "planted" not in repr(given) + repr(access.with_secret(given, PLACE))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [planted", "is neither JSON nor YAML: it cannot be read in line"),
        ("planted", "is not a mapping"),
        ("{name: planted}", "has no `type`"),
        ("{type: s3, parameters: [planted]}", "`parameters` a mapping"),
        ("{type: s3, access_key_id: planted}", "has 'access_key_id' beside type, name and parameters"),
        ("{type: s3, parameters: {key: {a: planted}}}", "the parameter 'key' must be one value"),
        ("{kind: Secret, stringData: {a: planted, b: planted}}", "exactly one key"),
        ("{kind: Secret, data: {a: 'planted!'}}", "is not base64"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_not_quoted(text: str, sentence: str) -> None:
    with pytest.raises(ArtifactProblem) as caught:
        configs.parse(text, "the secret 'x'")
    assert sentence in str(caught.value)
    assert "planted" not in str(caught.value)


def test_a_kubernetes_secret_and_json_are_read_too() -> None:
    wanted = configs.RemoteConfig("x", "s3", "minio", {"env_auth": "true", "region": "1"})
    json = '{"type": "s3", "name": "minio", "parameters": {"env_auth": true, "region": 1}}'
    assert configs.parse(json, "x") == wanted
    assert configs.parse(f"kind: Secret\nstringData:\n  rclone: '{json}'", "x") == wanted
