# SPDX-License-Identifier: Apache-2.0
"""The cluster of the semantics tests: what stands in its manifests, and who has which address.

Names stand for one address of each family, so that a row is written once:
  A B C W        nodes, the addresses of their eth0; A1 B1 C1: of eth1 (C1 has IPv4 alone), C2: of
                 eth2 (IPv6 alone)
  near near2 far inside   addresses of the server outside; inside is in a range of the cluster
"""
import uuid

PORT = 8080
API = "cilium.io/v2"

ADDRESSES = {
    "W": {4: "172.22.50.7", 6: "2001:db8:48::7"},
    "A": {4: "172.22.49.119", 6: "2001:db8:48::119"},
    "B": {4: "172.22.49.147", 6: "2001:db8:48::147"},
    "C": {4: "172.22.49.20", 6: "2001:db8:48::20"},
    "A1": {4: "172.22.47.119", 6: "2001:db8:47::119"},
    "B1": {4: "172.22.47.147", 6: "2001:db8:47::147"},
    "C1": {4: "172.22.47.20"},
    "C2": {6: "2001:db8:46::20"},
    "near": {4: "198.51.100.10", 6: "2001:db8:51::10"},
    "near2": {4: "198.51.100.20", 6: "2001:db8:51::20"},
    "far": {4: "203.0.113.10", 6: "2001:db8:113::10"},
    "inside": {4: "203.0.113.200", 6: "2001:db8:113:1::10"},
    "nobody": {4: "172.22.49.250", 6: "2001:db8:48::250"},
}

CIDRS = {
    "all": {4: "0.0.0.0/0", 6: "::/0"},
    "outside": {4: "192.0.0.0/4", 6: "2001:db8::/32"},
    "near/net": {4: "198.51.100.0/24", 6: "2001:db8:51::/64"},
    "near/bits": {4: "198.51.100.10/27", 6: "2001:db8:51::7/122"},
    "near/host": {4: "198.51.100.10/32", 6: "2001:db8:51::10/128"},
    "near2/host": {4: "198.51.100.20/32", 6: "2001:db8:51::20/128"},
    "inside/host": {4: "203.0.113.200/32", 6: "2001:db8:113:1::10/128"},
    "far/net": {4: "203.0.113.0/24", 6: "2001:db8:113::/48"},
}

NODES = {  # key: name, pod ranges, labels
    "W": ("worker-1", {4: "172.22.48.0/25", 6: "2001:db8:a:1::/64"}, {"zone": "one"}),
    "A": ("172.22.49.119", {4: "172.22.54.0/24", 6: "2001:db8:a:2::/64"}, {"egress": "yes"}),
    "B": ("172.22.49.147", {4: "172.22.53.0/24", 6: "2001:db8:a:3::/64"},
          {"egress": "yes", "zone": "two"}),
    "C": ("172.22.49.20", {4: "172.22.52.0/24", 6: "2001:db8:a:4::/64"}, {}),
}

NAMESPACES = {"default": {"team": "blue"}, "prod": {"team": "red", "env": "prod"}, "test": {}}

PODS = {  # key: node, namespace, addresses, labels, service account
    "web": ("W", "default", {4: "172.22.48.4", 6: "2001:db8:a:1::4"},
            {"app": "web", "tier": "front"}, "default"),
    "db": ("W", "default", {4: "172.22.48.5", 6: "2001:db8:a:1::5"}, {"app": "db"}, "default"),
    "api": ("W", "prod", {4: "172.22.48.6", 6: "2001:db8:a:1::6"},
            {"app": "api", "tier": "front"}, "robot"),
    "shop": ("W", "prod", {4: "172.22.48.7", 6: "2001:db8:a:1::7"}, {"app": "web"}, "default"),
    "bare": ("W", "test", {4: "172.22.48.8", 6: "2001:db8:a:1::8"}, {}, "default"),
    "away": ("B", "default", {4: "172.22.53.9", 6: "2001:db8:a:3::9"}, {"app": "web"}, "default"),
    "marker": ("W", "test", {4: "172.22.48.99", 6: "2001:db8:a:1::99"}, {"is": "marker"}, "default"),
}

PROBED = [name for name in PODS if name != "marker"] + ["host"]


def own(name):
    """The addresses that a pod has itself; host is the worker's own network."""
    return ADDRESSES["W"] if name == "host" else PODS[name][2]


def netns(name):
    return {"host": "worker-1", "server": "outside"}.get(name, name)


# ---- policies, as a row writes them ------------------------------------------------------------

def labels(**pairs):
    return {"matchLabels": pairs}


def expr(key, operator, *values):
    expression = {"key": key, "operator": operator}
    if values:
        expression["values"] = list(values)
    return {"matchExpressions": [expression]}


def host(node):
    return {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": NODES[node][0]}}}


def by_label(**pairs):
    return {"nodeSelector": labels(**pairs)}


def policy(name="p", pods=None, selectors=None, to=("all",), but=(), by="A", created=None, without="",
           **spec):
    """A policy. pods: a podSelector, selectors: the whole list instead. to, but: names of CIDRS, or
    CIDRs. by: the node that is the gateway, with its own address, or the gateway as it is written.
    What else is named is a field of the spec as it is; `without` is left out."""
    if selectors is None:
        selectors = [{"podSelector": labels(app="web") if pods is None else pods}]
    gateway = dict(host(by), egressIP=by) if isinstance(by, str) else by
    whole = {"selectors": selectors, "destinationCIDRs": list(to), "excludedCIDRs": list(but),
             "egressGateway": gateway, **spec}
    metadata = {"name": name}
    if created:
        metadata["creationTimestamp"] = f"2026-01-01T00:00:{created:02}Z"
    return {"apiVersion": API, "kind": "CiliumEgressGatewayPolicy", "metadata": metadata,
            "spec": {key: value for key, value in whole.items() if key != without}}


def resolved_cidrs(names, families):
    return [cidr for name in names for cidr in
            ([CIDRS[name][family] for family in families] if name in CIDRS else [name])]


def resolved_gateway(gateway, families):
    """An egressIP that is one of our names stands for the address of the first family it has."""
    names = ADDRESSES.get(gateway.get("egressIP"))
    if names is None:
        return gateway
    return dict(gateway, egressIP=next(names[f] for f in (*families, 4, 6) if f in names))


def resolved(document, families):
    """The policy with addresses and prefixes of these families in the place of names."""
    spec = dict(document["spec"])
    for key in ("destinationCIDRs", "excludedCIDRs"):
        if key in spec:
            spec[key] = resolved_cidrs(spec[key], families)
    if "egressGateway" in spec:
        spec["egressGateway"] = resolved_gateway(spec["egressGateway"], families)
    if "egressGateways" in spec:
        spec["egressGateways"] = [resolved_gateway(entry, families)
                                  for entry in spec["egressGateways"]]
    return dict(document, spec=spec)


# ---- the cluster -------------------------------------------------------------------------------

def identity(kind, name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}/{name}"))


def node_object(key, families, changes):
    name, ranges, own_labels = NODES[key]
    ready = changes.get("ready", True)
    ranges = [ranges[family] for family in families]
    every = {"kubernetes.io/hostname": name, **own_labels, **changes.get("labels", {})}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": identity("node", name), "labels": every},
        "spec": {"podCIDR": ranges[0], "podCIDRs": ranges,
                 "unschedulable": changes.get("cordoned", False)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ADDRESSES[key][family]}
                          for family in families] + [{"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": str(ready), "reason": "KubeletReady"}]}}


def pod_object(name, families, changes):
    node, namespace, addresses, own_labels, account = PODS[name]
    addresses = [addresses[family] for family in families] if changes.get("ip", True) else []
    status = {"phase": changes.get("phase", "Running")}
    if addresses:
        status.update(podIP=addresses[0], podIPs=[{"ip": address} for address in addresses])
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": changes.get("labels", own_labels),
                     "uid": identity("pod", name + changes.get("uid", ""))},
        "spec": {"nodeName": NODES[node][0], "serviceAccountName": account,
                 "containers": [{"name": "a", "image": "a"}]},
        "status": status}


def host_pod(families):
    """A pod in the worker's own network, with labels that policies select."""
    web = pod_object("web", families, {"uid": "host"})
    addresses = [ADDRESSES["W"][family] for family in families]
    web["metadata"]["name"] = "host"
    web["spec"]["hostNetwork"] = True
    web["status"].update(podIP=addresses[0], podIPs=[{"ip": address} for address in addresses])
    return web


def marker_cidr(number, families):
    return f"192.0.2.{number}/32" if 4 in families else f"2001:db8:2::{number:x}/128"


def cluster(families, number, policies, pods=None, nodes=None, namespaces=None):
    """All objects, as a List. The last one is the policy of the marker, with the CIDR number NUMBER:
    where a node's kernel has that, it has all that stands before it."""
    items = [node_object(key, families, (nodes or {}).get(key, {})) for key in NODES]
    items += [{"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": name, "labels": {"kubernetes.io/metadata.name": name,
                                 **(namespaces or {}).get(name, own_labels)}}}
              for name, own_labels in NAMESPACES.items()]
    items += [pod_object(name, families, (pods or {}).get(name, {})) for name in PODS]
    items += [host_pod(families)]
    items += [resolved(document, families) for document in policies]
    items += [policy("zz-marker", {"matchLabels": {"is": "marker"}},
                     to=[marker_cidr(number, families)], by=host("A"),
                     egressGateways=[host("A"), host("B"), host("C")])]
    return {"apiVersion": "v1", "kind": "List", "items": items}
