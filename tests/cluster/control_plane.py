"""Etcd, the API server, the controller manager, the scheduler and kube-proxy: what each is started with."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.cluster import files, paths, pki, topology
from tests.cluster.process import Daemon

API_SERVER = "kube-apiserver"

# A lost node is noticed within this time; Kubernetes' own default, 50 s, would make its tests slow.
_NODE_MONITOR_GRACE_SECONDS = 12
# How long a pod may stay on a lost node; the default is 300 s.
_LOST_NODE_TOLERATION_SECONDS = 5


def daemons(authority: pki.Authority) -> list[Daemon]:
    """The control plane's daemons, in the order in which they are started."""
    return [
        _daemon("etcd", *_etcd(authority)),
        _daemon(API_SERVER, *_api_server(authority)),
        _daemon("kube-controller-manager", *_controller_manager(authority)),
        _daemon("kube-scheduler", *_scheduler(authority)),
        _kube_proxy(authority),
    ]


def ports() -> dict[str, int]:
    """The ports that must be free before the control plane can start."""
    return {
        "etcd": topology.ETCD_CLIENT_PORT,
        "etcd (peers)": topology.ETCD_PEER_PORT,
        API_SERVER: topology.API_SERVER_PORT,
        "kube-controller-manager": topology.CONTROLLER_MANAGER_PORT,
        "kube-scheduler": topology.SCHEDULER_PORT,
        "kube-proxy (health)": topology.KUBE_PROXY_HEALTH_PORT,
        "kube-proxy (metrics)": topology.KUBE_PROXY_METRICS_PORT,
    }


def _etcd(authority: pki.Authority) -> list[str]:
    server = authority.issue("etcd", "etcd", serves=["127.0.0.1", "localhost"])
    client, peer = (f"https://127.0.0.1:{topology.ETCD_CLIENT_PORT}", f"http://127.0.0.1:{topology.ETCD_PEER_PORT}")
    return [
        f"--data-dir={paths.RUN}/etcd",
        "--unsafe-no-fsync",  # the tests' cluster need not outlive the machine
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={server.certificate}",
        f"--key-file={server.key}",
        f"--trusted-ca-file={authority.certificate_file}",
        "--client-cert-auth",
        "--log-level=warn",
    ]


def _api_server(authority: pki.Authority) -> list[str]:
    server = authority.issue(
        API_SERVER,
        "kube-apiserver",
        serves=[
            "127.0.0.1",
            "localhost",
            topology.NODE_ADDRESS,
            topology.API_SERVICE_ADDRESS,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{topology.CLUSTER_DOMAIN}",
        ],
    )
    etcd_client = authority.issue("apiserver-etcd-client", "kube-apiserver-etcd-client")
    kubelet_client = authority.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"])
    token_key = pki.signing_key(authority.folder / "service-accounts.key")
    return [
        f"--etcd-servers=https://127.0.0.1:{topology.ETCD_CLIENT_PORT}",
        f"--etcd-cafile={authority.certificate_file}",
        f"--etcd-certfile={etcd_client.certificate}",
        f"--etcd-keyfile={etcd_client.key}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={topology.NODE_ADDRESS}",
        f"--secure-port={topology.API_SERVER_PORT}",
        f"--tls-cert-file={server.certificate}",
        f"--tls-private-key-file={server.key}",
        f"--client-ca-file={authority.certificate_file}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={authority.certificate_file}",
        f"--kubelet-client-certificate={kubelet_client.certificate}",
        f"--kubelet-client-key={kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-cluster-ip-range={topology.SERVICE_CIDR}",
        f"--service-account-issuer=https://kubernetes.default.svc.{topology.CLUSTER_DOMAIN}",
        f"--service-account-key-file={token_key}",
        f"--service-account-signing-key-file={token_key}",
        f"--default-not-ready-toleration-seconds={_LOST_NODE_TOLERATION_SECONDS}",
        f"--default-unreachable-toleration-seconds={_LOST_NODE_TOLERATION_SECONDS}",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def _controller_manager(authority: pki.Authority) -> list[str]:
    kubeconfig = _kubeconfig(authority, "kube-controller-manager")
    return [
        *_delegating(kubeconfig),
        f"--secure-port={topology.CONTROLLER_MANAGER_PORT}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={paths.RUN}/pki/kube-controller-manager",
        f"--root-ca-file={authority.certificate_file}",
        f"--service-account-private-key-file={authority.folder}/service-accounts.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
        f"--node-monitor-grace-period={_NODE_MONITOR_GRACE_SECONDS}s",
        "--node-monitor-period=1s",
        # The default of 20 requests a second would make a comparison with batch/v1 Job unfair to it.
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--profiling=false",
    ]


def _scheduler(authority: pki.Authority) -> list[str]:
    kubeconfig = _kubeconfig(authority, "kube-scheduler")
    return [
        *_delegating(kubeconfig),
        f"--secure-port={topology.SCHEDULER_PORT}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={paths.RUN}/pki/kube-scheduler",
        "--leader-elect=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--profiling=false",
    ]


def _kube_proxy(authority: pki.Authority) -> Daemon:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(_kubeconfig(authority, "kube-proxy"))},
        "mode": "iptables",
        "clusterCIDR": topology.POD_CIDR,
        # Both nodes are this one machine, with one set of firewall rules: one proxy serves both.
        "hostnameOverride": topology.NODES[0].name,
        "healthzBindAddress": f"127.0.0.1:{topology.KUBE_PROXY_HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{topology.KUBE_PROXY_METRICS_PORT}",
        "conntrack": {"maxPerCore": 0},  # 0: leave the machine's own limit alone
        "iptables": {"minSyncPeriod": "100ms"},
    }
    file = files.write(paths.RUN / "kube-proxy.yaml", yaml.safe_dump(config))
    return _daemon("kube-proxy", f"--config={file}", configuration=(file,))


def _kubeconfig(authority: pki.Authority, component: str) -> Path:
    pair = authority.issue(component, f"system:{component}")
    return authority.kubeconfig(paths.RUN / f"{component}.kubeconfig", pair)


def _delegating(kubeconfig: Path) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
    ]


def _daemon(program: str, *options: str, configuration: tuple[Path, ...] = ()) -> Daemon:
    argv = (str(paths.bin_dir() / program), *options)
    return Daemon(program, argv, paths.LOGS / f"{program}.log", configuration)
