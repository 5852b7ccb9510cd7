# SPDX-License-Identifier: Apache-2.0
"""One row for each thing that a policy can say: the policies, and as whom the server sees each pod.

A row is written once for IPv4, IPv6 and both; world.py says what the names stand for, and run.py
how an expectation is read. The pods are web, db, api, shop, bare on the worker, away on the gateway
B, and host, which is the worker's own network.
"""
import dataclasses

from world import by_label, expr, host, labels, policy

CLUSTER = "io.cilium.k8s.policy.cluster"
ACCOUNT = "io.cilium.k8s.policy.serviceaccount"
NAMESPACE = "io.kubernetes.pod.namespace"
NAMESPACE_LABEL = "io.cilium.k8s.namespace.labels."


@dataclasses.dataclass
class Row:
    name: str
    expect: str  # "web db@far: A; *: own"
    policies: list
    first: list = ()  # clusters of policies that are in force before, one after the other
    pods: dict = None  # what is different, by pod, node, namespace
    nodes: dict = None
    namespaces: dict = None
    inbound: tuple = ()  # pods that are spoken to from outside
    log: str = ""  # a line that a daemon says
    families: tuple = (4, 6)


def selector(name, expect, *selectors, **further):
    return Row(name, expect, [policy(selectors=list(selectors))], **further)


def pods(name, expect, pod_selector, **further):
    return selector(name, expect, {"podSelector": pod_selector}, **further)


def invalid(name, log, **fields):
    """A policy that goes by A is changed to one by B that is wrong: it goes on by A."""
    changed = policy(**{"by": "B", **fields})
    return Row(f"invalid, the last valid version stays: {name}", "web shop away: A; *: own", [changed],
               first=[[policy()]], log=log)


def gateways(*entries):
    return {"by": host("C"), "egressGateways": list(entries)}


SELECTORS = [
    Row("no policy: every pod leaves as itself", "*: own", []),
    selector("an empty list of selectors selects nothing", "*: own"),
    pods("podSelector {} selects every pod", "host: own; *: A", {}),
    pods("matchLabels, in all namespaces", "web shop away: A; *: own", labels(app="web")),
    pods("matchLabels, both of two", "web: A; *: own", labels(app="web", tier="front")),
    pods("In", "db api: A; *: own", expr("app", "In", "db", "api")),
    pods("NotIn fits an absent key", "db api bare: A; *: own", expr("app", "NotIn", "web")),
    pods("Exists", "web api: A; *: own", expr("tier", "Exists")),
    pods("DoesNotExist", "db shop bare away: A; *: own", expr("tier", "DoesNotExist")),
    pods("keys are literal", "*: own", labels(**{"any.app": "web"})),
    pods("the pod's namespace", "api shop: A; *: own", labels(**{NAMESPACE: "prod"})),
    pods("a label of the pod's namespace", "api shop: A; *: own",
         labels(**{NAMESPACE_LABEL + "env": "prod"})),
    pods("the pod's service account", "api: A; *: own", labels(**{ACCOUNT: "robot"})),
    pods("the cluster", "web shop away: A; *: own", labels(**{CLUSTER: "lab", "app": "web"})),
    pods("another cluster", "*: own", labels(**{CLUSTER: "other"})),
    selector("namespaceSelector {} selects every pod", "host: own; *: A", {"namespaceSelector": {}}),
    selector("namespaceSelector by label", "api shop: A; *: own", {"namespaceSelector": labels(team="red")}),
    selector("namespaceSelector, NotIn fits an absent key", "bare api shop: A; *: own",
             {"namespaceSelector": expr("team", "NotIn", "blue")}),
    selector("podSelector AND namespaceSelector", "shop: A; *: own",
             {"podSelector": labels(app="web"), "namespaceSelector": labels(team="red")}),
    selector("nodeSelector beside a podSelector", "away: A; *: own",
             {"podSelector": labels(app="web"), "nodeSelector": labels(zone="two")}),
    selector("nodeSelector beside a namespaceSelector", "web db: A; *: own",
             {"namespaceSelector": labels(team="blue"), "nodeSelector": labels(zone="one")}),
    selector("all three", "web: A; *: own",
             {"podSelector": labels(app="web"), "namespaceSelector": labels(team="blue"),
              "nodeSelector": labels(zone="one")}),
    selector("rules are ORed", "db api shop: A; *: own",
             {"podSelector": labels(app="db")}, {"namespaceSelector": labels(team="red")}),
    pods("labels that a pod gets", "bare web shop away: A; *: own", labels(app="web"),
         pods={"bare": {"labels": {"app": "web"}}}, first=[[policy()]]),
    selector("labels that a namespace gets", "bare: A; *: own", {"namespaceSelector": labels(team="new")},
             namespaces={"test": {"team": "new"}}),
    selector("labels that a node gets", "away: A; *: own",
             {"podSelector": {}, "nodeSelector": labels(new="yes")},
             nodes={"B": {"labels": {"new": "yes"}}}),
]

PODS = [
    pods("a hostNetwork pod is never selected", "host: own; web shop away: A", labels(app="web")),
    pods("a pod that has succeeded is no endpoint", "web: none; shop: A; db: own", labels(app="web"),
         pods={"web": {"phase": "Succeeded"}}),
    pods("a pod that has failed is no endpoint", "web: none; shop: A; db: own", labels(app="web"),
         pods={"web": {"phase": "Failed"}}),
    pods("a pod without an address is no endpoint", "web: none; shop: A; db: own", labels(app="web"),
         pods={"web": {"ip": False}}),
    pods("a pod that comes back under its name and address is another one", "web: own; shop away: A",
         labels(app="web"), first=[[policy()]], pods={"web": {"uid": "2", "labels": {"app": "new"}}}),
]

DESTINATIONS = [
    Row("a destination", "web@near web@near2: A; web@far db@near: own", [policy(to=["near/net"])]),
    Row("a single address", "web@near: A; web@near2 web@far: own", [policy(to=["near/host"])]),
    Row("host bits do not count", "web@near web@near2: A; web@far: own", [policy(to=["near/bits"])]),
    Row("several destinations", "web@near2 web@far: A; web@near: own", [policy(to=["near2/host", "far/net"])]),
    Row("an excluded CIDR", "web@near web@near2: own; web@far: A", [policy(but=["near/net"])]),
    Row("an excluded CIDR, however short the destination is", "web@near: own; web@near2 web@far: A",
        [policy(to=["outside"], but=["near/host"])]),
    Row("a destination inside of an excluded CIDR", "web@near: A; web@near2: own; web@far: A",
        [policy(to=["all", "near/host"], but=["near/net"])]),
    Row("what is both named and excluded is excluded", "web@near: own; web@far: A",
        [policy(to=["all", "near/net"], but=["near/net"])]),
    Row("pods, nodes and ranges of the cluster are never redirected",
        "web@away web@A web@B web@inside web@shop away@db: own; web: A", [policy(pods={})]),
    Row("answers to connections from outside", "web away: A; db: own", [policy()], inbound=("web", "away", "db")),
]

PRECEDENCE = [
    Row("two policies: the longest prefix", "web@near: B; web@near2 web@far: A",
        [policy("a"), policy("b", to=["near/host"], by="B")]),
    Row("two policies: an excluded CIDR counts like a destination", "web@near web@near2: own; web@far: A",
        [policy("a"), policy("b", to=["far/net"], but=["near/net"])]),
    Row("two policies: a longer destination beats an excluded CIDR",
        "web@near: B; web@near2: own; web@far: A",
        [policy("a", but=["near/net"]), policy("b", to=["near/host"], by="B")]),
    Row("equal prefixes: the older policy", "web: B; db: own",
        [policy("a", created=9), policy("b", by="B", created=5)],
        log="another policy decides.*policy=a.*decides=b"),
    Row("equal prefixes: of one age the smaller name", "web: A; db: own",
        [policy("b", by="B", created=5), policy("a", created=5)],
        log="another policy decides.*policy=b.*decides=a"),
    Row("equal prefixes: the older one excludes", "web@near: own; web@far: B",
        [policy("a", to=["inside/host"], but=["near/net"], created=5),
         policy("b", to=["near/net", "far/net"], by="B", created=9)]),
    Row("equal prefixes: the younger one excludes", "web@near: A; web@far: B",
        [policy("a", to=["near/net"], created=5),
         policy("b", to=["far/net"], but=["near/net"], by="B", created=9)]),
    Row("equal prefixes: the older one has no gateway", "web: none; db: own",
        [policy("a", by=by_label(no="node"), created=5), policy("b", by="B", created=9)]),
    Row("each pod by its own policies", "web away: A; shop: B; db: C; *: own",
        [policy("a", created=5),
         policy("b", selectors=[{"namespaceSelector": labels(env="prod"),
                                 "podSelector": labels(app="web")}], by="B", created=3),
         policy("c", labels(app="db"), by="C")]),
]

GATEWAYS = [
    Row("egressIP: the gateway's own", "web: B; db: own", [policy(by="B")]),
    Row("egressIP: another address of the gateway", "web: A1; db: own", [policy(by=dict(host("A"), egressIP="A1"))]),
    Row("egressIP of one family, the other one by its interface", "web: B1; db: own",
        [policy(by=dict(host("B"), egressIP="172.22.47.147"))]),
    Row("the same with an address of IPv6", "web: B1; db: own",
        [policy(by=dict(host("B"), egressIP="2001:db8:47::147"))]),
    Row("interface", "web: A1; db: own", [policy(by=dict(host("A"), interface="eth1"))]),
    Row("interface without an address of IPv6: that family is dropped", "web: C1/none; db: own",
        [policy(by=dict(host("C"), interface="eth1"))]),
    Row("interface without an address of IPv4: that family is dropped", "web: none/C2; db: own",
        [policy(by=dict(host("C"), interface="eth2"))]),
    Row("neither: the interface of the default route", "web: C; db: own", [policy(by=host("C"))]),
    Row("an egressIP that the gateway lacks", "web away: none; db: own",
        [policy(by=dict(host("A"), egressIP="nobody"))], log=r"has the egress IP.*policy=p"),
    Row("an interface that the gateway lacks", "web: none; db: own", [policy(by=dict(host("A"), interface="eth9"))]),
    Row("several nodes match: the first by name", "web: A; db: own", [policy(by=by_label(egress="yes"))],
        log=r"several nodes match.*policy=p"),
    Row("several nodes match: the first that is Ready", "web: B; db: own", [policy(by=by_label(egress="yes"))],
        nodes={"A": {"ready": False}}),
    Row("several nodes match: none is Ready, the first", "web: A; db: own", [policy(by=by_label(egress="yes"))],
        nodes={"A": {"ready": False}, "B": {"ready": False}}, log=r"is Ready.*policy=p"),
    Row("a cordoned node stays the gateway", "web: A; db: own", [policy(by=by_label(egress="yes"))],
        nodes={"A": {"cordoned": True}}),
    Row("a label that moves from one node to another", "web: C; db: own", [policy(by=by_label(new="yes"))],
        first=[[policy(by=by_label(egress="yes"))]], nodes={"C": {"labels": {"new": "yes"}}}),
    Row("no node matches: dropped", "web shop away: none; *: own", [policy(by=by_label(no="node"))],
        log=r"no node matches.*policy=p"),
    Row("egressGateways share the pods", "web db api shop bare away: A|B; host: own",
        [policy(pods={}, **gateways(host("A"), host("B")))]),
    Row("egressGateways replaces egressGateway", "web shop away: A; db: own", [policy(**gateways(host("A")))]),
    Row("an empty egressGateways replaces nothing", "web: C; db: own", [policy(by=host("C"), egressGateways=[])]),
    Row("egressGateways: two entries on one node", "web db api shop bare away: A|A1; host: own",
        [policy(pods={}, **gateways(dict(host("A"), egressIP="A"), dict(host("A"), egressIP="A1")))]),
    Row("egressGateways: an entry without a node leaves its pods to the others",
        "web db api shop bare away: B; host: own", [policy(pods={}, **gateways(by_label(no="node"), host("B")))]),
    Row("egressGateways: an entry that is not Ready leaves its pods to the others",
        "web db api shop bare away: B; host: own", [policy(pods={}, **gateways(host("A"), host("B")))],
        nodes={"A": {"ready": False}}),
    Row("egressGateways: no entry has a node", "web: none; db: own",
        [policy(**gateways(by_label(no="node"), by_label(no="other")))]),
    Row("a pod on the gateway itself", "away: B; db: own", [policy(by="B")]),
    Row("a policy that is deleted", "*: own", [], first=[[policy(pods={})]]),
]

INVALID = [
    invalid("no destinationCIDRs", "destinationCIDRs", without="destinationCIDRs"),
    invalid("a CIDR that does not parse", "destinationCIDRs", to=["near/net", "10.0.0.0/33"]),
    invalid("an address is no CIDR", "destinationCIDRs", to=["10.0.0.1"]),
    invalid("an excluded CIDR that does not parse", "excludedCIDRs", but=["ten"]),
    invalid("an egressIP that does not parse", "egressIP", by=dict(host("B"), egressIP="172.22.49.300")),
    invalid("both interface and egressIP", "egressGateway", by=dict(host("B"), egressIP="B", interface="eth0")),
    invalid("no gateway", "egressGateway", without="egressGateway"),
    invalid("a gateway without a nodeSelector", "nodeSelector", by={"egressIP": "B"}),
    invalid("no selectors", "selectors", without="selectors"),
    invalid("a rule with a nodeSelector alone", "selectors", selectors=[{"nodeSelector": labels(zone="one")}]),
    invalid("an operator that does not exist", "operator", pods=expr("app", "Is", "web")),
    invalid("In without values", "values", pods=expr("app", "In")),
    invalid("Exists with values", "values", pods=expr("app", "Exists", "web")),
    invalid("the name of a pod is not offered", "io.kubernetes.pod.name",
            pods=labels(**{"io.kubernetes.pod.name": "web"})),
    Row("invalid and never valid: does nothing", "*: own", [policy("q", to=["10.0.0.0/33"])], log="policy=q|q.*destinationCIDRs"),
]

ROWS = SELECTORS + PODS + DESTINATIONS + PRECEDENCE + GATEWAYS + INVALID
