package main

import (
	"bytes"
	"math"
	"strings"

	"github.com/golang/protobuf/ptypes/wrappers"
)

// step is one call and the answer that it must get. into tells typed serializations what to read.
type step struct {
	method    string
	arguments []interface{}
	want      interface{}
	into      interface{}
}

func echo(method string, value, into interface{}) step {
	return step{method, []interface{}{value}, value, into}
}

// suite holds the calls that a serialization can carry. Left out are values that motan-go itself cannot: nil arguments
// (its server panics), nil inside a list, empty lists and maps (they come back nil).
func suite(serialization, server string) []step {
	message := &wrappers.StringValue{Value: "message 消息"}
	if serialization == "grpc-pb" { // exactly one protobuf message
		return []step{{"echoMessage", []interface{}{message}, message, &wrappers.StringValue{}}}
	}

	scalars := []step{
		{"hello", []interface{}{"peony"}, "hello peony from " + server, new(string)},
		echo("echoString", "Grüße, 世界 🌸 \x00\n", new(string)),
		echo("echoString", strings.Repeat("long ", 20_000), new(string)),
		echo("echoBool", true, new(bool)),
		echo("echoBool", false, new(bool)),
		echo("echoByte", byte(200), new(byte)),
		echo("echoInt16", int16(math.MinInt16), new(int16)),
		echo("echoInt32", int32(math.MinInt32), new(int32)),
		echo("echoInt32", int32(42), new(int32)),
		echo("echoInt64", int64(math.MaxInt64), new(int64)),
		echo("echoInt64", int64(math.MinInt64), new(int64)),
		echo("echoFloat32", float32(-3.25), new(float32)),
		echo("echoFloat64", math.Pi, new(float64)),
		{"pair", []interface{}{"a|b", int32(7)}, "a|b|7", new(string)},
		{"slow", []interface{}{int64(20)}, "slept 20", new(string)},
	}
	if serialization == "protobuf" { // no bytes, lists and maps, but messages
		return append(scalars, step{"echoMessage", []interface{}{message}, message, &wrappers.StringValue{}})
	}

	all := append(scalars,
		echo("echoBytes", []byte{0, 1, 127, 128, 255}, new([]byte)),
		echo("echoBytes", bytes.Repeat([]byte{0xf1}, 1<<20), new([]byte)),
		echo("echoMap", map[string]string{"a": "1", "中": "文"}, &map[string]string{}),
		echo("echoStrings", []string{"x", "", "z"}, new([]string)),
		step{"many", []interface{}{"s", int32(7), true, []byte{0x0a, 0xff}}, "s|7|true|0aff", new(string)},
	)
	if serialization == "simple" {
		all = append(all,
			echo("echoAnyMap", map[interface{}]interface{}{"k": int64(1), int32(5): "v"}, nil),
			echo("echoList", []interface{}{"a", int32(1), true, []byte{1}, 1.5}, nil),
		)
	}
	return all
}
