"""What a server may be told, and who is let in."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from medsr.commands.serve.available_models import available_models
from medsr.commands.serve.run import serve
from medsr.commands.serve.settings import Connections, Settings, is_loopback, new_token
from medsr.core.errors import UsageError, WeightsError
from tests.helpers.server import TOKEN, Server, serving


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "hospital.example"])
def test_others_reach_a_server_only_with_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="needs a token"):
        Settings(host)
    assert not Settings(host, token=new_token()).is_local


def test_loopback_is_what_the_system_says() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "localhost.example.org", "")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"token": "short"}, "`token`: expected at least 16 characters"),
        ({"port": 99999}, "`port=99999`: expected"),
        ({"certificate": Path("no.pem"), "key": Path("no.key")}, r"`certificate=no\.pem`: no such file"),
        ({"certificate": Path("no.pem")}, "`certificate` and `key`: give both"),
        ({"folder": Path("/no/such/folder")}, "`folder=.*folder`: no such folder"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings(**arguments)


@pytest.mark.parametrize(
    "parameter", ["max_upload", "max_megapixels", "max_megavoxels", "max_minutes", "max_stored", "keep"]
)
def test_limits_are_above_zero(parameter: str) -> None:
    with pytest.raises(UsageError, match=f"`{parameter}`: expected a number above 0"):
        serve(port=0, **{parameter: 0})  # type: ignore[arg-type]


def test_a_server_takes_a_connection_at_least() -> None:
    with pytest.raises(UsageError, match="`max_connections`: expected a number above 0"):
        Connections(address=0)


def test_a_taken_port_and_a_missing_model_are_told(server: Server) -> None:
    port = int(server.base.rpartition(":")[2])
    with pytest.raises(UsageError, match=f"`host=127.0.0.1` `port={port}`: cannot listen there"):
        serve(port=port)
    with pytest.raises(WeightsError):
        serve(port=0, models="no.safetensors")
    with pytest.raises(UsageError, match="no known name"):
        serve(port=0, models="no-such-model")


def test_everything_installed_is_offered() -> None:
    models = available_models(())
    assert {"medsr-retina-x2", "medsr-mri", "bicubic", "lanczos", "cubic"} <= set(models)
    assert models["medsr-mri"].response.kind == "volume"
    assert models["medsr-retina-x2"].response.scale == 2
    assert "realesrgan-x4plus" not in models  # not on this machine


def test_weight_files_are_offered_by_their_name_not_their_place(eye_model: Path, refiner_file: Path) -> None:
    models = available_models((str(eye_model), str(refiner_file)))
    assert (models["eye-x2"].response.kind, models["eye-x2"].response.scale) == ("image", 2)
    assert models["refiner"].response.kind == "volume"
    assert str(eye_model.parent) not in models["eye-x2"].response.model_dump_json()


def test_without_the_token_nothing_is_told(guarded: Server) -> None:
    assert httpx.get(f"{guarded.base}/api/about").status_code == 200
    for method, path in (("GET", "models"), ("POST", "files"), ("GET", "jobs"), ("GET", "openapi.json")):
        assert httpx.request(method, f"{guarded.base}/api/{path}").status_code == 401
    assert httpx.post(f"{guarded.base}/api/login", json={"token": "wrong"}).status_code == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{guarded.base}/api/models", headers=bearer).status_code == 200
    user = httpx.Client(base_url=guarded.base)
    assert user.post("/api/login", json={"token": TOKEN}).status_code == 204
    assert user.get("/api/models").status_code == 200
    assert TOKEN not in str(list(user.cookies.jar))
    cookie = user.post("/api/login", json={"token": TOKEN}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_sites_cannot_ask(server: Server, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{server.base}/api/jobs/image", json={}, headers=headers)
    assert answer.status_code == 403


def test_every_answer_keeps_to_itself(server: Server) -> None:
    for path in ("/", "/app.js", "/api/about", "/api/jobs", "/nothing"):
        headers = httpx.get(server.base + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_https_with_ones_own_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "k.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "c.pem")
    options = ("--certificate", str(tmp_path / "c.pem"), "--key", str(tmp_path / "k.pem"), "--token", TOKEN)
    with serving(tmp_path / "store", "--model", "bicubic", *options) as server:
        assert server.base.startswith("https://")
        user = httpx.Client(base_url=server.base, verify=ssl.create_default_context(cafile=tmp_path / "authority.pem"))
        assert "secure" in user.post("/api/login", json={"token": TOKEN}).headers["set-cookie"].lower()
        assert user.get("/api/models").status_code == 200
