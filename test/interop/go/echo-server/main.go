// A Motan2 server on motan-go's own server library. Prints "ready" once its listener is up and lives until it is ended.
//
//	echo-server -port N [-unix-sock PATH] [-group G] [-log-dir DIR] [-config FILE]
//
// -config takes a whole motan-go server configuration instead of the one made from the other flags; its service must
// have `ref: echo`.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	motan "github.com/weibocom/motan-go"
	"github.com/weibocom/motan-go/config"
	"github.com/weibocom/motan-go/core"
)

const servicePath = "peony.interop.EchoService"

func main() {
	// A set of its own: the library has taken names like -port in the common one.
	flags := flag.NewFlagSet("echo-server", flag.ExitOnError)
	port := flags.Int("port", 0, "TCP port")
	unixSock := flags.String("unix-sock", "", "listen on this unix socket instead of the port")
	group := flags.String("group", "go-rpc", "group of the service")
	logDir := flags.String("log-dir", ".", "directory of the library's logs")
	configFile := flags.String("config", "", "motan-go server configuration")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}

	settings, err := load(*configFile, serverYaml(*port, *unixSock, *group, *logDir))
	if err != nil {
		fail(err)
	}
	motan.GetDefaultExtFactory().RegistExtFilter(probeFilterName, func() core.Filter { return &probeFilter{} })
	server := motan.NewMotanServerContextFromConfig(settings)
	if err := server.RegisterService(&EchoService{}, "echo"); err != nil {
		fail(err)
	}
	server.Start(nil)
	server.ServicesAvailable()
	fmt.Println("ready")
	select {}
}

func load(file, text string) (*config.Config, error) {
	if file != "" {
		return config.NewConfigFromFile(file)
	}
	return config.NewConfigFromReader(strings.NewReader(text))
}

func serverYaml(port int, unixSock, group, logDir string) string {
	lines := []string{
		"motan-server:",
		"  application: interop-go-server",
		"  log_dir: " + logDir,
		"motan-registry:",
		"  none: {protocol: direct}",
		"motan-service:",
		"  echo:",
		"    path: " + servicePath,
		"    group: " + group,
		"    protocol: motan2",
		"    registry: none",
		"    serialization: simple",
		"    ref: echo",
		"    host: 127.0.0.1",
		"    filter: " + probeFilterName,
		fmt.Sprintf("    export: \"motan2:%d\"", port),
	}
	if unixSock != "" {
		lines = append(lines, "    unixSock: "+unixSock)
	}
	return strings.Join(lines, "\n") + "\n"
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "echo-server:", err)
	os.Exit(1)
}
