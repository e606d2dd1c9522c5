// Pulumi's host for Python, with what the host of an older release lacks: the code that
// `pulumi import` prints. Everything else goes to that host, which runs as a child of this one.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/pulumi/pulumi/pkg/v3/codegen/hcl2/syntax"
	"github.com/pulumi/pulumi/pkg/v3/codegen/pcl"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	rpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

const (
	older          = "pulumi-language-python-older" // beside this program
	largestMessage = 400 << 20                      // as in the CLI
)

func main() {
	runtime.LockOSThread() // the child's life hangs on the thread that starts it
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "pulumi-language-python: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(filepath.Join(filepath.Dir(own), older), os.Args[1:]...)
	child.Stdin, child.Stderr, child.SysProcAttr = os.Stdin, os.Stderr, endsWithUs
	output, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	defer child.Process.Kill() //nolint:errcheck // it may have ended
	// a host begins by printing its port
	lines := bufio.NewReader(output)
	port, err := lines.ReadString('\n')
	if err != nil {
		return fmt.Errorf("%s said no port: %w", older, err)
	}
	go io.Copy(os.Stdout, lines) //nolint:errcheck // what it prints later is for nobody
	connection, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(port),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestMessage)))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(
		grpc.ForceServerCodec(bytes{}),
		grpc.MaxRecvMsgSize(largestMessage),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return answer(connection, stream)
		}))
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

// answer is one call, of whatever method.
func answer(connection *grpc.ClientConn, caller grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(caller)
	if method == rpc.LanguageRuntime_GenerateProgram_FullMethodName {
		return generate(caller)
	}
	given, _ := metadata.FromIncomingContext(caller.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(caller.Context(), given))
	defer cancel()
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	host, err := connection.NewStream(ctx, both, method, grpc.ForceCodec(bytes{}))
	if err != nil {
		return err
	}
	go func() {
		if pass(caller, host) == nil {
			host.CloseSend() //nolint:errcheck // the answer tells
		} else {
			cancel()
		}
	}()
	return pass(host, caller)
}

type receiver interface{ RecvMsg(any) error }

type sender interface{ SendMsg(any) error }

// pass hands messages on until there are no more.
func pass(from receiver, to sender) error {
	for {
		var message []byte
		if err := from.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := to.SendMsg(&message); err != nil {
			return err
		}
	}
}

// generate writes a program of Pulumi's configuration language in Python.
func generate(caller grpc.ServerStream) error {
	var message []byte
	if err := caller.RecvMsg(&message); err != nil {
		return err
	}
	var request rpc.GenerateProgramRequest
	if err := proto.Unmarshal(message, &request); err != nil {
		return err
	}
	files, diagnostics, err := program(&request)
	if err != nil {
		return err
	}
	response := &rpc.GenerateProgramResponse{
		Source:      files,
		Diagnostics: plugin.HclDiagnosticsToRPCDiagnostics(diagnostics),
	}
	if message, err = proto.Marshal(response); err != nil {
		return err
	}
	return caller.SendMsg(&message)
}

func program(request *rpc.GenerateProgramRequest) (map[string][]byte, hcl.Diagnostics, error) {
	loader, err := schema.NewLoaderClient(request.LoaderTarget)
	if err != nil {
		return nil, nil, err
	}
	parser := syntax.NewParser()
	for path, text := range request.Source {
		if err := parser.ParseFile(strings.NewReader(text), path); err != nil {
			return nil, nil, err
		}
	}
	if parser.Diagnostics.HasErrors() {
		return nil, parser.Diagnostics, nil
	}
	var options []pcl.BindOption
	if !request.Strict {
		options = pcl.NonStrictBindOptions()
	}
	bound, found, err := pcl.BindProgram(parser.Files, schema.NewCachedLoader(loader), options...)
	if err != nil || bound == nil || found.HasErrors() {
		return nil, found, err
	}
	files, more, err := python.GenerateProgram(bound)
	return files, append(found, more...), err
}

// bytes leaves messages as they are on the wire.
type bytes struct{}

func (bytes) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (bytes) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (bytes) Name() string { return "proto" }
