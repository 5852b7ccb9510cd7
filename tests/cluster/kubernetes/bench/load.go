// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	nodes     = 200
	namespace = "default"
)

func podName(number int) string {
	return fmt.Sprintf("web-%d-7c5ddbdf54-x%04d", number/1000, number)
}

func probe(path string) *core.Probe {
	return &core.Probe{
		ProbeHandler: core.ProbeHandler{HTTPGet: &core.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(8080), Scheme: core.URISchemeHTTP}},
		InitialDelaySeconds: 5, TimeoutSeconds: 2, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3,
	}
}

// container is as large as containers usually are: what a watcher reads is mostly what it does
// not need.
func container(name string) core.Container {
	var env []core.EnvVar
	for i := range 6 {
		env = append(env, core.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "http://service.example.com:8080/path"})
	}
	return core.Container{
		Name: name, Image: "registry.example.com/team/" + name + ":v1.24.3", Env: env,
		Resources: core.ResourceRequirements{
			Requests: core.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
			Limits:   core.ResourceList{"memory": resource.MustParse("256Mi")}},
		LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/ready"),
		VolumeMounts: []core.VolumeMount{{Name: "settings", MountPath: "/etc/settings", ReadOnly: true},
			{Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}},
	}
}

func pod(number int) *core.Pod {
	yes, seconds := true, int64(3607)
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{
			Name: podName(number), Namespace: namespace,
			Labels: map[string]string{"app": "web", "tier": "frontend", "pod-template-hash": "7c5ddbdf54",
				"app.kubernetes.io/name": "web", "app.kubernetes.io/managed-by": "Helm"},
			Annotations: map[string]string{"checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
				"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
			OwnerReferences: []meta.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-7c5ddbdf54",
				UID: "5b0b4cf2-5b86-4cf4-9d63-50b5a4b1e3a1", Controller: &yes, BlockOwnerDeletion: &yes}},
		},
		Spec: core.PodSpec{
			NodeName: fmt.Sprintf("node-%d", number%nodes), ServiceAccountName: "web",
			Containers: []core.Container{container("web"), container("sidecar")},
			Volumes: []core.Volume{
				{Name: "settings", VolumeSource: core.VolumeSource{ConfigMap: &core.ConfigMapVolumeSource{
					LocalObjectReference: core.LocalObjectReference{Name: "settings"}}}},
				{Name: "token", VolumeSource: core.VolumeSource{Projected: &core.ProjectedVolumeSource{
					Sources: []core.VolumeProjection{{ServiceAccountToken: &core.ServiceAccountTokenProjection{
						ExpirationSeconds: &seconds, Path: "token"}}}}}}},
			Tolerations: []core.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: core.TolerationOpExists, Effect: core.TaintEffectNoExecute},
				{Key: "node.kubernetes.io/unreachable", Operator: core.TolerationOpExists, Effect: core.TaintEffectNoExecute}},
		},
	}
}

func podStatus(number int) core.PodStatus {
	now := meta.Now()
	address := fmt.Sprintf("10.128.%d.%d", number%nodes, number/nodes+1)
	status := core.PodStatus{Phase: core.PodRunning, PodIP: address, PodIPs: []core.PodIP{{IP: address}},
		HostIP: "192.0.2.1", StartTime: &now, QOSClass: core.PodQOSBurstable}
	for _, kind := range []core.PodConditionType{core.PodInitialized, core.PodReady, core.ContainersReady, core.PodScheduled} {
		status.Conditions = append(status.Conditions, core.PodCondition{
			Type: kind, Status: core.ConditionTrue, LastTransitionTime: now})
	}
	for _, name := range []string{"web", "sidecar"} {
		yes := true
		status.ContainerStatuses = append(status.ContainerStatuses, core.ContainerStatus{
			Name: name, Ready: true, Started: &yes, Image: "registry.example.com/team/" + name + ":v1.24.3",
			ImageID:     "registry.example.com/team/" + name + "@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			ContainerID: "containerd://60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
			State:       core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}}})
	}
	return status
}

func node(number int) *core.Node {
	name, cidr := fmt.Sprintf("node-%d", number), fmt.Sprintf("10.128.%d.0/24", number)
	return &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: name, UID: uuid.NewUUID(), CreationTimestamp: meta.Now(),
			Labels: map[string]string{"kubernetes.io/hostname": name}},
		Spec: core.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}},
		Status: core.NodeStatus{Addresses: []core.NodeAddress{
			{Type: core.NodeInternalIP, Address: fmt.Sprintf("10.0.0.%d", number+1)}}},
	}
}

// sample has the server complete one pod: defaults, managed fields, everything.
func sample(client kubernetes.Interface) *core.Pod {
	pods := client.CoreV1().Pods(namespace)
	sample, err := pods.Get(context.Background(), podName(0), meta.GetOptions{})
	if err == nil {
		return sample
	}
	created, err := pods.Create(context.Background(), pod(0), meta.CreateOptions{})
	check(err)
	created.Status = podStatus(0)
	created, err = pods.UpdateStatus(context.Background(), created, meta.UpdateOptions{})
	check(err)
	return created
}

// storage writes objects as the API server stores them. It is told of them by its watch of the
// storage, as of the writes of another API server, and a thousand times faster than by requests.
type storage struct {
	client *clientv3.Client
	batch  []clientv3.Op
	most   int // operations of one transaction, which all get one revision
	codec  *protobuf.Serializer
	// revision is that of the last write.
	revision int64
}

func storageOpen(most int) *storage {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:2379"}})
	check(err)
	return &storage{client: client, most: most, codec: protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)}
}

func (s *storage) put(key string, object runtime.Object) {
	var text bytes.Buffer
	check(s.codec.Encode(object, &text))
	s.batch = append(s.batch, clientv3.OpPut("/registry/"+key, text.String()))
	if len(s.batch) >= s.most {
		s.flush()
	}
}

func (s *storage) flush() {
	if len(s.batch) == 0 {
		return
	}
	response, err := s.client.Txn(context.Background()).Then(s.batch...).Commit()
	check(err)
	s.revision = response.Header.Revision
	s.batch = nil
}

// podsPut writes pods that are alike but for their names, nodes and addresses.
func (s *storage) podsPut(sample *core.Pod, count int, app string) {
	sample.TypeMeta = meta.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	sample.ResourceVersion = ""
	for number := range count {
		sample.Name = podName(number)
		sample.UID = types.UID(fmt.Sprintf("5b0b4cf2-5b86-4cf4-9d63-%012d", number))
		sample.Labels["app"] = app
		sample.Spec.NodeName = fmt.Sprintf("node-%d", number%nodes)
		sample.Status.PodIP = podStatus(number).PodIP
		sample.Status.PodIPs = podStatus(number).PodIPs
		s.put("pods/"+namespace+"/"+sample.Name, sample)
	}
	s.flush()
}

// wait returns when the server knows of all that was written: before, it refuses to answer.
func (s *storage) wait(client kubernetes.Interface) {
	options := meta.ListOptions{ResourceVersion: fmt.Sprint(s.revision), FieldSelector: "metadata.name=" + podName(0)}
	for range 20 {
		if _, err := client.CoreV1().Pods(namespace).List(context.Background(), options); err == nil {
			return
		}
	}
	check(fmt.Errorf("the API server does not get to know revision %d", s.revision))
}

func load(client kubernetes.Interface, count int) {
	start := time.Now()
	storage := storageOpen(100)
	for number := range nodes {
		made := node(number)
		made.TypeMeta = meta.TypeMeta{APIVersion: "v1", Kind: "Node"}
		storage.put("minions/"+made.Name, made)
	}
	storage.flush()
	storage.podsPut(sample(client), count, "web")
	storage.wait(client)
	fmt.Printf("%d pods made in %.1f s\n", count, time.Since(start).Seconds())
}

func label(client kubernetes.Interface, count int, value string) {
	start := time.Now()
	storage := storageOpen(1) // a watch that is cut goes on behind a revision
	storage.podsPut(sample(client), count, value)
	storage.wait(client)
	fmt.Printf("%d pods changed in %.1f s\n", count, time.Since(start).Seconds())
}
