package peony.interop;

import com.alibaba.fastjson.JSON;
import com.weibo.api.motan.rpc.RpcContext;
import java.util.List;
import java.util.Map;

public class EchoServiceImpl implements EchoService {
    public String hello(String name) { return "hello " + name + " from java"; }
    public String echoString(String v) { return v; }
    public byte[] echoBytes(byte[] v) { return v; }
    public Map<String, String> echoMap(Map<String, String> v) { return v; }
    public List<String> echoStrings(List<String> v) { return v; }
    public boolean echoBool(boolean v) { return v; }
    public byte echoByte(byte v) { return v; }
    public short echoInt16(short v) { return v; }
    public int echoInt32(int v) { return v; }
    public long echoInt64(long v) { return v; }
    public float echoFloat32(float v) { return v; }
    public double echoFloat64(double v) { return v; }
    public List<Object> echoList(List<Object> v) { return v; }
    public Map<Object, Object> echoAnyMap(Map<Object, Object> v) { return v; }

    public String many(String text, int number, boolean flag, byte[] data) {
        StringBuilder hex = new StringBuilder();
        for (byte b : data) { hex.append(String.format("%02x", b)); }
        return text + "|" + number + "|" + flag + "|" + hex;
    }

    public String pair(String text, int number) { return text + "|" + number; }

    public String slow(long ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        return "slept " + ms;
    }

    public byte[] size(long n) {
        byte[] data = new byte[(int) n];
        for (int i = 0; i < data.length; i++) { data[i] = (byte) ('a' + i % 26); }
        return data;
    }

    public String fail(String text) { throw new IllegalStateException(text); }

    public String meta(String ignored) { return JSON.toJSONString(RpcContext.getContext().getRequest().getAttachments()); }
}
