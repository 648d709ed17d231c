package peony.interop;

import com.alibaba.fastjson.JSON;
import com.weibo.api.motan.config.ProtocolConfig;
import com.weibo.api.motan.config.RefererConfig;
import com.weibo.api.motan.config.RegistryConfig;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;

/**
 * A Motan Java client that finds its server in a direct registry: an agent, or a server. For each argument it calls every
 * method that the serialization can carry, compares the answers and prints one JSON line a call:
 *
 * <pre>
 * Client SERVER_NAME PROTOCOL:SERIALIZATION:GROUP:PORT[:MINGZ_SIZE] ...     PROTOCOL motan2 or motan (v1)
 * {"refer":"motan2:simple:java-rpc:8000","method":"echoBool","ok":true,"value":"true","exception":null,"ms":1}
 * </pre>
 *
 * SERVER_NAME is what hello ends with. Instead of it `-` makes one call of hello for each line of the standard input.
 * Exit code: 0 all calls as expected, 1 some were not.
 */
public final class Client {
    private static boolean failed;

    private final String refer;
    private final EchoService echo;

    private Client(String refer, EchoService echo) {
        this.refer = refer;
        this.echo = echo;
    }

    public static void main(String[] args) throws IOException {
        for (int i = 1; i < args.length; i++) {
            String[] refer = args[i].split(":");
            EchoService echo = refer(refer[0], refer[1], refer[2], refer[3], refer.length > 4 ? Integer.parseInt(refer[4]) : 0);
            Client client = new Client(args[i], echo);
            if (args[0].equals("-")) {
                client.callForEachLine();
            } else {
                client.suite(args[0], refer[1]);
            }
        }
        System.exit(failed ? 1 : 0);
    }

    private static EchoService refer(String name, String serialization, String group, String port, int mingzSize) {
        ProtocolConfig protocol = new ProtocolConfig();
        protocol.setId(name);
        protocol.setName(name);
        protocol.setSerialization(serialization);
        RegistryConfig registry = new RegistryConfig();
        Places.of(registry, "direct", "127.0.0.1:" + port);

        RefererConfig<EchoService> referer = new RefererConfig<>();
        referer.setInterface(EchoService.class);
        referer.setGroup(group);
        referer.setVersion("1.0");
        referer.setApplication("interop-java-client");
        referer.setRequestTimeout(5000);
        referer.setAsyncInitConnection(false);
        referer.setRegistry(registry);
        referer.setProtocol(protocol);
        if (mingzSize > 0) {
            referer.setUsegz(true);
            referer.setMingzSize(mingzSize);
        }
        return referer.getRef();
    }

    private void callForEachLine() throws IOException {
        System.out.println("ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        while (input.readLine() != null) { call("hello", null, () -> echo.hello("java")); }
    }

    private void suite(String server, String serialization) {
        boolean protobuf = serialization.equals("protobuf");
        call("hello", "hello java from " + server, () -> echo.hello("java"));
        call("echoString", "Gr\u00fc\u00dfe, \u4e16\u754c", () -> echo.echoString("Gr\u00fc\u00dfe, \u4e16\u754c"));
        call("echoBool", true, () -> echo.echoBool(true));
        call("echoInt32", Integer.MIN_VALUE, () -> echo.echoInt32(Integer.MIN_VALUE));
        call("echoInt64", Long.MAX_VALUE, () -> echo.echoInt64(Long.MAX_VALUE));
        call("echoFloat32", -3.25f, () -> echo.echoFloat32(-3.25f));
        call("echoFloat64", Math.PI, () -> echo.echoFloat64(Math.PI));
        call("pair", "a|b|7", () -> echo.pair("a|b", 7));
        call("slow", "slept 20", () -> echo.slow(20));
        call("meta", null, () -> echo.meta("x"));
        call("fail", new Failing("wanted"), () -> echo.fail("wanted"));
        call("timeout", new Failing(""), () -> echo.slow(3000));
        if (!protobuf) { collections(serialization); }
    }

    /** What protobuf cannot carry; of these breeze takes lists and maps of one type only. */
    private void collections(String serialization) {
        byte[] data = {0, 1, 127, -128, -1};
        byte[] big = new byte[300_000];
        Arrays.fill(big, (byte) 'z');
        Map<String, String> map = new HashMap<>();
        map.put("a", "1");
        map.put("\u4e2d", "\u6587");
        List<String> strings = new ArrayList<>(Arrays.asList("x", "", "z"));
        List<Object> mixed = new ArrayList<>(Arrays.asList("a", 1, true));
        Map<Object, Object> mixedMap = new HashMap<>();
        mixedMap.put("k", 1L);
        mixedMap.put("n", "v");

        call("echoByte", (byte) -56, () -> echo.echoByte((byte) -56));
        call("echoInt16", Short.MIN_VALUE, () -> echo.echoInt16(Short.MIN_VALUE));
        call("echoBytes", data, () -> echo.echoBytes(data));
        call("echoBig", big, () -> echo.echoBytes(big));
        call("size", 100_000, () -> echo.size(100_000).length);
        call("many", "s|7|true|0aff", () -> echo.many("s", 7, true, new byte[] {0x0a, (byte) 0xff}));
        call("echoMap", map, () -> echo.echoMap(map));
        call("echoStrings", strings, () -> echo.echoStrings(strings));
        if (serialization.equals("breeze")) { return; }
        call("echoList", mixed, () -> echo.echoList(mixed));
        call("echoAnyMap", mixedMap, () -> echo.echoAnyMap(mixedMap));
    }

    /** Stands for an exception whose message contains this text. */
    private record Failing(String text) {}

    /** Calls and prints; want null accepts every value. */
    private void call(String method, Object want, Callable<Object> call) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("refer", refer);
        line.put("method", method);
        long begin = System.nanoTime();
        boolean ok;
        try {
            Object value = call.call();
            ok = want == null || Objects.deepEquals(value, want);
            line.put("value", value instanceof byte[] bytes ? bytes.length + " bytes" : String.valueOf(value));
            line.put("exception", null);
        } catch (Exception e) {
            ok = want instanceof Failing failing && String.valueOf(e.getMessage()).contains(failing.text);
            line.put("value", null);
            line.put("exception", e.getClass().getSimpleName() + ": " + e.getMessage());
        }
        line.put("ok", ok);
        line.put("ms", (System.nanoTime() - begin) / 1_000_000);
        failed = failed || !ok;
        System.out.println(JSON.toJSONString(line, com.alibaba.fastjson.serializer.SerializerFeature.WriteMapNullValue));
    }
}
