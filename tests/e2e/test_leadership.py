"""One controller leads: the Lease, on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from resumable.controller.kubernetes_api import KubernetesApi, connect
from resumable.controller.leadership import Leadership, LeadershipLost
from tests.cluster import Cluster, paths

Scenario = Callable[[KubernetesApi], Awaitable[None]]
DEADLINE = 60.0


@pytest.fixture
def against_the_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    """Runs a scenario with a client of the test cluster."""
    monkeypatch.setenv("KUBECONFIG", str(paths.ADMIN_KUBECONFIG))

    def run(scenario: Scenario) -> None:
        async def with_client() -> None:
            api = KubernetesApi(await connect())
            try:
                async with asyncio.timeout(DEADLINE):
                    await scenario(api)
            finally:
                await api.close()

        asyncio.run(with_client())

    return run


def test_the_second_controller_stands_by_until_the_first_lets_go(
    against_the_cluster: Callable[[Scenario], None], namespace: str
) -> None:
    async def scenario(api: KubernetesApi) -> None:
        first, second = (Leadership(api, namespace, "lease", name) for name in ("first", "second"))
        await first.acquire()
        first.require()
        waiting = asyncio.create_task(second.acquire())
        keeping = asyncio.create_task(first.keep())
        await asyncio.sleep(5)  # longer than a renewal
        assert not waiting.done()
        with pytest.raises(LeadershipLost):
            second.require()
        keeping.cancel()
        await first.release()
        await waiting
        second.require()
        with pytest.raises(LeadershipLost):
            first.require()

    against_the_cluster(scenario)


def test_the_lease_of_a_controller_that_vanished_runs_out(
    against_the_cluster: Callable[[Scenario], None], namespace: str
) -> None:
    async def scenario(api: KubernetesApi) -> None:
        vanished, next_one = (Leadership(api, namespace, "lease", name) for name in ("vanished", "next"))
        await vanished.acquire()
        began = asyncio.get_running_loop().time()
        await next_one.acquire()
        waited = asyncio.get_running_loop().time() - began
        assert 14 <= waited < 25
        with pytest.raises(LeadershipLost, match="not renewed"):
            vanished.require()  # before anybody else could lead it has stopped acting by itself

    against_the_cluster(scenario)


def test_a_controller_that_starts_again_under_its_name_leads_at_once(
    against_the_cluster: Callable[[Scenario], None], namespace: str
) -> None:
    async def scenario(api: KubernetesApi) -> None:
        await Leadership(api, namespace, "lease", "pod-a_1").acquire()
        again = Leadership(api, namespace, "lease", "pod-a_1")
        async with asyncio.timeout(5):
            await again.acquire()
        again.require()

    against_the_cluster(scenario)


def test_a_leader_from_whom_the_lease_is_taken_stops(
    against_the_cluster: Callable[[Scenario], None], namespace: str
) -> None:
    async def scenario(api: KubernetesApi) -> None:
        leader, uninstaller = (Leadership(api, namespace, "lease", name) for name in ("leader", "uninstaller"))
        await leader.acquire()
        await uninstaller.seize(60)
        with pytest.raises(LeadershipLost, match="uninstaller took the Lease"):
            async with asyncio.timeout(10):
                await leader.keep()

    against_the_cluster(scenario)
