package peony.interop;

import com.weibo.api.motan.config.RegistryConfig;

/**
 * Where these programs find each other, unless they are told to use a registry with a server:
 *
 * <pre>-Dinterop.registry=PROTOCOL,HOST:PORT -Dinterop.host=ADDRESS     Motan does not list loopback addresses</pre>
 */
final class Places {
    private Places() {}

    static void of(RegistryConfig registry, String protocol, String address) {
        String[] chosen = System.getProperty("interop.registry", protocol + "," + address).split(",", 2);
        registry.setRegProtocol(chosen[0]);
        registry.setAddress(chosen[1]);
    }

    static String host() {
        return System.getProperty("interop.host", "127.0.0.1");
    }
}
