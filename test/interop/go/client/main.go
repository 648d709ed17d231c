// A motan-go mesh client. Without -method it calls every method that the serialization can carry and compares each
// answer with what it must be; with -method it makes one kind of call, -parallel of them at a time. One JSON line a call:
//
//	{"method":"echoBool","ok":true,"type":"bool","value":"true","base64":"","exception":null,"metadata":{"M_pt":"0"},"ms":1}
//
// base64 holds the bytes of a value that is text or bytes, in full up to 64 KiB.
//
// Exit code: 0 all calls as expected, 1 some were not, 2 wrong usage.
package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	motan "github.com/weibocom/motan-go"
	"github.com/weibocom/motan-go/core"
)

const (
	valueTextMax  = 2000  // bytes of a value's text that are printed
	valueBytesMax = 65536 // bytes of a value that are printed as base64
)

var printing sync.Mutex // one line at a time

type client struct {
	mesh           *motan.MeshClient
	service, group string
	metadata       map[string]string
	untyped        bool // the serialization names its types, so answers are taken as they come
}

type line struct {
	Method    string            `json:"method"`
	Ok        bool              `json:"ok"`
	Type      string            `json:"type"`
	Value     string            `json:"value"`
	Base64    string            `json:"base64"`
	Exception *core.Exception   `json:"exception"`
	Metadata  map[string]string `json:"metadata"`
	Ms        int64             `json:"ms"`
}

func main() {
	// A set of its own: the library has taken names like -port in the common one.
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	address := flags.String("addr", "127.0.0.1:9981", "host:port or unix://path of an agent or server")
	service := flags.String("service", "peony.interop.EchoService", "service path")
	group := flags.String("group", "go-rpc", "group")
	serialization := flags.String("ser", "simple", "simple, breeze, protobuf or grpc-pb")
	server := flags.String("server", "go", "what hello must end with")
	application := flags.String("application", "interop-go-client", "name of the caller")
	timeoutMs := flags.Int("timeout", 5000, "ms a call may take")
	metadata := flags.String("meta", "", "metadata to send: key=value,key=value")
	only := flags.String("only", "", "comma list of suite methods")
	method := flags.String("method", "", "call this method instead of the suite")
	argument := flags.String("arg", "", "its argument as TYPE:TEXT, TYPE one of string, int64, bytes, map (key=value,key=value), null")
	times := flags.Int("times", 1, "how often to call it")
	parallel := flags.Int("parallel", 1, "how many calls at a time")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}

	mesh := motan.NewMeshClient()
	mesh.SetAddress(*address)
	mesh.SetApplication(*application)
	mesh.SetSerialization(*serialization)
	mesh.SetRequestTimeout(time.Duration(*timeoutMs) * time.Millisecond)
	mesh.Initialize()
	c := &client{mesh, *service, *group, pairs(*metadata), *serialization == "simple"}

	failed := false
	if *method != "" {
		failed = !c.callOften(*method, parseArgument(*argument), *times, *parallel)
	} else {
		for _, s := range suite(*serialization, *server) {
			if *only == "" || contains(strings.Split(*only, ","), s.method) {
				failed = !c.call(s.method, s.arguments, s.want, s.into) || failed
			}
		}
	}
	if failed {
		os.Exit(1)
	}
}

// callOften makes all calls and tells whether all were answered.
func (c *client) callOften(method string, arguments []interface{}, times, parallel int) bool {
	var left, failures atomic.Int64
	left.Store(int64(times))
	var callers sync.WaitGroup
	for i := 0; i < parallel; i++ {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for left.Add(-1) >= 0 {
				if !c.call(method, arguments, nil, new(string)) {
					failures.Add(1)
				}
			}
		}()
	}
	callers.Wait()
	return failures.Load() == 0
}

// call prints one line and tells whether the answer was as wanted; any answer is right when want is nil.
func (c *client) call(method string, arguments []interface{}, want, into interface{}) bool {
	request := c.mesh.BuildRequestWithGroup(c.service, method, arguments, c.group)
	for key, value := range c.metadata {
		request.SetAttachment(key, value)
	}
	reply := into
	if c.untyped {
		reply = new(interface{})
	}
	begin := time.Now()
	response := c.mesh.BaseCall(request, reply)
	elapsed := time.Since(begin)

	out := line{Method: method, Exception: response.GetException(), Metadata: map[string]string{}, Ms: elapsed.Milliseconds()}
	if attachments := response.GetAttachments(); attachments != nil {
		attachments.Range(func(key, value string) bool { out.Metadata[key] = value; return true })
	}
	value := response.GetValue()
	out.Type = fmt.Sprintf("%T", value)
	out.Value = show(value)
	out.Base64 = bytesOf(value)
	out.Ok = out.Exception == nil && (want == nil || same(value, want))
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
	return out.Ok
}

func bytesOf(value interface{}) string {
	var data []byte
	switch v := value.(type) {
	case []byte:
		data = v
	case string:
		data = []byte(v)
	}
	if len(data) > valueBytesMax {
		return ""
	}
	return base64.StdEncoding.EncodeToString(data)
}

func show(value interface{}) string {
	if data, ok := value.([]byte); ok {
		return fmt.Sprintf("%d bytes", len(data))
	}
	text := fmt.Sprint(value)
	if len(text) > valueTextMax {
		return text[:valueTextMax]
	}
	return text
}

// same compares by type and value, through a pointer of the answer, and messages by their text.
func same(value, want interface{}) bool {
	if message, ok := want.(fmt.Stringer); ok {
		got, ok := value.(fmt.Stringer)
		return ok && got.String() == message.String()
	}
	if v := reflect.ValueOf(value); v.Kind() == reflect.Ptr && !v.IsNil() {
		value = v.Elem().Interface()
	}
	return reflect.DeepEqual(value, want)
}

func pairs(text string) map[string]string {
	all := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		if key, value, found := strings.Cut(pair, "="); found {
			all[key] = value
		}
	}
	return all
}

func parseArgument(text string) []interface{} {
	kind, value, _ := strings.Cut(text, ":")
	switch kind {
	case "":
		return nil
	case "string":
		return []interface{}{value}
	case "bytes":
		return []interface{}{[]byte(value)}
	case "map":
		return []interface{}{pairs(value)}
	case "null":
		return []interface{}{nil}
	case "int64":
		if number, err := strconv.ParseInt(value, 10, 64); err == nil {
			return []interface{}{number}
		}
	}
	fmt.Fprintln(os.Stderr, "client: not an argument:", text)
	os.Exit(2)
	return nil
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}
