package peony.interop;

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.serializer.SerializerFeature;
import com.weibo.api.motan.config.ProtocolConfig;
import com.weibo.api.motan.config.RefererConfig;
import com.weibo.api.motan.config.RegistryConfig;
import com.weibo.api.motan.exception.MotanAbstractException;
import com.weibo.api.motan.proxy.CommonClient;
import com.weibo.api.motan.rpc.Request;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A Motan Java client without an interface: any method of any service, with at most one argument. One JSON line a call:
 *
 * <pre>
 * Calls PROTOCOL:SERIALIZATION:GROUP:PORT SERVICE METHOD ARGUMENT [TIMES [PARALLEL [KEY=VALUE,...]]]
 * ARGUMENT none, string:TEXT or map:KEY=VALUE,...; the last of all is metadata to send
 * {"ok":true,"type":"String","base64":"aGk=","exception":null,"code":0,"ms":1}
 * </pre>
 *
 * Exit code: 0 all calls have a value, 1 some threw.
 */
public final class Calls {
    private static final Object[] NONE = {};

    private final CommonClient client;
    private final String method;
    private final Object[] arguments;
    private final Map<String, String> metadata;
    private final AtomicInteger failures = new AtomicInteger();

    private Calls(CommonClient client, String method, Object[] arguments, Map<String, String> metadata) {
        this.client = client;
        this.method = method;
        this.arguments = arguments;
        this.metadata = metadata;
    }

    public static void main(String[] args) throws InterruptedException {
        int times = args.length > 4 ? Integer.parseInt(args[4]) : 1;
        int parallel = args.length > 5 ? Integer.parseInt(args[5]) : 1;
        Map<String, String> metadata = pairs(args.length > 6 ? args[6] : "");
        Calls calls = new Calls(refer(args[0].split(":"), args[1]), args[2], parse(args[3]), metadata);
        ExecutorService callers = Executors.newFixedThreadPool(parallel);
        for (int i = 0; i < times; i++) { callers.execute(calls::call); }
        callers.shutdown();
        callers.awaitTermination(5, TimeUnit.MINUTES);
        System.exit(calls.failures.get() == 0 ? 0 : 1);
    }

    private static CommonClient refer(String[] refer, String service) {
        ProtocolConfig protocol = new ProtocolConfig();
        protocol.setId(refer[0]);
        protocol.setName(refer[0]);
        protocol.setSerialization(refer[1]);
        RegistryConfig registry = new RegistryConfig();
        registry.setRegProtocol("direct");
        registry.setAddress("127.0.0.1:" + refer[3]);

        RefererConfig<CommonClient> referer = new RefererConfig<>();
        referer.setInterface(CommonClient.class);
        referer.setServiceInterface(service);
        referer.setProxy("common");
        referer.setGroup(refer[2]);
        referer.setVersion("1.0");
        referer.setApplication("interop-java-client");
        referer.setRequestTimeout(10000);
        referer.setAsyncInitConnection(false);
        referer.setRegistry(registry);
        referer.setProtocol(protocol);
        return referer.getRef();
    }

    private void call() {
        Map<String, Object> line = new LinkedHashMap<>();
        Request request = client.buildRequest(method, arguments);
        metadata.forEach(request::setAttachment);
        long begin = System.nanoTime();
        try {
            Object value = client.call(request, Object.class);
            line.put("ok", true);
            line.put("type", value == null ? "null" : value.getClass().getSimpleName());
            line.put("base64", Base64.getEncoder().encodeToString(bytesOf(value)));
            line.put("exception", null);
            line.put("code", 0);
        } catch (Throwable e) {
            failures.incrementAndGet();
            line.put("ok", false);
            line.put("type", "null");
            line.put("base64", "");
            line.put("exception", e.getClass().getSimpleName() + ": " + e.getMessage());
            line.put("code", e instanceof MotanAbstractException motan ? motan.getErrorCode() : -1);
        }
        line.put("ms", (System.nanoTime() - begin) / 1_000_000);
        String text = JSON.toJSONString(line, SerializerFeature.WriteMapNullValue);
        synchronized (this) { System.out.println(text); }
    }

    private static byte[] bytesOf(Object value) {
        return value instanceof byte[] bytes ? bytes : String.valueOf(value).getBytes(StandardCharsets.UTF_8);
    }

    private static Object[] parse(String argument) {
        if (argument.startsWith("string:")) { return new Object[] {argument.substring("string:".length())}; }
        if (argument.startsWith("map:")) { return new Object[] {pairs(argument.substring("map:".length()))}; }
        return NONE;
    }

    private static Map<String, String> pairs(String text) {
        Map<String, String> all = new LinkedHashMap<>();
        for (String pair : text.split(",")) {
            int at = pair.indexOf('=');
            if (at >= 0) { all.put(pair.substring(0, at), pair.substring(at + 1)); }
        }
        return all;
    }
}
