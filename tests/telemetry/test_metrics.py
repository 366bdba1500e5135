"""Metrics as a stranger's parser reads them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.core.facts import Tag
from gateway.core.transfer import STANDING, State
from gateway.telemetry.metrics import METHODS, PrometheusObserver
from tests.fakes.clock import EPOCH

ROUTES = frozenset({"/v1/transfers", "/healthz"})


@pytest.fixture
def observer():
    return PrometheusObserver(version="1.2.3", routes=ROUTES)


def sample(observer, name, **labels):
    """The value of one sample, or None where there is none."""
    for family in text_string_to_metric_families(observer.exposed().decode()):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return each.value
    return None


def series(observer):
    families = text_string_to_metric_families(observer.exposed().decode())
    return {(each.name, tuple(sorted(each.labels.items()))) for family in families for each in family.samples}


def test_the_build_is_told(observer):
    assert sample(observer, "hetao_build_info", version="1.2.3") == 1


def test_facts_and_the_time_before_them_are_counted(observer):
    observer.saw("transfer.sealed", transfer_id="t1", state="sealed", entry=3, left="cleared", seconds=2.5)
    observer.saw("transfer.voted", transfer_id="t1", state="held", entry=4)
    assert sample(observer, "hetao_facts_total", tag="transfer.sealed") == 1
    assert sample(observer, "hetao_facts_total", tag="transfer.voted") == 1
    assert sample(observer, "hetao_stage_seconds_sum", state="cleared") == 2.5
    assert sample(observer, "hetao_stage_seconds_count", state="held") is None


def test_files_are_counted_by_known_formats(observer):
    observer.saw("file.received", transfer_id="t1", file=1, bytes=1000, format="csv")
    observer.saw("file.received", transfer_id="t1", file=2, bytes=24, format="something-new")
    assert sample(observer, "hetao_received_files_total", format="csv") == 1
    assert sample(observer, "hetao_received_files_total", format="other") == 1
    assert sample(observer, "hetao_received_bytes_total") == 1024
    assert sample(observer, "hetao_received_file_bytes_count") == 2


def test_what_falters_is_counted(observer):
    observer.saw("stage.faltered", transfer_id="t1", state="relaying", code="unreachable", retry=True)
    observer.saw("stage.faltered", transfer_id="t1", state="relaying", code="made up", retry=False)
    observer.saw("conductor.faltered", code="database-busy")
    assert sample(observer, "hetao_stage_faltered_total", state="relaying", code="unreachable", retry="yes") == 1
    assert sample(observer, "hetao_stage_faltered_total", state="relaying", code="other", retry="no") == 1
    assert sample(observer, "hetao_conductor_faltered_total", code="database-busy") == 1


def test_requests_and_tokens_are_counted(observer):
    observer.saw("request.answered", method="POST", route="/v1/transfers", status=409, seconds=0.02, code="conflict")
    observer.saw("request.answered", method="BREW", route="/secret/name.csv", status=9999, seconds=1.0)
    observer.saw("token.issued", client="c1")
    observer.saw("token.refused", code="invalid-client")
    assert sample(observer, "hetao_http_requests_total", method="POST", route="/v1/transfers", status="409") == 1
    assert sample(observer, "hetao_http_requests_total", method="other", route="other", status="other") == 1
    assert sample(observer, "hetao_http_request_seconds_sum", route="/v1/transfers") == 0.02
    assert sample(observer, "hetao_http_problems_total", code="conflict") == 1
    assert sample(observer, "hetao_tokens_total", outcome="issued") == 1
    assert sample(observer, "hetao_tokens_total", outcome="invalid-client") == 1
    assert b"secret" not in observer.exposed()


def test_sign_ins_and_bans_are_counted_by_door_and_no_address_is_told(observer):
    observer.saw("login.failed", door="sftp", remote="192.0.2.7")
    observer.saw("login.failed", door="telnet", remote="192.0.2.7")
    observer.saw("address.banned", door="https", remote="192.0.2.7", seconds=3600.0)
    observer.saw("address.turned_away", reason="banned", probe=True)
    assert sample(observer, "hetao_login_failures_total", door="sftp") == 1
    assert sample(observer, "hetao_login_failures_total", door="other") == 1
    assert sample(observer, "hetao_bans_total", door="https") == 1
    assert sample(observer, "hetao_bans_total", door="sftp") == 0
    assert sample(observer, "hetao_sftp_refusals_total", reason="banned") == 1
    assert sample(observer, "hetao_sftp_refusals_total", reason="uploads") == 0
    assert b"192.0.2.7" not in observer.exposed()
    assert sample(observer, "hetao_unknown_events_total") == 0


def test_the_sftp_door_is_counted(observer):
    for event in ("sftp.entered", "sftp.entered", "sftp.left", "sftp.session_began", "sftp.opened", "sftp.abandoned"):
        observer.saw(event)
    observer.saw("sftp.answered", kind="write", outcome="ok", count=1000, probe=True)
    observer.saw("sftp.answered", kind="../../etc", outcome="strange", count=2, probe=True)
    observer.saw("sftp.took", bytes=32_768_000, probe=True)
    observer.saw("sftp.refused", reason="handles", count=5)
    assert sample(observer, "hetao_sftp_connections") == 1
    assert sample(observer, "hetao_sftp_sessions") == 1
    assert sample(observer, "hetao_sftp_open_files") == 1
    assert sample(observer, "hetao_sftp_abandoned_uploads_total") == 1
    assert sample(observer, "hetao_sftp_requests_total", kind="write", outcome="ok") == 1000
    assert sample(observer, "hetao_sftp_requests_total", kind="other", outcome="other") == 2
    assert sample(observer, "hetao_sftp_received_bytes_total") == 32_768_000
    assert sample(observer, "hetao_sftp_refusals_total", reason="handles") == 5
    assert sample(observer, "hetao_unknown_events_total") == 0


def test_deliveries_to_webhooks_are_counted(observer):
    for event in ("webhook.delivered", "webhook.delivered", "webhook.deferred", "webhook.parked"):
        observer.saw(event, webhook="erp", attempts=1, reason="status 500")
    observer.saw("webhooks.faltered", code="store")
    for outcome, count in (("delivered", 2), ("deferred", 1), ("parked", 1)):
        assert sample(observer, "hetao_webhook_deliveries_total", outcome=outcome) == count
    assert sample(observer, "hetao_conductor_faltered_total", code="store") == 1
    assert sample(observer, "hetao_unknown_events_total") == 0
    observer.counted({}, EPOCH, 0, 2)
    assert sample(observer, "hetao_webhooks_parked") == 2
    observer.not_counted()
    assert math.isnan(sample(observer, "hetao_webhooks_parked"))


def test_bans_that_cannot_be_counted_are_not_a_number(observer):
    observer.counted({}, EPOCH, 3)
    assert sample(observer, "hetao_banned_addresses") == 3
    observer.not_counted()
    assert math.isnan(sample(observer, "hetao_banned_addresses"))


def test_series_that_alerts_need_begin_at_zero(observer):
    for tag in Tag:
        assert sample(observer, "hetao_facts_total", tag=tag.value) == 0
    for state, standing in STANDING.items():
        limit = sample(observer, "hetao_transfer_state_limit_seconds", state=state.value)
        assert limit == standing.within.total_seconds()


def test_gauges_follow_the_database(observer):
    observer.counted({"held": (3, EPOCH - timedelta(hours=2)), "receipted": (9, EPOCH - timedelta(days=9))}, EPOCH)
    assert sample(observer, "hetao_transfers", state="held") == 3
    assert sample(observer, "hetao_transfers", state="open") == 0
    assert sample(observer, "hetao_transfer_state_age_seconds", state="held") == 7200
    assert sample(observer, "hetao_transfer_state_age_seconds", state="open") == 0
    assert sample(observer, "hetao_transfer_state_age_seconds", state="receipted") is None  # an end waits for nobody
    observer.counted({}, EPOCH)
    assert sample(observer, "hetao_transfers", state="held") == 0
    observer.not_counted()
    assert sample(observer, "hetao_transfers", state="held") is None
    assert sample(observer, "hetao_scrape_faltered_total") == 1


WORDS = st.text(max_size=12)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [*(tag.value for tag in Tag), "file.received", "stage.faltered", "request.answered", "x.y"]
            ),
            st.dictionaries(
                st.sampled_from(
                    ["state", "left", "code", "retry", "format", "method", "route", "status", "bytes", "seconds"]
                ),
                st.one_of(WORDS, st.integers(0, 10**6), st.booleans(), st.none()),
            ),
        ),
        max_size=30,
    )
)
def test_no_field_makes_a_series_that_is_not_foreseen(told):
    observer = PrometheusObserver(version="1", routes=ROUTES)
    for event, fields in told:
        numbers = {key: value for key, value in fields.items() if key in {"bytes", "seconds"} and type(value) is int}
        observer.saw(
            event, **{key: value for key, value in fields.items() if key not in {"bytes", "seconds"}} | numbers
        )
    allowed = {"state": {state.value for state in State} | {"other"}, "method": METHODS | {"other"}}
    allowed |= {"route": ROUTES | {"other"}, "retry": {"yes", "no"}, "version": {"1"}}
    for _, labels in series(observer):
        for label, value in labels:
            assert value in allowed.get(label, {value})
            assert len(value) < 40


# --- several processes -----------------------------------------------------------------------------------------------

COUNTING = """
import sys
from gateway.telemetry.metrics import PrometheusObserver, share_counts
folder = share_counts(int(sys.argv[1]))
observer = PrometheusObserver(version="1", routes=frozenset({"/healthz"}), shared=folder)
for _ in range(int(sys.argv[2])):
    observer.saw("file.received", transfer_id="t1", file=1, bytes=1000, format="csv")
    observer.saw("request.answered", method="GET", route="/healthz", status=200, seconds=0.5)
if len(sys.argv) > 3:
    from tests.fakes.clock import EPOCH
    observer.counted({"held": (3, EPOCH)}, EPOCH)
    sys.stdout.buffer.write(observer.exposed())
"""


def worker_counts(folder, worker, times, *more):
    command = [sys.executable, "-c", COUNTING, str(worker), str(times), *more]
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout.decode()


def test_any_worker_tells_what_all_of_them_counted_also_those_that_died(tmp_path):
    worker_counts(tmp_path, 1, 2)
    worker_counts(tmp_path, 1, 3)  # started again
    exposed = worker_counts(tmp_path, 2, 4, "exposed")
    found = {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(exposed)
        for each in family.samples
    }
    assert found["hetao_received_files_total", "csv"] == 9
    assert found["hetao_received_bytes_total",] == 9000
    assert found["hetao_http_request_seconds_sum", "/healthz"] == 4.5
    assert found["hetao_http_request_seconds_count", "/healthz"] == 9
    assert found["hetao_facts_total", "transfer.opened"] == 0
    assert found["hetao_transfers", "held"] == 3  # of the database: not added up
    assert found["hetao_build_info", "1"] == 1
    assert len(list(tmp_path.iterdir())) == 6  # counters, histograms and gauges of two, however often they start


def test_late_ticks_of_the_event_loop_are_counted_by_how_late(observer):
    observer.late(0.003)
    observer.late(0.06)
    assert sample(observer, "hetao_event_loop_lag_seconds_count") == 2
    assert sample(observer, "hetao_event_loop_lag_seconds_bucket", le="0.05") == 1
    assert sample(observer, "hetao_unknown_events_total") == 0
