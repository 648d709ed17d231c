// A motan-go client whose refer has a registry: it makes one call of hello and prints one JSON line.
//
//	mesh-client -config FILE     a motan-go client configuration with the refer `echo`
//
//	{"value":"hello x from go","error":""}
//
// Exit code: 0 answered, 1 not.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	motan "github.com/weibocom/motan-go"
	"github.com/weibocom/motan-go/config"
)

func main() {
	// A set of its own: the library has taken names like -port in the common one.
	flags := flag.NewFlagSet("mesh-client", flag.ExitOnError)
	file := flags.String("config", "", "motan-go client configuration")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	settings, err := config.NewConfigFromFile(*file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mesh-client:", err)
		os.Exit(1)
	}
	context := motan.NewClientContextFromConfig(settings)
	context.Start(nil)
	var value string
	err = context.GetClient("echo").Call("hello", []interface{}{"mesh"}, &value)
	text := ""
	if err != nil {
		text = err.Error()
	}
	line, _ := json.Marshal(map[string]string{"value": value, "error": text})
	fmt.Println(string(line))
	if err != nil {
		os.Exit(1)
	}
}
