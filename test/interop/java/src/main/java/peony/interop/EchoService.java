package peony.interop;

import java.util.List;
import java.util.Map;

/** The methods that the Go echo server has too, under the same service path. Those of every type that Java can carry. */
public interface EchoService {
    String hello(String name);
    String echoString(String v);
    byte[] echoBytes(byte[] v);
    Map<String, String> echoMap(Map<String, String> v);
    List<String> echoStrings(List<String> v);
    boolean echoBool(boolean v);
    byte echoByte(byte v);
    short echoInt16(short v);
    int echoInt32(int v);
    long echoInt64(long v);
    float echoFloat32(float v);
    double echoFloat64(double v);
    List<Object> echoList(List<Object> v);
    Map<Object, Object> echoAnyMap(Map<Object, Object> v);
    String many(String text, int number, boolean flag, byte[] data);
    String pair(String text, int number);
    String slow(long ms);
    byte[] size(long n);
    /** Throws an exception with this text. */
    String fail(String text);
    /** The metadata that arrived, as JSON. */
    String meta(String ignored);
}
