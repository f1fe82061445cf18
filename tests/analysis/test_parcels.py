from analysis.parcels import parcels
from models.incident import AlertSignal
from tests.analysis.incident_factories import an_alert


def test_what_fits_is_one_signal_as_it_is() -> None:
    signal = AlertSignal(alerts=(an_alert(),), request="r")
    assert parcels(signal) == (signal,)


def test_what_does_not_fit_is_sent_in_order_each_a_request_of_its_own() -> None:
    alerts = tuple(an_alert(key=f"key-{number}", description="x" * 1_000) for number in range(10))
    sent = parcels(AlertSignal(alerts=alerts, request="r"), most_bytes=4_000)
    assert len(sent) > 2
    assert tuple(alert for each in sent for alert in each.alerts) == alerts
    assert [each.request for each in sent] == [f"r.{number}" for number in range(len(sent))]
    assert all(len(each.model_dump_json()) < 5_000 for each in sent)


def test_an_alert_that_is_larger_than_a_signal_goes_alone() -> None:
    alerts = (an_alert(key="a"), an_alert(key="b", description="x" * 1_000), an_alert(key="c"))
    assert [len(each.alerts) for each in parcels(AlertSignal(alerts=alerts), most_bytes=600)] == [1, 1, 1]
    assert {each.request for each in parcels(AlertSignal(alerts=alerts), most_bytes=600)} == {""}
