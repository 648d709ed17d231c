package peony.interop;

import com.weibo.api.motan.common.MotanConstants;
import com.weibo.api.motan.config.ProtocolConfig;
import com.weibo.api.motan.config.RegistryConfig;
import com.weibo.api.motan.config.ServiceConfig;
import com.weibo.api.motan.util.MotanSwitcherUtil;
import java.util.concurrent.CountDownLatch;

/**
 * A Motan Java server with one export per argument. Prints "ready" when all listen and lives until it is ended.
 *
 * <pre>Server PROTOCOL:SERIALIZATION:GROUP:PORT[:MINGZ_SIZE] ...     PROTOCOL motan2 or motan (v1)</pre>
 */
public final class Server {
    public static void main(String[] args) throws Exception {
        for (String argument : args) {
            String[] export = argument.split(":");
            export(export[0], export[1], export[2], export[3], export.length > 4 ? Integer.parseInt(export[4]) : 0);
        }
        // Until then what is listed in a registry is listed as not available.
        MotanSwitcherUtil.setSwitcherValue(MotanConstants.REGISTRY_HEARTBEAT_SWITCHER, true);
        System.out.println("ready");
        new CountDownLatch(1).await();
    }

    private static void export(String name, String serialization, String group, String port, int mingzSize) {
        ProtocolConfig protocol = new ProtocolConfig();
        protocol.setId(name + port);
        protocol.setName(name);
        protocol.setSerialization(serialization);
        RegistryConfig registry = new RegistryConfig();
        Places.of(registry, "local", "127.0.0.1:0");

        ServiceConfig<EchoService> service = new ServiceConfig<>();
        service.setInterface(EchoService.class);
        service.setRef(new EchoServiceImpl());
        service.setGroup(group);
        service.setVersion("1.0");
        service.setApplication("interop-java-server");
        service.setHost(Places.host());
        service.setRegistry(registry);
        service.setProtocol(protocol);
        if (mingzSize > 0) {
            service.setUsegz(true);
            service.setMingzSize(mingzSize);
        }
        service.setExport(protocol.getId() + ":" + port);
        service.export();
    }
}
