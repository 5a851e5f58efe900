"""Signals through the service: for now only the controller's account sends them."""

from resumable.state.record import RunStatus
from resumable.state.store import NewSignal, RunEnd
from tests.contract.runs import started
from tests.unit.service.conftest import Service


def test_a_signal_goes_the_whole_way(service: Service) -> None:
    """Sent by the controller's account while the worker waits; the next attempt's pod reads it."""
    controller = service.client("controller")
    worker = started(service.store, "waits")
    end = RunEnd(status=RunStatus.WAITING, wake_on=("go",), signal_seq=0)
    service.store.end_run(worker.fence, worker.write(), end)

    controller.send_signal("waits", NewSignal(id="s", name="go", sender="ann"))

    assert controller.list_woken() == ("waits",)
    assert [(each.id, each.sender) for each in controller.list_signals("waits")] == [("s", "ann")]
