// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// events counts what the store is told after it was in sync.
type events struct {
	cache.Store
	synced      atomic.Bool
	count       atomic.Int64
	first, last atomic.Int64
}

func (e *events) note() {
	if !e.synced.Load() {
		return
	}
	now := time.Now().UnixNano()
	e.first.CompareAndSwap(0, now)
	e.last.Store(now)
	e.count.Add(1)
}

func (e *events) Add(object any) error    { e.note(); return e.Store.Add(object) }
func (e *events) Update(object any) error { e.note(); return e.Store.Update(object) }
func (e *events) Delete(object any) error { e.note(); return e.Store.Delete(object) }

// follow is a reflector with the plain store, nothing else: no handlers, no index, no queue.
func follow(client *kubernetes.Clientset) {
	start := time.Now()
	pods := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", meta.NamespaceAll, fields.Everything())
	store := &events{Store: cache.NewStore(cache.MetaNamespaceKeyFunc)}
	reflector := cache.NewReflector(pods, &core.Pod{}, store, 0)
	end, again := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	signal.Notify(again, syscall.SIGUSR1)
	go reflector.Run(make(chan struct{}))
	for reflector.LastSyncResourceVersion() == "" {
		time.Sleep(time.Millisecond)
	}
	store.synced.Store(true)
	fmt.Printf("synced %d %.3f\n", len(store.ListKeys()), time.Since(start).Seconds())
	go func() {
		for range again {
			store.first.Store(0)
			store.count.Store(0)
		}
	}()
	<-end
	fmt.Printf("events %d %.3f\n", store.count.Load(), float64(store.last.Load()-store.first.Load())/1e9)
}
