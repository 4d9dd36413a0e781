// Command fakegpu is a Kubernetes device plugin for machines without GPUs. It offers the kubelet a number of devices that
// exist by name only, so that scheduling, quota and accounting of GPUs can be tried for real. A container that is given some of them
// finds their ids in FAKE_GPU_IDS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	socketName        = "fakegpu.sock"
	kubeletSocketName = "kubelet.sock"
	lookEvery         = time.Second
)

// server answers the kubelet: which devices there are, and what a container that gets some of them needs.
type server struct {
	api.UnimplementedDevicePluginServer
	devices []*api.Device
}

func (s *server) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch sends the list once and keeps the stream open: the kubelet takes its end as the loss of every device.
func (s *server) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	if err := stream.Send(&api.ListAndWatchResponse{Devices: s.devices}); err != nil {
		return fmt.Errorf("send the devices: %w", err)
	}
	<-stream.Context().Done()
	return nil
}

func (s *server) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		ids := strings.Join(container.DevicesIds, ",")
		response.ContainerResponses = append(response.ContainerResponses,
			&api.ContainerAllocateResponse{Envs: map[string]string{"FAKE_GPU_IDS": ids}})
	}
	return response, nil
}

func run(ctx context.Context, count int, resource, folder string) error {
	plugin := &server{}
	for i := range count {
		plugin.devices = append(plugin.devices, &api.Device{ID: fmt.Sprintf("GPU-fake-%d", i), Health: api.Healthy})
	}
	kubelet, err := kubeletSocket(ctx, folder)
	if err != nil {
		return err
	}
	socket := filepath.Join(folder, socketName)
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	grpcServer := grpc.NewServer()
	api.RegisterDevicePluginServer(grpcServer, plugin)
	served := make(chan error, 1)
	go func() { served <- grpcServer.Serve(listener) }()
	defer grpcServer.Stop()

	if err := register(ctx, resource, folder); err != nil {
		return err
	}
	log.Printf("%d devices of %s registered", count, resource)
	for {
		select {
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			return nil
		case <-time.After(lookEvery):
			now, err := os.Stat(filepath.Join(folder, kubeletSocketName))
			if err != nil || !os.SameFile(kubelet, now) {
				return errors.New("the kubelet has restarted and forgot us; start again")
			}
		}
	}
}

// kubeletSocket waits for the kubelet: while it starts it empties the folder, and what was put there before is lost.
func kubeletSocket(ctx context.Context, folder string) (fs.FileInfo, error) {
	for {
		info, err := os.Stat(filepath.Join(folder, kubeletSocketName))
		if err == nil {
			return info, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the kubelet: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func register(ctx context.Context, resource, folder string) error {
	kubelet, err := grpc.NewClient("unix://"+filepath.Join(folder, kubeletSocketName),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("dial the kubelet: %w", err)
	}
	defer kubelet.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err = api.NewRegistrationClient(kubelet).Register(ctx,
		&api.RegisterRequest{Version: api.Version, Endpoint: socketName, ResourceName: resource},
		grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("register with the kubelet: %w", err)
	}
	return nil
}

func main() {
	count := flag.Int("n", 2, "number of devices")
	resource := flag.String("resource", "nvidia.com/gpu", "extended resource to offer")
	folder := flag.String("dir", api.DevicePluginPath, "the kubelet's folder of device plugin sockets")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *count, *resource, *folder); err != nil {
		log.Fatal("fakegpu: ", err)
	}
}
