package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/golang/protobuf/ptypes/wrappers"
	"github.com/weibocom/motan-go/core"
	"github.com/weibocom/motan-go/filter"
)

// EchoService has one method for each argument type, and some that misbehave on request.
type EchoService struct{}

type anyMap = map[interface{}]interface{}

func (*EchoService) Hello(name string) string                                  { return "hello " + name + " from go" }
func (*EchoService) EchoString(v string) string                                { return v }
func (*EchoService) EchoBytes(v []byte) []byte                                 { return v }
func (*EchoService) EchoMap(v map[string]string) map[string]string             { return v }
func (*EchoService) EchoStrings(v []string) []string                           { return v }
func (*EchoService) EchoBool(v bool) bool                                      { return v }
func (*EchoService) EchoByte(v byte) byte                                      { return v }
func (*EchoService) EchoInt16(v int16) int16                                   { return v }
func (*EchoService) EchoInt32(v int32) int32                                   { return v }
func (*EchoService) EchoInt64(v int64) int64                                   { return v }
func (*EchoService) EchoFloat32(v float32) float32                             { return v }
func (*EchoService) EchoFloat64(v float64) float64                             { return v }
func (*EchoService) EchoAnyMap(v anyMap) anyMap                                { return v }
func (*EchoService) EchoList(v []interface{}) []interface{}                    { return v }
func (*EchoService) EchoMessage(v *wrappers.StringValue) *wrappers.StringValue { return v }

// Many takes several arguments of different types.
func (*EchoService) Many(text string, number int32, flag bool, data []byte) string {
	return fmt.Sprintf("%s|%d|%t|%x", text, number, flag, data)
}

// Pair is Many for serializations without byte arrays.
func (*EchoService) Pair(text string, number int32) string {
	return fmt.Sprintf("%s|%d", text, number)
}

func (*EchoService) Slow(ms int64) string {
	time.Sleep(time.Duration(ms) * time.Millisecond)
	return fmt.Sprintf("slept %d", ms)
}

// Size answers with n bytes.
func (*EchoService) Size(n int64) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = 'a' + byte(i%26)
	}
	return data
}

func (*EchoService) Panic(text string) string { panic("panic on request: " + text) }

// Fail and Meta are answered by the probe filter; the library finds no method without them.
func (*EchoService) Fail(string) string { return "unreachable" }
func (*EchoService) Meta(string) string { return "unreachable" }

const probeFilterName = "probe"

// probeFilter answers what a plain method cannot: "fail" with a business exception whose text is the argument,
// "meta" with the metadata that arrived, as JSON, and with metadata of its own on the answer.
type probeFilter struct{ next core.EndPointFilter }

func (f *probeFilter) GetRuntimeInfo() map[string]interface{} { return filter.GetFilterRuntimeInfo(f) }
func (f *probeFilter) GetIndex() int                          { return 20 }
func (f *probeFilter) GetName() string                        { return probeFilterName }
func (f *probeFilter) NewFilter(*core.URL) core.Filter        { return &probeFilter{} }
func (f *probeFilter) HasNext() bool                          { return f.next != nil }
func (f *probeFilter) SetNext(next core.EndPointFilter)       { f.next = next }
func (f *probeFilter) GetNext() core.EndPointFilter           { return f.next }
func (f *probeFilter) GetType() int32                         { return core.EndPointFilterType }

func (f *probeFilter) Filter(caller core.Caller, request core.Request) core.Response {
	switch core.FirstUpper(request.GetMethod()) {
	case "Fail":
		return core.BuildExceptionResponse(request.GetRequestID(), &core.Exception{
			ErrCode: 1234, ErrMsg: firstText(request), ErrType: core.BizException,
		})
	case "Meta":
		arrived := map[string]string{}
		request.GetAttachments().Range(func(key, value string) bool { arrived[key] = value; return true })
		text, err := json.Marshal(arrived)
		if err != nil {
			panic(err)
		}
		response := &core.MotanResponse{RequestID: request.GetRequestID(), Value: string(text)}
		response.SetAttachment("answered-by", "go-server")
		return response
	}
	return f.next.Filter(caller, request)
}

func firstText(request core.Request) string {
	if err := request.ProcessDeserializable([]interface{}{reflect.TypeOf("")}); err != nil {
		return "unreadable argument: " + err.Error()
	}
	text, _ := request.GetArguments()[0].(string)
	return text
}
