// SPDX-License-Identifier: Apache-2.0

// The other side of the watcher's benchmark: fills an API server with pods, changes them, and
// follows them with client-go's reflector and its store.
//
//	bench load PODS              nodes and running pods with the label app=web
//	bench label PODS VALUE       the first of these pods get the label app=VALUE
//	bench follow json|protobuf   prints when it is in sync; at SIGTERM what events came since
//	                             then, or since SIGUSR1
//
// The server is that of $KUBECONFIG, with its etcd at port 2379. What client-go lists by (pages or a stream) is up to its own
// variable KUBE_FEATURE_WatchListClient.
package main

import (
	"fmt"
	"os"
	"strconv"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func connect(protobuf bool) *kubernetes.Clientset {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	check(err)
	config.QPS = -1
	if protobuf {
		config.ContentType = "application/vnd.kubernetes.protobuf"
		config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	}
	client, err := kubernetes.NewForConfig(config)
	check(err)
	return client
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: bench load PODS | label PODS VALUE | follow json|protobuf")
	os.Exit(2)
}

func main() {
	if len(os.Args) < 3 {
		usage()
	}
	count, _ := strconv.Atoi(os.Args[2])
	switch {
	case os.Args[1] == "load":
		load(connect(true), count)
	case os.Args[1] == "label" && len(os.Args) == 4:
		label(connect(true), count, os.Args[3])
	case os.Args[1] == "follow":
		follow(connect(os.Args[2] == "protobuf"))
	default:
		usage()
	}
}
